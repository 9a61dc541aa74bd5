#include "guest-memory.h"

#include <algorithm>
#include <csignal>
#include <iterator>
#include <mutex>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>

namespace weft {

namespace {
// Mappings that the signal handler looks through: no lock there, so a table of fixed places, which never goes away. A mapping is its
// memory, not the object: that one may be on its way out in another thread while the handler looks for the one that faulted.
constexpr int32_t kWatchedMax = 4096;
struct Watched {
  std::atomic<uint8_t*> at{nullptr};  // null: the place is free
  std::atomic<size_t> bytes{0};
  std::atomic<bool> lost{false};
};
Watched g_watched[kWatchedMax];
std::atomic<int32_t> g_watched_end{0};
std::mutex g_watching;
struct sigaction g_before;

// Files may have any length and no memory behind it. Mapped without bound, they would use up the process's addresses (128 TiB), and then
// the next allocation of anybody's ends it.
constexpr uint64_t kMappedMax = uint64_t{64} << 40;
std::atomic<uint64_t> g_mapped{0};

// File systems whose pages another process or machine brings: it could make a worker wait for one for ever.
constexpr uint32_t kForeignFiles[] = {0x65735546 /* FUSE */, 0x6969 /* NFS */, 0xff534d42 /* CIFS */, 0xfe534d42 /* SMB2 */, 0x01021997 /* 9P */};

int32_t watch(uint8_t* at, size_t bytes) {
  const std::lock_guard<std::mutex> guard(g_watching);
  for (int32_t k = 0; k < kWatchedMax; k++) {
    Watched& place = g_watched[k];
    if (place.at.load() != nullptr) continue;
    place.lost.store(false);
    place.bytes.store(bytes);
    place.at.store(at);
    if (k >= g_watched_end.load()) g_watched_end.store(k + 1);
    return k;
  }
  return -1;
}

bool put_zeros(uint8_t* at, size_t bytes) {
  return ::mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED;
}

/// The same where the system counts every page that might be used (vm.overcommit_memory = 2) and has not so many: at the fault alone, page
/// by page, of either size.
bool put_zeros_at(uint8_t* at, size_t bytes, const uint8_t* fault) {
  for (const size_t page : {size_t{4096}, size_t{2} << 20}) {
    const size_t from = static_cast<size_t>(fault - at) / page * page;
    if (from + page <= bytes && put_zeros(at + from, page)) return true;
  }
  return false;
}

/// Puts zero pages where the file's were; false when `fault` lies in no guest's memory. In a signal handler: only what is safe there.
/// A place that changes hands meanwhile is another's, before and after: the faulting thread keeps its own mapping alive.
bool lose(const uint8_t* fault) {
  const int32_t end = g_watched_end.load();
  for (int32_t k = 0; k < end; k++) {
    Watched& place = g_watched[k];
    uint8_t* const at = place.at.load();
    const size_t bytes = place.bytes.load();
    if (at == nullptr || fault < at || fault >= at + bytes || place.at.load() != at) continue;
    place.lost.store(true);
    if (!put_zeros(at, bytes) && !put_zeros_at(at, bytes, fault)) ::_exit(70);
    return true;
  }
  return false;
}

void pass_on(int signal, siginfo_t* info, void* context) {
  if ((g_before.sa_flags & SA_SIGINFO) != 0 && g_before.sa_sigaction != nullptr) {
    g_before.sa_sigaction(signal, info, context);
  } else if (g_before.sa_handler != SIG_DFL && g_before.sa_handler != SIG_IGN) {
    g_before.sa_handler(signal);
  } else if (info->si_code > 0 || g_before.sa_handler == SIG_DFL) {
    // The access is tried again, or the signal sent again, and ends the process, as it would have without us.
    ::sigaction(signal, &g_before, nullptr);
    if (info->si_code <= 0) ::raise(signal);
  }
}

void on_fault(int signal, siginfo_t* info, void* context) {
  const int error = errno;
  // One that a process sent has no address.
  if (info->si_code <= 0 || !lose(static_cast<const uint8_t*>(info->si_addr))) pass_on(signal, info, context);
  errno = error;
}
}  // namespace

bool GuestMapping::is_lost() const { return watched_ >= 0 && g_watched[watched_].lost.load(std::memory_order_relaxed); }

void watch_guest_faults() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
    ::sigaction(SIGBUS, &action, &g_before);
  });
}

