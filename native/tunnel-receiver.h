// The sockets that receive for one local address: of UDP one for each worker, among which the kernel spreads senders' flows, and one more
// for each multicast group; of GRE a single raw one. Opened by the main thread, which also joins and leaves groups while workers read.
#pragma once
#include <atomic>
#include <mutex>
#include <string>
#include <sys/socket.h>
#include <vector>

#include "decapsulate.h"
#include "descriptor.h"
#include "registry.h"

namespace weft {

/// A socket, and whose datagrams it gets.
struct ReceivingSocket {
  Descriptor socket;
  std::string group;  // empty: those to the local address
  int32_t device = 0;  // by which interface the group was joined
};

struct ReceiverCounts {
  uint64_t datagrams = 0;
  uint64_t messages = 0;
  uint64_t merged = 0;
  double missed = 0;
};

class TunnelReceiver : public Device {
 public:
  TunnelReceiver(TunnelKind kind, bool ipv6, int32_t workers) : kind(kind), ipv6(ipv6), workers(workers) {}
  TunnelReceiver* as_tunnel_receiver() override { return this; }
  std::unique_ptr<Carrier> carrier(int32_t worker, int32_t port, int* error) override;
  /// Those that found no room in a socket's queue.
  double missed() override { return counts().missed; }

  Failure open(const std::string& local, uint16_t udp_port);
  /// EEXIST when it is joined by this interface already, ENOENT when there is nothing to leave. Main thread.
  Failure join(const std::string& group, int32_t device);
  Failure leave(const std::string& group, int32_t device);
  ReceiverCounts counts();

  // Worker 0's, for its groups. Its epoll set has them too, from when they are joined.

  /// Changes when groups were joined or left.
  uint32_t generation() const { return generation_.load(std::memory_order_acquire); }
  /// What `worker` reads now.
  std::vector<std::shared_ptr<ReceivingSocket>> sockets_of(int32_t worker);
  /// 0, or −errno.
  int watch(int32_t worker, int epoll, uint64_t key);
  void unwatch(int32_t worker, int epoll);

  /// What one worker counts, alone.
  struct alignas(64) Counters {
    std::atomic<uint64_t> datagrams{0};
    std::atomic<uint64_t> messages{0};
    std::atomic<uint64_t> merged{0};
  };
  Counters& counters_of(int32_t worker) { return counters_[worker]; }

  const TunnelKind kind;
  const bool ipv6;
  const int32_t workers;

 private:
  Failure open_socket(const sockaddr_storage& address, bool shares, Descriptor* socket) const;

  uint16_t udp_port_ = 0;
  std::vector<std::shared_ptr<ReceivingSocket>> own_;  // one for each worker; of GRE the first only
  Counters counters_[kWorkersMax];
  double missed_ = 0;  // of sockets that are closed
  std::atomic<uint32_t> generation_{0};
  std::mutex lock_;  // of what follows
  std::vector<std::shared_ptr<ReceivingSocket>> groups_;
  int epoll_ = -1;  // worker 0's
  uint64_t key_ = 0;
};

/// Opens what receives tunnels of `kind` at `local`, an IPv4 or IPv6 address (with %interface where it is link-local).
struct OpenedReceiver {
  Failure failure;
  std::shared_ptr<TunnelReceiver> device;
};
OpenedReceiver open_tunnel_receiver(TunnelKind kind, const std::string& local, int32_t udp_port, int32_t workers);

}  // namespace weft
