// One worker's end of a port that is no TAP: a guest's rings, a packet ring, a stream. The engine calls it once per turn and direction;
// how frames get in and out is its own business. Made by its device when a worker attaches; one thread.
#pragma once
#include <cstdint>

namespace weft {

class Slots;

/// What a look at a queue came to.
enum class Found {
  kDry,   // nothing more is there
  kMore,  // there may be more
  kGone,  // the other side is no more: not looked at again until it is attached anew
};

class Carrier {
 public:
  virtual ~Carrier() = default;

  /// Adds its descriptors to the worker's epoll set under `key`, edge-triggered. 0, or −errno.
  virtual int watch(int epoll, uint64_t key) = 0;
  /// Takes them out again.
  virtual void unwatch(int epoll) = 0;
  /// Whether a look costs next to nothing (shared memory), so that every turn looks; else only those that epoll named are asked.
  virtual bool is_polled() const = 0;

  /// HOT: sends `count` entries, in order. What isn't taken is refused, one by one, with its reason; the rest goes on.
  virtual void transmit(Slots& slots, const int32_t* entries, int32_t count) = 0;
  /// HOT: lists at most `most` frames (≤ slots.room()).
  virtual Found receive(Slots& slots, int32_t most) = 0;
  /// HOT: what the last receive listed was sent: memory that those frames lie in may go back to where it came from.
  virtual void release() = 0;

  /// Before the worker sleeps: asks the other side to wake it. True when there is something to do after all.
  virtual bool arm() { return false; }
  /// After it slept: it looks by itself again.
  virtual void disarm() {}
};

}  // namespace weft
