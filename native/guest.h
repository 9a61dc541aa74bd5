// A KVM guest's network device, of which weft is the back end (vhost-user). The device holds memory and rings, and is changed by main only
// while no worker serves it; a worker's end of it copies frames. What the front end says is decided in TypeScript (control/protocols).
#pragma once
#include <array>
#include <atomic>
#include <memory>

#include "carrier.h"
#include "guest-memory.h"
#include "guest-returns.h"
#include "guest-ring.h"
#include "registry.h"
#include "slots.h"
#include "spin.h"

namespace weft {

inline constexpr int32_t kGuestRingsMax = 32;

/// Ring 2q is the guest's receive queue q (we fill it), 2q + 1 its transmit queue.
struct GuestDevice : Device {
  explicit GuestDevice(int32_t workers_count) : workers(workers_count), alarm(Descriptor::eventfd()) {}
  GuestDevice* as_guest() override { return this; }
  std::unique_ptr<Carrier> carrier(int32_t worker, int32_t port, int* error) override;

  /// Whether a worker serves it now: then nothing but counters may change.
  bool is_served() const { return served.load() != 0; }
  /// It broke a rule that leaves nothing to go on from, or its memory is gone. Told once, by the alarm; until then `reason` is null.
  void break_down(const char* reason);
  /// Whether its memory or its log was taken away under us.
  bool is_lost() const { return memory.is_lost() || log.is_lost(); }
  /// 0, or −ENOENT. Rings that lie in the region have no place any more.
  int remove_region(uint64_t guest);
  /// Hands the agreed features to the rings, after a change of features, log or ring.
  void agree();
  bool has(int feature) const { return (features >> feature & 1) != 0; }
  /// Notes for a migration that `bytes` at `at`, which lies in the guest's memory, were written.
  void log_write(const uint8_t* at, uint32_t bytes) {
    if (log.is_open() && has(virtio::kFeatureLogAll)) log.mark(memory.guest_of(at), bytes);
  }
  /// Whether the header before a frame may say anything to us (virtio 1.2, section 5.1.6.2).
  bool offloads() const { return (features & virtio::kFeaturesOffload) != 0; }
  int32_t header_bytes() const { return has(virtio::kFeatureMergeable) || has(virtio::kFeatureVersion1) ? kVnetBytes : 10; }

  const int32_t workers;
  GuestMemory memory;
  DirtyLog log;
  std::array<GuestRing, kGuestRingsMax> rings;
  std::array<uint64_t, kGuestRingsMax> log_addresses{};
  std::array<bool, kGuestRingsMax> logs_ring{};
  uint64_t features = 0;
  Descriptor alarm;
  std::atomic<const char*> broken{nullptr};
  std::atomic<int32_t> served{0};
};

class GuestCarrier : public Carrier {
 public:
  GuestCarrier(std::shared_ptr<GuestDevice> device, int32_t port);
  ~GuestCarrier() override;

  /// Takes the rings that are worker `worker`'s: transmit queues q with (q + port − 1) mod workers = worker, and one of the receive queues.
  bool take_rings(int32_t worker);
  int watch(int epoll, uint64_t key) override;
  void unwatch(int epoll) override;
  bool is_polled() const override { return true; }
  void transmit(Slots& slots, const int32_t* entries, int32_t count) override;
  Found receive(Slots& slots, int32_t most) override;
  void release() override;
  bool arm() override;
  void disarm() override;

 private:
  void give_back_all();

  /// A ring that we receive from, and the chains of it that this turn's frames lie in.
  struct Source {
    GuestRing* ring = nullptr;
    int32_t held = 0;
    Returns returns;
    uint16_t ids[kBatchMax];
  };

  // guest-receive.cc
  int32_t receive_ring(Slots& slots, Source& source, int32_t most);
  int32_t copy_in(Slots& slots, Source& source, int32_t count);
  bool take_plain(Slots& slots, const uint8_t* at, int32_t bytes);
  bool take_chain(Slots& slots, const GuestRing& ring, uint16_t id);

  // guest-transmit.cc
  void transmit_some(Slots& slots, const int32_t* entries, int32_t count);
  int32_t copy_out_plain(Slots& slots, const int32_t* entries, int32_t count);
  int32_t put(Slots& slots, int32_t entry);
  bool acquire();
  int32_t put_finished(Slots& slots, int32_t entry);
  int32_t put_pieces(const VnetHeader& header, const Range* pieces, int32_t count, uint32_t length);

  const std::shared_ptr<GuestDevice> device_;
  const int32_t port_;
  const int32_t header_;
  const bool mergeable_;
  const bool offloads_;
  Source sources_[kGuestRingsMax / 2];
  int32_t sources_count_ = 0;
  int32_t next_source_ = 0;
  GuestRing* sink_ = nullptr;
  bool shared_ = false;  // other workers send through the same ring
  int32_t owner_ = 0;    // what this worker writes into a lock
  Patience patience_;
  int32_t blind_left_ = 0;  // stretches of plain frames that are still copied without a look at the headers in their buffers
};

}  // namespace weft
