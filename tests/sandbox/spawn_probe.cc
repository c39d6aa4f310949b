// A worker that tells what it was started with: one packet on its channel, then it waits for the end of it.
#include <dirent.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

extern char** environ;

namespace {

std::string open_descriptors() {
  std::string found;
  for (int fd = 0; fd < 1024; ++fd) {
    struct stat status {};
    if (fstat(fd, &status) == 0) found += std::to_string(fd) + " ";
  }
  return found;
}

std::string status_lines() {
  std::ifstream status("/proc/self/status");
  std::string text;
  for (std::string line; std::getline(status, line);) {
    for (const char* wanted : {"Uid:", "Gid:", "Groups:", "CapEff:", "CapPrm:", "CapInh:", "CapBnd:", "CapAmb:", "SigBlk:", "SigIgn:"}) {
      if (line.starts_with(wanted)) text += line + "\n";
    }
  }
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  std::ostringstream told;
  told << "descriptors " << open_descriptors() << "\n";
  told << "environment " << (environ == nullptr || *environ == nullptr ? "empty" : "not empty") << "\n";
  for (int i = 0; i < argc; ++i) told << "argument " << argv[i] << "\n";
  char directory[4096];
  told << "directory " << getcwd(directory, sizeof directory) << "\n";
  told << "session " << (getsid(0) == getpid() ? "own" : "another's") << "\n";
  told << status_lines();
  const std::string text = told.str();
  if (send(3, text.data(), text.size(), 0) < 0) return 1;
  char byte = 0;
  return static_cast<int>(recv(3, &byte, 1, 0));
}
