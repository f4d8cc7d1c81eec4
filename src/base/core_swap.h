// A thread that gives its core to another one of this process, which has work but no core.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <ctime>

namespace vsurge::base {

// Where one thread of a pool is found by the others. When a foreign process takes a core, the
// thread there waits for a whole time slice (milliseconds), and with it all that wait for its part.
// The scheduler does not mend that by itself: it leaves threads that ran lately where they are.
// Nothing here binds a thread to a core: affinity masks are narrowed for the length of one call.
class CoreSeat {
 public:
  // The calling thread sits here from now on.
  void take();
  // Its work can be waited for: set while it is inside a region.
  void set_busy(bool busy) { busy_.store(busy, std::memory_order_release); }
  bool busy() const { return busy_.load(std::memory_order_acquire); }

  // True when its thread used no CPU time for some microseconds, in which this looks on.
  bool stands_still() const;
  // Moves its thread, which waits for another core, to the core of the caller, who should then
  // leave that or sleep. False where that cannot be.
  bool bring_here();
  // The same; its thread goes away again by leave_if_brought().
  void bring_here_for_a_while();
  // For the thread itself: to another core that it is allowed, if there is one.
  void leave_core();
  void leave_if_brought();

 private:
  std::atomic<pid_t> thread_{0};
  std::atomic<clockid_t> clock_{0};
  std::atomic<bool> busy_{false};
  std::atomic<bool> brought_{false};
  // While it is moved its mask is narrow, and nobody else may read and restore that.
  std::atomic_flag moving_;
};

}  // namespace vsurge::base
