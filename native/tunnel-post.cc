#include "tunnel-post.h"

#include <algorithm>
#include <cerrno>

namespace weft {

namespace {
constexpr int kSendFlags = MSG_DONTWAIT | MSG_NOSIGNAL;
constexpr int kTriesMax = 4;

int32_t reason_of(int error) {
  switch (error) {
    case EAGAIN:
    case ENOBUFS:
    case ENOMEM:
      return kDropEgressFull;
    case EMSGSIZE:
      return kDropPathMtu;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ECONNREFUSED:
    case EHOSTDOWN:
    case ENETDOWN:
      return kDropRemoteUnreachable;
    default:
      return kDropEgressError;
  }
}

/// Whether it may be about a datagram that was sent before: an ICMP error is told to whoever sends next (ip(7), IP_RECVERR).
bool may_be_earlier(int error) {
  switch (error) {
    case EAGAIN:
    case ENOBUFS:
    case ENOMEM:
    case EINVAL:
    case EIO:
    case EPERM:
      return false;
    default:
      return true;
  }
}

/// What udp(7) answers where UDP_SEGMENT is not possible: an interface without checksum offload, datagrams longer than its MTU.
bool is_of_segments(int error) { return error == EINVAL || error == EIO || error == EMSGSIZE; }

void add(std::atomic<uint64_t>& total, uint64_t count) { total.store(total.load(std::memory_order_relaxed) + count, std::memory_order_relaxed); }

/// `bytes` bytes of `vectors` from `at` on, as vectors: how many. No more than there are in one message.
uint32_t cut(const iovec* vectors, uint32_t count, uint32_t at, uint32_t bytes, iovec* out) {
  uint32_t made = 0;
  for (uint32_t k = 0; k < count && bytes > 0; k++) {
    const uint32_t has = static_cast<uint32_t>(vectors[k].iov_len);
    if (at >= has) {
      at -= has;
      continue;
    }
    const uint32_t some = std::min(has - at, bytes);
    out[made++] = {static_cast<uint8_t*>(vectors[k].iov_base) + at, some};
    bytes -= some;
    at = 0;
  }
  return made;
}
}  // namespace

void TunnelPost::send(Slots& slots, int32_t port, TunnelBatch& batch) {
  slots_ = &slots;
  batch_ = &batch;
  remotes_ = slots.remotes();
  port_ = port;
  refused_ = nullptr;
  datagrams_ = messages_sent_ = 0;
  for (uint32_t lanes = batch.lanes(); lanes != 0; lanes &= lanes - 1) {
    const uint32_t lane = static_cast<uint32_t>(__builtin_ctz(lanes));
    fd_ = sockets_[lane].get();
    is_full_ = false;
    for (uint32_t number = batch.first_of(lane); number != kNoMessage;) {
      const TunnelMessage& message = batch.sealed(number);
      put(number);
      number = message.next;
    }
    flush();
  }
  add(counts_.datagrams, datagrams_);
  add(counts_.messages, messages_sent_);
}

/// To its remote, or to those of its set: each entry counts once for each of them.
void TunnelPost::put(uint32_t number) {
  const TunnelMessage& message = batch_->sealed(number);
  if (message.target >= 0) return put_to(message, 0, message.target);
  int32_t count = 0;
  const int32_t* const set = slots_->set_at(~message.target, &count);
  if (count <= 0) return refuse({&message, 0, message.bytes}, kDropNoRemote);
  const int32_t* const entries = batch_->entries_of(message);
  for (uint32_t k = 0; k < message.frames; k++) slots_->count_copies(port_, entries[k], count - 1);
  for (int32_t k = 0; k < count; k++) put_to(message, static_cast<uint32_t>(k), set[k]);
}

void TunnelPost::put_to(const TunnelMessage& message, uint32_t ordinal, int32_t destination) {
  SocketName name;
  const socklen_t name_bytes = name_of(destination, &name);
  if (name_bytes == 0) return refuse({&message, ordinal, message.bytes}, kDropNoRemote);
  iovec* vectors = batch_->vectors_of(message);
  if (!message.is_super) return put_item({&message, ordinal, message.bytes}, name, name_bytes, vectors, message.vectors);
  for (uint32_t left = message.bytes; left > 0;) {
    const uint32_t bytes = part_of(left, message.segment, batch_->segments());
    uint32_t count = 0;
    for (uint32_t has = 0; has < bytes; count++) has += static_cast<uint32_t>(vectors[count].iov_len);
    put_item({&message, ordinal, bytes}, name, name_bytes, vectors, count);
    vectors += count;
    left -= bytes;
  }
}

void TunnelPost::put_item(const Item& item, const SocketName& name, socklen_t name_bytes, iovec* vectors, uint32_t count) {
  if (items_used_ == kItemsMax) flush();
  const uint32_t number = items_used_++;
  items_[number] = item;
  names_[number] = name;
  msghdr& header = messages_[number].msg_hdr;
  header.msg_name = &names_[number];
  header.msg_namelen = name_bytes;
  header.msg_iov = vectors;
  header.msg_iovlen = count;
  header.msg_control = const_cast<uint8_t*>(item.message->control);
  header.msg_controllen = item.message->segment_bytes;
}

/// 0 when it is no remote of ours any more: a number out of range, a record that was given back or is of the other family.
socklen_t TunnelPost::name_of(int32_t destination, SocketName* name) const {
  if (remotes_ == nullptr || destination < kPortsMax || destination >= kDestinationsCount) return 0;
  const int32_t* const record = remotes_ + (static_cast<size_t>(destination - kPortsMax) << kRemoteWordsShift);
  if (__atomic_load_n(record + kRemoteFamily, __ATOMIC_RELAXED) != options_.local.family) return 0;
  Address address;
  address.family = options_.local.family;
  __builtin_memcpy(address.bytes, record + kRemoteAddress, sizeof address.bytes);
  // A raw socket's name has no port.
  const uint16_t port = options_.gre ? uint16_t{0} : static_cast<uint16_t>(record[kRemoteUdpPort]);
  return write_name(name, address, port, static_cast<uint32_t>(record[kRemoteScope]));
}

/// Sends up to `count` messages: how many went, or −errno of the first. Errors of earlier datagrams are noted, and the first tried again.
int TunnelPost::send_some(mmsghdr* messages, uint32_t count) {
  for (int tries = 1;; tries++) {
    const int sent = uninterrupted([&] { return ::sendmmsg(fd_, messages, count, kSendFlags); });
    if (sent > 0) return sent;
    const int error = sent == 0 ? EAGAIN : errno;
    if (!may_be_earlier(error)) return -error;
    const ErrorsFound found = take_errors(fd_, troubles_);
    // Without a word on the queue, somebody else may have taken it off.
    const bool is_earlier = found.told > 0 || (found.local == 0 && tries == 1);
    if (!is_earlier || tries == kTriesMax) return -error;
  }
}

void TunnelPost::flush() {
  for (uint32_t at = 0; at < items_used_;) {
    if (is_full_) {
      refuse(items_[at++], kDropEgressFull);
      continue;
    }
    const int sent = send_some(messages_ + at, items_used_ - at);
    if (sent < 0) {
      fail(at++, -sent);
      continue;
    }
    for (const uint32_t end = at + static_cast<uint32_t>(sent); at < end; at++) count(items_[at]);
  }
  items_used_ = 0;
}

void TunnelPost::count(const Item& item) {
  datagrams_ += (item.bytes + item.message->segment - 1) / item.message->segment;
  messages_sent_++;
}

/// One message that can't be sent says nothing of the next, but that a socket is full.
void TunnelPost::fail(uint32_t number, int error) {
  const Item& item = items_[number];
  if (item.bytes > item.message->segment && is_of_segments(error)) return send_singly(number);
  is_full_ = error == EAGAIN;
  if (error == ENETUNREACH || error == EHOSTUNREACH) troubles_.note(address_of(names_[number]), error, 0);
  refuse(item, reason_of(error));
}

/// The datagrams of a message one by one, each judged by itself.
void TunnelPost::send_singly(uint32_t number) {
  const Item& item = items_[number];
  const msghdr& whole = messages_[number].msg_hdr;
  iovec vectors[kSegmentsOfMessage];
  mmsghdr single{};
  single.msg_hdr = whole;
  single.msg_hdr.msg_iov = vectors;
  single.msg_hdr.msg_controllen = item.message->control_bytes;
  uint32_t frame = 0;
  for (uint32_t at = 0; at < item.bytes; at += item.message->segment, frame++) {
    const uint32_t bytes = std::min(item.message->segment, item.bytes - at);
    single.msg_hdr.msg_iovlen = cut(whole.msg_iov, static_cast<uint32_t>(whole.msg_iovlen), at, bytes, vectors);
    const int sent = is_full_ ? -EAGAIN : send_some(&single, 1);
    if (sent > 0) {
      datagrams_++;
      messages_sent_++;
      continue;
    }
    is_full_ |= sent == -EAGAIN;
    refuse_one(item, frame, reason_of(-sent));
  }
}

void TunnelPost::refuse(const Item& item, int32_t reason) {
  for (uint32_t k = 0; k < item.message->frames; k++) refuse_one(item, k, reason);
}

/// Parts of a super-frame are one refusal, for each remote.
void TunnelPost::refuse_one(const Item& item, uint32_t frame, int32_t reason) {
  const int32_t* const entries = batch_->entries_of(*item.message);
  if (!item.message->is_super) return slots_->refuse(port_, entries[frame], reason);
  if (refused_ == item.message && refused_ordinal_ == item.ordinal) return;
  refused_ = item.message;
  refused_ordinal_ = item.ordinal;
  slots_->refuse(port_, entries[0], reason);
}

}  // namespace weft
