#include "namespace.h"

#include <pthread.h>
#include <sched.h>

#include "descriptor.h"

namespace weft {

namespace {

struct Trip {
  const char* netns;
  void (*errand)(void*);
  void* argument;
  Failure failure;
};

void* travel(void* argument) {
  Trip& trip = *static_cast<Trip*>(argument);
  const Descriptor space = Descriptor::open(trip.netns, O_RDONLY);
  if (!space.valid()) {
    trip.failure = {errno, "open", trip.netns, "there is no such network namespace: make it with ip netns add"};
  } else if (::setns(space.get(), CLONE_NEWNET) < 0) {
    trip.failure = {errno, "setns", trip.netns, "entering a network namespace needs CAP_SYS_ADMIN: run as root"};
  } else {
    trip.errand(trip.argument);
  }
  return nullptr;
}

}  // namespace

Failure in_namespace(const char* netns, void (*errand)(void*), void* argument) {
  if (netns == nullptr) {
    errand(argument);
    return {};
  }
  Trip trip{netns, errand, argument, {}};
  pthread_t thread;
  const int error = ::pthread_create(&thread, nullptr, travel, &trip);
  if (error != 0) return {error, "pthread_create", netns, nullptr};
  ::pthread_join(thread, nullptr);
  return trip.failure;
}

}  // namespace weft
