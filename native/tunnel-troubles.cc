#include "tunnel-troubles.h"

#include <cerrno>
#include <ctime>
#include <linux/errqueue.h>

#include "descriptor.h"

namespace weft {

namespace {
/// A queue holds less; what is left is taken the next time.
constexpr int kErrorsMax = 256;

/// ip(7), IP_RECVERR. False for what is no error of a datagram's way.
bool error_of(msghdr& message, sock_extended_err* found) {
  for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr; head = CMSG_NXTHDR(&message, head)) {
    const bool v4 = head->cmsg_level == IPPROTO_IP && head->cmsg_type == IP_RECVERR;
    const bool v6 = head->cmsg_level == IPPROTO_IPV6 && head->cmsg_type == IPV6_RECVERR;
    if ((!v4 && !v6) || head->cmsg_len < CMSG_LEN(sizeof *found)) continue;
    __builtin_memcpy(found, CMSG_DATA(head), sizeof *found);
    return found->ee_origin == SO_EE_ORIGIN_LOCAL || found->ee_origin == SO_EE_ORIGIN_ICMP || found->ee_origin == SO_EE_ORIGIN_ICMP6;
  }
  return false;
}
}  // namespace

void TunnelTroubles::note(const Address& address, int error, uint32_t mtu) {
  const std::lock_guard<std::mutex> guard(lock_);
  total_++;
  for (TunnelTrouble& row : rows_) {
    if (!(row.address == address)) continue;
    row.error = error;
    row.mtu = mtu;
    row.count++;
    return;
  }
  if (rows_.size() < kRowsMax) rows_.push_back({address, error, mtu, 1});
}

std::vector<TunnelTrouble> TunnelTroubles::take() {
  std::vector<TunnelTrouble> taken;
  taken.reserve(kRowsMax);
  const std::lock_guard<std::mutex> guard(lock_);
  taken.swap(rows_);
  return taken;
}

uint64_t TunnelTroubles::total() {
  const std::lock_guard<std::mutex> guard(lock_);
  return total_;
}

ErrorsFound take_errors(int fd, TunnelTroubles& troubles) {
  ErrorsFound found;
  for (int k = 0; k < kErrorsMax; k++) {
    SocketName name{};
    // The error, and behind it the address of who told it.
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(sock_extended_err) + sizeof(sockaddr_in6)) * 2];
    msghdr message{};
    message.msg_name = &name;
    message.msg_namelen = sizeof name;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    if (uninterrupted([&] { return ::recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT); }) < 0) return found;
    sock_extended_err error{};
    if (!error_of(message, &error)) continue;
    (error.ee_origin == SO_EE_ORIGIN_LOCAL ? found.local : found.told)++;
    const Address address = address_of(name);
    const int number = static_cast<int>(error.ee_errno);
    if (address.family != 0) troubles.note(address, number, number == EMSGSIZE ? error.ee_info : 0);
  }
  return found;
}

}  // namespace weft
