// What JavaScript sees of tunnels' sockets that send, and of ways: cold calls of the main thread.
#include "call.h"
#include "tunnel-sender.h"
#include "way.h"

namespace weft {
namespace {

bool truth(const Napi::Object& options, const char* name) {
  const Napi::Value value = options.Get(name);
  return value.IsBoolean() && value.As<Napi::Boolean>().Value();
}

int32_t number_of(const Napi::Object& options, const char* name) {
  const Napi::Value value = options.Get(name);
  return value.IsNumber() ? value.As<Napi::Number>().Int32Value() : -1;
}

std::string text_in(const Napi::Object& options, const char* name) {
  const Napi::Value value = options.Get(name);
  return value.IsString() ? value.As<Napi::String>().Utf8Value() : std::string();
}

uint32_t index_of(int32_t scope) { return scope > 0 ? static_cast<uint32_t>(scope) : 0; }

Napi::Value open_sender(const Napi::CallbackInfo& info) {
  SenderOptions options;
  if (info.Length() > 0 && info[0].IsObject()) {
    const Napi::Object given = info[0].As<Napi::Object>();
    options.gre = text_in(given, "kind") == "gre";
    options.local = parse_address(text_in(given, "local"));
    options.workers = number_of(given, "workers");
    options.df = truth(given, "df");
    options.checksum = truth(given, "checksum");
    options.scope = index_of(number_of(given, "scope"));
  }
  OpenedSender opened = open_tunnel_sender(options);
  if (opened.failure) {
    raise(info.Env(), opened.failure);
    return info.Env().Undefined();
  }
  return Napi::Number::New(info.Env(), Registry::get().add(std::move(opened.device)));
}

/// Null when the handle is none of a sender; then it was said so.
std::shared_ptr<TunnelSender> sender_of(const Napi::CallbackInfo& info, const char* call) {
  const auto device = Registry::get().find(number(info, 0));
  TunnelSender* const sender = device == nullptr ? nullptr : device->as_tunnel_sender();
  if (sender == nullptr) raise(info.Env(), {EBADF, call, "handle", "the sender was closed"});
  return {device, sender};
}

Napi::Value sender_counts(const Napi::CallbackInfo& info) {
  const auto sender = sender_of(info, "tunnelSenderCounts");
  if (sender == nullptr) return info.Env().Undefined();
  double datagrams = 0, messages = 0;
  for (const auto& pool : sender->pools) {
    datagrams += static_cast<double>(pool->counts.datagrams.load(std::memory_order_relaxed));
    messages += static_cast<double>(pool->counts.messages.load(std::memory_order_relaxed));
  }
  Napi::Object answer = Napi::Object::New(info.Env());
  answer.Set("datagrams", Napi::Number::New(info.Env(), datagrams));
  answer.Set("messages", Napi::Number::New(info.Env(), messages));
  answer.Set("errors", Napi::Number::New(info.Env(), static_cast<double>(sender->troubles.total())));
  return answer;
}

Napi::Value troubles(const Napi::CallbackInfo& info) {
  const auto sender = sender_of(info, "tunnelTroubles");
  if (sender == nullptr) return info.Env().Undefined();
  Napi::Array rows = Napi::Array::New(info.Env());
  for (const TunnelTrouble& trouble : sender->take_troubles()) {
    Napi::Object row = Napi::Object::New(info.Env());
    row.Set("address", text_of(trouble.address));
    row.Set("errno", Napi::Number::New(info.Env(), trouble.error));
    row.Set("mtu", Napi::Number::New(info.Env(), trouble.mtu));
    row.Set("count", Napi::Number::New(info.Env(), trouble.count));
    rows.Set(rows.Length(), row);
  }
  return rows;
}

Napi::Value way(const Napi::CallbackInfo& info) {
  const Address local = parse_address(text(info, 0)), remote = parse_address(text(info, 1));
  if (local.family == 0 || local.family != remote.family) {
    raise(info.Env(), {EINVAL, "connect", text(info, 1), "two addresses of one family"});
    return info.Env().Undefined();
  }
  const Way found = way_to(local, remote, index_of(number(info, 2)));
  Napi::Object answer = Napi::Object::New(info.Env());
  answer.Set("error", Napi::Number::New(info.Env(), found.error));
  answer.Set("mtu", Napi::Number::New(info.Env(), found.mtu));
  answer.Set("device", Napi::Number::New(info.Env(), found.device));
  return answer;
}

}  // namespace

void export_tunnel_calls(Napi::Env env, Napi::Object exports) {
  exports.Set("openTunnelSender", Napi::Function::New(env, open_sender));
  exports.Set("tunnelSenderCounts", Napi::Function::New(env, sender_counts));
  exports.Set("tunnelTroubles", Napi::Function::New(env, troubles));
  exports.Set("wayTo", Napi::Function::New(env, way));
}

}  // namespace weft
