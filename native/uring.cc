#include "uring.h"

#include <algorithm>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <vector>

namespace weft {

namespace {
int ring_setup(uint32_t entries, io_uring_params* params) {
  return static_cast<int>(::syscall(__NR_io_uring_setup, entries, params));
}
int ring_register(int fd, unsigned what, const void* argument, unsigned count) {
  return static_cast<int>(::syscall(__NR_io_uring_register, fd, what, argument, count));
}
}  // namespace

Uring::~Uring() { close(); }

void Uring::close() {
  if (requests_ != nullptr) ::munmap(requests_, requests_bytes_);
  if (rings_ != nullptr) ::munmap(rings_, rings_bytes_);
  requests_ = nullptr;
  rings_ = nullptr;
  ring_.close();
}

int Uring::open(uint32_t entries, uint32_t files, void* buffer, size_t bytes) {
  io_uring_params params{};
  params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE;
  params.cq_entries = entries * 2;
  Descriptor ring(ring_setup(entries, &params));
  if (!ring.valid()) return -errno;
  if ((params.features & IORING_FEAT_SINGLE_MMAP) == 0) return -ENOSYS;
  rings_bytes_ = std::max<size_t>(params.sq_off.array + params.sq_entries * sizeof(uint32_t),
                                  params.cq_off.cqes + params.cq_entries * sizeof(io_uring_cqe));
  requests_bytes_ = params.sq_entries * sizeof(io_uring_sqe);
  void* const rings = ::mmap(nullptr, rings_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.get(), IORING_OFF_SQ_RING);
  if (rings == MAP_FAILED) return -errno;
  rings_ = rings;
  void* const requests = ::mmap(nullptr, requests_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.get(), IORING_OFF_SQES);
  if (requests == MAP_FAILED) {
    const int error = errno;
    close();
    return -error;
  }
  requests_ = static_cast<io_uring_sqe*>(requests);
  uint8_t* const base = static_cast<uint8_t*>(rings_);
  submission_tail_ = reinterpret_cast<uint32_t*>(base + params.sq_off.tail);
  completion_head_ = reinterpret_cast<uint32_t*>(base + params.cq_off.head);
  completion_tail_ = reinterpret_cast<uint32_t*>(base + params.cq_off.tail);
  completions_ = reinterpret_cast<io_uring_cqe*>(base + params.cq_off.cqes);
  entries_ = params.sq_entries;
  mask_ = entries_ - 1;
  completion_mask_ = params.cq_entries - 1;
  uint32_t* const order = reinterpret_cast<uint32_t*>(base + params.sq_off.array);
  for (uint32_t k = 0; k < entries_; k++) order[k] = k;

  const std::vector<int> none(files, -1);
  const iovec whole{buffer, bytes};
  if (ring_register(ring.get(), IORING_REGISTER_FILES, none.data(), files) < 0 ||
      ring_register(ring.get(), IORING_REGISTER_BUFFERS, &whole, 1) < 0) {
    const int error = errno;
    close();
    return -error;
  }
  ring_ = std::move(ring);
  return 0;
}

int Uring::set_file(uint32_t index, int fd) {
  io_uring_files_update update{};
  update.offset = index;
  update.fds = reinterpret_cast<uint64_t>(&fd);
  return ring_register(ring_.get(), IORING_REGISTER_FILES_UPDATE, &update, 1) < 0 ? -errno : 0;
}

int Uring::submit() {
  tail_ += pending_;
  __atomic_store_n(submission_tail_, tail_, __ATOMIC_RELEASE);
  uint32_t left = pending_;
  pending_ = 0;
  while (left > 0) {
    // What fails (but with EAGAIN) completes in task work, which a ring of this kind does only when events are asked for.
    const int taken = static_cast<int>(::syscall(__NR_io_uring_enter, ring_.get(), left, 0, IORING_ENTER_GETEVENTS, nullptr, 0));
    if (taken > 0) {
      left -= std::min(left, static_cast<uint32_t>(taken));
    } else if (taken == 0 || errno != EINTR) {
      // Nobody but this call reads the queue, so what was not taken can be taken back: else it would be sent with other frames in it.
      tail_ -= left;
      __atomic_store_n(submission_tail_, tail_, __ATOMIC_RELEASE);
      return taken == 0 ? -EIO : -errno;
    }
  }
  return 0;
}

int Uring::wait(uint32_t count) {
  const __kernel_timespec second{1, 0};
  io_uring_getevents_arg argument{};
  argument.ts = reinterpret_cast<uint64_t>(&second);
  constexpr unsigned kFlags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
  const auto enter = [&] { return ::syscall(__NR_io_uring_enter, ring_.get(), 0, count, kFlags, &argument, sizeof argument); };
  return uninterrupted(enter) < 0 ? -errno : 0;
}

}  // namespace weft
