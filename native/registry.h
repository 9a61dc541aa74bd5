// The addon's only global: the process's arena, its devices and the workers' control eventfds. The main environment owns them
// here; workers borrow by handle. Every function locks; none is called per frame.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "abi.h"
#include "descriptor.h"
#include "failure.h"

namespace weft {

/// One mapping of the arena, unmapped when its last user lets go.
class Mapping {
 public:
  Mapping(void* at, size_t bytes) : at_(static_cast<uint8_t*>(at)), bytes_(bytes) {}
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping();
  uint8_t* at() const { return at_; }
  size_t bytes() const { return bytes_; }

 private:
  uint8_t* at_;
  size_t bytes_;
};

class Carrier;
struct GuestDevice;
struct SocketDevice;
struct TapDevice;
class TunnelReceiver;
struct TunnelSender;

/// What a port's frames come from and go to. Shared by the registry and by the workers that serve a queue of it.
struct Device : std::enable_shared_from_this<Device> {
  std::string name;
  virtual ~Device() = default;
  /// TAPs are served by the engine itself, several in one system call.
  virtual const TapDevice* as_tap() const { return nullptr; }
  virtual GuestDevice* as_guest() { return nullptr; }
  virtual SocketDevice* as_socket() { return nullptr; }
  virtual TunnelReceiver* as_tunnel_receiver() { return nullptr; }
  virtual TunnelSender* as_tunnel_sender() { return nullptr; }
  /// Worker `worker`'s end of it, serving `port`; null and errno when there is none.
  virtual std::unique_ptr<Carrier> carrier(int32_t worker, int32_t port, int* error);
  /// Frames that the kernel lost since the device was opened, before a worker could read them. Main thread.
  virtual double missed() { return 0; }
};

/// A TAP with one descriptor per queue.
struct TapDevice : Device {
  std::vector<Descriptor> queues;
  unsigned offloads = 0;
  const TapDevice* as_tap() const override { return this; }
};

class Registry {
 public:
  static Registry& get();

  Failure create_arena(size_t bytes, bool want_huge, bool* got_huge);
  /// A new mapping of the arena; null and errno when there is no arena (ENOENT) or no address space.
  std::shared_ptr<Mapping> map_arena(int* error);

  int32_t add(std::shared_ptr<Device> device);
  std::shared_ptr<Device> find(int32_t handle);
  bool remove(int32_t handle);
  int32_t count();

  /// The eventfd that ends worker `index`'s wait; −1 when there is no such worker.
  int control(int32_t index);
  void kick(int32_t index);

  /// A worker's number is one thread's at a time: false while another thread holds it.
  bool take_worker(int32_t index);
  void free_worker(int32_t index);

 private:
  Registry();
  std::mutex lock_;
  Descriptor arena_;
  size_t arena_bytes_ = 0;
  int32_t next_handle_ = 1;
  std::unordered_map<int32_t, std::shared_ptr<Device>> devices_;
  Descriptor controls_[kWorkersMax];
  bool workers_[kWorkersMax] = {};
};

}  // namespace weft
