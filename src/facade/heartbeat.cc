#include "facade/heartbeat.h"

#include <algorithm>
#include <utility>

namespace vsurge::facade {

Heartbeat::Heartbeat(const FireOptions& fire, server::HttpServer& server,
                     std::function<bool()> engine_moves)
    : on_progress_(fire.on_progress),
      every_(std::chrono::duration_cast<Clock::duration>(
          std::chrono::duration<double>(fire.progress_every_s))),
      server_(server),
      engine_moves_(std::move(engine_moves)),
      due_(Clock::now()) {}

int Heartbeat::wait_ms(int most) const {
  if (!on_progress_) return most;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(due_ - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, most));
}

void Heartbeat::look() {
  const auto now = Clock::now();
  if (!on_progress_ || now < due_) return;
  due_ = now + every_;
  const bool served = server_.beats();
  if (served && engine_moves_()) on_progress_();
}

}  // namespace vsurge::facade
