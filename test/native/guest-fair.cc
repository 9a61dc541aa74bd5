// The share of the well-behaved: an engine with guests and a TAP, of which some offer more than can be carried and some a frame a turn.
// Turns are called by hand, so that shares can be counted. The TAP is a socket that hands out one frame a read.
#include <sys/socket.h>

#include "../../native/engine.h"
#include "guest-driver.h"
#include "guest-rules.h"

namespace {

using namespace rig;
using namespace weft;

constexpr int kTurns = 600;

/// Offers as many frames as its ring holds, again and again. `pieces`: of how many each is made.
struct Flooder {
  static constexpr uint32_t kSize = 1024;
  Guest guest{Options{.size = kSize}};
  explicit Flooder(uint32_t pieces) {
    Driver& out = guest.out();
    const uint64_t at = guest.take(2000);
    for (uint16_t k = 0; k < kSize; k++) {
      const bool is_last = (k + 1u) % pieces == 0 || k + 1u == kSize;
      out.desc[k] = {at, is_last ? 400u : 20u, static_cast<uint16_t>(is_last ? 0 : virtio::kNext), static_cast<uint16_t>(k + 1)};
      out.avail->ring[k] = static_cast<uint16_t>(k / pieces * pieces);
    }
  }
  void flood() { guest.out().avail->index = static_cast<uint16_t>(guest.device->rings[1].next() + kSize); }
};

struct Calm {
  Guest guest{Options{.size = 256}};
  uint64_t at = guest.take(2000);
  uint32_t bytes = 1526;
  void offer(size_t most) {
    guest.out().collect();
    if (guest.out().outstanding() < most) guest.out().offer({{at, bytes}}, false);
  }
};

/// A port that is looked at only when epoll names it, and then never runs dry.
struct Ringer : Device {
  Descriptor bell = Descriptor::eventfd();
  bool is_large = false;  // its frames need large buffers
  int watch_fails = 0;
  struct End : Carrier {
    End(const Ringer& ringer, int32_t port) : fd_(ringer.bell.get()), port_(port), is_large_(ringer.is_large), watch_fails_(ringer.watch_fails) {}
    int watch(int epoll, uint64_t key) override {
      epoll_event event{};
      event.events = EPOLLIN | EPOLLET;
      event.data.u64 = key;
      CHECK(::epoll_ctl(epoll, EPOLL_CTL_ADD, fd_, &event) == 0);
      return watch_fails_;
    }
    void unwatch(int epoll) override { CHECK(::epoll_ctl(epoll, EPOLL_CTL_DEL, fd_, nullptr) == 0); }
    bool is_polled() const override { return false; }
    void transmit(Slots&, const int32_t*, int32_t) override {}
    Found receive(Slots& slots, int32_t most) override {
      if (is_large_) most = std::min(most, slots.large_room());
      for (int32_t k = 0; k < most; k++) {
        const int32_t slot = slots.take();
        slots.put(slot, port_, is_large_ ? slots.take_large() : slots.head(slot), 60, 0);
      }
      return Found::kMore;
    }
    void release() override {}

   private:
    const int fd_;
    const int32_t port_;
    const bool is_large_;
    const int watch_fails_;
  };
  std::unique_ptr<Carrier> carrier(int32_t, int32_t port, int*) override { return std::make_unique<End>(*this, port); }
  void ring() const {
    const uint64_t one = 1;
    CHECK(::write(bell.get(), &one, sizeof one) == sizeof one);
  }
};

struct Switch {
  std::shared_ptr<Mapping> arena = make_arena(1);
  Engine engine{arena, 0};
  Slots view{arena, 0};
  std::vector<Descriptor> tap_ends;
  std::array<uint64_t, 16> frames{};

