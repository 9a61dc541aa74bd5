// Lists the frames of a receiver's datagrams, and makes one of consecutive TCP segments on the way, as the kernel does for its own devices.
// Called by a worker between begin() and end() of one receive; nothing is open between two. Pieces stay where they were received and must
// stay there until the turn's transmits. It never changes what it was given: headers are rewritten in the slot's head only.
#pragma once
#include <cstdint>

#include "decapsulate.h"
#include "inner.h"
#include "slots.h"

namespace weft {

/// What all datagrams of a message have in common: the sender's address as it lies in a packet (of IPv4 the first word), and TOS or
/// traffic class.
struct Origin {
  uint32_t address[4];
  int32_t tos;
};

/// A datagram without its tunnel header, which lies right before `frame`.
struct Arrived {
  const Origin* origin;
  Stripped stripped;
  const uint8_t* frame;
  uint32_t bytes;
};

class Coalescer {
 public:
  /// Lists at most `most` frames from now on, under `port`.
  void begin(Slots& slots, int32_t port, int32_t most);
  /// Takes a datagram, whose origin must stay until end(). False when the turn has no room for it: then it is nobody's, and comes again.
  bool put(const Arrived& arrived);
  /// Lists a datagram of which not even the tunnel header is sound. False when the turn has no room for it.
  bool put_bad(const Origin& origin, const uint8_t* at, uint32_t bytes);
  /// Lists what is open, oldest first.
  void end();

  /// Segments that went on as part of another's frame, since it was made.
  uint64_t merged() const { return merged_; }
  /// Frames that were listed since begin(), and will be by end().
  int32_t frames() const { return frames_; }

 private:
  /// Flows that are open at once; interleaved streams beyond that end each other's frames.
  static constexpr int32_t kOpenMax = 8;
  struct Open {
    uint64_t flow;
    Arrived arrived;  // the first one
    Inner inner;
    bool unfinished;
    bool verified;
    uint16_t id_step;  // from the second segment on
    uint32_t segments;
    uint32_t segment_bytes;  // payload of each but the last
    uint32_t last_bytes;
    uint32_t length;         // of the frame
    uint32_t sequence;       // of the next one
    uint8_t flags;           // TCP's, of all of them together
    int32_t pieces_count;
    Range pieces[kPiecesOfFrameMax];
  };

  bool has_room() const { return frames_ < most_ && pieces_left_ > 0 && (!slots_->whole() || large_left_ > 0); }
  void account();
  void put_tcp(const Arrived& arrived, const Inner& inner);
  Open* find(uint64_t flow, const Arrived& arrived, const Inner& inner);
  void open(uint64_t flow, const Arrived& arrived, const Inner& inner);
  bool join(Open& open, const Arrived& arrived, const Inner& inner);
  void close(Open& open);
  void close_all();
  void list_one(const Arrived& arrived, const Inner* inner);
  void list_merged(const Open& open);
  uint8_t* list(const Arrived& arrived, const uint8_t* vnet, const Range* pieces, int32_t count, uint32_t length);
  void write_arrival(uint8_t* head, const Origin& origin, const Stripped& stripped);

  Slots* slots_ = nullptr;
  int32_t port_ = 0;
  int32_t most_ = 0;
  int32_t frames_ = 0;
  int32_t pieces_left_ = 0;
  int32_t large_left_ = 0;
  uint64_t merged_ = 0;
  int32_t open_count_ = 0;
  Open* order_[kOpenMax];  // those that are open, oldest first, then the others
  Open opens_[kOpenMax];

 public:
  Coalescer() {
    for (int32_t k = 0; k < kOpenMax; k++) order_[k] = opens_ + k;
  }
  Coalescer(const Coalescer&) = delete;
  Coalescer& operator=(const Coalescer&) = delete;
};

}  // namespace weft
