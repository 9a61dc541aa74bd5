#include "tunnel-sender.h"

#include <algorithm>

#include "carrier.h"

namespace weft {

namespace {

/// A tunnel port's end: only transmits. Its pool is the device's, which the queue's end holds.
class DepartureCarrier : public Carrier {
 public:
  DepartureCarrier(TunnelPool& pool, int32_t port) : pool_(pool), port_(port) {}

  int watch(int, uint64_t) override { return 0; }
  void unwatch(int) override {}
  bool is_polled() const override { return false; }
  Found receive(Slots&, int32_t) override { return Found::kDry; }
  void release() override {}
  void transmit(Slots& slots, const int32_t* entries, int32_t count) override;

 private:
  void refuse(Slots& slots, int32_t entry, int32_t reason);
  void flush(Slots& slots);

  TunnelPool& pool_;
  const int32_t port_;
};

void DepartureCarrier::transmit(Slots& slots, const int32_t* entries, int32_t count) {
  for (int32_t k = 0; k < count; k++) {
    int32_t reason = pool_.batch->add(slots, entries[k]);
    if (reason == TunnelBatch::kNoRoom) {
      flush(slots);
      reason = pool_.batch->add(slots, entries[k]);
    }
    if (reason != 0) refuse(slots, entries[k], reason == TunnelBatch::kNoRoom ? kDropEgressFull : reason);
  }
  flush(slots);
}

/// For each remote of a set: as many were counted as replicated.
void DepartureCarrier::refuse(Slots& slots, int32_t entry, int32_t reason) {
  const int32_t target = slots.fact(entry & kEntrySlotMask)[kFactRemote];
  int32_t count = 1;
  if (target < 0) slots.set_at(~target, &count);
  count = std::max(count, 1);
  slots.count_copies(port_, entry, count - 1);
  for (; count > 0; count--) slots.refuse(port_, entry, reason);
}

void DepartureCarrier::flush(Slots& slots) {
  if (!pool_.batch->is_empty()) pool_.post->send(slots, port_, *pool_.batch);
  pool_.batch->clear();
}

}  // namespace

std::unique_ptr<Carrier> TunnelSender::carrier(int32_t worker, int32_t port, int* error) {
  *error = EINVAL;
  if (worker < 0 || static_cast<size_t>(worker) >= pools.size()) return nullptr;
  TunnelPool& pool = *pools[static_cast<size_t>(worker)];
  if (pool.batch == nullptr) {
    // The kernel refuses to cut datagrams without a checksum; packets of GRE it doesn't cut.
    const bool segments = options.checksum && !options.gre;
    pool.batch = std::make_unique<TunnelBatch>(options.local.family, segments, static_cast<uint32_t>(pool.sockets.size()));
    pool.post = std::make_unique<TunnelPost>(options, pool.sockets, troubles, pool.counts);
  }
  return std::make_unique<DepartureCarrier>(pool, port);
}

std::vector<TunnelTrouble> TunnelSender::take_troubles() {
  for (const auto& pool : pools) {
    for (const Descriptor& socket : pool->sockets) take_errors(socket.get(), troubles);
  }
  return troubles.take();
}

OpenedSender open_tunnel_sender(const SenderOptions& options) {
  const std::string subject = text_of(options.local);
  if (options.local.family == 0) return {{EINVAL, "bind", "local", "an IPv4 or IPv6 address"}, nullptr};
  if (options.workers < 1 || options.workers > kWorkersMax) return {{EINVAL, "socket", subject, "there are 1 to 16 workers"}, nullptr};
  auto device = std::make_shared<TunnelSender>();
  device->name = subject;
  device->options = options;
  for (int32_t k = 0; k < options.workers; k++) {
    auto pool = std::make_unique<TunnelPool>();
    const Failure failure = open_sender_sockets(options, subject, &pool->sockets);
    if (failure) return {failure, nullptr};
    device->pools.push_back(std::move(pool));
  }
  return {{}, std::move(device)};
}

}  // namespace weft
