// What JavaScript sees of tunnels' sockets that receive: cold calls of the main thread.
#include "call.h"
#include "tunnel-receiver.h"

namespace weft {
namespace {

/// A member of the options at `index`; undefined when there are none.
Napi::Value member(const Napi::CallbackInfo& info, size_t index, const char* name) {
  return info.Length() > index && info[index].IsObject() ? info[index].As<Napi::Object>().Get(name) : info.Env().Undefined();
}
std::string text_of(const Napi::Value& value) { return value.IsString() ? value.As<Napi::String>().Utf8Value() : std::string(); }
int32_t number_of(const Napi::Value& value) { return value.IsNumber() ? value.As<Napi::Number>().Int32Value() : -1; }

Napi::Value open_call(const Napi::CallbackInfo& info) {
  const std::string name = text_of(member(info, 0, "kind"));
  const std::string local = text_of(member(info, 0, "local"));
  const TunnelKind kind = name == "gre" ? TunnelKind::kGre : name == "geneve" ? TunnelKind::kGeneve : TunnelKind::kVxlan;
  OpenedReceiver opened;
  if (kind == TunnelKind::kVxlan && name != "vxlan") {
    opened.failure = {EINVAL, "openTunnelReceiver", local, "a tunnel is vxlan, geneve or gre"};
  } else {
    opened = open_tunnel_receiver(kind, local, number_of(member(info, 0, "port")), number_of(member(info, 0, "workers")));
  }
  if (opened.failure) {
    raise(info.Env(), opened.failure);
    return info.Env().Undefined();
  }
  return Napi::Number::New(info.Env(), Registry::get().add(opened.device));
}

/// The receiver behind the handle; null after an Error was raised.
TunnelReceiver* receiver_of(const Napi::CallbackInfo& info, std::shared_ptr<Device>* held) {
  *held = Registry::get().find(number(info, 0));
  TunnelReceiver* const receiver = *held == nullptr ? nullptr : (*held)->as_tunnel_receiver();
  if (receiver == nullptr) raise(info.Env(), {EBADF, "tunnelReceiver", std::to_string(number(info, 0)), "no receiver of tunnels has this handle"});
  return receiver;
}

void change_groups(const Napi::CallbackInfo& info, Failure (TunnelReceiver::*change)(const std::string&, int32_t)) {
  std::shared_ptr<Device> held;
  TunnelReceiver* const receiver = receiver_of(info, &held);
  if (receiver == nullptr) return;
  const Failure failure = (receiver->*change)(text(info, 1), number(info, 2));
  if (failure) raise(info.Env(), failure);
}
void join_call(const Napi::CallbackInfo& info) { change_groups(info, &TunnelReceiver::join); }
void leave_call(const Napi::CallbackInfo& info) { change_groups(info, &TunnelReceiver::leave); }

Napi::Value counts_call(const Napi::CallbackInfo& info) {
  std::shared_ptr<Device> held;
  TunnelReceiver* const receiver = receiver_of(info, &held);
  if (receiver == nullptr) return info.Env().Undefined();
  const ReceiverCounts counts = receiver->counts();
  Napi::Object answer = Napi::Object::New(info.Env());
  answer.Set("datagrams", Napi::Number::New(info.Env(), static_cast<double>(counts.datagrams)));
  answer.Set("messages", Napi::Number::New(info.Env(), static_cast<double>(counts.messages)));
  answer.Set("merged", Napi::Number::New(info.Env(), static_cast<double>(counts.merged)));
  answer.Set("missed", Napi::Number::New(info.Env(), counts.missed));
  return answer;
}

}  // namespace

void export_arrival_calls(Napi::Env env, Napi::Object exports) {
  exports.Set("openTunnelReceiver", Napi::Function::New(env, open_call));
  exports.Set("joinTunnelGroup", Napi::Function::New(env, join_call));
  exports.Set("leaveTunnelGroup", Napi::Function::New(env, leave_call));
  exports.Set("tunnelReceiverCounts", Napi::Function::New(env, counts_call));
}

}  // namespace weft
