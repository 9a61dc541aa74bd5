// An IPv4 or IPv6 address, as text, as the bytes that lie in a packet, and as sockets name it. For tunnels' sockets and ways.
#pragma once
#include <cstdint>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>

namespace weft {

struct Address {
  int32_t family = 0;  // 4 or 6; 0: none
  uint8_t bytes[16] = {};

  bool operator==(const Address& other) const { return family == other.family && __builtin_memcmp(bytes, other.bytes, sizeof bytes) == 0; }
  int domain() const { return family == 6 ? AF_INET6 : AF_INET; }
};

/// What bind, connect and sendmsg take.
union SocketName {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
};

/// Family 0 when it is no address. A scope is no part of it.
Address parse_address(const std::string& text);
std::string text_of(const Address& address);
Address address_of(const SocketName& name);

/// Writes the name; `port` in network order, `scope` an interface's index for link-local addresses. Its length.
socklen_t write_name(SocketName* name, const Address& address, uint16_t port, uint32_t scope);

}  // namespace weft
