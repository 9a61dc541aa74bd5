// A refused system call on its way to JavaScript: which call, on what, why, and what the user can do about it.
#pragma once
#include <string>

namespace weft {

struct Failure {
  int error = 0;  // errno; 0 means no failure
  const char* syscall = "";
  std::string subject;
  const char* hint = nullptr;
  explicit operator bool() const { return error != 0; }
};

}  // namespace weft
