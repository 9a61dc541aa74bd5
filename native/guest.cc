#include "guest.h"

#include <algorithm>

namespace weft {

void GuestDevice::break_down(const char* reason) {
  if (is_lost()) reason = "its memory was taken away: the file behind it was cut short";
  const char* none = nullptr;
  if (!broken.compare_exchange_strong(none, reason)) return;
  const uint64_t one = 1;
  (void)!::write(alarm.get(), &one, sizeof one);
}

int GuestDevice::remove_region(uint64_t guest) {
  const GuestRegion* const region = memory.region(guest);
  if (region == nullptr) return -ENOENT;
  for (GuestRing& ring : rings) {
    if (ring.is_placed() && ring.lies_in(region->at, region->bytes)) ring.displace();
  }
  return memory.remove(guest);
}

void GuestDevice::agree() {
  const bool logs = has(virtio::kFeatureLogAll) && log.is_open();
  for (size_t k = 0; k < rings.size(); k++) {
    rings[k].agree(has(virtio::kFeatureEventIndex), logs && logs_ring[k] ? &log : nullptr, log_addresses[k]);
  }
}

std::unique_ptr<Carrier> GuestDevice::carrier(int32_t worker, int32_t port, int* error) {
  // The registry owns every device by a shared pointer; the carrier keeps this one alive by its own.
  const auto self = std::static_pointer_cast<GuestDevice>(shared_from_this());
  auto made = std::make_unique<GuestCarrier>(self, port);
  if (made->take_rings(worker)) return made;
  *error = ENOTCONN;
  return nullptr;
}

GuestCarrier::GuestCarrier(std::shared_ptr<GuestDevice> device, int32_t port)
    : device_(std::move(device)),
      port_(port),
      header_(device_->header_bytes()),
      mergeable_(device_->has(virtio::kFeatureMergeable)),
      offloads_(device_->offloads()) {
  device_->served.fetch_add(1);
}

GuestCarrier::~GuestCarrier() {
  release();
  give_back_all();
  // A worker that died in the middle of sending holds its ring no longer.
  int32_t owner = owner_;
  if (shared_ && sink_ != nullptr) sink_->lock.compare_exchange_strong(owner, 0);
  device_->served.fetch_sub(1);
}

bool GuestCarrier::take_rings(int32_t worker) {
  owner_ = worker + 1;
  const auto runs = [](const GuestRing& ring) { return ring.is_placed() && ring.started && ring.enabled; };
  int32_t sinks = 0;
  for (int32_t pair = 0; pair < kGuestRingsMax / 2; pair++) {
    GuestRing& out = device_->rings[static_cast<size_t>(2 * pair + 1)];
    // From port to port with another worker first, so that many guests of one queue are everybody's.
    if (runs(out) && (pair + port_ - 1) % device_->workers == worker) sources_[sources_count_++].ring = &out;
    if (runs(device_->rings[static_cast<size_t>(2 * pair)])) sinks++;
  }
  shared_ = sinks < device_->workers;
  for (int32_t pair = 0, nth = 0; pair < kGuestRingsMax / 2; pair++) {
    GuestRing& in = device_->rings[static_cast<size_t>(2 * pair)];
    if (runs(in) && nth++ == worker % std::max(sinks, 1)) sink_ = &in;
  }
  // We poll. A receive queue's buffers are looked at when there is a frame for it: nobody needs to tell us of them.
  disarm();
  if (sink_ != nullptr) sink_->refuse_notifications();
  return sink_ != nullptr;
}

int GuestCarrier::watch(int epoll, uint64_t key) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = key;
  for (int32_t k = 0; k < sources_count_; k++) {
    const Descriptor& kick = sources_[k].ring->kick;
    // The same eventfd for two queues is a front end's right.
    if (kick.valid() && ::epoll_ctl(epoll, EPOLL_CTL_ADD, kick.get(), &event) < 0 && errno != EEXIST) return -errno;
  }
  return 0;
}

void GuestCarrier::unwatch(int epoll) {
  for (int32_t k = 0; k < sources_count_; k++) {
    const Descriptor& kick = sources_[k].ring->kick;
    if (kick.valid()) ::epoll_ctl(epoll, EPOLL_CTL_DEL, kick.get(), nullptr);
  }
}

void GuestCarrier::release() {
  for (int32_t s = 0; s < sources_count_; s++) {
    Source& source = sources_[s];
    if (source.held == 0) continue;
    for (int32_t k = 0; k < source.held; k++) source.ring->give_back(source.ids[k], 0);
    source.held = 0;
    source.ring->publish(source.returns.kept(source.ring->size()));
  }
}

void GuestCarrier::give_back_all() {
  for (int32_t s = 0; s < sources_count_; s++) sources_[s].ring->publish();
}

bool GuestCarrier::arm() {
  give_back_all();
  if (sources_count_ == 0 || device_->broken.load(std::memory_order_relaxed) != nullptr) return false;
  for (int32_t s = 0; s < sources_count_; s++) sources_[s].ring->want_notifications();
  // A file that was cut short looks like a ring at rest.
  if (device_->is_lost()) device_->break_down("");
  // What the guest offered before it could see that must be seen by us.
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  for (int32_t s = 0; s < sources_count_; s++) {
    if (sources_[s].ring->waiting() != 0) return true;
  }
  return false;
}

void GuestCarrier::disarm() {
  for (int32_t s = 0; s < sources_count_; s++) sources_[s].ring->refuse_notifications();
}

}  // namespace weft
