// Waiting for another worker's lock, which it holds for a list of frames: some microseconds, unless the kernel takes its CPU away meanwhile.
#pragma once

#include <sched.h>
#include <time.h>

#include <cstdint>

namespace weft {

inline void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// How long a worker waits for a lock: about as long as another process has the CPU of the one that holds it. Its other ports' frames wait in
/// their queues that long; those for this port would be lost.
constexpr int64_t kHeldNsMax = 2'000'000;

/// Tries `acquire` up to `spins` times.
template <typename Acquire>
bool spin(int spins, Acquire&& acquire) {
  for (int k = 0; k < spins; k++) {
    if (acquire()) return true;
    pause();
  }
  return false;
}

/// One worker's waiting for one lock. A wait in vain is the last until the lock was had again: somebody whom it takes longer (a guest's memory
/// that is being read back, a CPU quota) must not make every turn of every other worker that long.
class Patience {
 public:
  /// Tries `acquire` up to `spins` times, then with the CPU left to others in between. False when it took too long.
  template <typename Acquire>
  bool wait(int spins, Acquire&& acquire) {
    const bool had = spin(spins, acquire) || (!is_over_ && yield(acquire));
    is_over_ = !had;
    return had;
  }

 private:
  template <typename Acquire>
  static bool yield(Acquire&& acquire) {
    const int64_t end = now_ns() + kHeldNsMax;
    do {
      ::sched_yield();
      if (acquire()) return true;
    } while (now_ns() < end);
    return false;
  }
  static int64_t now_ns() {
    timespec now;
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec;
  }

  bool is_over_ = false;
};

}  // namespace weft
