// A guest that does whatever it likes, turn after turn, beside one that keeps the rules and gets its frames. What a rule can't say is left
// to the sanitizers: no access outside the regions, no overflow. Checked here: every frame that was listed was taken from the ring, every
// chain that was taken goes back once and in order, sent and refused add up, and what arrives at the honest guest is what was listed.
#include <atomic>
#include <random>
#include <thread>

#include "guest-driver.h"
#include "guest-rules.h"

namespace {

using namespace rig;
using namespace weft;
using virtio::Desc;

constexpr uint32_t kTurnsOfGuest = 512;
constexpr uint64_t kBuffersAt = kGuestAt + 0x8'0000;

/// The guest that gets frames: all of its buffers are always there, in order, so that offering them again is one store.
struct Peer {
  static constexpr uint32_t kSize = 256, kBytes = 2048;
  Guest guest{Options{.size = kSize}};
  std::unique_ptr<Carrier> carrier = guest.carrier();
  Peer() {
    for (uint16_t k = 0; k < kSize; k++) {
      guest.in().desc[k] = {kBuffersAt + k * kBytes, kBytes, virtio::kWrite, 0};
      guest.in().avail->ring[k] = k;
    }
    refill();
  }
  void refill() { guest.in().avail->index = guest.in().seen = static_cast<uint16_t>(guest.in().done->index + kSize); }
  /// The next frame that it got since `index`, which goes on behind it.
  Bytes next(uint16_t& index) {
    Bytes bytes;
    Driver& in = guest.in();
    int buffers = 1;
    for (int k = 0; k < buffers; k++, index++) {
      const virtio::UsedEntry entry = in.done->ring[index % kSize];
      CHECK(entry.id == index % kSize && entry.bytes <= kBytes && entry.bytes > 0);
      const uint8_t* const at = guest.at(kBuffersAt + entry.id * kBytes);
      if (k == 0) buffers = at[10] | at[11] << 8;
      bytes.insert(bytes.end(), at, at + entry.bytes);
    }
    CHECK(buffers > 0);
    return Bytes(bytes.begin() + kVnetBytes, bytes.end());
  }
};

class Hostile {
 public:
  /// `scribbles`: another thread writes into its memory meanwhile, so that what is read there twice is not the same.
  Hostile(std::mt19937_64& random, Worker& worker, Peer& peer, bool scribbles)
      : random_(random), worker_(worker), peer_(peer), scribbles_(scribbles), guest(choose()) {}

  /// One case. True when the guest is still worth having.
  void turn() {
    if (carrier_ == nullptr) begin();
    for (uint32_t k = below(4); k > 0; k--) misbehave();
    worker_.slots.block()[kBlockWhole] = below(4) == 0 ? 1 : 0;
    receive();
    if (below(2) == 0) send();
    if (below(16) == 0) {
      carrier_->arm();
      carrier_->disarm();
    }
    if (guest.device->broken.load() != nullptr) breakdowns++;
    if (guest.device->broken.load() != nullptr || below(64) == 0) begin();
  }

  uint64_t listed = 0, spoilt = 0, arrived = 0, taken = 0, breakdowns = 0;

 private:
  uint32_t below(uint32_t limit) { return static_cast<uint32_t>(random_() % limit); }

  Options choose() {
    Options options;
    options.features = 0;
    for (const int feature :
         {virtio::kFeatureChecksum, virtio::kFeatureMergeable, virtio::kFeatureEventIndex, virtio::kFeatureVersion1}) {
      if (below(3) != 0) options.features |= bit(feature);
    }
    options.size = 1u << below(9);
    return options;
  }

