// What a tunnel's datagrams go out by: for each worker a pool of sockets, shared by every tunnel port that is attached to it. Made on the
// main thread; workers send. Receives nothing.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "registry.h"
#include "tunnel-post.h"

namespace weft {

/// One worker's sockets, and what it gathers and sends with.
struct TunnelPool {
  std::vector<Descriptor> sockets;
  TunnelCounts counts;
  // Made by the worker when its first port is attached.
  std::unique_ptr<TunnelBatch> batch;
  std::unique_ptr<TunnelPost> post;
};

struct TunnelSender : Device {
  std::unique_ptr<Carrier> carrier(int32_t worker, int32_t port, int* error) override;
  TunnelSender* as_tunnel_sender() override { return this; }
  /// Takes what came back off all sockets too: a worker only looks there when it fails to send. Main thread.
  std::vector<TunnelTrouble> take_troubles();

  SenderOptions options;
  TunnelTroubles troubles;
  std::vector<std::unique_ptr<TunnelPool>> pools;
};

struct OpenedSender {
  Failure failure;
  std::shared_ptr<TunnelSender> device;
};
OpenedSender open_tunnel_sender(const SenderOptions& options);

}  // namespace weft
