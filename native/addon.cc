// What JavaScript sees of native: cold calls by node-addon-api with checked arguments and friendly errors, the hot call bare.
// State is per environment; the registry is the only thing that environments share.
#include <napi.h>

#include <cstring>
#include <pthread.h>
#include <sched.h>

#include "call.h"
#include "engine.h"
#include "priority.h"
#include "tap.h"

namespace weft {

void raise(Napi::Env env, const Failure& failure) {
  std::string message = std::string(failure.syscall) + " " + failure.subject + ": " + std::strerror(failure.error);
  if (failure.hint != nullptr) message += std::string(" (") + failure.hint + ")";
  Napi::Error error = Napi::Error::New(env, message);
  const char* const code = ::strerrorname_np(failure.error);
  error.Set("code", Napi::String::New(env, code != nullptr ? code : "EUNKNOWN"));
  error.Set("errno", Napi::Number::New(env, failure.error));
  error.Set("syscall", Napi::String::New(env, failure.syscall));
  error.Set("subject", Napi::String::New(env, failure.subject));
  if (failure.hint != nullptr) error.Set("hint", Napi::String::New(env, failure.hint));
  error.ThrowAsJavaScriptException();
}

namespace {

struct Environment {
  std::shared_ptr<Mapping> mapping;
  std::unique_ptr<Engine> engine;
};

Environment& environment(Napi::Env env) { return *env.GetInstanceData<Environment>(); }

Napi::Value abi(const Napi::CallbackInfo& info) {
  Napi::Object values = Napi::Object::New(info.Env());
#define WEFT_ABI_EXPORT(constant, name, value) values.Set(name, Napi::Number::New(info.Env(), constant));
  WEFT_ABI_LIST(WEFT_ABI_EXPORT)
#undef WEFT_ABI_EXPORT
  return values;
}

Napi::Value create_arena(const Napi::CallbackInfo& info) {
  const double bytes = info.Length() > 0 && info[0].IsNumber() ? info[0].As<Napi::Number>().DoubleValue() : 0;
  const bool huge = info.Length() > 1 && info[1].IsBoolean() && info[1].As<Napi::Boolean>().Value();
  bool got_huge = false;
  const bool fits = bytes >= 4096 && bytes <= 2147483647.0;  // no number is neither
  const Failure failure = fits ? Registry::get().create_arena(static_cast<size_t>(bytes), huge, &got_huge)
                               : Failure{EINVAL, "memfd_create", "arena", "an arena has 4 KiB to 2 GiB"};
  if (failure) {
    raise(info.Env(), failure);
    return info.Env().Undefined();
  }
  Napi::Object answer = Napi::Object::New(info.Env());
  answer.Set("huge", Napi::Boolean::New(info.Env(), got_huge));
  return answer;
}

Napi::Value map_arena(const Napi::CallbackInfo& info) {
  Environment& state = environment(info.Env());
  int error = 0;
  if (state.mapping == nullptr) state.mapping = Registry::get().map_arena(&error);
  if (state.mapping == nullptr) {
    raise(info.Env(), {error, "mmap", "arena", error == ENOENT ? "createArena comes first" : nullptr});
    return info.Env().Undefined();
  }
  auto* const keep = new std::shared_ptr<Mapping>(state.mapping);
  return Napi::ArrayBuffer::New(
      info.Env(), state.mapping->at(), state.mapping->bytes(),
      [](Napi::Env, void*, std::shared_ptr<Mapping>* kept) { delete kept; }, keep);
}

Napi::Value open_tap_call(const Napi::CallbackInfo& info) {
  const std::string netns = text(info, 2);
  OpenedTap opened = open_tap(text(info, 0), number(info, 1), netns.empty() ? nullptr : netns.c_str());
  if (opened.failure) {
    raise(info.Env(), opened.failure);
    return info.Env().Undefined();
  }
  Napi::Object answer = Napi::Object::New(info.Env());
  answer.Set("name", opened.device->name);
  answer.Set("created", Napi::Boolean::New(info.Env(), opened.created));
  answer.Set("offloads", Napi::Number::New(info.Env(), opened.device->offloads));
  answer.Set("handle", Napi::Number::New(info.Env(), Registry::get().add(std::move(opened.device))));
  return answer;
}

Napi::Value device_counters_call(const Napi::CallbackInfo& info) {
  const std::string netns = text(info, 0);
  std::string counters;
  const Failure failure = device_counters(netns.empty() ? nullptr : netns.c_str(), &counters);
  if (failure) {
    raise(info.Env(), failure);
    return info.Env().Undefined();
  }
  return Napi::String::New(info.Env(), counters);
}

void persist(const Napi::CallbackInfo& info) {
  const auto device = Registry::get().find(number(info, 0));
  const bool persistent = info.Length() > 1 && info[1].IsBoolean() && info[1].As<Napi::Boolean>().Value();
  const TapDevice* const tap = device == nullptr ? nullptr : device->as_tap();
  const Failure failure = tap == nullptr ? Failure{EBADF, "TUNSETPERSIST", "handle", "the TAP was closed"} : persist_tap(*tap, persistent);
  if (failure) raise(info.Env(), failure);
}

void close_device(const Napi::CallbackInfo& info) {
  if (!Registry::get().remove(number(info, 0))) raise(info.Env(), {EBADF, "close", "handle", "the device was closed before"});
}

Napi::Value devices(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), Registry::get().count()); }

