// What JavaScript hears of links: a socket for `watch`, and what came to it as plain objects. Cold calls of the main thread.
#include "call.h"
#include "link-monitor.h"

namespace weft {
namespace {

Hears hears_of(const Napi::CallbackInfo& info, size_t index) {
  const bool numbered = info.Length() > index && info[index].IsBoolean() && info[index].As<Napi::Boolean>().Value();
  return numbered ? Hears::kNumbered : Hears::kOwn;
}

Napi::Value open_link_monitor_call(const Napi::CallbackInfo& info) {
  LinkMonitor monitor = open_link_monitor(hears_of(info, 0));
  if (monitor.failure) {
    raise(info.Env(), monitor.failure);
    return info.Env().Undefined();
  }
  return Napi::Number::New(info.Env(), monitor.socket.release());
}

Napi::Value nsid_of(Napi::Env env, int32_t nsid) { return nsid == kOwnNamespace ? env.Null() : Napi::Number::New(env, nsid); }

Napi::Object object_of(Napi::Env env, const LinkNotice& notice) {
  Napi::Object object = Napi::Object::New(env);
  const bool is_link = notice.of == LinkNotice::Of::kLink;
  object.Set("type", is_link ? "link" : "netns");
  object.Set("nsid", nsid_of(env, notice.nsid));
  object.Set("gone", Napi::Boolean::New(env, notice.gone));
  if (!is_link) return object;
  object.Set("index", Napi::Number::New(env, notice.index));
  object.Set("name", Napi::String::New(env, notice.name));
  object.Set("adminUp", Napi::Boolean::New(env, notice.admin_up));
  object.Set("carrier", Napi::Boolean::New(env, notice.carrier));
  object.Set("mtu", Napi::Number::New(env, notice.mtu));
  return object;
}

Napi::Value read_link_monitor_call(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::vector<LinkNotice> notices;
  const int error = read_link_monitor(number(info, 0), hears_of(info, 1), notices);
  if (error != 0) {
    raise(env, {error, "recvmsg", "NETLINK_ROUTE", error == ENOBUFS ? "more happened at once than it has room for" : nullptr});
    return env.Undefined();
  }
  Napi::Array answer = Napi::Array::New(env, notices.size());
  for (uint32_t k = 0; k < notices.size(); k++) answer.Set(k, object_of(env, notices[k]));
  return answer;
}

}  // namespace

void export_link_calls(Napi::Env env, Napi::Object exports) {
  exports.Set("openLinkMonitor", Napi::Function::New(env, open_link_monitor_call));
  exports.Set("readLinkMonitor", Napi::Function::New(env, read_link_monitor_call));
}

}  // namespace weft