  /// A fresh start, at any index, sometimes with rings in odd places.
  void begin() {
    carrier_.reset();
    guest.device->broken.store(nullptr);
    for (int32_t index = 0; index < 2; index++) {
      GuestRing& ring = guest.device->rings[static_cast<size_t>(index)];
      if (below(8) == 0) move(ring);
      guest.drivers[static_cast<size_t>(index)].begin_at(static_cast<uint16_t>(random_()));
      ring.place(guest.device->memory, guest.in().size, user(index, 0), user(index, Guest::kAvailable), user(index, Guest::kUsed));
      ring.resume(below(2) == 0 ? -1 : static_cast<int32_t>(below(65536)));
      guest.drivers[static_cast<size_t>(index)].avail->index = ring.next();
      guest.drivers[static_cast<size_t>(index)].next = ring.next();
    }
    end_known_ = false;
    carrier_ = guest.carrier();
  }
  static uint64_t user(int32_t index, uint64_t offset) {
    return kGuestAt + kUserAt + static_cast<uint64_t>(index) * Guest::kRingStride + offset;
  }
  void move(GuestRing& ring) {
    const uint32_t size = below(2) == 0 ? static_cast<uint32_t>(random_() >> below(64)) : 1u << below(17);
    const bool placed = ring.place(guest.device->memory, size, address() + kUserAt, address() + kUserAt, address() + kUserAt) == 0;
    CHECK(!placed || (size > 0 && size <= virtio::kRingMax && (size & (size - 1)) == 0));
  }

