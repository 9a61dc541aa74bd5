// Tests of native/guest*.cc without Node: a driver over a memfd plays the guest. Arguments: `rules`, `faults`, `shares`, `fuzz SEED CASES`,
// `scribbles SEED CASES`. Exit code 0 passed, 1 failed. Built with ASan and UBSan by guest.test.ts.
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "guest-rules.h"

namespace {

int run(const Rule* rules) {
  for (; rules->name != nullptr; rules++) {
    // Said only when it fails: whoever runs it expects silence.
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    rules->run();
  }
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  const std::string_view part = count > 1 ? arguments[1] : "rules";
  if (part == "faults") return run(kFaultRules);
  if (part == "shares") return run(kFairRules);
  if (part == "rules") return run(kReceiveRules) | run(kTransmitRules) | run(kRingRules);
  if (count < 4) return 2;
  return run_fuzz(std::strtoull(arguments[2], nullptr, 10), std::strtoull(arguments[3], nullptr, 10), part == "scribbles");
}
