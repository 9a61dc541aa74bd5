// What JavaScript sees of tunnels' sockets that receive: cold calls of the main thread.
#include "call.h"

namespace weft {

void export_arrival_calls(Napi::Env env, Napi::Object exports) {
  (void)env;
  (void)exports;
}

}  // namespace weft
