// A unix socket as a port's device, stream or datagrams: the descriptor, whose worker reads it, and how it ended. Carriers of all workers
// share it; what they change is atomic or under a lock of theirs. Main learns of the end by an eventfd.
#pragma once
#include <atomic>

#include "registry.h"

namespace weft {

/// How a connection ended, beside −errno. binding.ts has the same numbers (SocketEnd).
inline constexpr int32_t kNotEnded = 0;
inline constexpr int32_t kEndedByPeer = 1;
inline constexpr int32_t kEndedByFraming = 2;

struct SocketDevice : Device {
  SocketDevice(Descriptor connection, Descriptor signal, int32_t reader) : socket(std::move(connection)), ended(std::move(signal)), receiver(reader) {}
  SocketDevice* as_socket() override { return this; }

  /// The first reason counts. Any worker.
  void end(int32_t reason) {
    int32_t none = kNotEnded;
    if (!why.compare_exchange_strong(none, reason)) return;
    const uint64_t one = 1;
    (void)!::write(ended.get(), &one, sizeof one);
  }
  bool is_over() const { return why.load(std::memory_order_relaxed) != kNotEnded; }

  const Descriptor socket;
  /// Readable once it ended.
  const Descriptor ended;
  /// The one worker that reads; all of them write.
  const int32_t receiver;
  std::atomic<int32_t> why{kNotEnded};
  /// Frames that were refused since the other side was too slow.
  std::atomic<uint32_t> full{0};
};

/// Takes a copy of descriptor `fd`, a connected unix socket, and sees from its type which device it is. Worker `receiver` reads it.
struct OpenedSocket {
  Failure failure;
  std::shared_ptr<SocketDevice> device;
};
OpenedSocket open_socket(int fd, int32_t receiver);

std::shared_ptr<SocketDevice> make_stream(Descriptor socket, Descriptor ended, int32_t receiver);
std::shared_ptr<SocketDevice> make_dgram(Descriptor socket, Descriptor ended, int32_t receiver);

}  // namespace weft
