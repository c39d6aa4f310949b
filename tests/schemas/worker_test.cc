#include "schemas/worker.h"

#include <gtest/gtest.h>

#include "policy-lang/print.h"
#include "schemas/statement_codec.h"
#include "schemas/worker_generated.h"
#include "tests/schemas/samples.h"

namespace mvm::wire {
namespace {

using lang::Sign;
using lang::Word;

Task make_task(const lang::Statement& statement) {
  Task task;
  task.seq = 7;
  task.op = statement.sign == Sign::kAdd ? Op::kMake : statement.sign == Sign::kRemove ? Op::kUnmake : Op::kMove;
  task.statement = statement;
  task.place = {3, test::kAcmeSubnet, test::kCidr, 5, 100'773, 42, *Name::from("node-7")};
  task.egress = {Subnet{0x01010100, 24}, Subnet{0x08080808, 32}};
  if (task.op == Op::kMake) task.sealed = {{1, 2, 3}, {4}};
  return task;
}

bool same(const Task& a, const Task& b) {
  return a.seq == b.seq && a.op == b.op && a.statement == b.statement && a.place == b.place && a.egress == b.egress && a.sealed == b.sealed;
}

Answer inventory() {
  Answer answer;
  answer.seq = 9;
  answer.ok = true;
  answer.more = true;
  answer.items = {{Word::kTap, {}, 3, 5, true, 0}, {Word::kJail, test::instance(), 0, 0, true, lang::kWarm}};
  return answer;
}

TEST(WorkerTask, ComesBackAsItWas) {
  for (const Sign sign : {Sign::kAdd, Sign::kRemove}) {
    for (const auto& statement : test::one_of_each(sign)) {
      const Task task = make_task(statement);
      const auto back = decode_task(encode(task));
      ASSERT_TRUE(back) << back.error().message();
      EXPECT_TRUE(same(*back, task));
    }
  }
  Task inventory_task;
  inventory_task.seq = 1;
  EXPECT_TRUE(decode_task(encode(inventory_task)));
}

TEST(WorkerTask, CarriesTheManifestOfAJailsImageAndIsHeldToItsDigest) {
  Task task = make_task(test::one_of_each(Sign::kAdd)[8]);
  EXPECT_EQ(manifest_of(task).error().code, Errc::kDenied) << "there is none";
  task.manifest = test::some_manifest();
  auto back = decode_task(encode(task));
  ASSERT_TRUE(back) << back.error().message();
  ASSERT_TRUE(back->manifest);
  EXPECT_EQ(lang::document_of(*back->manifest), lang::document_of(*task.manifest));
  EXPECT_EQ(manifest_of(*back).error().code, Errc::kDenied) << "the statement names another image";
  task.statement.digests[0] = sha256(lang::print(lang::document_of(*task.manifest)));
  back = decode_task(encode(task));
  ASSERT_TRUE(back);
  EXPECT_EQ(manifest_of(*back)->rootfs.root, task.manifest->rootfs.root);
  back->manifest->rootfs.root.bytes[31] ^= 1;
  EXPECT_EQ(manifest_of(*back).error().code, Errc::kDenied);
}

TEST(WorkerTask, RefusesAManifestThatIsNoneOrThatNothingIsTakenOf) {
  const auto jail = make_task(test::one_of_each(Sign::kAdd)[8]);
  const auto refused = [](Task task, auto change) {
    task.manifest = test::some_manifest();
    change(task);
    return !decode_task(encode(task));
  };
  EXPECT_FALSE(refused(jail, [](Task&) {}));
  EXPECT_TRUE(refused(jail, [](Task& task) { task.manifest->flake = {}; }));
  EXPECT_TRUE(refused(jail, [](Task& task) { task.manifest->kernel.bytes = 0; }));
  EXPECT_TRUE(refused(jail, [](Task& task) { task.manifest->rootfs.blocks = 0; }));
  EXPECT_TRUE(refused(jail, [](Task& task) { task.op = Op::kRelease; }));
  EXPECT_TRUE(refused(make_task(test::one_of_each(Sign::kRemove)[8]), [](Task&) {}));
  EXPECT_TRUE(refused(make_task(test::one_of_each(Sign::kAdd)[7]), [](Task&) {})) << "a tap";
}

// What an encoder would never make: a manifest whose lines are other than its three.
TEST(WorkerTask, RefusesAManifestWithOtherLines) {
  const auto whole = lang::document_of(test::some_manifest()).statements;
  const auto task_with = [&](const std::vector<lang::Statement>& lines) {
    flatbuffers::FlatBufferBuilder builder;
    std::vector<fbs::Statement> raw;
    for (const lang::Statement& line : lines) raw.push_back(to_fbs(line));
    const auto statement = to_fbs(test::one_of_each(Sign::kAdd)[8]);
    const auto place = fbs::Place(fbs::Bytes32(), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    const auto none = builder.CreateVector(std::vector<std::uint64_t>());
    const auto sealed = builder.CreateVector(std::vector<flatbuffers::Offset<fbs::Sealed>>());
    const auto manifest = fbs::CreateManifest(builder, builder.CreateString("path:test"), builder.CreateVectorOfStructs(raw));
    builder.Finish(fbs::CreateTask(builder, 1, static_cast<std::uint8_t>(Op::kMake), &statement, &place, none, sealed, none, nullptr, manifest), "MVMT");
    return decode_task(std::vector<std::uint8_t>(builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize()));
  };
  ASSERT_TRUE(task_with(whole));
  const auto expect_refused = [&](const std::vector<lang::Statement>& lines) {
    const auto task = task_with(lines);
    ASSERT_FALSE(task) << lines.size();
    EXPECT_EQ(task.error().code, Errc::kMalformed);
  };
  expect_refused({});
  expect_refused({whole[0], whole[1]});
  expect_refused({whole[0], whole[1], whole[2], whole[2]});
  expect_refused({whole[0], whole[1], whole[1]});
  expect_refused({whole[0], whole[1], test::one_of_each(Sign::kAdd)[0]});
}

TEST(WorkerTask, MayAskForTheRemovalOfALeakWhoseFieldsNobodyKnows) {
  Task sweep;
  sweep.seq = 1;
  sweep.op = Op::kUnmake;
  sweep.statement.sign = Sign::kRemove;
  sweep.statement.word = Word::kTap;
  sweep.place.net = 3;
  sweep.place.slot = 5;
  EXPECT_TRUE(decode_task(encode(sweep)));
  sweep.op = Op::kMake;
  sweep.statement.sign = Sign::kAdd;
  EXPECT_FALSE(decode_task(encode(sweep)));
}

TEST(WorkerTask, RefusesWhatIsNoTask) {
  Task task = make_task(test::one_of_each(Sign::kAdd)[7]);
  task.seq = 0;
  EXPECT_FALSE(decode_task(encode(task)));
  task = make_task(test::one_of_each(Sign::kAdd)[7]);
  task.op = Op::kUnmake;  // with a '+'
  EXPECT_FALSE(decode_task(encode(task)));
  task.op = static_cast<Op>(5);
  EXPECT_FALSE(decode_task(encode(task)));
  task = make_task(test::make(Sign::kAdd, Word::kTenant, test::acme(), {}));
  EXPECT_FALSE(decode_task(encode(task)));
  task.op = Op::kUnmake;
  task.statement.sign = Sign::kRemove;
  EXPECT_FALSE(decode_task(encode(task))) << "no worker runs `tenant`";
}

TEST(WorkerTask, HoldsThePlaceToItsBounds) {
  Task task = make_task(test::one_of_each(Sign::kAdd)[7]);
  task.place.net = 4096;
  EXPECT_FALSE(decode_task(encode(task)));
  task.place.net = 4095;
  EXPECT_TRUE(decode_task(encode(task)));
  task.place.subnet = {0x0af00301, 24};
  EXPECT_FALSE(decode_task(encode(task)));
  task.place.subnet = test::kAcmeSubnet;
  for (auto list : {&Task::egress, &Task::closed}) {
    (task.*list).assign(kMaxSubnets, test::kAcmeSubnet);
    EXPECT_TRUE(decode_task(encode(task)));
    (task.*list).push_back(test::kAcmeSubnet);
    EXPECT_FALSE(decode_task(encode(task)));
    task.*list = {Subnet{}};
    EXPECT_FALSE(decode_task(encode(task)));
    (task.*list).clear();
  }
  for (auto rate : {&Place::pps, &Place::mbps, &Place::io}) {
    task.place.*rate = 10'000'000;
    EXPECT_TRUE(decode_task(encode(task)));
    task.place.*rate = 10'000'001;
    EXPECT_FALSE(decode_task(encode(task)));
    task.place.*rate = 0;
  }
}

TEST(WorkerTask, TakesEnvelopesUpToTheirLimitsAndNotAbove) {
  Task task = make_task(test::one_of_each(Sign::kAdd)[3]);
  task.sealed.assign(kMaxSealed, std::vector<std::uint8_t>(10));
  EXPECT_TRUE(decode_task(encode(task)));
  task.sealed.emplace_back(10);
  EXPECT_FALSE(decode_task(encode(task)));
  task.sealed = {std::vector<std::uint8_t>(kMaxSealedBytes - 1), {1}};
  EXPECT_TRUE(decode_task(encode(task)));
  EXPECT_LE(encode(task).size(), kMaxPacket);
  task.sealed[1].push_back(2);
  EXPECT_FALSE(decode_task(encode(task)));
  task.sealed = {{}};
  EXPECT_FALSE(decode_task(encode(task))) << "an envelope of nothing";
}

// A removal needs no key, so none ever goes where one is done: not in a plan, not in an undo, not in a sweep.
TEST(WorkerTask, CarriesNoEnvelopeToWhatOpensNothing) {
  Task task = make_task(test::one_of_each(Sign::kRemove)[3]);
  EXPECT_TRUE(decode_task(encode(task)));
  task.sealed = {{1}};
  EXPECT_FALSE(decode_task(encode(task)));
  for (const Op op : {Op::kInventory, Op::kOffer}) {
    Task ask;
    ask.seq = 1;
    ask.op = op;
    EXPECT_TRUE(decode_task(encode(ask)));
    ask.sealed = {{1}};
    EXPECT_FALSE(decode_task(encode(ask)));
  }
}

TEST(WorkerTask, RefusesANodeWhoseNameIsNone) {
  Task task = make_task(test::one_of_each(Sign::kAdd)[3]);
  auto bytes = encode(task);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const auto at = text.find("node-7");
  ASSERT_NE(at, std::string_view::npos);
  bytes[at + 10] = 'x';
  EXPECT_FALSE(decode_task(bytes)) << "something behind its end";
  bytes[at + 10] = 0;
  EXPECT_TRUE(decode_task(bytes));
  bytes[at] = '-';
  EXPECT_FALSE(decode_task(bytes));
}

TEST(WorkerAnswer, OfAnOfferHasTheSessionsKey) {
  Answer answer;
  answer.seq = 2;
  answer.ok = true;
  answer.offer = sealing::PublicKey{7, 8, 9};
  const auto back = decode_answer(encode(answer));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->offer, answer.offer);
  answer.ok = false;
  EXPECT_FALSE(decode_answer(encode(answer))) << "a failure with an offer";
}

TEST(WorkerAnswer, ComesBackAsItWas) {
  const auto back = decode_answer(encode(inventory()));
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(back->seq, 9u);
  EXPECT_TRUE(back->ok && back->more);
  EXPECT_EQ(back->items, inventory().items);

  Answer failure;
  failure.seq = 3;
  failure.error = {Errc::kSystem, 16, "create the tap", "tn3i5"};
  const auto failed = decode_answer(encode(failure));
  ASSERT_TRUE(failed);
  EXPECT_FALSE(failed->ok);
  EXPECT_EQ(failed->error.sys_errno, 16);
  EXPECT_EQ(failed->error.message(), failure.error.message());

  Answer ended;
  ended.ok = true;
  ended.ended = test::instance();
  const auto event = decode_answer(encode(ended));
  ASSERT_TRUE(event);
  EXPECT_EQ(event->ended, test::instance());
}

TEST(WorkerAnswer, RefusesAnEventWithoutAnInstanceAndAnAnswerWithOne) {
  Answer answer;
  answer.ok = true;
  EXPECT_FALSE(decode_answer(encode(answer)));
  answer.seq = 1;
  answer.ended = test::instance();
  EXPECT_FALSE(decode_answer(encode(answer)));
}

TEST(WorkerAnswer, TakesAsManyItemsAsItsLimitAndNotOneMore) {
  Answer answer = inventory();
  answer.items.assign(kMaxItems, answer.items[1]);
  EXPECT_TRUE(decode_answer(encode(answer)));
  answer.items.push_back(answer.items[0]);
  EXPECT_FALSE(decode_answer(encode(answer)));
}

TEST(WorkerAnswer, RefusesItemsOutOfRange) {
  for (const Item& item : {Item{Word::kTenant, {}, 0, 0, false, 0}, Item{static_cast<Word>(lang::kWords), {}, 0, 0, false, 0},
                           Item{Word::kJail, test::instance(), 0, 0, true, 2}, Item{Word::kTap, {}, 4096, 0, true, 0},
                           Item{.word = Word::kJail, .subject = {}, .state = 2, .image = test::digest_of(1)},
                           Item{.word = Word::kJail, .subject = test::instance(), .image = test::digest_of(1)},
                           Item{.word = Word::kVolume, .subject = {}, .image = test::digest_of(1)}}) {
    Answer answer = inventory();
    answer.items = {item};
    EXPECT_FALSE(decode_answer(encode(answer)));
  }
}

TEST(WorkerAnswer, MakesAnErrorsTextPrintableAndBounded) {
  Answer failure;
  failure.seq = 3;
  failure.error = {Errc::kSystem, 0, std::string(kMaxErrorText + 1, 'x'), "a\nb\x1b[31m"};
  const auto back = decode_answer(encode(failure));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->error.tried.size(), kMaxErrorText);
  EXPECT_EQ(back->error.on, "a?b?[31m");
}

// What an encoder would never make, built by hand.
std::vector<std::uint8_t> raw_answer(std::uint8_t ok, bool with_error, const std::string& tried, std::uint8_t code) {
  flatbuffers::FlatBufferBuilder builder;
  const auto items = builder.CreateVectorOfStructs(std::vector<fbs::Item>{});
  flatbuffers::Offset<fbs::WorkerError> error;
  if (with_error) error = fbs::CreateWorkerErrorDirect(builder, code, 0, tried.c_str(), "");
  const fbs::Subject ended = to_fbs(Subject{});
  builder.Finish(fbs::CreateAnswer(builder, 3, ok, error, items, 0, &ended), "MVMA");
  return {builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize()};
}

TEST(WorkerAnswer, RefusesAnErrorThatDoesNotFit) {
  EXPECT_TRUE(decode_answer(raw_answer(0, true, "try", 0)));
  EXPECT_FALSE(decode_answer(raw_answer(1, true, "try", 0))) << "an error of a success";
  EXPECT_FALSE(decode_answer(raw_answer(0, false, "try", 0))) << "a failure without an error";
  EXPECT_FALSE(decode_answer(raw_answer(2, false, "try", 0))) << "neither true nor false";
  EXPECT_FALSE(decode_answer(raw_answer(0, true, "try\n", 0))) << "a line feed for the log";
  EXPECT_FALSE(decode_answer(raw_answer(0, true, std::string(kMaxErrorText + 1, 'x'), 0)));
  EXPECT_FALSE(decode_answer(raw_answer(0, true, "try", 11))) << "a code that there is not";
}

// The generated verifier accepts elements of eight bytes at an address that is a multiple of four alone.
TEST(WorkerMessages, AreRefusedWithElementsThatAreNotAligned) {
  unsigned misaligned = 0;
  for (const char* behind : {"eight bytes", "eight bytes, and four"}) {
    flatbuffers::FlatBufferBuilder builder;
    builder.CreateString(behind);  // so that there is room for an element of eight bytes where one of four was made
    const std::vector<std::uint32_t> words = {0};
    const auto sealed = builder.CreateVector(std::vector<flatbuffers::Offset<fbs::Sealed>>());
    const auto closed = builder.CreateVector(std::vector<std::uint64_t>());
    const fbs::Place place(fbs::Bytes32(), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    const flatbuffers::Offset<flatbuffers::Vector<std::uint64_t>> egress(builder.CreateVector(words).o);
    builder.Finish(fbs::CreateTask(builder, 1, static_cast<std::uint8_t>(Op::kInventory), nullptr, &place, egress, sealed, closed), "MVMT");
    const std::vector<std::uint8_t> bytes(builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize());
    const auto* subnets = flatbuffers::GetRoot<fbs::Task>(bytes.data())->egress();
    if (reinterpret_cast<std::uintptr_t>(subnets->Data()) % 8 == 0) continue;
    ++misaligned;
    const auto task = decode_task(bytes);
    ASSERT_FALSE(task);
    EXPECT_NE(task.error().message().find("not aligned"), std::string::npos) << task.error().message();
  }
  EXPECT_GE(misaligned, 1u);
}

TEST(WorkerMessages, AreRefusedCutAnywhereOversizedOrUnderAnothersName) {
  const auto task = encode(make_task(test::one_of_each(Sign::kAdd)[8]));
  const auto answer = encode(inventory());
  for (std::size_t size = 0; size < task.size(); ++size) {
    EXPECT_FALSE(decode_task(std::vector(task.begin(), task.begin() + static_cast<std::ptrdiff_t>(size))));
  }
  for (std::size_t size = 0; size < answer.size(); ++size) {
    EXPECT_FALSE(decode_answer(std::vector(answer.begin(), answer.begin() + static_cast<std::ptrdiff_t>(size))));
  }
  EXPECT_FALSE(decode_answer(task));
  EXPECT_FALSE(decode_task(answer));
  std::vector<std::uint8_t> padded = task;
  padded.resize(kMaxPacket);
  EXPECT_TRUE(decode_task(padded)) << "bytes after the root are nobody's";
  padded.resize(kMaxPacket + 1);
  EXPECT_FALSE(decode_task(padded));
}

TEST(Pages, HoldAsManyItemsAsAnAnswerMayAndSayThatMoreFollow) {
  for (const std::size_t count : {0UL, 1UL, kMaxItems, kMaxItems + 1, 2 * kMaxItems + 1}) {
    const auto answers = pages(9, std::vector<Item>(count));
    std::size_t items = 0;
    for (const Answer& answer : answers) {
      EXPECT_LE(answer.items.size(), kMaxItems);
      EXPECT_EQ(&answer != &answers.back(), answer.more);
      EXPECT_EQ(9U, answer.seq);
      items += answer.items.size();
    }
    EXPECT_EQ(count, items);
  }
}

}  // namespace
}  // namespace mvm::wire
