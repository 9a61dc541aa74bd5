// An interface that exists already, by AF_PACKET: a packet socket with a receive ring for each worker. Opened by netdev.cc on the main
// thread; served by workers, each its own queue. Frames are read in place and sent straight out of the ring; the ring is the kernel's
// memory, but the kernel doesn't touch a slot that it has handed over.
#pragma once
#include <cstdint>
#include <linux/if_packet.h>
#include <memory>
#include <mutex>
#include <sys/socket.h>
#include <sys/uio.h>
#include <vector>

#include "carrier.h"
#include "descriptor.h"
#include "registry.h"
#include "slots.h"

namespace weft {

/// AF_PACKET's virtio_net_hdr has no num_buffers.
inline constexpr uint32_t kPacketVnetBytes = 10;
/// A frame of 1,514 bytes fits, with the kernel's header before it; a longer one is fetched by recvmsg.
inline constexpr uint32_t kRingSlotBytes = 2048;

/// One worker's socket and the ring that the kernel fills. Where its worker is in the ring stays here, also while no worker serves it.
struct PacketQueue {
  PacketQueue() = default;
  PacketQueue(const PacketQueue&) = delete;
  PacketQueue& operator=(const PacketQueue&) = delete;
  ~PacketQueue();

  /// `index` runs freely.
  tpacket2_hdr* slot(uint32_t index) const {
    return reinterpret_cast<tpacket2_hdr*>(ring + static_cast<size_t>(index & (slots - 1)) * kRingSlotBytes);
  }

  Descriptor socket;
  uint8_t* ring = nullptr;
  uint32_t slots = 0;  // a power of two
  uint32_t next = 0;   // the slot to be read next, running freely
  uint32_t held = 0;   // so many before it were read, but not given back
  double missed = 0;   // frames that found no free slot, up to the last reading
};

struct PacketDevice : Device {
  ~PacketDevice() override = default;
  std::unique_ptr<Carrier> carrier(int32_t worker, int32_t port, int* error) override;
  /// Those that found no free slot in a ring.
  double missed() override;

  int32_t ifindex = 0;
  int32_t mtu = 0;
  int32_t takes = 0;      // bits of Takes (port-layout.ts)
  int shield_error = 0;   // errno of what keeps the host's own stack from being kept out; 0: it sees nothing
  Descriptor shield;
  std::vector<std::unique_ptr<PacketQueue>> queues;
};

class PacketCarrier : public Carrier {
 public:
  PacketCarrier(PacketQueue& queue, int32_t port) : queue_(queue), port_(port) {}
  ~PacketCarrier() override { release(); }

  int watch(int epoll, uint64_t key) override;
  void unwatch(int epoll) override;
  bool is_polled() const override { return false; }
  void transmit(Slots& slots, const int32_t* entries, int32_t count) override;
  Found receive(Slots& slots, int32_t most) override;
  void release() override;

 private:
  bool take(Slots& slots, const tpacket2_hdr& header, uint32_t status);
  bool take_ring(Slots& slots, int32_t slot, const tpacket2_hdr& header, uint32_t tag);
  bool take_whole(Slots& slots, int32_t slot, const tpacket2_hdr& header, uint32_t tag);
  void add(Slots& slots, int32_t entry);
  void add_piece(const void* at, uint32_t bytes);
  void flush(Slots& slots);
  void send_finished(Slots& slots, int32_t entry);
  int send_some(mmsghdr* messages, uint32_t count);

  static constexpr uint32_t kMessagesMax = 64;
  static constexpr uint32_t kVectorsMax = 1024;

  PacketQueue& queue_;
  const int32_t port_;
  int32_t stopped_ = 0;  // why the rest of this list isn't tried any more; 0: it is
  uint32_t messages_used_ = 0;
  uint32_t vectors_used_ = 0;
  int32_t entries_[kMessagesMax];
  uint8_t vnets_[kMessagesMax][16];
  mmsghdr messages_[kMessagesMax] = {};
  iovec vectors_[kVectorsMax];
};

}  // namespace weft
