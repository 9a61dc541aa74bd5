// Opening TAP devices: multi-queue, with a 12-byte vnet header and every offload that the kernel takes.
#pragma once
#include "registry.h"

namespace weft {

struct OpenedTap {
  Failure failure;
  std::shared_ptr<TapDevice> device;
  bool created = false;
};

/// Opens all `queues` queues of TAP `name`, making the device where there is none, in the network namespace at `netns` (this thread's,
/// when null). The queues are opened where the device is: attaching one by name from elsewhere would make a second device. A new device
/// goes with its last descriptor until it is made persistent.
OpenedTap open_tap(const std::string& name, int32_t queues, const char* netns);

/// Whether the device outlives its last descriptor.
Failure persist_tap(const TapDevice& device, bool persistent);

/// The kernel's counters of every device in a namespace, as the text of /proc/net/dev.
Failure device_counters(const char* netns, std::string* text);

}  // namespace weft
