// A guest's memory as its front end shared it: regions of files that it holds, mapped here. The guest and its front end are not trusted:
// every address is checked against the regions, and a file that is cut short under us costs the guest its port, nobody else anything.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "descriptor.h"
#include "finish.h"

namespace weft {

/// One mapped file. A fault in it (its file was truncated) puts zero pages there, and it is lost.
class GuestMapping {
 public:
  /// Null and errno when it can't be mapped. `bytes` from the file's start; a file shorter than that, or whose
  /// pages another process brings (FUSE, NFS), is EINVAL.
  static std::shared_ptr<GuestMapping> map(const Descriptor& file, size_t bytes, int* error);
  GuestMapping(uint8_t* at, size_t bytes) : at_(at), bytes_(bytes) {}
  GuestMapping(const GuestMapping&) = delete;
  GuestMapping& operator=(const GuestMapping&) = delete;
  ~GuestMapping();
  uint8_t* at() const { return at_; }
  size_t bytes() const { return bytes_; }
  bool is_lost() const;

 private:
  uint8_t* const at_;
  const size_t bytes_;
  int32_t watched_ = -1;
};

/// A stretch of the guest's physical addresses.
struct GuestRegion {
  uint64_t guest;  // guest physical address
  uint64_t bytes;
  uint64_t user;   // the front end's own address of the same, in which rings are given
  uint8_t* at;     // ours
  std::shared_ptr<GuestMapping> mapping;
};

class GuestMemory {
 public:
  static constexpr size_t kRegionsMax = 64;
  /// Of files, together; a quarter of what all guests may have mapped.
  static constexpr uint64_t kMappedMax = uint64_t{16} << 40;

  /// Maps a region. 0, or −errno: EINVAL for one that overflows, overlaps another or is longer than its file, ENOSPC for one too many,
  /// ENOMEM for more than kMappedMax, or when all guests together have too much.
  int add(const Descriptor& file, uint64_t guest, uint64_t bytes, uint64_t user, uint64_t offset);
  /// −ENOENT when there is none at this address.
  int remove(uint64_t guest);
  /// The region that begins at this guest address; null when there is none.
  const GuestRegion* region(uint64_t guest) const;
  void clear() { regions_.clear(); }
  bool is_lost() const;
  uint64_t bytes() const;

  /// HOT: `*bytes` of memory at guest address `address` in one piece, or as many as its region has; null outside all regions.
  uint8_t* find(uint64_t address, uint32_t* bytes) const {
    for (const GuestRegion& region : regions_) {
      const uint64_t into = address - region.guest;
      if (into >= region.bytes) continue;
      if (*bytes > region.bytes - into) *bytes = static_cast<uint32_t>(region.bytes - into);
      return region.at + into;
    }
    return nullptr;
  }

  /// The guest address of what lies at `at` here; 0 when it is none of its memory.
  uint64_t guest_of(const uint8_t* at) const;

  /// The same for an address of the front end's and all of `bytes`; null when they don't lie in one region. `*guest`: where it is there.
  uint8_t* find_user(uint64_t user, uint64_t bytes, uint64_t* guest) const;

 private:
  std::vector<GuestRegion> regions_;
};

/// Takes SIGBUS for the process, once: faults in guests' mappings are mended, others go on to whoever had the signal before.
void watch_guest_faults();

}  // namespace weft
