#include "base/core_swap.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <chrono>
#include <optional>

namespace vsurge::base {
namespace {

constexpr std::chrono::microseconds kLook{10};

std::chrono::nanoseconds now_of(clockid_t clock) {
  timespec time{};
  if (::clock_gettime(clock, &time) != 0) return {};
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

// 0 is the calling thread. Nothing on machines with more cores than cpu_set_t holds.
std::optional<cpu_set_t> mask_of(pid_t thread) {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (::sched_getaffinity(thread, sizeof mask, &mask) != 0) return std::nullopt;
  return mask;
}

// Narrowing a mask moves the thread, widening it again does not move it back.
bool move(pid_t thread, const cpu_set_t& where, const cpu_set_t& mask) {
  if (::sched_setaffinity(thread, sizeof where, &where) != 0) return false;
  return ::sched_setaffinity(thread, sizeof mask, &mask) == 0;
}

bool to_core(pid_t thread, int core) {
  const auto mask = mask_of(thread);
  if (!mask || core < 0 || core >= CPU_SETSIZE || !CPU_ISSET(core, &*mask)) return false;
  cpu_set_t here;
  CPU_ZERO(&here);
  CPU_SET(core, &here);
  return move(thread, here, *mask);
}

void off_core(int core) {
  const auto mask = mask_of(0);
  if (!mask || core < 0 || core >= CPU_SETSIZE) return;
  cpu_set_t others = *mask;
  CPU_CLR(core, &others);
  if (CPU_COUNT(&others) > 0) move(0, others, *mask);
}

}  // namespace

void CoreSeat::take() {
  clockid_t clock{};
  if (::pthread_getcpuclockid(::pthread_self(), &clock) != 0) return;
  clock_.store(clock);
  thread_.store(::gettid());
}

bool CoreSeat::stands_still() const {
  if (thread_.load() == 0) return false;
  const clockid_t clock = clock_.load();
  const auto begin = std::chrono::steady_clock::now();
  const auto used = now_of(clock);
  while (std::chrono::steady_clock::now() - begin < kLook) {
  }
  return now_of(clock) - used < kLook / 2;
}

bool CoreSeat::bring_here() {
  const pid_t thread = thread_.load();
  if (thread == 0 || moving_.test_and_set()) return false;
  const bool moved = to_core(thread, ::sched_getcpu());
  moving_.clear();
  return moved;
}

void CoreSeat::bring_here_for_a_while() {
  brought_.store(true);
  if (!bring_here()) brought_.store(false);
}

void CoreSeat::leave_core() {
  if (moving_.test_and_set()) return;
  off_core(::sched_getcpu());
  moving_.clear();
}

void CoreSeat::leave_if_brought() {
  if (brought_.load(std::memory_order_relaxed) && brought_.exchange(false)) leave_core();
}

}  // namespace vsurge::base
