// What JavaScript sees of interfaces that exist already: cold calls of the main thread.
#include "call.h"
#include "netdev.h"

namespace weft {
namespace {

Napi::Value open_netdev_call(const Napi::CallbackInfo& info) {
  const std::string netns = text(info, 3);
  OpenedNetdev opened = open_netdev(text(info, 0), number(info, 1), number(info, 2), netns.empty() ? nullptr : netns.c_str());
  if (opened.failure) {
    raise(info.Env(), opened.failure);
    return info.Env().Undefined();
  }
  Napi::Object answer = Napi::Object::New(info.Env());
  answer.Set("ifindex", Napi::Number::New(info.Env(), opened.device->ifindex));
  answer.Set("mtu", Napi::Number::New(info.Env(), opened.device->mtu));
  answer.Set("takes", Napi::Number::New(info.Env(), opened.device->takes));
  answer.Set("shieldError", Napi::Number::New(info.Env(), opened.device->shield_error));
  answer.Set("handle", Napi::Number::New(info.Env(), Registry::get().add(std::move(opened.device))));
  return answer;
}

Napi::Value netdev_statistics(const Napi::CallbackInfo& info) {
  const auto device = Registry::get().find(number(info, 0));
  if (device == nullptr) {
    raise(info.Env(), {EBADF, "PACKET_STATISTICS", "handle", "the device was closed"});
    return info.Env().Undefined();
  }
  Napi::Object answer = Napi::Object::New(info.Env());
  answer.Set("missed", Napi::Number::New(info.Env(), device->missed()));
  return answer;
}

}  // namespace

void export_netdev_calls(Napi::Env env, Napi::Object exports) {
  exports.Set("openNetdev", Napi::Function::New(env, open_netdev_call));
  exports.Set("netdevStatistics", Napi::Function::New(env, netdev_statistics));
}

}  // namespace weft
