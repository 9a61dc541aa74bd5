// What JavaScript sees of unix sockets: cold calls of the main thread. Frames never pass here.
#include <sys/socket.h>

#include "call.h"
#include "local-socket.h"
#include "socket-device.h"
#include "watch.h"

namespace weft {
namespace {

/// What a program's standard streams have is not ours to close.
constexpr int32_t kFirstOwn = 3;

/// SOCK_STREAM, SOCK_DGRAM, or 0.
int type_of(const Napi::CallbackInfo& info, size_t index) {
  const std::string name = text(info, index);
  return name == "stream" ? SOCK_STREAM : name == "dgram" ? SOCK_DGRAM : 0;
}

Napi::Value socket_by(const Napi::CallbackInfo& info, LocalSocket (*make)(const std::string&, int)) {
  const std::string path = text(info, 0);
  const int type = type_of(info, 1);
  LocalSocket made = type == 0 ? LocalSocket{{EINVAL, "socket", path, "a socket is a stream or a dgram"}, Descriptor()} : make(path, type);
  if (made.failure) {
    raise(info.Env(), made.failure);
    return info.Env().Undefined();
  }
  return Napi::Number::New(info.Env(), made.socket.release());
}

Napi::Value listen_unix(const Napi::CallbackInfo& info) { return socket_by(info, listen_local); }
Napi::Value connect_unix(const Napi::CallbackInfo& info) { return socket_by(info, connect_local); }
Napi::Value accept_unix(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), accept_local(number(info, 0))); }

Napi::Value receive_message_call(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const int32_t max = number(info, 1);
  if (max < 1 || max > kMessageBytesMax) {
    raise(env, {EINVAL, "recvmsg", "fd", "a message has 1 byte to 1 MiB"});
    return env.Undefined();
  }
  Message message = receive_message(number(info, 0), static_cast<size_t>(max));
  if (message.error == EAGAIN) return env.Null();
  if (message.error != 0) {
    raise(env, {message.error, "recvmsg", "fd", message.error == EMSGSIZE ? "more bytes or descriptors than one message may bring" : nullptr});
    return env.Undefined();
  }
  Napi::Array descriptors = Napi::Array::New(env, message.descriptors.size());
  for (uint32_t k = 0; k < message.descriptors.size(); k++) descriptors.Set(k, Napi::Number::New(env, message.descriptors[k].release()));
  Napi::Object answer = Napi::Object::New(env);
  answer.Set("data", Napi::Buffer<uint8_t>::Copy(env, message.data.data(), message.data.size()));
  answer.Set("descriptors", descriptors);
  return answer;
}

/// The numbers in the array at `index`; −1 when it is none, has too many, or holds what can't be a descriptor.
int32_t descriptors_of(const Napi::CallbackInfo& info, size_t index, int* out) {
  if (info.Length() <= index || !info[index].IsArray()) return -1;
  const Napi::Array array = info[index].As<Napi::Array>();
  if (array.Length() > kDescriptorsMax) return -1;
  for (uint32_t k = 0; k < array.Length(); k++) {
    const Napi::Value value = array.Get(k);
    out[k] = value.IsNumber() ? value.As<Napi::Number>().Int32Value() : -1;
    if (out[k] < 0) return -1;
  }
  return static_cast<int32_t>(array.Length());
}

Napi::Value send_message_call(const Napi::CallbackInfo& info) {
  int descriptors[kDescriptorsMax];
  const int32_t count = descriptors_of(info, 2, descriptors);
  if (count < 0 || !info[1].IsTypedArray() || info[1].As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    return Napi::Number::New(info.Env(), -EINVAL);
  }
  const auto data = info[1].As<Napi::Uint8Array>();
  const int64_t sent = send_message(number(info, 0), data.Data(), data.ByteLength(), descriptors, static_cast<size_t>(count));
  return Napi::Number::New(info.Env(), static_cast<double>(sent));
}

/// SO_PEERCRED, unix(7): as of connect or listen. Another namespace's process has no number here.
Napi::Value peer_of(const Napi::CallbackInfo& info) {
  ucred peer{};
  socklen_t bytes = sizeof peer;
  if (::getsockopt(number(info, 0), SOL_SOCKET, SO_PEERCRED, &peer, &bytes) < 0 || peer.uid == static_cast<uid_t>(-1)) return info.Env().Null();
  Napi::Object answer = Napi::Object::New(info.Env());
  answer.Set("pid", Napi::Number::New(info.Env(), peer.pid));
  answer.Set("uid", Napi::Number::New(info.Env(), peer.uid));
  return answer;
}

void close_descriptor(const Napi::CallbackInfo& info) {
  const int32_t fd = number(info, 0);
  if (fd < kFirstOwn || ::close(fd) < 0) raise(info.Env(), {EBADF, "close", "fd", "it is closed, or none of ours"});
}

Napi::Value connect_to_call(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), connect_to(number(info, 0), text(info, 1)));
}

Napi::Value open_socket_call(const Napi::CallbackInfo& info) {
  OpenedSocket opened = open_socket(number(info, 0), number(info, 1));
  if (opened.failure) {
    raise(info.Env(), opened.failure);
    return info.Env().Undefined();
  }
  Napi::Object answer = Napi::Object::New(info.Env());
  answer.Set("ended", Napi::Number::New(info.Env(), opened.device->ended.get()));
  answer.Set("handle", Napi::Number::New(info.Env(), Registry::get().add(std::move(opened.device))));
  return answer;
}

Napi::Value socket_state(const Napi::CallbackInfo& info) {
  const auto device = Registry::get().find(number(info, 0));
  const SocketDevice* const socket = device == nullptr ? nullptr : device->as_socket();
  if (socket == nullptr) {
    raise(info.Env(), {EBADF, "socketState", "handle", "the socket was closed"});
    return info.Env().Undefined();
  }
  Napi::Object answer = Napi::Object::New(info.Env());
  answer.Set("end", Napi::Number::New(info.Env(), socket->why.load()));
  answer.Set("full", Napi::Number::New(info.Env(), socket->full.load()));
  return answer;
}

}  // namespace

void export_socket_calls(Napi::Env env, Napi::Object exports) {
  exports.Set("listenUnix", Napi::Function::New(env, listen_unix));
  exports.Set("connectUnix", Napi::Function::New(env, connect_unix));
  exports.Set("acceptUnix", Napi::Function::New(env, accept_unix));
  exports.Set("receiveMessage", Napi::Function::New(env, receive_message_call));
  exports.Set("sendMessage", Napi::Function::New(env, send_message_call));
  exports.Set("peerOf", Napi::Function::New(env, peer_of));
  exports.Set("closeDescriptor", Napi::Function::New(env, close_descriptor));
  exports.Set("connectTo", Napi::Function::New(env, connect_to_call));
  exports.Set("openSocket", Napi::Function::New(env, open_socket_call));
  exports.Set("socketState", Napi::Function::New(env, socket_state));
  exports.Set("watch", Napi::Function::New(env, watch));
}

}  // namespace weft
