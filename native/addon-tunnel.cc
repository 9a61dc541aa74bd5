// What JavaScript sees of tunnels' sockets that send, and of ways: cold calls of the main thread.
#include "call.h"

namespace weft {

void export_tunnel_calls(Napi::Env env, Napi::Object exports) {
  (void)env;
  (void)exports;
}

}  // namespace weft