  /// An address, mostly at some edge.
  uint64_t address() {
    static constexpr uint64_t kEdges[] = {0, kGuestAt, kSecondAt, kSecondAt + kSecondBytes, kBuffersAt, kGuestAt + 0x1000, ~uint64_t{0}, uint64_t{1} << 63};
    switch (below(4)) {
      case 0: return random_() >> below(64);
      case 1: return kEdges[below(std::size(kEdges))] + below(64) - 32;
      default: return kBuffersAt + below(0x16'0000);
    }
  }
  uint32_t length() {
    switch (below(8)) {
      case 0: return static_cast<uint32_t>(random_() >> below(64));
      case 1: return below(70000);
      case 2: return 0;
      case 3: return below(16);
      default: return below(1600);
    }
  }
  Desc descriptor(uint32_t entries) {
    uint16_t flags = static_cast<uint16_t>(below(8) == 0 ? random_() : random_() & 3);
    if (below(12) == 0) flags = virtio::kIndirect;
    const uint64_t at = flags == virtio::kIndirect && below(4) != 0 ? kBuffersAt + 16 * below(256) : address();
    const uint32_t bytes = flags == virtio::kIndirect && below(4) != 0 ? 16 * below(20) : length();
    return {at, bytes, flags, static_cast<uint16_t>(below(16) == 0 ? random_() : below(entries + 1))};
  }

  void misbehave() {
    Driver& driver = guest.drivers[below(2)];
    const uint32_t mask = driver.size - 1;
    switch (below(10)) {
      case 0:  // descriptors that say anything
        for (uint32_t k = below(8); k > 0; k--) driver.desc[below(driver.size)] = descriptor(driver.size);
        break;
      case 1:  // the same in what may be an indirect table
        for (uint32_t k = below(8); k > 0; k--) reinterpret_cast<Desc*>(guest.at(kBuffersAt))[below(256)] = descriptor(16);
        break;
      case 2:  // heads
        driver.avail->ring[below(driver.size)] = static_cast<uint16_t>(below(64) == 0 ? random_() : below(driver.size));
        break;
      case 3:  // an index that jumps
        if (below(8) == 0) driver.avail->index = static_cast<uint16_t>(random_());
        break;
      case 4: driver.avail->flags = static_cast<uint16_t>(random_()); break;
      case 5: driver.used_event() = static_cast<uint16_t>(random_()); break;
      case 6:  // what is the device's to write
        driver.done->index = static_cast<uint16_t>(random_());
        driver.done->ring[below(driver.size)] = {static_cast<uint32_t>(random_()), 0};
        break;
      default:  // offers, good and bad
        for (uint32_t k = below(std::min(driver.size, 12u)) + 1; k > 0; k--) {
          const uint16_t id = static_cast<uint16_t>(below(driver.size));
          const bool writes = &driver == &guest.in();
          if (below(4) != 0) {
            driver.desc[id] = {kBuffersAt + below(0x10'0000), 64 + below(1600), static_cast<uint16_t>(writes ? virtio::kWrite : 0), 0};
          }
          driver.avail->ring[driver.avail->index & mask] = id;
          driver.avail->index++;
        }
        // Mostly no more than it has.
        if (static_cast<uint16_t>(driver.avail->index - ring(driver).next()) > driver.size && below(32) != 0) {
          driver.avail->index = static_cast<uint16_t>(ring(driver).next() + driver.size);
        }
    }
  }
  GuestRing& ring(const Driver& driver) { return guest.device->rings[&driver == &guest.in() ? 0 : 1]; }

  void receive() {
    GuestRing& out = guest.device->rings[1];
    const uint16_t before = out.next();
    const auto slots = worker_.receive(*carrier_, static_cast<int32_t>(1 + below(kBatchMax)));
    CHECK(static_cast<uint16_t>(out.next() - before) == slots.size());
    CHECK(slots.size() <= out.size());
    listed += slots.size();
    std::vector<int32_t> good;
    std::vector<Bytes> frames;
    for (const int32_t slot : slots) {
      spoilt += worker_.is_spoilt(slot) ? 1 : 0;
      if (worker_.is_spoilt(slot)) continue;
      good.push_back(slot);
      frames.push_back(worker_.frame(slot));
      CHECK(!frames.back().empty() && frames.back().size() <= static_cast<size_t>(kFrameBytesMax));
    }
    pass_on(good, frames);
    // Back to itself, and with lies about what is to be finished.
    for (const int32_t slot : good) lie(slot);
    for (int32_t& entry : good) entry |= static_cast<int32_t>(below(4)) << 16;
    std::vector<int32_t> own;
    for (const int32_t entry : good) {
      // From its memory into its memory no frame goes but through our scratch.
      if (!worker_.is_foreign(entry & kEntrySlotMask) || (entry & (kFinishChecksum | kFinishSegment)) != 0) own.push_back(entry);
    }
    if (below(4) == 0) taken += static_cast<uint64_t>(worker_.transmit(*carrier_, own).sent);
    if (below(4) == 0) worker_.transmit(*peer_.carrier, good);
    peer_.refill();
    std::vector<uint16_t> ids;
    for (uint32_t k = 0; k < slots.size(); k++) ids.push_back(guest.out().avail->ring[(before + k) & (out.size() - 1)]);
    check_returned(ids);
  }

  /// In order, each once. The used index is the device's own, whatever the guest wrote there.
  void check_returned(const std::vector<uint16_t>& ids) {
    Driver& driver = guest.out();
    const uint16_t marker = 0x5aa5;
    driver.done->index = marker;
    carrier_->release();
    carrier_->arm();
    if (scribbles_) return;
    if (ids.empty()) {
      CHECK(driver.done->index == marker);
      return;
    }
    const uint16_t end = driver.done->index;
    for (size_t k = 0; k < ids.size(); k++) {
      const virtio::UsedEntry entry = driver.done->ring[(end - ids.size() + k) & (driver.size - 1)];
      CHECK(entry.id == ids[k] && entry.bytes == 0);
    }
    if (end_known_) CHECK(static_cast<uint16_t>(end - end_) == ids.size());
    end_ = end;
    end_known_ = true;
  }

  void pass_on(const std::vector<int32_t>& good, const std::vector<Bytes>& frames) {
    Driver& in = peer_.guest.in();
    uint16_t index = in.done->index;
    const Sent sent = worker_.transmit(*peer_.carrier, good);
    CHECK(sent.refused == 0 || sent.reason == kDropEgressFull);
    CHECK(peer_.guest.device->broken.load() == nullptr);
    arrived += static_cast<uint64_t>(sent.sent);
    size_t at = 0;
    for (int32_t k = 0; k < sent.sent; k++) {
      const Bytes got = peer_.next(index);
      if (scribbles_) continue;
      // Those that found no room are left out; the rest is in order.
      while (at < frames.size() && frames[at] != got) at++;
      CHECK(at < frames.size());
      at++;
    }
    CHECK(index == in.done->index);
    peer_.refill();
  }

  void lie(int32_t slot) {
    int32_t* const facts = worker_.facts(slot);
    if (below(2) == 0) return;
    facts[kFactGso] = static_cast<int32_t>((random_() & 0x87) | static_cast<uint32_t>(below(2000)) << 16);
    facts[kFactChecksum] = static_cast<int32_t>(below(2) == 0 ? random_() : 34 | 16 << 16);
    facts[kFactFlags] |= kFlagNeedsChecksum;
  }

  /// Frames into whatever the guest offers for receiving.
  void send() {
    GuestRing& in = guest.device->rings[0];
    const uint16_t before = in.next();
    const uint32_t waiting = in.waiting();
    std::vector<int32_t> entries;
    for (uint32_t k = below(6) + 1; k > 0; k--) {
      entries.push_back(worker_.make(Bytes(14 + (below(16) == 0 ? below(65000) : below(1600)), static_cast<uint8_t>(k)), static_cast<int32_t>(k)));
    }
    const Sent sent = worker_.transmit(*carrier_, entries);
    taken += static_cast<uint64_t>(sent.sent);
    const uint16_t used = static_cast<uint16_t>(in.next() - before);
    CHECK(used >= sent.sent && used <= in.size());
    CHECK(scribbles_ || (used <= waiting && (used == 0 || waiting <= in.size())));
  }

  std::mt19937_64& random_;
  Worker& worker_;
  Peer& peer_;
  std::unique_ptr<Carrier> carrier_;
  uint16_t end_ = 0;
  bool end_known_ = false;
  const bool scribbles_;

 public:
  Guest guest;
};

/// Writes into rings, tables and frames of a guest for as long as it lives, beside the worker that reads them.
class Scribbler {
 public:
  Scribbler(Guest& guest, uint64_t seed) : thread_([this, &guest, seed] { run(guest, seed); }) {}
  ~Scribbler() {
    ends_.store(true);
    thread_.join();
  }

 private:
  void run(Guest& guest, uint64_t seed) {
    std::mt19937_64 random(seed);
    while (!ends_.load(std::memory_order_relaxed)) {
      const uint64_t value = random();
      Driver& driver = guest.drivers[value & 1];
      const uint16_t at = static_cast<uint16_t>(value >> 8 & (driver.size - 1));
      switch (value >> 32 & 7) {
        case 0: driver.desc[at].bytes = static_cast<uint32_t>(value >> 40); break;
        case 1: driver.desc[at].address = kBuffersAt + (value >> 40 & 0x1f'ffff); break;
        case 2: driver.desc[at].flags = static_cast<uint16_t>(value >> 40 & 7); break;
        case 3: driver.desc[at].next = static_cast<uint16_t>(value >> 40 & (2 * driver.size - 1)); break;
        case 4: driver.avail->ring[at] = static_cast<uint16_t>(value >> 40 & (driver.size - 1)); break;
        case 5: driver.done->index = static_cast<uint16_t>(value >> 40); break;
        case 6: reinterpret_cast<Desc*>(guest.at(kBuffersAt))[value >> 40 & 255].bytes = static_cast<uint32_t>(value >> 48); break;
        default: *guest.at(kBuffersAt + (value >> 40 & 0xf'ffff)) = static_cast<uint8_t>(value >> 33); break;
      }
    }
  }
  std::atomic<bool> ends_{false};
  std::thread thread_;
};

}  // namespace

int run_fuzz(uint64_t seed, uint64_t cases, bool scribbles) {
  std::mt19937_64 random(seed);
  Worker worker(make_arena(1));
  Peer peer;
  uint64_t listed = 0, spoilt = 0, arrived = 0, taken = 0, breakdowns = 0;
  for (uint64_t done = 0; done < cases;) {
    Hostile guest(random, worker, peer, scribbles);
    const std::unique_ptr<Scribbler> scribbler = scribbles ? std::make_unique<Scribbler>(guest.guest, random()) : nullptr;
    for (uint32_t k = 0; k < kTurnsOfGuest && done < cases; k++, done++) guest.turn();
    listed += guest.listed, spoilt += guest.spoilt, arrived += guest.arrived, taken += guest.taken, breakdowns += guest.breakdowns;
  }
  std::printf("%llu cases: %llu frames listed, %llu of them spoilt, %llu arrived; %llu taken, %llu breakdowns\n", static_cast<unsigned long long>(cases),
              static_cast<unsigned long long>(listed), static_cast<unsigned long long>(spoilt), static_cast<unsigned long long>(arrived),
              static_cast<unsigned long long>(taken), static_cast<unsigned long long>(breakdowns));
  // A run in which nothing came through, or nothing was refused, has tested nothing.
  const uint64_t least = cases / 100;
  CHECK(spoilt > least && arrived > least && taken > least && breakdowns > least / 10);
  return 0;
}
