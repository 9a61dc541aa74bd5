// One worker's end of a tunnel receiver: reads messages of one or many datagrams, strips their tunnel headers and lists the frames. What it
// has read and could not list in this turn waits for the next one.
#pragma once
#include <netinet/in.h>
#include <vector>

#include "carrier.h"
#include "coalesce.h"
#include "tunnel-receiver.h"

namespace weft {

/// Where messages are received; memory only where one was.
class MessageBuffers {
 public:
  static constexpr uint32_t kCount = 64;
  /// The longest that UDP or IP can give.
  static constexpr uint32_t kBytes = 64 << 10;
  MessageBuffers();
  MessageBuffers(const MessageBuffers&) = delete;
  MessageBuffers& operator=(const MessageBuffers&) = delete;
  ~MessageBuffers();
  bool is_there() const { return at_ != nullptr; }
  uint8_t* at(uint32_t index) const { return at_ + index * kStride; }

 private:
  // An odd number of pages and a line, so that the messages' first lines don't all fall into one set of the cache.
  static constexpr size_t kStride = kBytes + 4096 + 64;
  uint8_t* at_;
};

class ArrivalCarrier : public Carrier {
 public:
  ArrivalCarrier(TunnelReceiver& receiver, int32_t worker, int32_t port);

  bool is_there() const { return buffers_.is_there(); }
  int watch(int epoll, uint64_t key) override { return receiver_.watch(worker_, epoll, key); }
  void unwatch(int epoll) override { receiver_.unwatch(worker_, epoll); }
  bool is_polled() const override { return false; }
  void transmit(Slots& slots, const int32_t* entries, int32_t count) override;
  Found receive(Slots& slots, int32_t most) override;
  void release() override {}

 private:
  static constexpr size_t kControlBytes = 128;
  /// A message that was read: where its datagrams begin, and how long each but the last is.
  struct Message {
    Origin origin;
    const uint8_t* at;
    uint32_t bytes;
    uint32_t datagram_bytes;
    bool is_cut;
  };

  bool waits() const { return next_ < read_; }
  uint32_t window(int32_t most) const;
  bool read_all(uint32_t asked);
  bool read_from(int socket, uint32_t asked);
  void describe(uint32_t index);
  void read_control(msghdr& header, Message& message);
  void list(Slots& slots, int32_t most);
  bool list_message(const Message& message);
  void learn_sizes();

  TunnelReceiver& receiver_;  // held by the queue's end
  const int32_t worker_;
  const int32_t port_;
  MessageBuffers buffers_;
  uint32_t generation_;
  std::vector<std::shared_ptr<ReceivingSocket>> sockets_;
  size_t first_socket_ = 0;

  uint32_t read_ = 0;       // messages that were read at once
  uint32_t next_ = 0;       // the first of them that isn't wholly listed
  uint32_t next_at_ = 0;    // and how many of its bytes are
  uint32_t batch_frames_ = 0;
  uint32_t batch_bytes_ = 0;
  uint32_t mean_frames_ = 16;  // of a message, running, in sixteenths
  uint32_t mean_bytes_ = 0;
  uint64_t datagrams_ = 0;

  Coalescer coalescer_;
  Message messages_[MessageBuffers::kCount];
  mmsghdr headers_[MessageBuffers::kCount] = {};
  iovec vectors_[MessageBuffers::kCount] = {};
  sockaddr_in6 names_[MessageBuffers::kCount] = {};
  alignas(cmsghdr) uint8_t controls_[MessageBuffers::kCount][kControlBytes];
};

}  // namespace weft
