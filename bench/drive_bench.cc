// A secrets drive: from the bytes that were sealed to a file system that a guest can mount; and all that the storage worker does for one, from the
// envelope to the file in a ramfs (root; docs/drives.md). Beside it, mke2fs -d does the first of it with a process and files.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "broker/storage/executor.h"
#include "drive/build.h"
#include "tests/sealing/samples.h"
#include "tests/storage/ramfs.h"

namespace mvm::drive {
namespace {

std::vector<std::uint8_t> content_of(std::size_t count, std::size_t size) {
  const std::vector<std::uint8_t> bytes(size, 'x');
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i) names.push_back("secret-" + std::to_string(i));
  std::vector<File> files;
  for (const std::string& name : names) files.push_back({name, bytes});
  return write_files(files).value();
}

void Build(benchmark::State& state) {
  const auto content = content_of(static_cast<std::size_t>(state.range(0)), static_cast<std::size_t>(state.range(1)));
  std::vector<std::uint8_t> drive(kDriveBytes);
  for (auto _ : state) {
    const Digest digest = sha256({reinterpret_cast<const char*>(content.data()), content.size()});
    const auto files = read_files(content);
    if (!files || !build(*files, {kSecretsLabel, digest, kSecretsMode}, drive)) state.SkipWithError("not built");
    benchmark::DoNotOptimize(drive.data());
  }
}
BENCHMARK(Build)->Args({0, 0})->Args({8, 512})->Args({64, 900})->Unit(benchmark::kMicrosecond);

// Opens the envelope, builds the drive and writes it; wiping it is not counted.
void Make(benchmark::State& state) {
  Fd memory = test::ramfs();
  if (!memory.valid()) return state.SkipWithError("needs root");
  const auto content = content_of(static_cast<std::size_t>(state.range(0)), static_cast<std::size_t>(state.range(1)));
  const std::string_view text(reinterpret_cast<const char*>(content.data()), content.size());
  const auto session = sealing::Session::make(SecretArena::make().value()).value();
  storage::SealedKeys keys(session);
  storage::Host host{storage::DeviceMapper(Fd()), storage::Loops(Fd(), Fd()), storage::Volumes(Fd()), Fd(), storage::Drives::make(std::move(memory)).value(),
                     SecretArena::make().value(), session, keys};
  wire::Task task;
  task.seq = 1;
  task.op = wire::Op::kMake;
  task.statement.sign = lang::Sign::kAdd;
  task.statement.word = lang::Word::kSecrets;
  task.statement.subject = instance_subject(*Name::from("acme"), *Name::from("workers"), InstanceId{1});
  task.statement.numbers = {1};
  task.statement.digests[0] = sha256(text);
  const sealing::Label label = test::content_label(sealing::Purpose::kSecrets, text);
  task.place.node = label.node;
  task.place.generation = label.generation;
  task.sealed = {test::sealed(session.arena(), label, session.public_key(), content)};
  wire::Task wipe = task;
  wipe.op = wire::Op::kUnmake;
  wipe.statement.sign = lang::Sign::kRemove;
  wipe.sealed.clear();
  for (auto _ : state) {
    if (const auto made = storage::dispatch(host, task).front(); !made.ok) return state.SkipWithError(made.error.message().c_str());
    state.PauseTiming();
    if (!storage::dispatch(host, wipe).front().ok) return state.SkipWithError("not wiped");
    state.ResumeTiming();
  }
}
BENCHMARK(Make)->Args({0, 0})->Args({8, 512})->Args({64, 900})->Unit(benchmark::kMicrosecond);

void Mke2fs(benchmark::State& state) {
  const std::filesystem::path directory = std::filesystem::temp_directory_path() / "mvm-drive-bench";
  std::filesystem::create_directories(directory / "files");
  for (long i = 0; i < state.range(0); ++i) {
    std::ofstream(directory / "files" / ("secret-" + std::to_string(i))) << std::string(static_cast<std::size_t>(state.range(1)), 'x');
  }
  const std::string command = "truncate -s 524288 " + (directory / "drive").string() + " && mke2fs -q -F -t ext4 -b 4096 -O ^has_journal -N 128 -d " +
                              (directory / "files").string() + " " + (directory / "drive").string();
  for (auto _ : state) {
    if (std::system(command.c_str()) != 0) state.SkipWithError("not built");
  }
  std::filesystem::remove_all(directory);
}
BENCHMARK(Mke2fs)->Args({8, 512})->Args({64, 900})->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace mvm::drive
