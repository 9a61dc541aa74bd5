#include "watch.h"

#include <memory>
#include <sys/types.h>
#include <unistd.h>
#include <uv.h>

#include "call.h"

namespace weft {

namespace {

/// Lives until libuv let go of the handle: after close(), or when its environment ends.
class Watch {
 public:
  /// `self` is where others know it by; null once it is closing.
  Watch(Napi::Env env, Napi::Function callback, std::shared_ptr<Watch*> self)
      : env_(env), callback_(Napi::Persistent(callback)), context_(env, "weft:watch"), self_(std::move(self)) {
    *self_ = this;
  }

  /// 0, or libuv's error; then it is gone or going.
  int start(uv_loop_t* loop, int fd, int events) {
    poll_.data = this;
    const int refused = uv_poll_init(loop, &poll_, fd);
    if (refused != 0) {
      *self_ = nullptr;
      delete this;
      return refused;
    }
    napi_add_async_cleanup_hook(env_, [](napi_async_cleanup_hook_handle, void* self) { static_cast<Watch*>(self)->close(); }, this, &hook_);
    const int failed = uv_poll_start(&poll_, events, &Watch::on_event);
    if (failed != 0) close();
    return failed;
  }

  void close() {
    if (*self_ == nullptr) return;
    *self_ = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(&poll_), [](uv_handle_t* handle) {
      Watch* const self = static_cast<Watch*>(handle->data);
      // The environment lives until the hook is removed, so references go first.
      const napi_async_cleanup_hook_handle hook = self->hook_;
      delete self;
      napi_remove_async_cleanup_hook(hook);
    });
  }

 private:
  /// An error of the descriptor is told as both: the calls that follow find out which.
  static void on_event(uv_poll_t* poll, int status, int events) {
    Watch* const self = static_cast<Watch*>(poll->data);
    Napi::Env env = self->env_;
    const Napi::HandleScope scope(env);
    const bool failed = status < 0;
    const napi_value readable = Napi::Boolean::New(env, failed || (events & (UV_READABLE | UV_DISCONNECT)) != 0);
    const napi_value writable = Napi::Boolean::New(env, failed || (events & UV_WRITABLE) != 0);
    self->callback_.MakeCallback(env.Global(), {readable, writable}, self->context_);
    if (!env.IsExceptionPending()) return;
    // Nobody is above us on the stack: what the callback threw is the process's uncaught exception.
    napi_value thrown;
    napi_get_and_clear_last_exception(env, &thrown);
    napi_fatal_exception(env, thrown);
  }

  Napi::Env env_;
  Napi::FunctionReference callback_;
  Napi::AsyncContext context_;
  uv_poll_t poll_{};
  napi_async_cleanup_hook_handle hook_ = nullptr;
  const std::shared_ptr<Watch*> self_;
};

int events_of(const std::string& name) {
  if (name == "read") return UV_READABLE;
  if (name == "write") return UV_WRITABLE;
  return name == "both" ? UV_READABLE | UV_WRITABLE : 0;
}

}  // namespace

Napi::Value watch(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const int fd = number(info, 0);
  const int events = events_of(text(info, 1));
  const bool is_main = ::gettid() == ::getpid();
  if (fd < 0 || events == 0 || info.Length() < 3 || !info[2].IsFunction() || !is_main) {
    raise(env, {EINVAL, "watch", "fd", is_main ? "give a descriptor, 'read', 'write' or 'both', and a function" : "only the main thread watches"});
    return env.Undefined();
  }
  const auto self = std::make_shared<Watch*>(nullptr);
  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(env, &loop);
  const int failed = (new Watch(env, info[2].As<Napi::Function>(), self))->start(loop, fd, events);
  if (failed != 0) {
    raise(env, {-failed, "uv_poll", "fd", nullptr});
    return env.Undefined();
  }
  Napi::Object answer = Napi::Object::New(env);
  answer.Set("close", Napi::Function::New(env, [self](const Napi::CallbackInfo&) {
               if (*self != nullptr) (*self)->close();
             }));
  return answer;
}

}  // namespace weft
