#include "guest/wire.h"

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstring>

namespace mvm::guest {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers go over the wire as they lie in memory");

constexpr std::array<std::uint8_t, 4> kMagic = {'m', 'v', 'm', 'g'};

enum class Kind : std::uint8_t { kAsk = 1, kPrepare, kResume, kGo, kHeartbeat = 17, kParked, kAwake };

template <class... Cases>
struct Match : Cases... {
  using Cases::operator()...;
};

class Writer {
 public:
  Writer(Kind kind, std::uint64_t sequence) {
    put(kMagic);
    put(kVersion);
    put(kind);
    put(std::uint16_t{0});
    put(sequence);
  }
  template <class T>
    requires std::is_trivially_copyable_v<T>
  void put(const T& value) {
    std::memcpy(packet_.data() + at_, &value, sizeof value);
    at_ += sizeof value;
  }
  [[nodiscard]] const Packet& packet() const { return packet_; }

 private:
  Packet packet_{};
  std::size_t at_ = 0;
};

class Reader {
 public:
  explicit Reader(std::span<const std::uint8_t, kMessage> packet) : packet_(packet) {}
  template <class T>
    requires std::is_trivially_copyable_v<T>
  T take() {
    T value;
    std::memcpy(&value, packet_.data() + at_, sizeof value);
    at_ += sizeof value;
    return value;
  }
  // What is left has no meaning, and must say nothing.
  [[nodiscard]] bool rest_is_zero() const {
    return std::ranges::all_of(packet_.subspan(at_), [](std::uint8_t byte) { return byte == 0; });
  }

 private:
  std::span<const std::uint8_t, kMessage> packet_;
  std::size_t at_ = 0;
};

struct Header {
  std::uint8_t kind = 0;
  std::uint64_t sequence = 0;
};

std::unexpected<Error> malformed(const char* what) { return fail(Errc::kMalformed, what); }

Result<Header> take_header(Reader& reader) {
  if (reader.take<std::array<std::uint8_t, 4>>() != kMagic) return malformed("read the magic");
  if (reader.take<std::uint8_t>() != kVersion) return malformed("read the version");
  const auto kind = reader.take<std::uint8_t>();
  if (reader.take<std::uint16_t>() != 0) return malformed("read what is kept for later");
  return Header{kind, reader.take<std::uint64_t>()};
}

template <class Array>
bool is_zero(const Array& bytes) {
  return std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
}

// A body that is one enum: of `first` to `last`.
template <class Enum>
Result<Enum> take_enum(Reader& reader, Enum first, Enum last, const char* what) {
  const auto value = reader.take<std::uint8_t>();
  if (value < static_cast<std::uint8_t>(first) || value > static_cast<std::uint8_t>(last)) return malformed(what);
  return static_cast<Enum>(value);
}

Result<Prepare> take_prepare(Reader& reader) {
  const std::chrono::milliseconds timeout(reader.take<std::uint32_t>());
  if (timeout < std::chrono::milliseconds(1) || timeout > kMaxPrepare) return malformed("read how long preparing may take");
  return Prepare{timeout};
}

Result<Resume> take_resume(Reader& reader) {
  Resume resume;
  resume.realtime = reader.take<std::uint64_t>();
  resume.generation = reader.take<GenerationId>();
  resume.entropy = reader.take<Entropy>();
  if (resume.realtime == 0 || resume.realtime > static_cast<std::uint64_t>(INT64_MAX)) return malformed("read the time");
  if (is_zero(resume.generation)) return malformed("read the generation id");
  if (is_zero(resume.entropy)) return malformed("read the entropy");
  return resume;
}

Result<Heartbeat> take_heartbeat(Reader& reader) {
  const auto state = take_enum(reader, State::kStarting, State::kParked, "read the state");
  if (!state) return forward(state.error());
  return Heartbeat{*state, reader.take<std::uint32_t>()};
}

template <class Answer>
Result<Answer> take_answer(Reader& reader) {
  const auto outcome = take_enum(reader, Outcome::kDone, Outcome::kFailed, "read the outcome");
  if (!outcome) return forward(outcome.error());
  return Answer{*outcome};
}

template <class Message>
Result<Message> whole(Result<Message> message, const Reader& reader) {
  if (message && !reader.rest_is_zero()) return malformed("read what is kept for later");
  return message;
}

template <class Message, class Body>
Result<Message> message_of(std::uint64_t sequence, Result<Body> body) {
  if (!body) return forward(std::move(body.error()));
  return Message{sequence, *body};
}

}  // namespace

Packet encode(const FromHost& message) {
  return std::visit(Match{[&](const Ask&) { return Writer(Kind::kAsk, message.sequence).packet(); },
                          [&](const Go&) { return Writer(Kind::kGo, message.sequence).packet(); },
                          [&](const Prepare& prepare) {
                            Writer writer(Kind::kPrepare, message.sequence);
                            writer.put(static_cast<std::uint32_t>(prepare.timeout.count()));
                            return writer.packet();
                          },
                          [&](const Resume& resume) {
                            Writer writer(Kind::kResume, message.sequence);
                            writer.put(resume.realtime);
                            writer.put(resume.generation);
                            writer.put(resume.entropy);
                            return writer.packet();
                          }},
                    message.body);
}

Packet encode(const FromGuest& message) {
  const auto answer = [&](Kind kind, Outcome outcome) {
    Writer writer(kind, message.sequence);
    writer.put(outcome);
    return writer.packet();
  };
  return std::visit(Match{[&](const Heartbeat& heartbeat) {
                            Writer writer(Kind::kHeartbeat, message.sequence);
                            writer.put(heartbeat.state);
                            writer.put(heartbeat.since);
                            return writer.packet();
                          },
                          [&](const Parked& parked) { return answer(Kind::kParked, parked.outcome); },
                          [&](const Awake& awake) { return answer(Kind::kAwake, awake.outcome); }},
                    message.body);
}

Result<FromHost> decode_from_host(std::span<const std::uint8_t, kMessage> packet) {
  Reader reader(packet);
  const auto header = take_header(reader);
  if (!header) return forward(header.error());
  if (header->sequence == 0) return malformed("read the sequence");
  const auto body = [&]() -> Result<FromHost> {
    switch (static_cast<Kind>(header->kind)) {
      case Kind::kAsk: return FromHost{header->sequence, Ask{}};
      case Kind::kGo: return FromHost{header->sequence, Go{}};
      case Kind::kPrepare: return message_of<FromHost>(header->sequence, take_prepare(reader));
      case Kind::kResume: return message_of<FromHost>(header->sequence, take_resume(reader));
      default: return malformed("read the kind");
    }
  }();
  return whole(body, reader);
}

Result<FromGuest> decode_from_guest(std::span<const std::uint8_t, kMessage> packet) {
  Reader reader(packet);
  const auto header = take_header(reader);
  if (!header) return forward(header.error());
  const auto body = [&]() -> Result<FromGuest> {
    switch (static_cast<Kind>(header->kind)) {
      case Kind::kHeartbeat: return message_of<FromGuest>(header->sequence, take_heartbeat(reader));
      case Kind::kParked: return message_of<FromGuest>(header->sequence, take_answer<Parked>(reader));
      case Kind::kAwake: return message_of<FromGuest>(header->sequence, take_answer<Awake>(reader));
      default: return malformed("read the kind");
    }
  }();
  if (body && header->sequence == 0 && !std::holds_alternative<Heartbeat>(body->body)) return malformed("read the sequence");
  return whole(body, reader);
}

}  // namespace mvm::guest
