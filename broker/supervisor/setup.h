// Where things are and who runs what. Production has constants (setup_production.cc) and takes no option; the tests link
// another definition of setup(). Proven by: tests/docs/links.py, which looks for what must not be there.
#pragma once

#include <string>
#include <vector>

#include "broker/sandbox/grants.h"
#include "broker/supervisor/workers.h"

namespace mvm::supervisor {

struct WorkerSetup {
  const sandbox::Grants& grants;
  std::string user;
  std::string executable;  // absolute; checked to be root's, and opened once
  std::vector<std::string> arguments;
  std::vector<std::string> directories;  // below `state`, made where they are missing, its user's alone
  std::vector<std::string> devices;  // opened for it, to read and write, while we are root: its descriptors 4, 5, ...
};

// Two workers that have a socket of their own (SOCK_SEQPACKET), made at start: the next descriptor of each, behind its devices. What goes there is
// nothing that the supervisor may have, or could check: a session's private key, and channels with keys in them.
struct Joint {
  lang::Worker from, to;
};

struct Setup {
  std::string state;   // directory: records, journal, audit log
  std::string run;     // directory: the socket
  std::string policy;  // the node's policy, a file that people write
  std::string credentials;  // directory of systemd's credentials; empty: none were given
  std::string cgroup;  // must be cgroup v2; empty: no microVM here needs one (the tests' doubles)
  std::string boot_id;
  std::string agent_user;  // the one uid whose connections are kept
  std::string own_user;
  const sandbox::Grants& grants;
  WorkerSetup gate;
  EachWorker<WorkerSetup> workers;  // in the order of kExecutors
  std::vector<Joint> joints;
  std::string memory;  // the memory file system; empty: none is needed
};

// Ends the process where the command line is not what it takes.
[[nodiscard]] Setup setup(int argc, char** argv);

}  // namespace mvm::supervisor
