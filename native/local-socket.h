// Unix sockets with descriptors in their messages: what a vhost-user port speaks over, and what a `socket` port carries frames over.
// Main thread, never per frame; every descriptor has CLOEXEC and NONBLOCK, so none of these calls waits.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "descriptor.h"
#include "failure.h"

namespace weft {

/// The longest path that a sockaddr_un holds with its closing zero (unix(7)).
inline constexpr size_t kSocketPathMax = 107;
/// The most descriptors that one message brings or takes.
inline constexpr size_t kDescriptorsMax = 16;
/// The most bytes that one message is read in.
inline constexpr int32_t kMessageBytesMax = 1 << 20;

struct LocalSocket {
  Failure failure;
  Descriptor socket;
};

/// Binds a socket of `type` (SOCK_STREAM or SOCK_DGRAM) to `path`, which must not exist; a stream also listens.
LocalSocket listen_local(const std::string& path, int type);
LocalSocket connect_local(const std::string& path, int type);
/// Names the peer of a datagram socket that has a path of its own; 0, or −errno.
int connect_to(int fd, const std::string& path);
/// The next connection, or −errno.
int accept_local(int fd);

struct Message {
  int error = 0;  // errno; EAGAIN: nothing is there; EMSGSIZE: more bytes of a datagram, or more descriptors, than there was room for
  std::vector<uint8_t> data;
  std::vector<Descriptor> descriptors;
};

/// Reads up to `max` bytes and the descriptors that came with them. No bytes and no error: the end of a stream.
Message receive_message(int fd, size_t max);
/// Bytes sent, or −errno. Descriptors go with the first byte.
int64_t send_message(int fd, const uint8_t* data, size_t bytes, const int* descriptors, size_t count);

}  // namespace weft
