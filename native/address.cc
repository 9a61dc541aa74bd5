#include "address.h"

#include <arpa/inet.h>

namespace weft {

Address parse_address(const std::string& text) {
  Address address;
  if (::inet_pton(AF_INET, text.c_str(), address.bytes) == 1) {
    address.family = 4;
  } else if (::inet_pton(AF_INET6, text.c_str(), address.bytes) == 1) {
    address.family = 6;
  }
  return address;
}

std::string text_of(const Address& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.family != 0) ::inet_ntop(address.domain(), address.bytes, text, sizeof text);
  return text;
}

Address address_of(const SocketName& name) {
  Address address;
  if (name.any.sa_family == AF_INET) {
    address.family = 4;
    __builtin_memcpy(address.bytes, &name.v4.sin_addr, sizeof name.v4.sin_addr);
  } else if (name.any.sa_family == AF_INET6) {
    address.family = 6;
    __builtin_memcpy(address.bytes, &name.v6.sin6_addr, sizeof name.v6.sin6_addr);
  }
  return address;
}

socklen_t write_name(SocketName* name, const Address& address, uint16_t port, uint32_t scope) {
  if (address.family == 6) {
    name->v6 = {};
    name->v6.sin6_family = AF_INET6;
    name->v6.sin6_port = port;
    name->v6.sin6_scope_id = scope;
    __builtin_memcpy(&name->v6.sin6_addr, address.bytes, sizeof name->v6.sin6_addr);
    return sizeof name->v6;
  }
  name->v4 = {};
  name->v4.sin_family = AF_INET;
  name->v4.sin_port = port;
  __builtin_memcpy(&name->v4.sin_addr, address.bytes, sizeof name->v4.sin_addr);
  return sizeof name->v4;
}

}  // namespace weft
