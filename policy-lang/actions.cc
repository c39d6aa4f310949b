#include "policy-lang/actions.h"

namespace mvm::lang {
namespace {

#define I "acme/workers/i-a3f7b2c1"
#define IMAGE "image=sha256:5555555555555555555555555555555555555555555555555555555555555555"
#define SECRETS "digest=sha256:7777777777777777777777777777777777777777777777777777777777777777"
#define CONFIG "digest=sha256:8888888888888888888888888888888888888888888888888888888888888888"
#define SNAPSHOT "kind=full base=none key=acme/1 compression=zstd slot=5 seq=1"
// SHA-256 of the snapshot's line as it stands in a state.
#define DIGEST "sha256:433fc90292a2fc2812f741155ec5afda5d735bb5e444989bf8ee992c48616073"
#define BOOT "boot=snapshot:" DIGEST

constexpr std::array<Action, 7> kActions = {{
    {"setup_network", "a tenant's bridge, and what may leave it",
     "+ bridge acme net=3 subnet=10.240.3.0/24\n"
     "+ rule acme egress=nat pps=0 mbps=0 cps=0\n"},
    {"attach_drives", "an instance's drives, opened; its cgroup, its anchor, comes first",
     "+ cgroup " I " cpu=200 mem=1152 pids=64 io=0\n"
     "+ volume " I " mib=2048 key=acme/1\n"
     "+ luksOpen " I " key=acme/1\n"
     "+ secrets " I " " SECRETS "\n"
     "+ config " I " " CONFIG "\n"},
    {"create_instance", "its tap and the microVM; with network and drives before it, this is a new instance",
     "+ tap " I " slot=5 pps=0 mbps=0\n"
     "+ jail " I " " IMAGE " vcpus=2 mem=1024 boot=cold state=running guest=awake\n"},
    {"sleep_instance", "park the guest, stop its vCPUs, seal its memory, and leave nothing but volume and snapshot",
     "~ guest " I " awake>parked\n"
     "~ jail " I " running>warm\n"
     "+ snapshot " I " " SNAPSHOT "\n"
     "- jail " I " " IMAGE " vcpus=2 mem=1024 boot=cold state=warm guest=parked\n"
     "- tap " I " slot=5 pps=0 mbps=0\n"
     "- config " I " " CONFIG "\n"
     "- secrets " I " " SECRETS "\n"
     "- luksOpen " I " key=acme/1\n"
     "- cgroup " I " cpu=200 mem=1152 pids=64 io=0\n"},
    {"keep_base", "a copy of a snapshot's memory, on which the pool's next snapshots may stand",
     "+ base acme/workers snapshot=" DIGEST " " IMAGE " mem=1024 key=acme/1\n"},
    {"wake_instance", "boot from the snapshot, and consume it",
     "+ cgroup " I " cpu=200 mem=1152 pids=64 io=0\n"
     "+ luksOpen " I " key=acme/1\n"
     "+ secrets " I " " SECRETS "\n"
     "+ config " I " " CONFIG "\n"
     "+ tap " I " slot=5 pps=0 mbps=0\n"
     "+ jail " I " " IMAGE " vcpus=2 mem=1024 " BOOT " state=running guest=parked\n"
     "- snapshot " I " " SNAPSHOT "\n"
     "~ guest " I " parked>awake\n"},
    {"stop_instance", "end it; the volume stays",
     "- jail " I " " IMAGE " vcpus=2 mem=1024 " BOOT " state=running guest=awake\n"
     "- tap " I " slot=5 pps=0 mbps=0\n"
     "- config " I " " CONFIG "\n"
     "- secrets " I " " SECRETS "\n"
     "- luksOpen " I " key=acme/1\n"
     "- cgroup " I " cpu=200 mem=1152 pids=64 io=0\n"},
}};

#undef I
#undef IMAGE
#undef SECRETS
#undef CONFIG
#undef SNAPSHOT
#undef BOOT
#undef DIGEST

}  // namespace

const std::array<Action, 7>& actions() { return kActions; }

}  // namespace mvm::lang
