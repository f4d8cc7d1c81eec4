#include "api/stats_line.h"

#include <algorithm>
#include <vector>

#include "base/log.h"

namespace vsurge::api {

void StatsLine::log(const ServiceHub& hub) {
  const auto models = hub.models.list();
  const bool several = models->size() > 1;
  std::erase_if(last_, [&](const auto& last) {
    return std::ranges::none_of(*models, [&](const auto& model) { return model.has(last.first); });
  });
  for (const ModelEntry& model : *models) {
    if (model.core == nullptr) continue;
    log_model(hub, *model.core, several ? model.core->metrics->counts() : hub.metrics.counts(),
              several);
  }
}

void StatsLine::log_model(const ServiceHub& hub, const ServiceCore& core, const RequestCounts& r,
                          bool named) {
  const engine::EngineMetrics m = core.engine.metrics();
  const Counts now{.time = hub.clock.now(),
                   .steps = m.steps,
                   .prompt_tokens = m.prompt_tokens,
                   .generation_tokens = m.generation_tokens,
                   .prefix_queries = m.prefix_queries,
                   .prefix_hits = m.prefix_hits,
                   .preemptions = m.preemptions,
                   .requests = r.requests,
                   .failures = r.requests - r.successes};
  const Counts then = std::exchange(last_[core.name()], now);
  if (now.steps == then.steps && m.requests_running + m.requests_waiting == 0) return;
  const base::Nanoseconds began = then.time == 0 ? hub.started : then.time;
  const double seconds = 1e-9 * static_cast<double>(now.time - began);
  const auto share = [](double part, double whole) { return whole > 0 ? part / whole : 0; };
  const auto rate = [&](std::uint64_t Counts::* count) {
    return share(static_cast<double>(now.*count - then.*count), seconds);
  };
  const auto added = [&](std::uint64_t Counts::* count) {
    return static_cast<std::int64_t>(now.*count - then.*count);
  };
  std::vector<base::LogField> fields = {
      {"running", std::int64_t{m.requests_running}},
      {"waiting", std::int64_t{m.requests_waiting}},
      {"prompt_tokens_per_s", rate(&Counts::prompt_tokens)},
      {"generation_tokens_per_s", rate(&Counts::generation_tokens)},
      {"kv_usage", share(m.pages_used, m.pages_total)},
      {"prefix_hit_rate", share(static_cast<double>(added(&Counts::prefix_hits)),
                                static_cast<double>(added(&Counts::prefix_queries)))},
      {"preemptions", added(&Counts::preemptions)},
      {"requests", added(&Counts::requests)},
      {"failures", added(&Counts::failures)},
  };
  if (named) fields.insert(fields.begin(), {"model", core.name()});
  base::log_event(spdlog::level::info, "stats", fields);
}

}  // namespace vsurge::api
