// Echo requests for JavaScript: a socket for `watch`, requests, and what came back as plain objects. Cold calls of the main thread.
#include "call.h"
#include "echo.h"

namespace weft {
namespace {

Napi::Value open_echo_call(const Napi::CallbackInfo& info) {
  EchoSocket echo = open_echo(text(info, 0));
  if (echo.failure) {
    raise(info.Env(), echo.failure);
    return info.Env().Undefined();
  }
  return Napi::Number::New(info.Env(), echo.socket.release());
}

uint16_t word(const Napi::CallbackInfo& info, size_t index) { return static_cast<uint16_t>(number(info, index)); }

Napi::Value send_echo_call(const Napi::CallbackInfo& info) {
  const int32_t bytes = number(info, 4);
  const int sent = send_echo(number(info, 0), text(info, 1), word(info, 2), word(info, 3), bytes < 0 ? 0 : static_cast<size_t>(bytes));
  return Napi::Number::New(info.Env(), sent);
}

Napi::Value read_echoes_call(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::vector<EchoNotice> notices;
  read_echoes(number(info, 0), word(info, 1), notices);
  Napi::Array answer = Napi::Array::New(env, notices.size());
  for (uint32_t k = 0; k < notices.size(); k++) {
    Napi::Object object = Napi::Object::New(env);
    object.Set("sequence", Napi::Number::New(env, notices[k].sequence));
    object.Set("error", Napi::Number::New(env, notices[k].error));
    object.Set("mtu", Napi::Number::New(env, notices[k].mtu));
    object.Set("address", Napi::String::New(env, notices[k].address));
    answer.Set(k, object);
  }
  return answer;
}

}  // namespace

void export_echo_calls(Napi::Env env, Napi::Object exports) {
  exports.Set("openEcho", Napi::Function::New(env, open_echo_call));
  exports.Set("sendEcho", Napi::Function::New(env, send_echo_call));
  exports.Set("readEchoes", Napi::Function::New(env, read_echoes_call));
}

}  // namespace weft
