// What a secrets or config drive carries, from whoever sealed it; and the file system of it.
#include <algorithm>
#include <vector>

#include "drive/build.h"
#include "fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mvm;
  const std::span<const std::uint8_t> content(data, size);
  const auto files = drive::read_files(content);
  if (!files) return 0;
  for (const drive::File& file : *files) {
    fuzz::must(drive::is_file_name(file.name), "a name is a name");
    fuzz::must(file.bytes.data() >= data && file.bytes.data() + file.bytes.size() <= data + size, "a file lies in the content");
  }
  const auto again = drive::write_files(*files);
  fuzz::must(again && std::ranges::equal(*again, content), "what is read is written as the same bytes");
  static std::vector<std::uint8_t> built(drive::kDriveBytes);
  fuzz::must(drive::build(*files, {drive::kSecretsLabel, {}, drive::kSecretsMode}, built).has_value(), "what is within the limits fits");
  return 0;
}
