// A thread for one job at a time, beside the caller's own work.
#pragma once

#include <memory>

namespace vsurge::base {

// Owned and called by one thread. Allocates nothing after construction; sleeps when idle.
class SideThread {
 public:
  // Throws std::system_error when the system has no thread.
  SideThread();
  ~SideThread();  // waits for the job
  SideThread(const SideThread&) = delete;
  SideThread& operator=(const SideThread&) = delete;

  // Runs job(context) on the thread. The one before must have been waited for. It must not throw.
  void start(void (*job)(void*), void* context);
  // Returns when the job is done; what it wrote is visible then. At once when there is none.
  void wait();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vsurge::base
