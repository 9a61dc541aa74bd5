// Files that are cut short under the switch: zeros come in their place, the guest loses its port and nobody else anything. A SIGBUS that
// is none of ours goes where it went before.
#include <atomic>
#include <csignal>
#include <cstddef>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>

#include "guest-driver.h"
#include "guest-rules.h"

namespace {

using namespace rig;
using namespace weft;

constexpr int kForeign = 42;

struct Rig {
  Guest guest;
  std::unique_ptr<Carrier> carrier;
  explicit Rig(const Options& options = {}) : guest(options), carrier(guest.carrier()) {}
  void cut(uint64_t bytes) { CHECK(::ftruncate(guest.file.get(), static_cast<off_t>(bytes)) == 0); }
  void check_broken() {
    const char* const reason = guest.device->broken.load();
    CHECK(reason != nullptr && std::strstr(reason, "cut short") != nullptr);
    uint64_t alarms = 0;
    CHECK(::read(guest.device->alarm.get(), &alarms, sizeof alarms) == sizeof alarms && alarms == 1);
  }
};

/// Frames still go from one to the other.
void check_well(Worker& worker, Rig& from, Rig& to) {
  const auto buffer = to.guest.offer({1600});
  from.guest.send(with_header(pattern(1000)));
  const auto listed = worker.receive(*from.carrier);
  CHECK(listed.size() == 1 && worker.transmit(*to.carrier, listed).sent == 1);
  from.carrier->release();
  CHECK(!from.carrier->arm());
  const Bytes got = to.guest.read(buffer);
  CHECK(Bytes(got.begin() + kVnetBytes, got.begin() + kVnetBytes + 1000) == pattern(1000));
  CHECK(from.guest.out().collect().size() == 1 && to.guest.in().collect().size() == 1);
}

/// All of a file, with rings and buffers in it, or only what lies behind the rings.
void memory_goes() {
  for (const uint64_t left : {uint64_t{0}, kPlaces[0].offset + 2 * Guest::kRingStride}) {
    Worker worker(make_arena(1));
    Rig victim, a, b;
    check_well(worker, victim, a);
    victim.guest.send(with_header(pattern(300)));
    victim.guest.offer({1600});
    victim.cut(left);
    const auto listed = worker.receive(*victim.carrier);
    const Sent sent = worker.transmit(*victim.carrier, {worker.make(pattern(300))});
    victim.check_broken();
    CHECK(left != 0 || (listed.empty() && sent.reason == kDropEgressDown));
    CHECK(worker.transmit(*victim.carrier, {worker.make(pattern(60))}).reason == kDropEgressDown);
    CHECK(worker.receive(*victim.carrier).empty() && !victim.carrier->arm());
    victim.carrier->release();
    check_well(worker, a, b);
    check_well(worker, b, a);
    CHECK(a.guest.device->broken.load() == nullptr);
    victim.carrier.reset();
    // Its front end comes back with new memory.
    victim.guest.lower_fences();
    victim.guest.device->memory.clear();
    CHECK(!victim.guest.device->is_lost());
  }
}

/// A frame that was listed before its memory went is sent as zeros; the receiver is none the worse.
void tail_goes() {
  Worker worker(make_arena(1));
  Rig victim, peer, third;
  const auto buffer = peer.guest.offer({1600});
  victim.guest.send(with_header(pattern(1000)));
  const auto listed = worker.receive(*victim.carrier);
  CHECK(listed.size() == 1 && worker.is_foreign(listed[0]));
  victim.cut(0);
  CHECK(worker.transmit(*peer.carrier, listed).sent == 1);
  victim.carrier->release();
  const Bytes got = peer.guest.read(buffer);
  const Bytes head = pattern(1000);
  for (size_t k = 0; k < 1000; k++) CHECK(got[kVnetBytes + k] == (k < static_cast<size_t>(kHeadBytes) ? head[k] : 0));
  CHECK(peer.guest.in().collect().size() == 1);
  CHECK(worker.receive(*victim.carrier).empty());
  victim.check_broken();
  check_well(worker, peer, third);
}

/// A migration log that nobody can read any more is as good as no migration.
void log_goes() {
  Options options;
  options.features |= bit(virtio::kFeatureLogAll);
  Worker worker(make_arena(1));
  Rig victim(options);
  const Descriptor log(::memfd_create("weft-test-log", MFD_CLOEXEC));
  CHECK(::ftruncate(log.get(), kPageBytes) == 0);
  CHECK(victim.guest.device->log.open(log, kPageBytes, 0) == 0);
  victim.guest.offer({1600});
  victim.guest.offer({1600});
  CHECK(worker.transmit(*victim.carrier, {worker.make(pattern(60))}).sent == 1);
  CHECK(::ftruncate(log.get(), 0) == 0);
  worker.transmit(*victim.carrier, {worker.make(pattern(60))});
  victim.check_broken();
  CHECK(worker.transmit(*victim.carrier, {worker.make(pattern(60))}).reason == kDropEgressDown);
}

/// One thread's memory faults while another maps and unmaps: the handler must find the one without touching the other.
void faults_amid_changes() {
  std::atomic<bool> ends{false};
  std::thread changing([&ends] {
    const Descriptor file(::memfd_create("weft-test-changes", MFD_CLOEXEC));
    CHECK(::ftruncate(file.get(), 0x10000) == 0);
    while (!ends.load()) {
      GuestMemory memory;
      for (uint64_t k = 0; k < 16; k++) CHECK(memory.add(file, k << 20, 0x10000, k << 20, 0) == 0);
    }
  });
  for (int k = 0; k < 3000; k++) {
    const Descriptor file(::memfd_create("weft-test-faults", MFD_CLOEXEC));
    CHECK(::ftruncate(file.get(), kPageBytes) == 0);
    GuestMemory memory;
    CHECK(memory.add(file, 0, kPageBytes, 0, 0) == 0);
    uint32_t bytes = 1;
    volatile uint8_t* const at = memory.find(5, &bytes);
    *at = 1;
    CHECK(::ftruncate(file.get(), 0) == 0);
    CHECK(!memory.is_lost() && *at == 0 && memory.is_lost());
  }
  ends = true;
  changing.join();
}

/// What a child that runs `act` ends with: its exit code, or minus the signal.
int ended(void (*before)(), void (*act)()) {
  const pid_t child = ::fork();
  CHECK(child >= 0);
  if (child == 0) {
    before();
    watch_guest_faults();
    act();
    ::_exit(0);
  }
  int status = 0;
  CHECK(::waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

void touch_foreign() {
  const int file = ::memfd_create("weft-test-foreign", MFD_CLOEXEC);
  CHECK(::ftruncate(file, kPageBytes) == 0);
  volatile uint8_t* const at = static_cast<uint8_t*>(::mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
  CHECK(::ftruncate(file, 0) == 0);
  (void)at[0];
}

void touch_guest() {
  Guest guest;
  CHECK(::ftruncate(guest.file.get(), 0) == 0);
  uint32_t bytes = 1;
  volatile const uint8_t* const at = guest.device->memory.find(kGuestAt, &bytes);
  CHECK(at[0] == 0 && guest.device->is_lost());
}

/// From here on this process gets memory a few pages at a time, as where the system counts every page that might be used.
void grow_scarce() {
  constexpr uint32_t kMost = 16 * kPageBytes;
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_mmap, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args) + sizeof(uint64_t)),
      BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, kMost, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOMEM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{std::size(code), code};
  CHECK(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
}

void touch_scarce() {
  Guest guest;
  CHECK(::ftruncate(guest.file.get(), 0) == 0);
  grow_scarce();
  for (const uint64_t address : {kGuestAt, kGuestAt + 5 * kPageBytes, kGuestAt + kFirstBytes - 1}) {
    uint32_t bytes = 1;
    volatile const uint8_t* const at = guest.device->memory.find(address, &bytes);
    CHECK(at[0] == 0 && guest.device->is_lost());
  }
}

/// Before anything else in this process: whoever had the signal first is asked for once.
void foreign_faults() {
  const auto none = [] { ::signal(SIGBUS, SIG_DFL); };
  const auto ignored = [] { ::signal(SIGBUS, SIG_IGN); };
  const auto simple = [] { ::signal(SIGBUS, [](int) { ::_exit(kForeign); }); };
  const auto full = [] {
    struct sigaction action {};
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = [](int, siginfo_t* info, void*) { ::_exit(info->si_code > 0 ? kForeign : kForeign + 1); };
    ::sigaction(SIGBUS, &action, nullptr);
  };
  const auto sent = [] {
    ::raise(SIGBUS);
    touch_guest();
  };
  CHECK(ended(none, touch_foreign) == -SIGBUS);
  CHECK(ended(ignored, touch_foreign) == -SIGBUS);
  CHECK(ended(simple, touch_foreign) == kForeign);
  CHECK(ended(full, touch_foreign) == kForeign);
  for (void (*const before)() : {+none, +ignored, +simple, +full}) CHECK(ended(before, touch_guest) == 0);
  CHECK(ended(none, touch_scarce) == 0);
  CHECK(ended(none, [] { ::raise(SIGBUS); }) == -SIGBUS);
  CHECK(ended(ignored, sent) == 0);
  CHECK(ended(simple, sent) == kForeign);
  CHECK(ended(full, sent) == kForeign + 1);
}

}  // namespace

const Rule kFaultRules[] = {
    {"foreign faults", foreign_faults},
    {"memory goes", memory_goes},
    {"tail goes", tail_goes},
    {"log goes", log_goes},
    {"faults amid changes", faults_amid_changes},
    {nullptr, nullptr},
};
