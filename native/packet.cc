#include "packet.h"

#include <algorithm>
#include <cstring>
#include <sys/mman.h>

namespace weft {

namespace {
constexpr uint32_t kTagBytes = 4;
constexpr uint32_t kAddressesBytes = 12;
constexpr uint32_t kSmallBytes = 64;
constexpr uint16_t kEtherTypeVlan = 0x8100;
// virtio_net_hdr (virtio 1.2, section 5.1.6): flags, and where the checksum starts.
constexpr uint8_t kNeedsChecksum = 1;
constexpr uint32_t kHeaderBytesAt = 2;
constexpr uint32_t kChecksumStartAt = 6;
// Slots ahead whose first lines are fetched: the kernel wrote them on another core.
constexpr uint32_t kAhead = 4;
// Bytes that one queue may bring into a turn, as with TAPs: the caches still hold them when they are sent.
constexpr int32_t kTurnBytes = 256 << 10;
// The kernel allocates what it is not told to be headers in one piece: a long frame is told to have this many.
constexpr uint16_t kLinearBytes = 128;
constexpr int32_t kLinearMax = 2048;
constexpr int32_t kSegmentsMax = 256;

/// TPID and TCI as they stand in a frame, or 0 where the kernel stripped no tag.
uint32_t tag_of(const tpacket2_hdr& header, uint32_t status) {
  if ((status & TP_STATUS_VLAN_VALID) == 0) return 0;
  const uint16_t tpid = (status & TP_STATUS_VLAN_TPID_VALID) != 0 ? header.tp_vlan_tpid : kEtherTypeVlan;
  return static_cast<uint32_t>(__builtin_bswap16(tpid)) | static_cast<uint32_t>(__builtin_bswap16(header.tp_vlan_tci)) << 16;
}

/// A tag that is put back moves everything behind it: the checksum too.
void finish_vnet(uint8_t* vnet, uint32_t tag) {
  vnet[kPacketVnetBytes] = vnet[kPacketVnetBytes + 1] = 0;
  if (tag == 0 || (vnet[0] & kNeedsChecksum) == 0) return;
  uint16_t start;
  std::memcpy(&start, vnet + kChecksumStartAt, sizeof start);
  start = static_cast<uint16_t>(start + kTagBytes);
  std::memcpy(vnet + kChecksumStartAt, &start, sizeof start);
}
}  // namespace

PacketQueue::~PacketQueue() {
  if (ring != nullptr) ::munmap(ring, static_cast<size_t>(slots) * kRingSlotBytes);
}

std::unique_ptr<Carrier> PacketDevice::carrier(int32_t worker, int32_t port, int* error) {
  *error = EINVAL;
  if (worker < 0 || static_cast<size_t>(worker) >= queues.size()) return nullptr;
  return std::make_unique<PacketCarrier>(*queues[static_cast<size_t>(worker)], port);
}

/// The kernel's counter starts again at every reading.
double PacketDevice::missed() {
  double sum = 0;
  for (const auto& queue : queues) {
    tpacket_stats statistics{};
    socklen_t bytes = sizeof statistics;
    if (::getsockopt(queue->socket.get(), SOL_PACKET, PACKET_STATISTICS, &statistics, &bytes) == 0) queue->missed += statistics.tp_drops;
    sum += queue->missed;
  }
  return sum;
}

int PacketCarrier::watch(int epoll, uint64_t key) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = key;
  return ::epoll_ctl(epoll, EPOLL_CTL_ADD, queue_.socket.get(), &event) == 0 ? 0 : -errno;
}

void PacketCarrier::unwatch(int epoll) { ::epoll_ctl(epoll, EPOLL_CTL_DEL, queue_.socket.get(), nullptr); }

