// Runs a fuzz target over every file of the corpora named as arguments, and over no bytes at all. A corpus that is not
// there or is empty is a failure: then nothing would have been tested.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main(int argc, char** argv) {
  namespace fs = std::filesystem;
  std::vector<fs::path> files;
  for (int i = 1; i < argc; ++i) {
    std::error_code missing;
    for (const auto& entry : fs::directory_iterator(argv[i], missing)) files.push_back(entry.path());
    if (missing) std::fprintf(stderr, "%s: %s\n", argv[i], missing.message().c_str());
  }
  if (files.empty()) {
    std::fprintf(stderr, "there is no corpus to run\n");
    return 1;
  }
  std::ranges::sort(files);
  LLVMFuzzerTestOneInput(nullptr, 0);
  for (const fs::path& file : files) {
    std::printf("%s\n", file.filename().c_str());
    std::fflush(stdout);  // so that the last name is that of the file that ended us
    std::ifstream in(file, std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(in), {});
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  }
  std::printf("%zu inputs\n", files.size());
  return 0;
}
