// Tells whoever wants to know that the server makes progress, and is silent while it does not.
#pragma once

#include <chrono>
#include <functional>

#include "server/http_server.h"
#include "vsurge/api_server.h"

namespace vsurge::facade {

class Heartbeat {
 public:
  // engine_moves: whether the engine is neither stuck nor failed. One thread.
  Heartbeat(const FireOptions& fire, server::HttpServer& server,
            std::function<bool()> engine_moves);

  // Until look() is due, at most that long.
  int wait_ms(int most) const;
  // When it is due: calls on_progress, if every thread of the server has run a task since the last
  // time and the engine moves.
  void look();

 private:
  using Clock = std::chrono::steady_clock;

  const std::function<void()> on_progress_;
  const Clock::duration every_;
  server::HttpServer& server_;
  const std::function<bool()> engine_moves_;
  Clock::time_point due_;
};

}  // namespace vsurge::facade
