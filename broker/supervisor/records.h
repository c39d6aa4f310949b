// The copy of the state on disk: one file a tenant, one a pool that has a base, one an instance, one for the header, each a canonical text of kind state
// that gate parses at start. Names: `acme`, `acme.workers.pool`, `acme.workers.i-a3f7b2c1`, `state.header`.
// Owns the directory `records`. Proven by: tests/supervisor/records_test.cc, fuzz/record_fuzz.cc.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"
#include "broker/supervisor/files.h"
#include "broker/supervisor/host_state.h"

namespace mvm::supervisor {

inline constexpr std::string_view kNewestSuffix = ".newest";  // no subject's name ends so: it would have a dot more
inline constexpr std::string_view kHeaderRecord = "state.header";
// A header and one line of each primitive, at most.
inline constexpr std::size_t kMaxRecordBytes = 8 * 1024;

// A text that gate has parsed and print() has confirmed; an error where it is not one. Of kind state.
using ParseState = std::function<Result<lang::Document>(std::string_view text)>;

enum class Boot : std::uint8_t { kSame, kAnother };  // than the one that the records were written in

class Records {
 public:
  explicit Records(Fd directory) : directory_(std::move(directory)) {}

  // Writes what the state says of the subject, or removes its record where it says nothing. What is durable of it is never lost: a record with such a line
  // is the old one or the new after a power cut, whatever else has changed in it.
  [[nodiscard]] Status write(const HostState& state, const Subject& subject, Keep keep) const;
  // Over a power cut: a generation must not go back.
  [[nodiscard]] Status write_header(const HostState& state) const;
  // Beside an instance's record, the digest of its newest snapshot's file, and beside a pool's that of its base's: an older one is refused. Synced; removed where there is none. newest():
  // kNotFound where none is known, kCorrupt where it is not one.
  [[nodiscard]] Status write_newest(const Subject& whose, const Digest& file) const;
  [[nodiscard]] Status forget_newest(const Subject& whose) const;
  [[nodiscard]] Result<Digest> newest(const Subject& whose) const;
  // All of them. kCorrupt: a file that is no record, is not whole, or is not named after what it says. An empty one is
  // removed in another boot than its own: what is not synced before its rename can be left so by a power cut, and speaks
  // only of things that went with the power.
  [[nodiscard]] Result<HostState> load(const Name& node, Boot boot, const ParseState& parse) const;

 private:
  Fd directory_;
};

[[nodiscard]] std::string record_name(const Subject& subject);
// `document` is what the record of that name says, and of nobody else: the check behind load().
[[nodiscard]] bool is_record(const std::string& name, const Name& node, const lang::Document& document);

}  // namespace mvm::supervisor
