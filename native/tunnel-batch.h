// Frames of one list on their way into tunnels, gathered into messages: frames of equal length that go the same way share one, which the
// kernel cuts into datagrams (UDP_SEGMENT); what is unfinished is finished in scratch, a super-frame being a message of its own. One worker's;
// frames are referred to, not kept: what is in it is sent or refused before its list ends. Sends nothing itself (tunnel-post.h).
#pragma once
#include <memory>
#include <sys/socket.h>
#include <sys/uio.h>

#include "slots.h"
#include "tunnel-sockets.h"

namespace weft {

/// What udp(7) takes in one message with UDP_SEGMENT: 64 datagrams in kernels before 6.9, and what an IPv4 packet holds.
inline constexpr uint32_t kSegmentsOfMessage = 64;
inline constexpr uint32_t kMessageBytesMax = 65535 - 20 - 8;
inline constexpr uint32_t kNoMessage = 0xffffffff;

struct TunnelMessage {
  int32_t target;          // Fact.REMOTE: one remote, or a set of them
  uint32_t next;           // in its lane
  uint32_t segment;        // bytes of each datagram but the last
  uint32_t bytes;          // of all
  uint32_t frames;         // list entries
  uint32_t first;          // place of its entries, and of its vectors
  uint32_t vectors;
  bool is_super;           // the segments of one entry, of any length
  uint32_t control_bytes;  // TOS and TTL
  uint32_t segment_bytes;  // and behind them, of several datagrams, UDP_SEGMENT
  alignas(cmsghdr) uint8_t control[3 * CMSG_SPACE(sizeof(int))];
};

/// Of a super-frame of which `left` bytes are left, those that go as one message. Its vectors end there.
inline uint32_t part_of(uint32_t left, uint32_t segment, bool segments) {
  if (!segments) return left < segment ? left : segment;
  if (left <= kMessageBytesMax && left <= kSegmentsOfMessage * segment) return left;
  const uint32_t datagrams = kMessageBytesMax / segment;
  return datagrams == 0 ? segment : (datagrams < kSegmentsOfMessage ? datagrams : kSegmentsOfMessage) * segment;
}

class TunnelBatch {
 public:
  /// Whether messages of several datagrams are made at all, and by how many sockets they go.
  TunnelBatch(int32_t family, bool segments, uint32_t lanes);
  TunnelBatch(const TunnelBatch&) = delete;
  TunnelBatch& operator=(const TunnelBatch&) = delete;
  ~TunnelBatch();

  /// No room: what was gathered has to be sent first.
  static constexpr int32_t kNoRoom = -1;
  /// HOT: adds an entry. 0, kNoRoom, or the reason why it can't be sent.
  int32_t add(const Slots& slots, int32_t entry);
  void clear();
  bool is_empty() const { return messages_used_ == 0; }

  /// Bits of the sockets by which messages go; then the messages of each, in order.
  uint32_t lanes() const { return lanes_used_; }
  uint32_t first_of(uint32_t lane) const { return first_[lane]; }
  /// HOT: a message as it is to be sent.
  TunnelMessage& sealed(uint32_t number);
  iovec* vectors_of(const TunnelMessage& message) { return vector_.get() + message.first; }
  const int32_t* entries_of(const TunnelMessage& message) const { return entry_.get() + message.first; }
  bool segments() const { return segments_; }

 private:
  static constexpr uint32_t kMessagesMax = 256;
  static constexpr uint32_t kPlacesMax = 8192;
  static constexpr uint32_t kOpenCount = 64;
  static constexpr int32_t kRangesMax = 2048;
  static constexpr size_t kScratchBytes = 8 * kScratchMin;
  /// Frames in more pieces than this are copied.
  static constexpr int32_t kPiecesMax = 16;

  /// The message to which frames of one target and form still may be added.
  struct Open {
    int32_t target;
    uint32_t form;
    uint32_t message;
  };

  int32_t add_finished(const Slots& slots, int32_t entry, uint32_t header);
  int32_t add_super(const Slots& slots, int32_t entry, uint32_t header);
  int32_t cut_in_place(const Unfinished& frame, const uint8_t* from, uint32_t header);
  int32_t cut_by_copy(const Unfinished& frame, const uint8_t* from, uint32_t header);
  int32_t gather(const int32_t* facts, int32_t entry, const Range* pieces, int32_t count, uint32_t bytes);
  TunnelMessage* open(const int32_t* facts, Open* place, uint32_t places);
  Open* open_of(const int32_t* facts);
  void fill(TunnelMessage& message, int32_t ranges);
  void write_control(TunnelMessage& message, uint32_t outer);

  const int32_t family_;
  const bool segments_;
  const uint32_t lane_mask_;
  std::unique_ptr<TunnelMessage[]> message_{new TunnelMessage[kMessagesMax]};
  std::unique_ptr<iovec[]> vector_{new iovec[kPlacesMax]};
  std::unique_ptr<int32_t[]> entry_{new int32_t[kPlacesMax]};
  std::unique_ptr<Range[]> finished_{new Range[kRangesMax]};
  Open open_[kOpenCount] = {};
  uint32_t first_[kPoolSockets] = {};
  uint32_t last_[kPoolSockets] = {};
  uint32_t lanes_used_ = 0;
  uint32_t messages_used_ = 0;
  uint32_t places_used_ = 0;
  uint8_t* scratch_ = nullptr;
  std::unique_ptr<Finisher> finisher_;
};

}  // namespace weft
