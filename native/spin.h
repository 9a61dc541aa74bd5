// Waiting for another worker's lock, for a moment: tells the CPU so.
#pragma once

namespace weft {

inline void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace weft
