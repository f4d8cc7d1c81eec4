#include "send_times.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>

#include "base/clock.h"

namespace vsurge::mock {
namespace {

constexpr std::size_t kTimesMax = 1'000'000;

std::atomic<base::Nanoseconds> published{0};
std::atomic<std::uint64_t> sends{0};
std::array<float, kTimesMax> times;  // of the connections' one thread

base::Nanoseconds now() {
  return base::SteadyClock().now();
}

void note_send() {
  const std::uint64_t at = sends.fetch_add(1, std::memory_order_relaxed);
  if (at >= kTimesMax) return;
  const base::Nanoseconds since = now() - published.load(std::memory_order_acquire);
  times[at] = static_cast<float>(since) * 1e-3F;
}

}  // namespace

void TimedSink::publish(std::span<const engine::Event> events) {
  published.store(now(), std::memory_order_release);
  to_.publish(events);
}

SendTimes send_times() {
  SendTimes result;
  result.sends = sends.load();
  const auto count = static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(result.sends, kTimesMax));
  result.micros.assign(times.begin(), times.begin() + count);
  return result;
}

}  // namespace vsurge::mock

// Instead of the C library's, which would be found after the program's own.
extern "C" ssize_t send(int fd, const void* bytes, size_t size, int flags) {
  vsurge::mock::note_send();
  return ::syscall(SYS_sendto, fd, bytes, size, flags, nullptr, 0);
}

extern "C" ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  vsurge::mock::note_send();
  return ::syscall(SYS_sendmsg, fd, message, flags);
}
