// Opening TAP devices: multi-queue, with a 12-byte vnet header and every offload that the kernel takes.
#pragma once
#include "registry.h"

namespace weft {

struct OpenedTap {
  Failure failure;
  std::shared_ptr<Device> device;
  bool created = false;
};

/// Opens all `queues` queues of TAP `name` and makes it persistent, in the network namespace at `netns` (or this thread's, when
/// null). The queues are opened where the device is: attaching one by name from elsewhere would make a second device.
OpenedTap open_tap(const std::string& name, int32_t queues, const char* netns);

/// Lets the device go away with its last descriptor.
Failure unpersist_tap(const Device& device);

}  // namespace weft