  Switch() {
    int error = 0;
    CHECK(engine.open(Io::kReadWrite, &error) == Io::kReadWrite);
  }
  void attach_tap(int32_t port) {
    int ends[2];
    CHECK(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    tap_ends.emplace_back(ends[0]);
    const auto device = std::make_shared<TapDevice>();
    device->queues.emplace_back(ends[1]);
    CHECK(engine.attach(port, device, 0) == 0);
  }
  void attach(int32_t port, const Guest& guest) { CHECK(engine.attach(port, guest.device, 0) == 0); }
  /// As many frames as their queues take.
  void flood_taps() {
    const uint8_t frame[kVnetBytes + 60] = {};
    for (const Descriptor& end : tap_ends) {
      while (::send(end.get(), frame, sizeof frame, 0) > 0) continue;
    }
  }

  /// A turn with room for `budget` frames; whatever port 1 to 15 gave is counted.
  void turn(int32_t budget) {
    view.block()[kBlockReceiveBudget] = budget;
    CHECK(engine.turn() >= 0);
    const int32_t* const header = reinterpret_cast<const int32_t*>(view.arena());
    const int32_t* const listed = reinterpret_cast<const int32_t*>(view.arena() + header[kHeaderReceiveListAt]);
    CHECK(view.listed() <= budget);
    for (int32_t k = 0; k < view.listed(); k++) frames[static_cast<size_t>(view.fact(listed[k])[kFactIngress])]++;
    view.block()[kBlockDirtyCount] = 0;
  }
  /// The next turn sends what this one received to `port`.
  void forward(int32_t port) {
    const int32_t* const header = reinterpret_cast<const int32_t*>(view.arena());
    const int32_t* const listed = reinterpret_cast<const int32_t*>(view.arena() + header[kHeaderReceiveListAt]);
    std::copy(listed, listed + view.listed(), const_cast<int32_t*>(view.list_of(port)));
    view.queue_of(port)[kQueueCount] = view.listed();
    const_cast<int32_t*>(view.dirty())[view.block()[kBlockDirtyCount]++] = port;
  }
};

/// With room for few frames a turn, as when each is flooded to a thousand ports, everybody still has his turn.
void small_turns() {
  for (const int32_t budget : {1, 2, 4, 64, 256, kReceiveSlots}) {
    for (const bool whole : {false, true}) {
      Switch net;
      Flooder a(1), b(3);
      Calm calm;
      for (const int32_t port : {1, 6, 7, 8}) net.attach_tap(port);
      net.attach(2, a.guest);
      net.attach(3, b.guest);
      net.attach(4, calm.guest);
      const auto ringer = std::make_shared<Ringer>();
      CHECK(net.engine.attach(5, ringer, 0) == 0);
      ringer->ring();
      net.view.block()[kBlockWhole] = whole ? 1 : 0;
      for (int k = 0; k < kTurns; k++) {
        net.flood_taps();
        a.flood();
        b.flood();
        calm.offer(8);
        net.turn(budget);
      }
      // A quarter of the fair share, or of what was asked for.
      const uint64_t share = static_cast<uint64_t>(kTurns) * static_cast<uint64_t>(budget) / 8;
      for (const size_t port : {1, 2, 3, 5, 6, 7, 8}) CHECK(net.frames[port] >= std::min<uint64_t>(share, kTurns * 8) / 4);
      CHECK(net.frames[4] >= std::min<uint64_t>(share, kTurns) / 4);
    }
  }
}

/// TAPs that keep every large buffer busy leave some of them, too.
void large_frames() {
  Switch net;
  for (int32_t port = 1; port <= 8; port++) net.attach_tap(port);
  const auto ringer = std::make_shared<Ringer>();
  ringer->is_large = true;
  CHECK(net.engine.attach(9, ringer, 0) == 0);
  ringer->ring();
  for (int k = 0; k < kTurns; k++) {
    net.flood_taps();
    net.turn(kReceiveSlots);
  }
  for (size_t port = 1; port <= 9; port++) CHECK(net.frames[port] > kTurns);
}

/// A port that can't be watched leaves nothing in the set, and its number is free again.
void unwatched() {
  Switch net;
  const auto ringer = std::make_shared<Ringer>();
  ringer->watch_fails = -ENOSPC;
  CHECK(net.engine.attach(7, ringer, 0) == -ENOSPC);
  ringer->watch_fails = 0;
  CHECK(net.engine.attach(7, ringer, 0) == 0 && net.engine.detach(7) == 0);
}

/// Frames in as many pieces as can be, from two guests at once: they use up what a turn has of them, not what the others need over time.
void pieces_hogged() {
  Switch net;
  Flooder a(250), b(250);
  Calm calm, small;
  small.bytes = 200;
  net.attach(1, a.guest);
  net.attach(2, b.guest);
  net.attach(3, calm.guest);
  net.attach(4, small.guest);
  for (int k = 0; k < kTurns; k++) {
    a.flood();
    b.flood();
    calm.offer(8);
    small.offer(8);
    net.turn(kReceiveSlots);
  }
  CHECK(net.frames[3] > kTurns * 9 / 10 && net.frames[4] > kTurns * 9 / 10);
}

/// A guest that takes nothing, and one that breaks the rules in every turn, cost those beside them nothing.
void dead_receivers() {
  Switch net;
  Calm calm, taker;
  Guest stuck, mad;
  net.attach(1, calm.guest);
  net.attach(2, stuck);
  net.attach(3, mad);
  net.attach(4, taker.guest);
  const uint64_t buffer = taker.guest.take(2000);
  uint64_t taken = 0;
  for (int k = 0; k < kTurns; k++) {
    calm.offer(128);
    while (taker.guest.in().outstanding() < 64) taker.guest.in().offer({{buffer, 2000}}, true);
    mad.out().avail->index = static_cast<uint16_t>(k * 777);
    mad.in().avail->index = static_cast<uint16_t>(k * 999);
    net.turn(kReceiveSlots);
    for (const int32_t port : {2, 3, 4}) net.forward(port);
    taken += taker.guest.in().collect().size();
  }
  CHECK(mad.device->broken.load() != nullptr && stuck.device->broken.load() == nullptr);
  CHECK(stuck.in().collect().empty());
  CHECK(net.frames[1] >= kTurns - 1 && taken >= kTurns - 3);
}

}  // namespace

const Rule kFairRules[] = {
    {"small turns", small_turns},
    {"large frames", large_frames},
    {"unwatched", unwatched},
    {"pieces hogged", pieces_hogged},
    {"dead receivers", dead_receivers},
    {nullptr, nullptr},
};
