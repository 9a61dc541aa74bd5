// What JavaScript sees of guests' devices: cold calls of the main thread, made while no worker serves the device. 64-bit values are BigInt;
// descriptors that are passed in are ours from then on, also when the call fails.
#include "call.h"
#include "guest.h"

namespace weft {
namespace {

/// The argument at `index` as 64 bits; false when it is no BigInt or too large for that.
bool wide(const Napi::CallbackInfo& info, size_t index, uint64_t* value) {
  if (info.Length() <= index || !info[index].IsBigInt()) return false;
  bool lossless = false;
  *value = info[index].As<Napi::BigInt>().Uint64Value(&lossless);
  return lossless;
}

/// The guest that the first argument names; null where there is none.
std::shared_ptr<GuestDevice> guest(const Napi::CallbackInfo& info) {
  const auto device = Registry::get().find(number(info, 0));
  if (device == nullptr || device->as_guest() == nullptr) return nullptr;
  return std::static_pointer_cast<GuestDevice>(device);
}

/// The same for a change, which no worker may be looking at. 0, or −errno.
int changeable(const std::shared_ptr<GuestDevice>& device) {
  if (device == nullptr) return -EBADF;
  return device->is_served() ? -EBUSY : 0;
}

GuestRing* ring_of(const std::shared_ptr<GuestDevice>& device, const Napi::CallbackInfo& info) {
  const int32_t index = number(info, 1);
  if (device == nullptr || index < 0 || index >= kGuestRingsMax) return nullptr;
  return &device->rings[static_cast<size_t>(index)];
}

Napi::Value answer(const Napi::CallbackInfo& info, int result) { return Napi::Number::New(info.Env(), result); }

Napi::Value open_guest(const Napi::CallbackInfo& info) {
  const int32_t workers = number(info, 0);
  if (workers < 1 || workers > kWorkersMax) {
    raise(info.Env(), {EINVAL, "openGuest", "workers", "1 to 16"});
    return info.Env().Undefined();
  }
  return answer(info, Registry::get().add(std::make_shared<GuestDevice>(workers)));
}

Napi::Value add_region(const Napi::CallbackInfo& info) {
  const Descriptor file(number(info, 1));
  const auto device = guest(info);
  const int failed = changeable(device);
  if (failed < 0) return answer(info, failed);
  uint64_t address, bytes, user, offset;
  if (!wide(info, 2, &address) || !wide(info, 3, &bytes) || !wide(info, 4, &user) || !wide(info, 5, &offset)) return answer(info, -EINVAL);
  return answer(info, device->memory.add(file, address, bytes, user, offset));
}

Napi::Value remove_region(const Napi::CallbackInfo& info) {
  const auto device = guest(info);
  uint64_t address;
  int result = changeable(device);
  if (result == 0) result = wide(info, 1, &address) ? device->remove_region(address) : -EINVAL;
  return answer(info, result);
}

Napi::Value clear_regions(const Napi::CallbackInfo& info) {
  const auto device = guest(info);
  const int failed = changeable(device);
  if (failed < 0) return answer(info, failed);
  for (GuestRing& ring : device->rings) ring.displace();
  device->memory.clear();
  // Another front end, or the same after a reboot: what the last one broke is forgotten with its memory.
  device->broken.store(nullptr);
  return answer(info, 0);
}

Napi::Value set_features(const Napi::CallbackInfo& info) {
  const auto device = guest(info);
  uint64_t features;
  int failed = changeable(device);
  if (failed == 0 && !wide(info, 1, &features)) failed = -EINVAL;
  if (failed == 0) {
    device->features = features;
    device->agree();
  }
  return answer(info, failed);
}

Napi::Value place_ring(const Napi::CallbackInfo& info) {
  const auto device = guest(info);
  GuestRing* const ring = ring_of(device, info);
  const int failed = changeable(device);
  if (failed < 0) return answer(info, failed);
  uint64_t descriptors, available, used, log = 0;
  if (ring == nullptr || !wide(info, 3, &descriptors) || !wide(info, 4, &available) || !wide(info, 5, &used)) return answer(info, -EINVAL);
  const int32_t size = number(info, 2);
  const size_t index = static_cast<size_t>(number(info, 1));
  device->logs_ring[index] = wide(info, 6, &log);
  device->log_addresses[index] = log;
  const int placed = ring->place(device->memory, size < 0 ? 0 : static_cast<uint32_t>(size), descriptors, available, used);
  device->agree();
  return answer(info, placed);
}

Napi::Value set_base(const Napi::CallbackInfo& info) {
  const auto device = guest(info);
  GuestRing* const ring = ring_of(device, info);
  const int failed = ring == nullptr ? -EINVAL : changeable(device);
  if (failed == 0) {
    ring->resume(info[2].IsNumber() ? number(info, 2) & 0xffff : -1);
    // A guest that was rebooted starts its rings anew in the memory that it had.
    if (!device->is_lost()) device->broken.store(nullptr);
  }
  return answer(info, failed);
}

Napi::Value ring_state(const Napi::CallbackInfo& info) {
  const auto device = guest(info);
  const GuestRing* const ring = ring_of(device, info);
  return answer(info, ring == nullptr ? -EINVAL : ring->next());
}

bool flag(const Napi::CallbackInfo& info, size_t index) { return info.Length() > index && info[index].IsBoolean() && info[index].As<Napi::Boolean>().Value(); }

Napi::Value run_ring(const Napi::CallbackInfo& info) {
  const auto device = guest(info);
  GuestRing* const ring = ring_of(device, info);
  const int failed = ring == nullptr ? -EINVAL : changeable(device);
  if (failed == 0) {
    ring->started = flag(info, 2);
    ring->enabled = flag(info, 3);
  }
  return answer(info, failed);
}

Napi::Value set_eventfd(const Napi::CallbackInfo& info, Descriptor GuestRing::* which) {
  Descriptor fd(number(info, 2));
  const auto device = guest(info);
  GuestRing* const ring = ring_of(device, info);
  const int failed = ring == nullptr ? -EINVAL : changeable(device);
  return answer(info, failed == 0 ? ring->set(which, std::move(fd)) : failed);
}

Napi::Value set_kick(const Napi::CallbackInfo& info) { return set_eventfd(info, &GuestRing::kick); }
Napi::Value set_call(const Napi::CallbackInfo& info) { return set_eventfd(info, &GuestRing::call); }

Napi::Value set_log(const Napi::CallbackInfo& info) {
  const Descriptor file(number(info, 1));
  const auto device = guest(info);
  const int failed = changeable(device);
  if (failed < 0) return answer(info, failed);
  uint64_t bytes, offset;
  int result = 0;
  if (!file.valid()) {
    device->log.close();
  } else {
    result = wide(info, 2, &bytes) && wide(info, 3, &offset) ? device->log.open(file, bytes, offset) : -EINVAL;
  }
  device->agree();
  return answer(info, result);
}

Napi::Value status(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto device = guest(info);
  Napi::Object found = Napi::Object::New(env);
  const char* const reason = device == nullptr ? nullptr : device->broken.load();
  found.Set("broken", reason == nullptr ? env.Null() : Napi::String::New(env, reason).As<Napi::Value>());
  found.Set("bytes", Napi::Number::New(env, device == nullptr ? 0 : static_cast<double>(device->memory.bytes())));
  found.Set("served", Napi::Boolean::New(env, device != nullptr && device->is_served()));
  return found;
}

/// An eventfd that becomes readable when the device breaks down: the caller's own, to watch and to close.
Napi::Value alarm(const Napi::CallbackInfo& info) {
  const auto device = guest(info);
  if (device == nullptr) return answer(info, -EBADF);
  const int copy = ::fcntl(device->alarm.get(), F_DUPFD_CLOEXEC, 3);
  return answer(info, copy < 0 ? -errno : copy);
}

}  // namespace

void export_guest_calls(Napi::Env env, Napi::Object exports) {
  const struct {
    const char* name;
    Napi::Value (*call)(const Napi::CallbackInfo&);
  } calls[] = {
      {"openGuest", open_guest},     {"guestAddRegion", add_region}, {"guestRemoveRegion", remove_region}, {"guestClearRegions", clear_regions},
      {"guestFeatures", set_features}, {"guestRing", place_ring},    {"guestRingBase", set_base},          {"guestRingState", ring_state},
      {"guestRingRun", run_ring},    {"guestKick", set_kick},        {"guestCall", set_call},              {"guestLog", set_log},
      {"guestStatus", status},       {"guestAlarm", alarm},
  };
  for (const auto& [name, call] : calls) exports.Set(name, Napi::Function::New(env, call));
}

}  // namespace weft
