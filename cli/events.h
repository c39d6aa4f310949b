// hostd's events as people and programs read them.
#pragma once

#include "cli/output.h"
#include "schemas/broker.h"

namespace mvm::cli {

// One line (or a few) on stdout, flushed: a statement as it is done, what holds, how it ended. JSON: one object a line.
void print_event(const Output& output, const wire::Event& event);

}  // namespace mvm::cli