void PacketCarrier::release() {
  for (; queue_.held > 0; queue_.held--) {
    __atomic_store_n(&queue_.slot(queue_.next - queue_.held)->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
  }
}

Found PacketCarrier::receive(Slots& slots, int32_t most) {
  int32_t budget = kTurnBytes;
  for (int32_t k = 0; k < most && budget > 0; k++) {
    // Slots that are still held look like new ones.
    if (queue_.held == queue_.slots) return Found::kMore;
    const tpacket2_hdr* const header = queue_.slot(queue_.next);
    const uint32_t status = __atomic_load_n(&header->tp_status, __ATOMIC_ACQUIRE);
    if ((status & TP_STATUS_USER) == 0) return Found::kDry;
    const uint8_t* const ahead = reinterpret_cast<const uint8_t*>(queue_.slot(queue_.next + kAhead));
    __builtin_prefetch(ahead);
    __builtin_prefetch(ahead + 64);
    __builtin_prefetch(ahead + 128);
    if (!take(slots, *header, status)) return Found::kMore;
    budget -= static_cast<int32_t>(std::min<uint32_t>(header->tp_len, kLargeStride));
    queue_.held++;
    queue_.next++;
  }
  return Found::kMore;
}

/// Lists the frame of a slot. False when it has to wait for room.
bool PacketCarrier::take(Slots& slots, const tpacket2_hdr& header, uint32_t status) {
  const int32_t slot = slots.take();
  const uint32_t tag = tag_of(header, status);
  bool taken = true;
  if (header.tp_snaplen == header.tp_len) {
    taken = take_ring(slots, slot, header, tag);
  } else if ((status & TP_STATUS_COPY) != 0) {
    taken = take_whole(slots, slot, header, tag);
  } else {
    slots.put_spoilt(slot, port_, kDropTruncated);
  }
  if (!taken) slots.put_back();
  return taken;
}

/// A frame that lies in its slot: a small one is copied, of a longer one the tail stays.
bool PacketCarrier::take_ring(Slots& slots, int32_t slot, const tpacket2_hdr& header, uint32_t tag) {
  const uint8_t* const from = reinterpret_cast<const uint8_t*>(&header) + header.tp_mac;
  const uint32_t pushed = tag == 0 ? 0 : kTagBytes;
  const uint32_t length = header.tp_snaplen + pushed;
  const bool is_small = length <= static_cast<uint32_t>(kHeadBytes);
  const bool is_whole = !is_small && slots.whole();
  if (is_whole && slots.large_room() == 0) return false;
  uint8_t* const to = is_whole ? slots.take_large() : slots.head(slot);
  const uint32_t wanted = is_small || is_whole ? header.tp_snaplen : static_cast<uint32_t>(kHeadBytes) - pushed;
  std::memcpy(to - kVnetBytes, from - kPacketVnetBytes, kPacketVnetBytes);
  finish_vnet(to - kVnetBytes, tag);
  if (tag == 0) {
    // A slot and a head are longer than this, so the most frequent frames take one move of fixed length.
    if (wanted <= kSmallBytes) {
      std::memcpy(to, from, kSmallBytes);
    } else {
      std::memcpy(to, from, wanted);
    }
  } else if (wanted >= kAddressesBytes) {
    std::memcpy(to, from, kAddressesBytes);
    std::memcpy(to + kAddressesBytes, &tag, kTagBytes);
    std::memcpy(to + kAddressesBytes + kTagBytes, from + kAddressesBytes, wanted - kAddressesBytes);
  }
  if (is_small || is_whole) {
    slots.put(slot, port_, to, static_cast<int32_t>(length), kFlagVnet);
    return true;
  }
  const Range tail{from + wanted, header.tp_snaplen - wanted};
  return slots.put_with_tail(slot, port_, kHeadBytes, static_cast<int32_t>(length), kFlagVnet, &tail, 1);
}

/// A frame that is longer than its slot waits, whole, in the socket's queue: the first one there.
bool PacketCarrier::take_whole(Slots& slots, int32_t slot, const tpacket2_hdr& header, uint32_t tag) {
  if (slots.large_room() == 0) return false;
  uint8_t* const at = slots.take_large();
  const uint32_t pushed = tag == 0 ? 0 : kTagBytes;
  const uint32_t first = tag == 0 ? 0 : kAddressesBytes;
  iovec parts[3] = {{at - kVnetBytes, kPacketVnetBytes}, {at, first}, {at + first + pushed, static_cast<uint32_t>(kFrameBytesMax) - first - pushed}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 3;
  // A device that went down leaves its error to the next call, whatever that asks for.
  ssize_t got = uninterrupted([&] { return ::recvmsg(queue_.socket.get(), &message, MSG_DONTWAIT | MSG_TRUNC); });
  if (got < 0 && errno == ENETDOWN) got = uninterrupted([&] { return ::recvmsg(queue_.socket.get(), &message, MSG_DONTWAIT | MSG_TRUNC); });
  const bool fits = got == static_cast<ssize_t>(header.tp_len) + kPacketVnetBytes && header.tp_len + pushed <= static_cast<uint32_t>(kFrameBytesMax);
  if (!fits) {
    slots.put_spoilt(slot, port_, kDropTruncated);
    return true;
  }
  finish_vnet(at - kVnetBytes, tag);
  if (tag != 0) std::memcpy(at + kAddressesBytes, &tag, kTagBytes);
  slots.put(slot, port_, at, static_cast<int32_t>(header.tp_len + pushed), kFlagVnet);
  return true;
}

void PacketCarrier::transmit(Slots& slots, const int32_t* entries, int32_t count) {
  stopped_ = 0;
  for (int32_t k = 0; k < count; k++) {
    const int32_t entry = entries[k];
    if (stopped_ != 0) {
      slots.refuse(port_, entry, stopped_);
    } else if ((entry & (kFinishChecksum | kFinishSegment)) != 0) {
      flush(slots);
      send_finished(slots, entry);
    } else {
      add(slots, entry);
    }
  }
  flush(slots);
}

void PacketCarrier::add_piece(const void* at, uint32_t bytes) { vectors_[vectors_used_++] = {const_cast<void*>(at), bytes}; }

/// A message of the header in memory of its own, since a TAP's write may still need the one before the head, and the frame as it lies.
void PacketCarrier::add(Slots& slots, int32_t entry) {
  if (messages_used_ == kMessagesMax || vectors_used_ + 2 + kPiecesOfFrameMax > kVectorsMax) flush(slots);
  const int32_t* const facts = slots.fact(entry & kEntrySlotMask);
  uint8_t* const vnet = vnets_[messages_used_];
  Slots::vnet_of(facts).write(vnet);
  if (facts[kFactLength] > kLinearMax && facts[kFactGso] == 0) std::memcpy(vnet + kHeaderBytesAt, &kLinearBytes, sizeof kLinearBytes);
  iovec* const first = vectors_ + vectors_used_;
  add_piece(vnet, kPacketVnetBytes);
  Range pieces[1 + kPiecesOfFrameMax];
  const int32_t count = slots.pieces(entry, pieces);
  for (int32_t k = 0; k < count; k++) add_piece(pieces[k].at, pieces[k].bytes);
  msghdr& message = messages_[messages_used_].msg_hdr;
  message.msg_iov = first;
  message.msg_iovlen = static_cast<size_t>(count) + 1;
  entries_[messages_used_++] = entry;
}

/// Sends up to `count` messages: how many went, or −errno of the first. A device that was down before leaves its error to the next call.
int PacketCarrier::send_some(mmsghdr* messages, uint32_t count) {
  int sent = uninterrupted([&] { return ::sendmmsg(queue_.socket.get(), messages, count, MSG_DONTWAIT); });
  if (sent < 0 && errno == ENETDOWN) sent = uninterrupted([&] { return ::sendmmsg(queue_.socket.get(), messages, count, MSG_DONTWAIT); });
  return sent < 0 ? -errno : sent;
}

/// What is refused is one entry; but a device that is down, or whose queue is full, gets nothing more of this list.
void PacketCarrier::flush(Slots& slots) {
  for (uint32_t at = 0; at < messages_used_;) {
    if (stopped_ != 0) {
      slots.refuse(port_, entries_[at++], stopped_);
      continue;
    }
    const int sent = send_some(messages_ + at, messages_used_ - at);
    if (sent > 0) {
      at += static_cast<uint32_t>(sent);
      continue;
    }
    const int32_t reason = Slots::reason_of(-sent);
    slots.refuse(port_, entries_[at++], reason);
    if (reason == kDropEgressDown || sent == -EAGAIN) stopped_ = reason;
  }
  messages_used_ = vectors_used_ = 0;
}

/// A checksum or segments that the kernel doesn't take: finished in scratch, with a header of zeros before each. All segments or none,
/// unless the device refuses one of them.
void PacketCarrier::send_finished(Slots& slots, int32_t entry) {
  if (stopped_ != 0) {
    slots.refuse(port_, entry, stopped_);
    return;
  }
  Range frames[kSegmentsMax];
  const int32_t count = slots.finish(entry, kVnetBytes, frames, kSegmentsMax);
  if (count < 0) {
    slots.refuse(port_, entry, count == kNoScratch ? kDropEgressFull : kDropBadOffload);
    return;
  }
  for (int32_t at = 0; at < count;) {
    const uint32_t some = std::min<uint32_t>(static_cast<uint32_t>(count - at), kMessagesMax);
    for (uint32_t k = 0; k < some; k++) {
      const Range& frame = frames[at + static_cast<int32_t>(k)];
      vectors_[k] = {const_cast<uint8_t*>(frame.at - kPacketVnetBytes), frame.bytes + kPacketVnetBytes};
      messages_[k].msg_hdr.msg_iov = vectors_ + k;
      messages_[k].msg_hdr.msg_iovlen = 1;
    }
    const int sent = send_some(messages_, some);
    if (sent < 0) {
      slots.refuse(port_, entry, Slots::reason_of(-sent));
      return;
    }
    at += sent;
  }
}

}  // namespace weft
