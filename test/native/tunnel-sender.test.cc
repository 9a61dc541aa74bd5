// Tests of native/tunnel-*.cc that send, without Node: real sockets on the loopback of a namespace that this process makes for itself.
// Arguments: `rules`, `sets`, `troubles`. Exit code 0 passed, 1 failed, 77 when it may make no namespace. Built with ASan and UBSan.
#include <string_view>

#include "tunnel-rig.h"

namespace {
/// The rule that is being tried, named where it ends the program.
const char* running = nullptr;
void tell() {
  if (running != nullptr) std::printf("in rule: %s\n", running);
}
}  // namespace

int main(int count, char** arguments) {
  const std::string_view part = count > 1 ? arguments[1] : "rules";
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  if (!rig::enter_namespace()) return 77;
  const rig::Rule* rule = part == "troubles" ? rig::kTroubleRules : part == "sets" ? rig::kSetRules : rig::kSenderRules;
  std::atexit(tell);
  for (; rule->name != nullptr; rule++) {
    running = rule->name;
    rule->run();
  }
  running = nullptr;
  return 0;
}
