// What every call from JavaScript has in common: reading arguments without trust, and refusing with an Error that a person can use.
// Included by the files that export calls; knows nothing of what they do.
#pragma once
#include <napi.h>

#include <string>

#include "failure.h"

namespace weft {

/// Throws in JavaScript: an Error with `code`, `errno`, `syscall`, `subject` and, where there is one, `hint`.
void raise(Napi::Env env, const Failure& failure);

/// The argument at `index`; −1 when it is no number.
inline int32_t number(const Napi::CallbackInfo& info, size_t index) {
  return info.Length() > index && info[index].IsNumber() ? info[index].As<Napi::Number>().Int32Value() : -1;
}

/// The argument at `index`; empty when it is no string.
inline std::string text(const Napi::CallbackInfo& info, size_t index) {
  return info.Length() > index && info[index].IsString() ? info[index].As<Napi::String>().Utf8Value() : std::string();
}

/// addon-socket.cc: unix sockets, messages with descriptors, watches.
void export_socket_calls(Napi::Env env, Napi::Object exports);
/// addon-netdev.cc: interfaces that exist already.
void export_netdev_calls(Napi::Env env, Napi::Object exports);
/// addon-echo.cc: echo requests, by which a path's MTU is found.
void export_echo_calls(Napi::Env env, Napi::Object exports);
/// addon-link.cc: what happens to links.
void export_link_calls(Napi::Env env, Napi::Object exports);
/// addon-tunnel.cc: tunnels' sockets that send, and ways; addon-arrival.cc: those that receive.
void export_tunnel_calls(Napi::Env env, Napi::Object exports);
void export_arrival_calls(Napi::Env env, Napi::Object exports);
/// addon-guest.cc: memory and rings of guests.
void export_guest_calls(Napi::Env env, Napi::Object exports);

}  // namespace weft
