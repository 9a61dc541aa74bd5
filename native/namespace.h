// Work in another network namespace. A namespace belongs to a thread: a short-lived one enters it, so that Node's own never leaves home.
#pragma once
#include "failure.h"

namespace weft {

/// Calls `errand(argument)` in the network namespace at path `netns`, or on this thread when it is null.
Failure in_namespace(const char* netns, void (*errand)(void*), void* argument);

}  // namespace weft
