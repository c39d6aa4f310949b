// The seeds of fuzz/corpus/worker_task_fuzz are tasks of today's form: those of another form are refused at the first look, and a fuzzer
// that begins with them begins with nothing. With MVM_UPDATE_GENERATED set, they are written.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include "policy-lang/table.h"
#include "schemas/worker.h"
#include "schemas/worker_generated.h"
#include "tests/schemas/samples.h"

namespace mvm::wire {
namespace {

using lang::Sign;
using Bytes = std::vector<std::uint8_t>;

const std::string kCorpus = std::string(MVM_SOURCE_DIR) + "/fuzz/corpus/worker_task_fuzz/";

Task task_of(Op op, const lang::Statement& statement) {
  Task task;
  task.seq = 7;
  task.op = op;
  task.statement = statement;
  task.place = {3, test::kAcmeSubnet, test::kCidr, 5, 100'773, 42, *Name::from("node-7")};
  task.egress = {Subnet{0x01010100, 24}, Subnet{0x08080808, 32}};
  task.closed = {Subnet{0xc6336400, 24}};
  if (op == Op::kMake) task.sealed = {{1, 2, 3}, {4}};
  return task;
}

// The list of subnets once more, at the end and four bytes off what a number of eight wants; the table refers to that one.
Bytes with_misaligned_subnets(Bytes bytes) {
  const auto* egress = flatbuffers::GetRoot<fbs::Task>(bytes.data())->egress();
  const std::uint32_t count = egress->size();
  const std::size_t list = 4 + 8 * std::size_t{count}, field_of = 4 + 2 * 4;  // the fifth field of the table
  Bytes copy(reinterpret_cast<const std::uint8_t*>(egress), reinterpret_cast<const std::uint8_t*>(egress) + list);
  const auto read = [&](std::size_t at, auto value) { return std::memcpy(&value, bytes.data() + at, sizeof value), value; };
  const std::size_t table = read(0, std::uint32_t{}), vtable = table - static_cast<std::size_t>(read(table, std::int32_t{}));
  const std::size_t field = table + read(vtable + field_of, std::uint16_t{});
  while (bytes.size() % 8 != 0) bytes.push_back(0);
  const auto offset = static_cast<std::uint32_t>(bytes.size() - field);
  std::memcpy(bytes.data() + field, &offset, sizeof offset);
  bytes.insert(bytes.end(), copy.begin(), copy.end());
  return bytes;
}

std::map<std::string, Bytes> seeds() {
  std::map<std::string, Bytes> made;
  for (const auto& [sign, op, verb] : {std::tuple{Sign::kAdd, Op::kMake, "make-"}, {Sign::kRemove, Op::kUnmake, "remove-"}})
    for (const auto& statement : test::one_of_each(sign)) made[verb + std::string(lang::row(statement.word).name)] = encode(task_of(op, statement));
  made["inventory"] = encode(task_of(Op::kInventory, {}));
  made["offer"] = encode(task_of(Op::kOffer, {}));
  made["misaligned-subnets"] = with_misaligned_subnets(made["make-rule"]);
  return made;
}

TEST(Seeds, OfTasksAreOfTodaysForm) {
  for (const auto& [name, bytes] : seeds()) {
    if (std::getenv("MVM_UPDATE_GENERATED") != nullptr)
      std::ofstream(kCorpus + name, std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    std::ifstream file(kCorpus + name, std::ios::binary);
    const Bytes found(std::istreambuf_iterator<char>(file), {});
    EXPECT_EQ(found, bytes) << name << ": run schemas_test with MVM_UPDATE_GENERATED=1";
    const auto task = decode_task(found);
    if (name == "misaligned-subnets") {
      ASSERT_FALSE(task);
      EXPECT_NE(task.error().message().find("subnets that are not aligned"), std::string::npos) << task.error().message();
    } else {
      EXPECT_TRUE(task) << name << ": " << task.error().message();
    }
  }
}

}  // namespace
}  // namespace mvm::wire
