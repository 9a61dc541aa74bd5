// HOT: a turn's reading. See tunnel-arrival.h.
#include "tunnel-arrival.h"

#include <algorithm>
#include <cstring>
#include <netinet/udp.h>
#include <sys/mman.h>

#include "checksum.h"

namespace weft {

namespace {
constexpr int kUdpGro = 104;
constexpr uint32_t kReadMin = 4;
// Bytes that one receiver may bring into a turn, as with TAPs: the caches still hold them when they are sent.
constexpr uint32_t kTurnBytes = 256 << 10;
constexpr uint32_t kIpv4BytesMin = 20;
constexpr uint32_t kIpv4TosAt = 1;
}  // namespace

MessageBuffers::MessageBuffers() {
  void* const at = ::mmap(nullptr, kCount * kStride, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  at_ = at == MAP_FAILED ? nullptr : static_cast<uint8_t*>(at);
}

MessageBuffers::~MessageBuffers() {
  if (at_ != nullptr) ::munmap(at_, kCount * kStride);
}

ArrivalCarrier::ArrivalCarrier(TunnelReceiver& receiver, int32_t worker, int32_t port)
    : receiver_(receiver), worker_(worker), port_(port), generation_(receiver.generation()), sockets_(receiver.sockets_of(worker)) {
  for (uint32_t k = 0; k < MessageBuffers::kCount; k++) {
    vectors_[k] = {buffers_.at(k), MessageBuffers::kBytes};
    msghdr& header = headers_[k].msg_hdr;
    header.msg_name = names_ + k;
    header.msg_iov = vectors_ + k;
    header.msg_iovlen = 1;
    header.msg_control = controls_[k];
  }
}

/// What arrives at an endpoint enters a bridge by a tunnel's port; by the endpoint nothing leaves.
void ArrivalCarrier::transmit(Slots& slots, const int32_t* entries, int32_t count) {
  for (int32_t k = 0; k < count; k++) slots.refuse(port_, entries[k], kDropEgressRefused);
}

/// By now all that was listed before is sent: buffers are free whose messages were listed wholly. New ones are read when all are.
Found ArrivalCarrier::receive(Slots& slots, int32_t most) {
  if (generation_ != receiver_.generation()) {
    generation_ = receiver_.generation();
    sockets_ = receiver_.sockets_of(worker_);
  }
  const bool is_dry = !waits() && read_all(window(most));
  list(slots, most);
  if (waits()) return Found::kMore;
  learn_sizes();
  return is_dry ? Found::kDry : Found::kMore;
}

/// How many messages to ask for, if they stay as they were: about what the turn may list, and not more bytes than it may bring.
uint32_t ArrivalCarrier::window(int32_t most) const {
  const uint32_t fitting = std::min(kTurnBytes / std::max(mean_bytes_, 1u), static_cast<uint32_t>(most) * 16 / std::max(mean_frames_, 1u));
  return std::clamp(fitting, kReadMin, MessageBuffers::kCount);
}

void ArrivalCarrier::learn_sizes() {
  if (read_ == 0) return;
  mean_frames_ = (3 * mean_frames_ + batch_frames_ * 16 / read_) / 4;
  mean_bytes_ = (3 * mean_bytes_ + batch_bytes_ / read_) / 4;
}

/// Reads the first socket that has something, beginning with another one each time. True when all were found empty.
bool ArrivalCarrier::read_all(uint32_t asked) {
  read_ = next_ = next_at_ = batch_frames_ = batch_bytes_ = 0;
  const size_t count = sockets_.size();
  for (size_t k = 0; k < count; k++) {
    const size_t index = (first_socket_ + k) % count;
    const bool is_empty = read_from(sockets_[index]->socket.get(), asked);
    if (read_ == 0 && is_empty) continue;
    first_socket_ = index + 1;
    return is_empty && count == 1;
  }
  return true;
}

/// True when it left nothing behind.
bool ArrivalCarrier::read_from(int socket, uint32_t asked) {
  for (uint32_t k = 0; k < asked; k++) {
    headers_[k].msg_hdr.msg_namelen = sizeof names_[k];
    headers_[k].msg_hdr.msg_controllen = kControlBytes;
  }
  int got = uninterrupted([&] { return ::recvmmsg(socket, headers_, asked, MSG_DONTWAIT, nullptr); });
  // An error that waited to be told is told once, and hides what is queued.
  if (got < 0 && errno != EAGAIN) got = uninterrupted([&] { return ::recvmmsg(socket, headers_, asked, MSG_DONTWAIT, nullptr); });
  read_ = static_cast<uint32_t>(std::max(got, 0));
  for (uint32_t k = 0; k < read_; k++) describe(k);
  return read_ < asked;
}

void ArrivalCarrier::describe(uint32_t index) {
  Message& message = messages_[index];
  msghdr& header = headers_[index].msg_hdr;
  message.at = buffers_.at(index);
  message.bytes = headers_[index].msg_len;
  message.datagram_bytes = message.bytes;
  message.is_cut = (header.msg_flags & MSG_TRUNC) != 0;
  message.origin = {};
  if (receiver_.ipv6) {
    std::memcpy(message.origin.address, &names_[index].sin6_addr, sizeof message.origin.address);
  } else {
    message.origin.address[0] = reinterpret_cast<const sockaddr_in&>(names_[index]).sin_addr.s_addr;
  }
  read_control(header, message);
  batch_bytes_ += message.bytes;
  if (receiver_.kind != TunnelKind::kGre || receiver_.ipv6) return;
  // A raw socket of IPv4 gives the IP header too.
  const uint32_t ip_bytes = message.bytes < kIpv4BytesMin ? message.bytes : std::min((message.at[0] & 15u) * 4, message.bytes);
  if (message.bytes >= kIpv4BytesMin) message.origin.tos = message.at[kIpv4TosAt];
  message.at += ip_bytes;
  message.bytes -= ip_bytes;
  message.datagram_bytes = message.bytes;
}

void ArrivalCarrier::read_control(msghdr& header, Message& message) {
  for (cmsghdr* control = CMSG_FIRSTHDR(&header); control != nullptr; control = CMSG_NXTHDR(&header, control)) {
    int value = 0;
    std::memcpy(&value, CMSG_DATA(control), std::min(control->cmsg_len - CMSG_LEN(0), sizeof value));
    if (control->cmsg_level == SOL_UDP && control->cmsg_type == kUdpGro) {
      if (value > 0) message.datagram_bytes = static_cast<uint32_t>(value);
    } else if ((control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_TOS) ||
               (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_TCLASS)) {
      message.origin.tos = value & 0xff;
    }
  }
}

void ArrivalCarrier::list(Slots& slots, int32_t most) {
  if (!waits()) return;
  const uint64_t merged = coalescer_.merged();
  const uint64_t datagrams = datagrams_;
  const uint32_t first = next_;
  coalescer_.begin(slots, port_, most);
  while (waits() && list_message(messages_[next_])) {
    next_++;
    next_at_ = 0;
  }
  coalescer_.end();
  batch_frames_ += static_cast<uint32_t>(coalescer_.frames());
  TunnelReceiver::Counters& counters = receiver_.counters_of(worker_);
  const auto count = [](std::atomic<uint64_t>& counter, uint64_t more) {
    counter.store(counter.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
  };
  count(counters.messages, next_ - first);
  count(counters.datagrams, datagrams_ - datagrams);
  count(counters.merged, coalescer_.merged() - merged);
}

/// False when the turn's room ended before the message did.
bool ArrivalCarrier::list_message(const Message& message) {
  do {
    const uint8_t* const at = message.at + next_at_;
    const uint32_t bytes = std::min(message.datagram_bytes, message.bytes - next_at_);
    const Stripped stripped = strip(receiver_.kind, at, bytes);
    const bool is_bad = message.is_cut || (stripped.flags & kArrivalBad) != 0;
    const bool taken = is_bad ? coalescer_.put_bad(message.origin, at, bytes)
                              : coalescer_.put({&message.origin, stripped, at + stripped.header_bytes, bytes - stripped.header_bytes});
    if (!taken) return false;
    datagrams_++;
    next_at_ += bytes;
  } while (next_at_ < message.bytes);
  return true;
}

std::unique_ptr<Carrier> TunnelReceiver::carrier(int32_t worker, int32_t port, int* error) {
  *error = EINVAL;
  if (worker < 0 || worker >= workers) return nullptr;
  auto made = std::make_unique<ArrivalCarrier>(*this, worker, port);
  *error = ENOMEM;
  return made->is_there() ? std::move(made) : nullptr;
}

}  // namespace weft
