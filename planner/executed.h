// The statements that hostd of this version has an executor for. hostd refuses the others before anything runs; agentd leaves
// them out of what it aims at, and says so.
#pragma once

#include "policy-lang/table.h"

namespace mvm::planner {

inline constexpr lang::WordSet kExecuted =
    lang::set_of(lang::Word::kBridge, lang::Word::kRule, lang::Word::kCgroup, lang::Word::kVolume, lang::Word::kLuksOpen,
                  lang::Word::kSecrets, lang::Word::kConfig, lang::Word::kTap, lang::Word::kJail, lang::Word::kSnapshot,
                  lang::Word::kGuest, lang::Word::kBase);

}  // namespace mvm::planner
