#include "registry.h"

#include "carrier.h"

#include <linux/memfd.h>
#include <sys/mman.h>

namespace weft {

namespace {
constexpr size_t kHugePageBytes = size_t{2} << 20;
size_t rounded(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }
}  // namespace

std::unique_ptr<Carrier> Device::carrier(int32_t, int32_t, int* error) {
  *error = EOPNOTSUPP;
  return nullptr;
}

Mapping::~Mapping() { ::munmap(at_, bytes_); }

Registry& Registry::get() {
  // Never destroyed: worker threads may still let go of devices while the process exits.
  static Registry* const registry = new Registry();
  return *registry;
}

Registry::Registry() {
  for (auto& control : controls_) control = Descriptor::eventfd();
}

Failure Registry::create_arena(size_t bytes, bool want_huge, bool* got_huge) {
  const std::lock_guard<std::mutex> guard(lock_);
  *got_huge = false;
  if (arena_.valid()) return {EEXIST, "memfd_create", "arena", "one process has one arena"};
  if (want_huge) {
    // Mapping reserves the huge pages, so trying tells whether there are enough.
    Descriptor memory(::memfd_create("weft-arena", MFD_CLOEXEC | MFD_HUGETLB));
    const size_t whole = rounded(bytes, kHugePageBytes);
    if (memory.valid() && ::ftruncate(memory.get(), static_cast<off_t>(whole)) == 0) {
      void* const at = ::mmap(nullptr, whole, PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
      if (at != MAP_FAILED) {
        ::munmap(at, whole);
        arena_ = std::move(memory);
        arena_bytes_ = whole;
        *got_huge = true;
        return {};
      }
    }
  }
  Descriptor memory(::memfd_create("weft-arena", MFD_CLOEXEC));
  if (!memory.valid()) return {errno, "memfd_create", "arena", nullptr};
  if (::ftruncate(memory.get(), static_cast<off_t>(bytes)) != 0) return {errno, "ftruncate", "arena", nullptr};
  arena_ = std::move(memory);
  arena_bytes_ = bytes;
  return {};
}

std::shared_ptr<Mapping> Registry::map_arena(int* error) {
  const std::lock_guard<std::mutex> guard(lock_);
  *error = ENOENT;
  if (!arena_.valid()) return nullptr;
  void* const at = ::mmap(nullptr, arena_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, arena_.get(), 0);
  *error = errno;
  if (at == MAP_FAILED) return nullptr;
  return std::make_shared<Mapping>(at, arena_bytes_);
}

int32_t Registry::add(std::shared_ptr<Device> device) {
  const std::lock_guard<std::mutex> guard(lock_);
  const int32_t handle = next_handle_++;
  devices_.emplace(handle, std::move(device));
  return handle;
}

std::shared_ptr<Device> Registry::find(int32_t handle) {
  const std::lock_guard<std::mutex> guard(lock_);
  const auto found = devices_.find(handle);
  return found == devices_.end() ? nullptr : found->second;
}

bool Registry::remove(int32_t handle) {
  const std::lock_guard<std::mutex> guard(lock_);
  return devices_.erase(handle) > 0;
}

int32_t Registry::count() {
  const std::lock_guard<std::mutex> guard(lock_);
  return static_cast<int32_t>(devices_.size());
}

int Registry::control(int32_t index) { return index >= 0 && index < kWorkersMax ? controls_[index].get() : -1; }

bool Registry::take_worker(int32_t index) {
  const std::lock_guard<std::mutex> guard(lock_);
  if (index < 0 || index >= kWorkersMax || workers_[index]) return false;
  workers_[index] = true;
  return true;
}

void Registry::free_worker(int32_t index) {
  const std::lock_guard<std::mutex> guard(lock_);
  workers_[index] = false;
}

void Registry::kick(int32_t index) {
  const int fd = control(index);
  const uint64_t one = 1;
  if (fd >= 0) uninterrupted([&] { return ::write(fd, &one, sizeof one); });
}

}  // namespace weft
