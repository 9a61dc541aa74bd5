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

/// Tries `acquire` until it succeeds: `spins` times at once, then with the CPU left to others in between. False when it took too long.
template <typename Acquire>
bool await_lock(int spins, Acquire&& acquire) {
  for (int k = 0; k < spins; k++) {
    if (acquire()) return true;
    pause();
  }
  const auto now = [] {
    timespec at;
    ::clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * int64_t{1'000'000'000} + at.tv_nsec;
  };
  const int64_t end = now() + kHeldNsMax;
  do {
    ::sched_yield();
    if (acquire()) return true;
  } while (now() < end);
  return false;
}

}  // namespace weft