void kick(const Napi::CallbackInfo& info) { Registry::get().kick(number(info, 0)); }

Napi::Value engine_open(const Napi::CallbackInfo& info) {
  Environment& state = environment(info.Env());
  const int32_t index = number(info, 0);
  const std::string io = text(info, 1);
  if (state.mapping == nullptr || state.engine != nullptr || !Slots::fits(*state.mapping, index)) {
    raise(info.Env(), {EINVAL, "engineOpen", "worker", "map an arena with a header first, open once, with an index below its worker count"});
    return info.Env().Undefined();
  }
  state.engine = std::make_unique<Engine>(state.mapping, index);
  int error = 0;
  const Io got = state.engine->open(io == "io_uring" ? Io::kUring : io == "read-write" ? Io::kReadWrite : Io::kNone, &error);
  if (got == Io::kNone) {
    state.engine.reset();
    raise(info.Env(), {error, "engineOpen", "worker", error == EBUSY ? "another thread is this worker" : "this host may forbid io_uring: use io: auto or read-write"});
    return info.Env().Undefined();
  }
  return Napi::Number::New(info.Env(), static_cast<int>(got));
}

Napi::Value ring_error(const Napi::CallbackInfo& info) {
  const auto& engine = environment(info.Env()).engine;
  return Napi::Number::New(info.Env(), engine == nullptr ? 0 : engine->ring_error());
}

void engine_close(const Napi::CallbackInfo& info) { environment(info.Env()).engine.reset(); }

Napi::Value attach_queue(const Napi::CallbackInfo& info) {
  Environment& state = environment(info.Env());
  auto device = Registry::get().find(number(info, 1));
  const int result = state.engine == nullptr ? -EINVAL
                     : device == nullptr     ? -EBADF
                                             : state.engine->attach(number(info, 0), std::move(device), number(info, 2));
  return Napi::Number::New(info.Env(), result);
}

Napi::Value detach_queue(const Napi::CallbackInfo& info) {
  Environment& state = environment(info.Env());
  return Napi::Number::New(info.Env(), state.engine == nullptr ? -EINVAL : state.engine->detach(number(info, 0)));
}

Napi::Value prefer_thread_call(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), prefer_thread()); }

Napi::Value pin(const Napi::CallbackInfo& info) {
  const int32_t cpu = number(info, 0);
  if (cpu < 0 || cpu >= CPU_SETSIZE) return Napi::Number::New(info.Env(), -EINVAL);
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<size_t>(cpu), &set);
  return Napi::Number::New(info.Env(), -::pthread_setaffinity_np(::pthread_self(), sizeof set, &set));
}

void name_thread(const Napi::CallbackInfo& info) { ::pthread_setname_np(::pthread_self(), text(info, 0).substr(0, 15).c_str()); }

/// HOT: no argument, one int back.
napi_value turn(napi_env env, napi_callback_info) {
  void* data = nullptr;
  napi_get_instance_data(env, &data);
  Engine* const engine = static_cast<Environment*>(data)->engine.get();
  napi_value result;
  napi_create_int32(env, engine == nullptr ? -EINVAL : engine->turn(), &result);
  return result;
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new Environment);
  exports.Set("abi", Napi::Function::New(env, abi));
  exports.Set("createArena", Napi::Function::New(env, create_arena));
  exports.Set("mapArena", Napi::Function::New(env, map_arena));
  exports.Set("openTap", Napi::Function::New(env, open_tap_call));
  exports.Set("deviceCounters", Napi::Function::New(env, device_counters_call));
  exports.Set("persistTap", Napi::Function::New(env, persist));
  exports.Set("closeDevice", Napi::Function::New(env, close_device));
  exports.Set("devices", Napi::Function::New(env, devices));
  exports.Set("kick", Napi::Function::New(env, kick));
  exports.Set("engineOpen", Napi::Function::New(env, engine_open));
  exports.Set("ringError", Napi::Function::New(env, ring_error));
  exports.Set("engineClose", Napi::Function::New(env, engine_close));
  exports.Set("attachQueue", Napi::Function::New(env, attach_queue));
  exports.Set("detachQueue", Napi::Function::New(env, detach_queue));
  exports.Set("pin", Napi::Function::New(env, pin));
  exports.Set("preferThread", Napi::Function::New(env, prefer_thread_call));
  exports.Set("nameThread", Napi::Function::New(env, name_thread));
  export_socket_calls(env, exports);
  export_netdev_calls(env, exports);
  export_link_calls(env, exports);
  export_echo_calls(env, exports);
  export_tunnel_calls(env, exports);
  export_arrival_calls(env, exports);
  export_guest_calls(env, exports);
  napi_value hot;
  napi_create_function(env, "turn", NAPI_AUTO_LENGTH, turn, nullptr, &hot);
  exports.Set("turn", Napi::Value(env, hot));
  return exports;
}

}  // namespace
}  // namespace weft

// The macro wants a name in the global namespace.
static Napi::Object init_addon(Napi::Env env, Napi::Object exports) { return weft::init(env, exports); }
NODE_API_MODULE(weft, init_addon)
