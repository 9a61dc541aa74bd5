// Echo requests that nobody on the way may fragment (RFC 792; RFC 4443, 4): how long a packet a path really takes. Knows no Node;
// addon-echo.cc brings it to the main thread. Never used for frames.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "descriptor.h"
#include "failure.h"

namespace weft {

struct EchoSocket {
  Failure failure;
  Descriptor socket;
};
/// A socket that sends from `local`, an IPv4 or IPv6 address of this machine: the kernel's own kind for echoes, or a raw one, which needs
/// CAP_NET_RAW, where net.ipv4.ping_group_range forbids the first.
EchoSocket open_echo(const std::string& local);

/// Sends a request of `bytes` bytes of IP packet, whatever the kernel believes of the path. 0, or −errno: −EMSGSIZE when our own device
/// takes less. `id` tells our answers from those to others.
int send_echo(int fd, const std::string& remote, uint16_t id, uint16_t sequence, size_t bytes);

struct EchoNotice {
  uint16_t sequence;
  /// 0: the answer. Else the errno of an ICMP error about the request.
  int error;
  /// With EMSGSIZE the MTU that a router told; else 0.
  uint32_t mtu;
  /// Who says it: the remote, or a router.
  std::string address;
};
/// Appends what came since, a bounded part of it.
void read_echoes(int fd, uint16_t id, std::vector<EchoNotice>& notices);

}  // namespace weft
