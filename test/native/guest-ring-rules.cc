// Notifications both ways, indices and their wrap, where a ring may lie, the migration log, and rings among workers:
// virtio 1.2, sections 2.7.6 to 2.7.10; vhost-user, "Migration".
#include <linux/aio_abi.h>
#include <set>
#include <sys/syscall.h>
#include <thread>

#include "../../native/doorbell.h"
#include "guest-driver.h"
#include "guest-rules.h"

namespace {

using namespace rig;
using namespace weft;

constexpr uint64_t kBase = bit(virtio::kFeatureVersion1) | bit(virtio::kFeatureMergeable);
constexpr unsigned kHeldUpSeconds = 5;
constexpr uint64_t kEvents = kBase | bit(virtio::kFeatureEventIndex);

struct Rig {
  Guest guest;
  Worker worker{make_arena(1)};
  std::unique_ptr<Carrier> carrier;
  explicit Rig(const Options& options = {}) : guest(options), carrier(guest.carrier()) {}

  int32_t turn(size_t frames) {
    for (size_t k = 0; k < frames; k++) guest.send(with_header(pattern(60)));
    const size_t listed = worker.receive(*carrier).size();
    carrier->release();
    worker.rest(*carrier);
    guest.out().collect();
    return static_cast<int32_t>(listed);
  }
};

Options with(uint64_t features, uint32_t size = 64) {
  Options options;
  options.features = features;
  options.size = size;
  return options;
}

/// Without event indices the flag alone decides.
void calls_by_flag() {
  Rig rig(with(kBase));
  Driver& out = rig.guest.out();
  CHECK(rig.turn(1) == 1 && out.was_called());
  CHECK(rig.turn(5) == 5 && out.was_called());
  CHECK(rig.turn(0) == 0 && !out.was_called());
  out.avail->flags = virtio::kNoInterrupt;
  CHECK(rig.turn(5) == 5 && !out.was_called());
  out.avail->flags = 0;
  CHECK(rig.turn(1) == 1 && out.was_called());
  rig.guest.offer({1600});
  CHECK(rig.worker.transmit(*rig.carrier, {rig.worker.make(pattern(60))}).sent == 1);
  CHECK(rig.guest.in().was_called() && !out.was_called());
}

/// Section 2.7.7.1: a call when the index passes used_event, and at no other time; also across the wrap. The first one is always made.
void calls_by_event() {
  for (const uint16_t base : {uint16_t{0}, uint16_t{65500}}) {
    Rig rig(with(kEvents));
    Driver& out = rig.guest.out();
    out.begin_at(base);
    rig.guest.device->rings[1].resume(base);
    const auto event = [&](int at) { out.used_event() = static_cast<uint16_t>(base + at); };
    event(60);
    CHECK(rig.turn(1) == 1 && out.was_called());
    CHECK(rig.turn(9) == 9 && !out.was_called());  // now at 10
    event(9);
    CHECK(rig.turn(1) == 1 && !out.was_called());
    event(11);
    CHECK(rig.turn(1) == 1 && out.was_called());
    CHECK(rig.turn(10) == 10 && !out.was_called());
    event(27);
    CHECK(rig.turn(5) == 5 && !out.was_called());  // 22 to 26
    CHECK(rig.turn(5) == 5 && out.was_called());
    event(60);
    CHECK(rig.turn(28) == 28 && !out.was_called());
    CHECK(rig.turn(2) == 2 && out.was_called());
  }
}

/// While it polls the switch wants no kicks; before it sleeps it asks for them, and sees what came before the guest could know.
void kicks() {
  Rig rig(with(kBase));
  Driver& out = rig.guest.out();
  CHECK(out.done->flags == virtio::kNoNotify && rig.guest.in().done->flags == virtio::kNoNotify);
  CHECK(!rig.carrier->arm() && out.done->flags == 0 && rig.guest.in().done->flags == virtio::kNoNotify);
  rig.carrier->disarm();
  CHECK(out.done->flags == virtio::kNoNotify);
  rig.guest.send(with_header(pattern(60)));
  CHECK(rig.carrier->arm());
  rig.carrier->disarm();
  CHECK(rig.turn(0) == 1 && !rig.carrier->arm());

  Rig events(with(kEvents));
  Driver& theirs = events.guest.out();
  CHECK(events.turn(7) == 7);
  CHECK(!events.carrier->arm() && theirs.avail_event() == 7);
  events.carrier->disarm();
  CHECK(events.turn(3) == 3 && theirs.avail_event() == 7);
  CHECK(!events.carrier->arm() && theirs.avail_event() == 10);
  CHECK(theirs.done->flags == 0);

  const Descriptor epoll = Descriptor::epoll_create();
  CHECK(events.carrier->watch(epoll.get(), 5) == 0);
  const uint64_t one = 1;
  CHECK(::write(theirs.kick.get(), &one, sizeof one) == sizeof one);
  epoll_event event{};
  CHECK(::epoll_wait(epoll.get(), &event, 1, 0) == 1 && event.data.u64 == 5);
  events.carrier->unwatch(epoll.get());
  CHECK(::write(theirs.kick.get(), &one, sizeof one) == sizeof one);
  CHECK(::epoll_wait(epoll.get(), &event, 1, 0) == 0);
}

/// What a doorbell that never waits is made of.
bool has_aio() {
  aio_context_t context = 0;
  return ::syscall(SYS_io_setup, 1, &context) == 0 && ::syscall(SYS_io_destroy, context) == 0;
}

/// Only eventfds are kicks and calls, and one that is full holds nobody up.
void eventfds() {
  Rig rig(with(kBase));
  GuestRing& ring = rig.guest.device->rings[1];
  int ends[2];
  CHECK(::pipe(ends) == 0);
  CHECK(ring.set(&GuestRing::kick, Descriptor(ends[0])) == -EINVAL && ring.set(&GuestRing::call, Descriptor(ends[1])) == -EINVAL);
  CHECK(ring.set(&GuestRing::call, Descriptor::dup(rig.guest.file.get())) == -EINVAL);
  CHECK(ring.set(&GuestRing::kick, Descriptor::epoll_create()) == -EINVAL && ring.set(&GuestRing::kick, Descriptor(9999)) < 0);
  CHECK(ring.kick.valid() && ring.call.valid());
  const Descriptor full(::eventfd(0, EFD_CLOEXEC));
  const uint64_t most = ~uint64_t{0} - 1;
  CHECK(::write(full.get(), &most, sizeof most) == sizeof most);
  CHECK(ring.set(&GuestRing::call, Descriptor::dup(full.get())) == 0);
  CHECK(rig.turn(3) == 3);
  // The file is the front end's as much as ours: what weft made of it may be undone. Held up, this test ends here.
  CHECK(::fcntl(full.get(), F_SETFL, 0) == 0);
  ::alarm(kHeldUpSeconds);
  CHECK(!has_aio() || rig.turn(3) == 3);
  ::alarm(0);
  CHECK(ring.set(&GuestRing::call, Descriptor()) == 0 && !ring.call.valid());
  CHECK(rig.turn(3) == 3);
}

/// A call counts one, as a write would; many, and from a thread that ends.
void doorbells() {
  const Descriptor bell = Descriptor::eventfd();
  const auto count = [&] {
    uint64_t calls = 0;
    return ::read(bell.get(), &calls, sizeof calls) == sizeof calls ? calls : 0;
  };
  weft::ring_doorbell(bell.get());
  CHECK(count() == 1);
  for (int k = 0; k < 10000; k++) weft::ring_doorbell(bell.get());
  CHECK(count() == 10000);
  std::thread([&] { weft::ring_doorbell(bell.get()); }).join();
  CHECK(count() == 1);
  const Descriptor file = Descriptor::open("/dev/null", O_RDONLY);
  weft::ring_doorbell(file.get());
  weft::ring_doorbell(-1);
  weft::ring_doorbell(bell.get());
  CHECK(count() == 1);
}

/// Tens of thousands of frames each way: indices wrap, every chain comes back once and in order.
void wrap() {
  for (const uint64_t features : {kBase, kEvents}) {
    Rig rig(with(features, 32));
    const uint64_t frame = rig.guest.take(200), buffer = rig.guest.take(200);
    for (int round = 0; round < 70000 / 20; round++) {
      for (int k = 0; k < 20; k++) {
        rig.guest.out().offer({{frame, 100}}, false);
        rig.guest.in().offer({{buffer, 200}}, true);
      }
      const auto listed = rig.worker.receive(*rig.carrier);
      CHECK(listed.size() == 20);
      CHECK(rig.worker.transmit(*rig.carrier, listed).sent == 20);
      rig.carrier->release();
      CHECK(!rig.carrier->arm());
      for (Driver* const driver : {&rig.guest.out(), &rig.guest.in()}) CHECK(driver->collect().size() == 20 && driver->outstanding() == 0);
    }
    CHECK(rig.guest.out().next < 70000 % 65536 + 64);
  }
}

/// Where a ring goes on: at the base that it is told, or where the used ring ends.
void resumes() {
  Guest guest;
  GuestRing& ring = guest.device->rings[1];
  Driver& out = guest.out();
  out.begin_at(777);
  ring.resume(-1);
  CHECK(ring.next() == 777);
  const auto serve = [&] {
    Worker worker(make_arena(1));
    const auto carrier = guest.carrier();
    guest.send(with_header(pattern(60)));
    CHECK(worker.receive(*carrier).size() == 1);
    carrier->release();
    CHECK(!carrier->arm() && out.collect().size() == 1);
  };
  serve();
  CHECK(ring.next() == 778);
  ring.resume(778);
  serve();
  // A base behind which some are still out: they never come back, but what does is in its place.
  out.push(0);
  out.push(0);
  ring.resume(out.next);
  serve();
  CHECK(ring.next() == 782 && out.done->index == 780);
}

void places() {
  Guest guest;
  const GuestMemory& memory = guest.device->memory;
  GuestRing ring;
  const uint64_t at = kGuestAt + kUserAt + 0x10'0000;
  CHECK(ring.place(memory, 256, at, at + 0x1000, at + 0x2000) == 0 && ring.is_placed());
  for (const uint32_t size : {0u, 3u, 255u, 65536u, 0x8000'0000u}) {
    CHECK(ring.place(memory, size, at, at + 0x1000, at + 0x2000) == -EINVAL);
    CHECK(!ring.is_placed());
  }
  CHECK(ring.place(memory, 256, at + 8, at + 0x1000, at + 0x2000) == -EINVAL);
  CHECK(ring.place(memory, 256, at, at + 0x1001, at + 0x2000) == -EINVAL);
  CHECK(ring.place(memory, 256, at, at + 0x1000, at + 0x2002) == -EINVAL);
  for (const uint64_t wrong : {uint64_t{0}, kGuestAt, kGuestAt + kUserAt - 16, kSecondAt + kUserAt - 512, ~uint64_t{15}, kSecondAt + kSecondBytes + kUserAt}) {
    CHECK(ring.place(memory, 256, wrong, at, at) == -EFAULT);
    CHECK(ring.place(memory, 256, at, wrong, at) == -EFAULT);
    CHECK(ring.place(memory, 256, at, at, wrong) == -EFAULT);
  }
  // To the last byte: the event index behind the used ring counts.
  const uint64_t end = kSecondAt + kUserAt;
  CHECK(ring.place(memory, 32768, at, end - 4 - 65536 - 2, at) == 0);
  CHECK(ring.place(memory, 2, at, at, end - 4 - 16 - 2 - 2) == 0);
  CHECK(ring.place(memory, 2, at, at, end - 4 - 16) == -EFAULT);
}

/// Tables of memory that can't be, and what a region that goes takes along.
void regions() {
  Guest guest;
  GuestMemory memory;
  const uint64_t page = kPageBytes, most = ~uint64_t{0};
  CHECK(memory.add(guest.file, 0x1000, 0x2000, 0x9000, 0) == 0);
  const struct {
    uint64_t guest, bytes, user, offset;
  } wrong[] = {
      {0x10000, 0, 0x20000, 0},           {most - 10, page, 0x20000, 0},      {0x10000, page, most - 10, 0},   {0x10000, page, 0x20000, most - 10},
      {0x10000, page, 0x20000, most / 2}, {0x10000, kFileBytes + 1, 0, 0},    {0x10000, page, 0, kFileBytes},  {0x1000, 1, 0x20000, 0},
      {0x2fff, 1, 0x20000, 0},            {0, 0x1001, 0x20000, 0},            {0, 0x10000, 0x20000, 0},        {0x10000, 1, 0x9000, 0},
      {0x10000, page, 0xa000, 0},         {0x10000, 0x10000, 0x0, 0},         {most, 1, 0x20000, 0},           {0x10000, most, 0, 0},
  };
  for (const auto& one : wrong) CHECK(memory.add(guest.file, one.guest, one.bytes, one.user, one.offset) == -EINVAL);
  CHECK(memory.add(Descriptor(), 0x10000, page, 0, 0) < 0);
  for (uint64_t k = 1; k < GuestMemory::kRegionsMax; k++) CHECK(memory.add(guest.file, 0x10000 * k, page, 0x10000 * k, 0) == 0);
  CHECK(memory.add(guest.file, 0x10'0000'0000, page, 0x10'0000'0000, 0) == -ENOSPC);
  CHECK(memory.remove(0x1001) == -ENOENT && memory.remove(0x1000) == 0 && memory.remove(0x1000) == -ENOENT);

  GuestDevice& device = *guest.device;
  CHECK(device.rings[0].is_placed() && device.rings[1].is_placed());
  guest.lower_fences();
  CHECK(device.remove_region(kSecondAt) == 0 && device.rings[0].is_placed());
  CHECK(device.remove_region(kGuestAt) == 0);
  CHECK(!device.rings[0].is_placed() && !device.rings[1].is_placed());
  int error = 0;
  CHECK(device.carrier(0, 1, &error) == nullptr && error == ENOTCONN && !device.is_served());
}

/// Files of any length, with nothing in them: a guest has its part of our addresses, and all of them together leave us enough.
void expanses() {
  constexpr uint64_t kWhole = GuestMemory::kMappedMax, kGuests = 4;
  const Descriptor file(::memfd_create("weft-test-expanse", MFD_CLOEXEC));
  CHECK(::ftruncate(file.get(), static_cast<off_t>(8 * kWhole)) == 0);
  {
    GuestMemory memory;
    CHECK(memory.add(file, 0, 8 * kWhole, 0, 0) == -ENOMEM && memory.add(file, 0, kPageBytes, 0, kWhole) == -ENOMEM);
    CHECK(memory.add(file, 0, kWhole / 2, 0, 0) == 0 && memory.add(file, kWhole, kPageBytes, kWhole, kWhole / 2) == -ENOMEM);
    CHECK(memory.add(file, kWhole, kWhole / 2, kWhole, 0) == 0 && memory.add(file, 2 * kWhole, kPageBytes, 2 * kWhole, 0) == -ENOMEM);
    GuestMemory others[kGuests];
    for (uint64_t k = 1; k < kGuests; k++) CHECK(others[k].add(file, 0, kWhole, 0, 0) == 0);
    CHECK(others[0].add(file, 0, kPageBytes, 0, 0) == -ENOMEM);
    CHECK(memory.remove(0) == 0 && others[0].add(file, 0, kPageBytes, 0, 0) == 0);
  }
  GuestMemory memory;
  CHECK(memory.add(file, 0, kWhole, 0, 0) == 0);
}

std::set<uint64_t> marked(const uint8_t* bits, size_t bytes) {
  std::set<uint64_t> pages;
  for (size_t k = 0; k < bytes * 8; k++) {
    if ((bits[k / 8] >> (k % 8) & 1) != 0) pages.insert(k);
  }
  return pages;
}

/// The log names the pages of buffers and rings that were written, and no other.
void dirty_log() {
  Rig rig(with(kBase | bit(virtio::kFeatureLogAll)));
  constexpr size_t kLogBytes = 128;
  const Descriptor file(::memfd_create("weft-test-log", MFD_CLOEXEC));
  CHECK(::ftruncate(file.get(), kPageBytes) == 0);
  auto* const bits = static_cast<uint8_t*>(::mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0));
  CHECK(rig.guest.device->log.open(file, kPageBytes, 1) == -EINVAL);
  CHECK(rig.guest.device->log.open(file, kLogBytes, 64) == 0);
  rig.guest.device->logs_ring = {true, true};
  rig.guest.device->log_addresses = {0x5000, 0x1'0000'0000};
  rig.guest.device->agree();
  rig.guest.skip_to(kGuestAt + 0x10'0ff0);
  rig.guest.offer({4096 + 100});
  const uint64_t page = (kGuestAt + 0x10'0000) / 4096;
  CHECK(rig.worker.transmit(*rig.carrier, {rig.worker.make(pattern(3))}).sent == 1);
  CHECK(marked(bits + 64, kLogBytes) == std::set<uint64_t>({5, page}));
  std::memset(bits, 0, kPageBytes);
  rig.guest.skip_to(kSecondAt - 20);
  rig.guest.offer({9000});
  CHECK(rig.worker.transmit(*rig.carrier, {rig.worker.make(pattern(4096 + 20 - 12 + 1))}).sent == 1);
  const uint64_t second = kSecondAt / 4096;
  CHECK(marked(bits + 64, kLogBytes) == std::set<uint64_t>({5, second - 1, second, second + 1}));
  // Pages behind the log's end are not its business, and nothing lies beside it.
  CHECK(rig.turn(1) == 1);
  CHECK(marked(bits, 64).empty() && marked(bits + 64 + kLogBytes, 1024).empty());
  // Asking for kicks is a write too.
  std::memset(bits, 0, kPageBytes);
  rig.guest.device->log_addresses[1] = 0x6000;
  rig.guest.device->agree();
  CHECK(!rig.carrier->arm());
  CHECK(marked(bits + 64, kLogBytes) == std::set<uint64_t>({6}));
  ::munmap(bits, kPageBytes);
}

/// Several workers: each transmit queue of the guest has one, and receive queues are dealt out.
void many_workers() {
  Options options;
  options.workers = 3;
  options.pairs = 4;
  Guest guest(options);
  std::vector<std::unique_ptr<Worker>> workers;
  std::vector<std::unique_ptr<Carrier>> carriers;
  const auto arena = make_arena(3);
  for (int32_t k = 0; k < 3; k++) {
    workers.push_back(std::make_unique<Worker>(arena, k));
    carriers.push_back(guest.carrier(k));
  }
  CHECK(guest.device->is_served());
  for (int32_t pair = 0; pair < 4; pair++) {
    for (int n = 0; n <= pair; n++) guest.send(with_header(pattern(60 + static_cast<size_t>(pair))), {}, 0, pair);
    guest.offer({1600}, 0, pair);
  }
  const size_t expected[] = {1 + 4, 2, 3};
  for (size_t k = 0; k < 3; k++) {
    const auto listed = workers[k]->receive(*carriers[k]);
    CHECK(listed.size() == expected[k]);
    for (const int32_t slot : listed) CHECK(workers[k]->frame(slot).size() % 3 == k % 3);
    CHECK(workers[k]->transmit(*carriers[k], {workers[k]->make(pattern(60))}).sent == 1);
    CHECK(guest.in(static_cast<int32_t>(k)).collect().size() == 1);
    carriers[k]->release();
    carriers[k]->arm();
  }
  for (int32_t pair = 0; pair < 4; pair++) CHECK(guest.out(pair).collect().size() == static_cast<size_t>(pair) + 1);
  // The next port begins with the next worker.
  carriers.clear();
  guest.send(with_header(pattern(60)));
  for (int32_t k = 0; k < 3; k++) {
    const auto carrier = guest.carrier(k, 2);
    CHECK(workers[static_cast<size_t>(k)]->receive(*carrier).size() == (k == 1 ? 1u : 0u));
  }
  // One that has no transmit queue still sends.
  carriers.clear();
  for (size_t k = 2; k < 8; k++) guest.device->rings[k].enabled = false;
  for (int32_t k = 0; k < 3; k++) {
    const auto carrier = guest.carrier(k);
    guest.offer({1600});
    CHECK(workers[static_cast<size_t>(k)]->transmit(*carrier, {workers[static_cast<size_t>(k)]->make(pattern(60))}).sent == 1);
    CHECK(carrier->arm() == false);
  }
  guest.device->rings[0].enabled = false;
  int error = 0;
  CHECK(guest.device->carrier(0, 1, &error) == nullptr && error == ENOTCONN && !guest.device->is_served());
}

}  // namespace

const Rule kRingRules[] = {
    {"calls by flag", calls_by_flag},
    {"calls by event", calls_by_event},
    {"kicks", kicks},
    {"eventfds", eventfds},
    {"doorbells", doorbells},
    {"wrap", wrap},
    {"resumes", resumes},
    {"places", places},
    {"regions", regions},
    {"expanses", expanses},
    {"dirty log", dirty_log},
    {"many workers", many_workers},
    {nullptr, nullptr},
};
