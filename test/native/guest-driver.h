// The other side of native/guest*: a guest's memory in a memfd, its driver's half of each ring, and the front end's half of setting both
// up. What lies beside the regions in a mapping is poisoned, so that a byte too far is an ASan report.
#pragma once

#include <cstring>
#include <map>
#include <sanitizer/asan_interface.h>
#include <sys/mman.h>
#include <vector>

#include "../../native/guest.h"
#include "check.h"
#include "guest-worker.h"

namespace rig {

constexpr uint64_t kUserAt = 0x7000'0000'0000;
constexpr uint64_t kGuestAt = 0x10'0000;
constexpr uint64_t kFirstBytes = 0x18'0000;
constexpr uint64_t kSecondAt = kGuestAt + kFirstBytes;  // adjacent for the guest, elsewhere in the file
constexpr uint64_t kSecondBytes = 0xf'fedc;             // doesn't end with a page
constexpr uint64_t kFileBytes = 0x40'0000;

/// Two adjacent regions, in the file's other order, with a gap before, between and behind.
struct Place {
  uint64_t guest, bytes, offset;
};
constexpr Place kPlaces[] = {{kGuestAt, kFirstBytes, 0x20'0000}, {kSecondAt, kSecondBytes, 0x1'0000}};

struct Piece {
  uint64_t address;
  uint32_t bytes;
};

/// A driver's half of a ring.
class Driver {
 public:
  void set(uint8_t* memory, uint32_t size, uint64_t descriptors, uint64_t available, uint64_t used, uint64_t table) {
    this->size = size;
    desc = reinterpret_cast<weft::virtio::Desc*>(memory + descriptors);
    avail = reinterpret_cast<weft::virtio::Available*>(memory + available);
    done = reinterpret_cast<weft::virtio::Used*>(memory + used);
    tables_ = reinterpret_cast<weft::virtio::Desc*>(memory + table);
    tables_at = table;
    free_.clear();
    for (uint32_t k = size; k > 0; k--) free_.push_back(static_cast<uint16_t>(k - 1));
  }

  /// Offers a chain, of which `indirect` pieces at the end are in a table of their own. Its head.
  uint16_t offer(const std::vector<Piece>& pieces, bool writable, size_t indirect = 0) {
    using namespace weft::virtio;
    const uint16_t kind = writable ? kWrite : uint16_t{0};
    const size_t direct = pieces.size() - indirect + (indirect > 0 ? 1 : 0);
    std::vector<uint16_t> ids;
    for (size_t k = 0; k < direct; k++) ids.push_back(take_free());
    for (size_t k = 0; k < direct; k++) {
      const bool is_last = k + 1 == direct;
      const uint16_t next = is_last ? uint16_t{0} : ids[k + 1];
      if (is_last && indirect > 0) {
        Desc* const table = tables_ + (ids[0] % kTablesMax) * kTableMax;
        for (size_t n = 0; n < indirect; n++) {
          const Piece& piece = pieces[pieces.size() - indirect + n];
          const bool more = n + 1 < indirect;
          table[n] = {piece.address, piece.bytes, static_cast<uint16_t>(kind | (more ? kNext : 0)), static_cast<uint16_t>(more ? n + 1 : 0)};
        }
        desc[ids[k]] = {base + tables_at + (ids[0] % kTablesMax) * kTableMax * sizeof(Desc), static_cast<uint32_t>(indirect * sizeof(Desc)), kIndirect, 0};
      } else {
        desc[ids[k]] = {pieces[k].address, pieces[k].bytes, static_cast<uint16_t>(kind | (is_last ? 0 : kNext)), next};
      }
    }
    taken_[ids[0]] = ids;
    push(ids[0]);
    return ids[0];
  }
  void push(uint16_t id) {
    avail->ring[next & (size - 1)] = id;
    next++;
    __atomic_store_n(&avail->index, next, __ATOMIC_RELEASE);
  }

