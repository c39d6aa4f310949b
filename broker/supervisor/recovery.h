// From what the last process left to a state that is true: what the records say and the kernel shows. Run once at start,
// after the sandbox has closed, because it works through the same workers as everything else; they are its only hands.
//
// 1. the records, each parsed by gate (the header says which generation was last);
// 2. the kernel, by the workers' inventories;
// 3. what is there in part and can be completed where it stands (bridges, rules, taps) is made again; a line whose thing is then
//    not there or not whole falls, and with it whatever stands on it;
// 4. an interrupted plan: each subject that was in the middle goes forward, where its last statement begun was a removal
//    (that one and the removals behind it are finished), or back (what it had made is unmade, last first);
// 5. whatever is there and has no line is a leak, and is swept; but data that somebody has used (a volume that was opened) only
//    where the interrupted plan was removing it. Otherwise it is left, and the audit log says "stray"; and where a line of
//    such data finds nothing, the line stays, and the log says "missing";
// 6. images that are open and that no jail's line names are closed; one that is damaged is told of in the audit log, once;
// 7. V3 holds of the outcome, or hostd does not serve.
//
// Proven by: tests/supervisor/crash_test.cc (killed before and after every mark).
#pragma once

#include <string>

#include "broker/supervisor/host.h"

namespace mvm::supervisor {

// host.policy is read; host.state is set here, and the records agree with it. kCorrupt: journal or records are damaged
// beyond what a crash does; nothing was changed.
[[nodiscard]] Status recover(Host& host, Boot boot);

// What the kernel shows and no line says is swept, and microVMs that have ended by themselves lose their jail's line: the
// rest of steps 3, 5 and 6, for when no plan runs. Watchers are told.
[[nodiscard]] Status settle(Host& host);

}  // namespace mvm::supervisor
