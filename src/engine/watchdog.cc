#include "engine/watchdog.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/log.h"

namespace vsurge::engine {

Watchdog::Watchdog(const std::atomic<base::Nanoseconds>& step_began, const base::Clock& clock,
                   base::Nanoseconds limit, std::string whose)
    : step_began_(step_began), clock_(clock), limit_(limit), whose_(std::move(whose)) {}

void Watchdog::start() {
  if (thread_.joinable()) return;
  stopping_ = false;
  thread_ = std::thread([this] { watch(); });
}

void Watchdog::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Watchdog::watch() {
  constexpr base::Nanoseconds kOften = 1'000'000, kSeldom = 1'000'000'000;
  const std::chrono::nanoseconds pause(std::clamp(limit_ / 4, kOften, kSeldom));
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, pause, [this] { return stopping_; })) look();
}

void Watchdog::look() {
  const base::Nanoseconds began = step_began_.load(std::memory_order_relaxed);
  if (told_ >= 0 && began != told_) {
    base::log_warning("{}the step that was stuck has ended", whose_);
    told_ = -1;
  }
  const base::Nanoseconds age = began < 0 ? 0 : clock_.now() - began;
  if (age <= limit_ || began == told_) return;
  told_ = began;
  stuck_steps_.fetch_add(1, std::memory_order_relaxed);
  base::log_error("{}the engine is stuck: one step has been running for {:.1f} s", whose_,
                  static_cast<double>(age) * 1e-9);
}

}  // namespace vsurge::engine