  /// What the device gave back since the last look.
  std::vector<weft::virtio::UsedEntry> collect() {
    std::vector<weft::virtio::UsedEntry> found;
    const uint16_t index = __atomic_load_n(&done->index, __ATOMIC_ACQUIRE);
    for (; seen != index; seen++) {
      const weft::virtio::UsedEntry entry = done->ring[seen & (size - 1)];
      const auto chain = taken_.find(static_cast<uint16_t>(entry.id));
      // Every chain comes back once.
      CHECK(chain != taken_.end());
      for (const uint16_t id : chain->second) free_.push_back(id);
      taken_.erase(chain);
      found.push_back(entry);
    }
    return found;
  }
  size_t outstanding() const { return taken_.size(); }
  void begin_at(uint16_t index) {
    next = seen = index;
    avail->index = done->index = index;
  }
  uint16_t& used_event() { return avail->ring[size]; }
  uint16_t avail_event() const { return *reinterpret_cast<const uint16_t*>(&done->ring[size]); }
  bool was_called() {
    uint64_t count = 0;
    return ::read(call.get(), &count, sizeof count) == sizeof count;
  }

  static constexpr size_t kTableMax = 64;
  static constexpr size_t kTablesMax = 128;
  uint32_t size = 0;
  uint16_t next = 0;
  uint16_t seen = 0;
  uint64_t base = 0;
  uint64_t tables_at = 0;
  weft::virtio::Desc* desc = nullptr;
  weft::virtio::Available* avail = nullptr;
  weft::virtio::Used* done = nullptr;
  weft::Descriptor call;
  weft::Descriptor kick;

