#include "api/admin.h"

#include "api/info.h"

namespace vsurge::api {
namespace {

std::string engine_json(const ServiceCore& core) {
  const engine::EngineMetrics metrics = core.engine.metrics();
  return fmt::format(R"({{"status":"{}","paused":{},"draining":{},"running":{},"waiting":{},)"
                     R"("pages_used":{},"pages_total":{},"pages_cached":{}}})",
                     status_word(core), metrics.paused,
                     core.draining.load(std::memory_order_relaxed), metrics.requests_running,
                     metrics.requests_waiting, metrics.pages_used, metrics.pages_total,
                     metrics.pages_cached);
}

}  // namespace

std::string answer_admin(ServiceCore& core, Target target) {
  switch (target) {
    case Target::kEnginePause:
      core.engine.pause_soon();
      break;
    case Target::kEngineDrain:
      core.draining.store(true);
      break;
    case Target::kEngineResume:
      core.draining.store(false);
      core.engine.resume();
      break;
    case Target::kCacheReset:
      core.engine.clear_prefix_cache();
      break;
    default:
      break;
  }
  return engine_json(core);
}

}  // namespace vsurge::api