std::shared_ptr<GuestMapping> GuestMapping::map(const Descriptor& file, size_t bytes, int* error) {
  struct stat status;
  struct statfs system;
  if (::fstat(file.get(), &status) != 0 || ::fstatfs(file.get(), &system) != 0) {
    *error = errno;
    return nullptr;
  }
  const uint32_t kind = static_cast<uint32_t>(system.f_type);
  if (std::find(std::begin(kForeignFiles), std::end(kForeignFiles), kind) != std::end(kForeignFiles)) {
    *error = EINVAL;
    return nullptr;
  }
  // Huge pages are mapped whole.
  const size_t page = std::max<size_t>(static_cast<size_t>(status.st_blksize), 4096);
  const size_t whole = (bytes + page - 1) / page * page;
  if (!S_ISREG(status.st_mode) || static_cast<uint64_t>(status.st_size) < bytes) {
    *error = EINVAL;
    return nullptr;
  }
  *error = ENOMEM;
  if (whole > kMappedMax) return nullptr;
  void* at = MAP_FAILED;
  if (g_mapped.fetch_add(whole) + whole <= kMappedMax) {
    at = ::mmap(nullptr, whole, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file.get(), 0);
    *error = errno;
  }
  if (at == MAP_FAILED) {
    g_mapped.fetch_sub(whole);
    return nullptr;
  }
  ::madvise(at, whole, MADV_DONTDUMP);
  auto mapping = std::make_shared<GuestMapping>(static_cast<uint8_t*>(at), whole);
  watch_guest_faults();
  mapping->watched_ = watch(mapping->at_, whole);
  if (mapping->watched_ >= 0) return mapping;
  *error = ENOSPC;
  return nullptr;
}

GuestMapping::~GuestMapping() {
  // In this order: as soon as it is unmapped, others' memory may lie there.
  if (watched_ >= 0) g_watched[watched_].at.store(nullptr);
  ::munmap(at_, bytes_);
  g_mapped.fetch_sub(bytes_);
}

int GuestMemory::add(const Descriptor& file, uint64_t guest, uint64_t bytes, uint64_t user, uint64_t offset) {
  if (regions_.size() >= kRegionsMax) return -ENOSPC;
  uint64_t end, guest_end, user_end;
  if (bytes == 0 || __builtin_add_overflow(offset, bytes, &end) || __builtin_add_overflow(guest, bytes, &guest_end) ||
      __builtin_add_overflow(user, bytes, &user_end) || end > SIZE_MAX / 2) {
    return -EINVAL;
  }
  uint64_t mapped = end;
  for (const GuestRegion& other : regions_) {
    mapped += other.mapping->bytes();
    if (guest < other.guest + other.bytes && other.guest < guest_end) return -EINVAL;
    if (user < other.user + other.bytes && other.user < user_end) return -EINVAL;
  }
  if (mapped > kMappedMax) return -ENOMEM;
  int error = 0;
  auto mapping = GuestMapping::map(file, static_cast<size_t>(end), &error);
  if (mapping == nullptr) return -error;
  uint8_t* const at = mapping->at() + offset;
  regions_.push_back({guest, bytes, user, at, std::move(mapping)});
  return 0;
}

int GuestMemory::remove(uint64_t guest) {
  for (size_t k = 0; k < regions_.size(); k++) {
    if (regions_[k].guest != guest) continue;
    regions_.erase(regions_.begin() + static_cast<std::ptrdiff_t>(k));
    return 0;
  }
  return -ENOENT;
}

const GuestRegion* GuestMemory::region(uint64_t guest) const {
  for (const GuestRegion& region : regions_) {
    if (region.guest == guest) return &region;
  }
  return nullptr;
}

bool GuestMemory::is_lost() const {
  for (const GuestRegion& region : regions_) {
    if (region.mapping->is_lost()) return true;
  }
  return false;
}

uint64_t GuestMemory::bytes() const {
  uint64_t sum = 0;
  for (const GuestRegion& region : regions_) sum += region.bytes;
  return sum;
}

uint64_t GuestMemory::guest_of(const uint8_t* at) const {
  for (const GuestRegion& region : regions_) {
    if (at >= region.at && at < region.at + region.bytes) return region.guest + static_cast<uint64_t>(at - region.at);
  }
  return 0;
}

uint8_t* GuestMemory::find_user(uint64_t user, uint64_t bytes, uint64_t* guest) const {
  for (const GuestRegion& region : regions_) {
    const uint64_t into = user - region.user;
    if (into >= region.bytes || bytes > region.bytes - into) continue;
    *guest = region.guest + into;
    return region.at + into;
  }
  return nullptr;
}

}  // namespace weft