 private:
  uint16_t take_free() {
    CHECK(!free_.empty());
    const uint16_t id = free_.back();
    free_.pop_back();
    return id;
  }
  weft::virtio::Desc* tables_ = nullptr;
  std::vector<uint16_t> free_;
  std::map<uint16_t, std::vector<uint16_t>> taken_;
};

struct Options {
  uint64_t features = uint64_t{1} << weft::virtio::kFeatureVersion1 | uint64_t{1} << weft::virtio::kFeatureMergeable;
  uint32_t size = 64;
  int32_t workers = 1;
  int32_t pairs = 1;
};

constexpr uint64_t bit(int feature) { return uint64_t{1} << feature; }

class Guest {
 public:
  explicit Guest(const Options& options = {}) : device(std::make_shared<weft::GuestDevice>(options.workers)) {
    file = weft::Descriptor(::memfd_create("weft-test-guest", MFD_CLOEXEC));
    CHECK(::ftruncate(file.get(), kFileBytes) == 0);
    void* const memory = ::mmap(nullptr, kFileBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    CHECK(memory != MAP_FAILED);
    memory_ = static_cast<uint8_t*>(memory);
    device->features = options.features;
    for (const Place& place : kPlaces) {
      CHECK(device->memory.add(file, place.guest, place.bytes, place.guest + kUserAt, place.offset) == 0);
      fence(place, true);
    }
    for (int32_t k = 0; k < 2 * options.pairs; k++) place_ring(k, options.size);
    device->agree();
  }
  ~Guest() {
    lower_fences();
    ::munmap(memory_, kFileBytes);
  }
  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;

  /// Before regions go: their addresses may be another's soon.
  void lower_fences() {
    for (const Place& place : kPlaces) fence(place, false);
  }

  /// Guest memory as the guest sees it.
  uint8_t* at(uint64_t address) const {
    const Place& place = address < kSecondAt ? kPlaces[0] : kPlaces[1];
    return memory_ + place.offset + (address - place.guest);
  }
  uint64_t take(uint32_t bytes, uint32_t unit = 1) {
    free_at_ = (free_at_ + unit - 1) / unit * unit;
    const uint64_t address = free_at_;
    free_at_ += bytes;
    CHECK(free_at_ <= kSecondAt + kSecondBytes);
    return address;
  }
  void skip_to(uint64_t address) { free_at_ = address; }

  std::unique_ptr<weft::Carrier> carrier(int32_t worker = 0, int32_t port = 1) {
    int error = 0;
    auto made = device->carrier(worker, port, &error);
    CHECK(made != nullptr);
    return made;
  }

  Driver& in(int32_t pair = 0) { return drivers[static_cast<size_t>(2 * pair)]; }
  Driver& out(int32_t pair = 0) { return drivers[static_cast<size_t>(2 * pair + 1)]; }

  /// Offers `bytes` for reading, cut into pieces of the given lengths and a last one of the rest.
  uint16_t send(const Bytes& bytes, const std::vector<uint32_t>& cuts = {}, size_t indirect = 0, int32_t pair = 0) {
    std::vector<Piece> pieces;
    size_t from = 0;
    const auto put = [&](size_t count) {
      const uint64_t address = take(static_cast<uint32_t>(count));
      for (size_t k = 0; k < count; k++) *at(address + k) = bytes[from + k];
      pieces.push_back({address, static_cast<uint32_t>(count)});
      from += count;
    };
    for (const uint32_t cut : cuts) put(std::min<size_t>(cut, bytes.size() - from));
    if (from < bytes.size()) put(bytes.size() - from);
    return out(pair).offer(pieces, false, std::min(indirect, pieces.size()));
  }
  /// Offers buffers for writing; the pieces of one chain.
  std::vector<Piece> offer(const std::vector<uint32_t>& bytes, size_t indirect = 0, int32_t pair = 0) {
    std::vector<Piece> pieces;
    for (const uint32_t count : bytes) pieces.push_back({take(count), count});
    for (const Piece& piece : pieces) {
      for (uint32_t k = 0; k < piece.bytes; k++) *at(piece.address + k) = 0xa5;
    }
    in(pair).offer(pieces, true, indirect);
    return pieces;
  }
  Bytes read(const std::vector<Piece>& pieces) const {
    Bytes bytes;
    for (const Piece& piece : pieces) {
      for (uint32_t k = 0; k < piece.bytes; k++) bytes.push_back(*at(piece.address + k));
    }
    return bytes;
  }

  /// Rings lie at the start of the first region: descriptors, available, used, tables for indirect chains.
  void place_ring(int32_t index, uint32_t size) {
    Driver& driver = drivers[static_cast<size_t>(index)];
    weft::GuestRing& ring = device->rings[static_cast<size_t>(index)];
    const uint64_t at = static_cast<uint64_t>(index) * kRingStride;
    CHECK(size <= 1024);
    driver.base = kGuestAt;
    driver.set(memory_ + kPlaces[0].offset, size, at, at + kAvailable, at + kUsed, at + kTables);
    const uint64_t user = kGuestAt + kUserAt + at;
    CHECK(ring.place(device->memory, size, user, user + kAvailable, user + kUsed) == 0);
    driver.call = weft::Descriptor::eventfd();
    driver.kick = weft::Descriptor::eventfd();
    ring.call = weft::Descriptor::dup(driver.call.get());
    ring.kick = weft::Descriptor::dup(driver.kick.get());
    ring.resume(-1);
    ring.started = ring.enabled = true;
    free_at_ = std::max(free_at_, kGuestAt + at + kRingStride);
  }

  // Room for 1024 descriptors.
  static constexpr uint64_t kAvailable = 0x4000;
  static constexpr uint64_t kUsed = 0x5000;
  static constexpr uint64_t kTables = 0x8000;
  static constexpr uint64_t kRingStride = 0x3'0000;
  weft::Descriptor file;
  std::shared_ptr<weft::GuestDevice> device;
  std::array<Driver, weft::kGuestRingsMax> drivers;

 private:
  /// Poisons what is mapped before and behind a region, or makes it whole again.
  void fence(const Place& place, bool up) {
    uint32_t one = 1;
    uint8_t* const at = device->memory.find(place.guest, &one);
    if (at == nullptr) return;
    const uint64_t behind = (place.bytes + kPageBytes - 1) / kPageBytes * kPageBytes - place.bytes;
    const auto poison = [up](const void* from, size_t bytes) {
      if (up) ASAN_POISON_MEMORY_REGION(from, bytes);
      if (!up) ASAN_UNPOISON_MEMORY_REGION(from, bytes);
    };
    poison(at - place.offset, place.offset);
    poison(at + place.bytes, behind);
  }

  uint8_t* memory_ = nullptr;
  uint64_t free_at_ = kGuestAt;
};

/// Bytes that differ from place to place.
inline Bytes pattern(size_t bytes, uint8_t salt = 1) {
  Bytes made(bytes);
  for (size_t k = 0; k < bytes; k++) made[k] = static_cast<uint8_t>(k * 7 + k / 251 + salt * 31);
  return made;
}

/// `frame` with a header of `bytes` zeros before it, or as given.
inline Bytes with_header(const Bytes& frame, size_t bytes = weft::kVnetBytes, uint8_t first = 0) {
  Bytes whole(bytes, 0);
  whole[0] = first;
  whole.insert(whole.end(), frame.begin(), frame.end());
  return whole;
}

}  // namespace rig
