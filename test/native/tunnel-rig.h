// What every native test of tunnels' senders uses: a sender on addresses of a namespace's own loopback, remotes in an arena, and sockets
// that see what comes. The frames are the guests' rig's.
#pragma once
#include <algorithm>
#include <string>

#include "../../native/tunnel-sender.h"
#include "finish-model.h"
#include "guest-worker.h"

namespace rig {

constexpr int32_t kTunnelPort = 7;
constexpr int32_t kRemote = weft::kPortsMax + 5;  // where a test's remotes begin
constexpr uint16_t kVxlanPort = 4789;

/// A datagram as it came.
struct Datagram {
  Bytes bytes;  // behind UDP's header, or the IP header of GRE
  std::string to;
  uint16_t source = 0;
  int tos = -1;
  int ttl = -1;
  bool df = false;  // what a raw socket saw of IPv4
};

/// Receives datagrams to every address: at a UDP port, or by a raw socket all of a protocol. Those that are there already.
class Sink {
 public:
  explicit Sink(int32_t family, uint16_t port = kVxlanPort, int protocol = 0);
  std::vector<Datagram> take();
  void join(const std::string& group, uint32_t device);

 private:
  weft::Descriptor socket_;
  const bool strips_;
};

/// The bits of `Outer`.
struct Outer {
  uint32_t flow = 0, tos = 0, ttl = 0, words = 2;
  int32_t value() const { return static_cast<int32_t>(flow | tos << 8 | ttl << 16 | words << 24); }
};

/// A worker with a tunnel port.
class Tunnel {
 public:
  explicit Tunnel(weft::SenderOptions options);
  static weft::SenderOptions options(const std::string& local, bool checksum = true);

  /// Writes the record of remote `number`.
  int32_t remote(int32_t number, const std::string& address, uint16_t port = kVxlanPort);
  /// A set of destinations: its word for Fact.REMOTE.
  int32_t set(const std::vector<int32_t>& destinations);
  /// An entry of `frame` in buffer `number`, with `header` before it.
  int32_t entry(const Bytes& frame, int32_t number, int32_t target, Outer outer = {});
  /// The same for a TCP super-frame or an unfinished one.
  int32_t unfinished(const model::Spec& spec, size_t payload, uint16_t gso_size, int32_t number, int32_t target, Outer outer = {});
  Sent send(const std::vector<int32_t>& entries) { return worker.transmit(*carrier, entries, kTunnelPort); }
  uint64_t messages() const { return sender->pools[0]->counts.messages.load(); }
  uint64_t datagrams() const { return sender->pools[0]->counts.datagrams.load(); }

  Worker worker{make_arena(1)};
  std::shared_ptr<weft::TunnelSender> sender;
  std::unique_ptr<weft::Carrier> carrier;

 private:
  int32_t* remotes();
  int32_t sets_used_ = 0;
};

/// The tunnel header of `entry`'s frames: eight bytes that tell the buffer's number.
Bytes header_of(int32_t number, uint32_t words = 2);
Bytes frame_of(size_t bytes, int32_t number);
Bytes operator+(const Bytes& a, const Bytes& b);

/// A namespace of its own for this process, with 2001:db8::1 to ::9 on its loopback too. False when that is not allowed.
bool enter_namespace();
void set_loopback_mtu(int mtu);

/// An interface of this namespace whose other end is read here: 10.99.0.1/24.
class Wire {
 public:
  Wire();
  bool is_there() const { return tap_.valid(); }
  uint32_t index() const { return index_; }
  /// IPv4 packets that went out since the last call.
  std::vector<Bytes> take();

 private:
  weft::Descriptor tap_;
  uint32_t index_ = 0;
};

struct Rule {
  const char* name;
  void (*run)();
};
extern const Rule kSenderRules[];
extern const Rule kSetRules[];
extern const Rule kTroubleRules[];

}  // namespace rig
