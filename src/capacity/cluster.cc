#include "capacity/cluster.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <queue>
#include <utility>

#include "capacity/replica.h"
#include "kernels/sample.h"

namespace vsurge::capacity {
namespace {

using base::Nanoseconds;

constexpr double kNs = 1e9;

// Times between tokens are many: they are counted in bins of one percent, from a microsecond on.
class LogHistogram {
 public:
  void add(double seconds) {
    const double place = std::log(std::max(seconds, kLeast) / kLeast) / kStep;
    ++counts_[std::min(static_cast<std::size_t>(place), counts_.size() - 1)];
    ++total_;
  }
  double quantile(double share) const {
    const auto wanted = static_cast<std::uint64_t>(share * static_cast<double>(total_));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen > wanted) return kLeast * std::exp(kStep * (static_cast<double>(i) + 0.5));
    }
    return 0;
  }
  Percentiles percentiles() const { return {quantile(0.5), quantile(0.9), quantile(0.99)}; }

 private:
  static constexpr double kLeast = 1e-6;
  static constexpr double kStep = 0.01;
  std::array<std::uint64_t, 2800> counts_{};  // up to exp(28) microseconds
  std::uint64_t total_ = 0;
};

Percentiles percentiles_of(std::vector<double> values) {
  if (values.empty()) return {};
  std::ranges::sort(values);
  const auto at = [&](double share) {
    const auto place = static_cast<std::size_t>(share * static_cast<double>(values.size()));
    return values[std::min(place, values.size() - 1)];
  };
  return {at(0.5), at(0.9), at(0.99)};
}

class Simulation {
 public:
  Simulation(const Trace& trace, const ClusterOptions& options)
      : trace_(trace),
        options_(options),
        router_(options.routing, options.replicas, costs_of(options.engine.cost),
                blocks_max(trace, options.engine)),
        replicas_(static_cast<std::size_t>(options.replicas)),
        open_(trace.requests.size()) {}

  Outcome run();

 private:
  struct Open {
    int replica = 0;
    int tokens = 0;
    Nanoseconds arrival = 0;
    Nanoseconds first = 0;
    Nanoseconds last = 0;
  };
  using StepEnd = std::pair<Nanoseconds, int>;

  static RouterCosts costs_of(const engine::StepCost& cost);
  static std::size_t blocks_max(const Trace& trace, const engine::EngineOptions& engine);
  void arrive(std::size_t index, Nanoseconds now);
  engine::Request request_of(std::size_t index) const;
  void begin(int replica, Nanoseconds now);
  void end_step(int replica);
  void take(const engine::Event& event, Nanoseconds now);
  void finish(const Open& open, Nanoseconds now);
  Replica& replica_at(int index);

  const Trace& trace_;
  const ClusterOptions& options_;
  Router router_;
  std::vector<std::unique_ptr<Replica>> replicas_;  // made when the first request comes
  std::vector<Open> open_;
  std::priority_queue<StepEnd, std::vector<StepEnd>, std::greater<>> steps_;
  Outcome outcome_;
  Nanoseconds last_end_ = 0;
  std::vector<double> first_tokens_;
  std::vector<double> requests_;
  LogHistogram between_;
};

RouterCosts Simulation::costs_of(const engine::StepCost& cost) {
  constexpr int kChunk = 256;
  return {.prompt_token = cost.predict_ns({.tokens = kChunk, .rows = 1}) / kChunk,
          .step = cost.predict_ns({.tokens = 1, .rows = 1})};
}

std::size_t Simulation::blocks_max(const Trace& trace, const engine::EngineOptions& engine) {
  const std::int64_t tokens = std::int64_t{engine.pages} * engine.page_size;
  return static_cast<std::size_t>(std::max<std::int64_t>(1, tokens / trace.block_tokens));
}

Replica& Simulation::replica_at(int index) {
  std::unique_ptr<Replica>& replica = replicas_[static_cast<std::size_t>(index)];
  if (!replica) replica = std::make_unique<Replica>(options_.engine);
  return *replica;
}

// Its tokens are made of its blocks, and where the trace names none, of its number.
engine::Request Simulation::request_of(std::size_t index) const {
  const TraceRequest& from = trace_.requests[index];
  const int context = engine::sequence_tokens_max(options_.engine);
  const int prompt = std::min(from.prompt_tokens, context - from.answer_tokens);
  const auto blocks = trace_.blocks_of(from);
  engine::Request request;
  request.prompt.reserve(static_cast<std::size_t>(prompt));
  for (int i = 0; i < prompt; ++i) {
    const auto block = static_cast<std::size_t>(i / trace_.block_tokens);
    const std::uint64_t salt =
        block < blocks.size() ? blocks[block] * 2 : static_cast<std::uint64_t>(index) * 2 + 1;
    const std::uint64_t hash = kernels::random_bits(salt, static_cast<std::uint64_t>(i));
    request.prompt.push_back(static_cast<engine::TokenId>(
        hash % static_cast<std::uint64_t>(options_.engine.vocabulary)));
  }
  request.sampling.temperature = 0;
  request.sampling.ignore_eos = true;
  request.sampling.max_tokens = from.answer_tokens;
  return request;
}

void Simulation::arrive(std::size_t index, Nanoseconds now) {
  const TraceRequest& from = trace_.requests[index];
  const int context = engine::sequence_tokens_max(options_.engine);
  const bool fits = from.prompt_tokens + from.answer_tokens <= context;
  if (!fits && (!options_.clip_long || from.answer_tokens >= context)) {
    ++outcome_.too_long;
    return;
  }
  engine::Request request = request_of(index);
  const int prompt = static_cast<int>(request.prompt.size());
  auto blocks = trace_.blocks_of(from);
  const auto whole =
      static_cast<std::size_t>((prompt + trace_.block_tokens - 1) / trace_.block_tokens);
  blocks = blocks.first(std::min(blocks.size(), whole));
  const int replica = router_.route(blocks, trace_.block_tokens, prompt);
  if (!replica_at(replica).submit(index + 1, std::move(request), now)) {
    router_.refused(replica, prompt);
    ++outcome_.refused;
    return;
  }
  open_[index] = {.replica = replica, .arrival = now};
  outcome_.prompt_tokens += prompt;
  begin(replica, now);
}

void Simulation::begin(int replica, Nanoseconds now) {
  Replica& one = replica_at(replica);
  if (one.begin_step(now)) steps_.emplace(one.step_end(), replica);
}

void Simulation::end_step(int replica) {
  Replica& one = replica_at(replica);
  const Nanoseconds now = one.step_end();
  for (const engine::Event& event : one.end_step()) take(event, now);
  begin(replica, now);
}

void Simulation::take(const engine::Event& event, Nanoseconds now) {
  Open& open = open_[event.ticket - 1];
  if (event.is_end()) {
    if (event.reason != engine::FinishReason::kError) return finish(open, now);
    if (open.tokens == 0) router_.read(open.replica, event.usage.prompt_tokens);
    router_.ended(open.replica);
    ++outcome_.refused;
    return;
  }
  if (open.tokens++ == 0) {
    open.first = now;
    first_tokens_.push_back(static_cast<double>(now - open.arrival) / kNs);
    router_.read(open.replica, event.usage.prompt_tokens);
  } else {
    between_.add(static_cast<double>(now - open.last) / kNs);
  }
  open.last = now;
  ++outcome_.answer_tokens;
}

void Simulation::finish(const Open& open, Nanoseconds now) {
  router_.ended(open.replica);
  ++outcome_.finished;
  last_end_ = std::max(last_end_, now);
  requests_.push_back(static_cast<double>(now - open.arrival) / kNs);
  const double first = static_cast<double>(open.first - open.arrival) / kNs;
  const double token =
      open.tokens > 1 ? static_cast<double>(open.last - open.first) / kNs / (open.tokens - 1) : 0;
  const Objective& objective = options_.objective;
  const bool first_holds = objective.first_token <= 0 || first <= objective.first_token;
  const bool token_holds = objective.token <= 0 || token <= objective.token;
  outcome_.attained += first_holds && token_holds ? 1 : 0;
}

Outcome Simulation::run() {
  constexpr std::size_t kProgressEvery = 1000;
  const auto& requests = trace_.requests;
  outcome_.requests = requests.size();
  for (std::size_t next = 0; next < requests.size() || !steps_.empty();) {
    const auto time_of = [&](const TraceRequest& request) {
      return std::llround(std::min(request.arrival * options_.time_scale * kNs, 1.0 * kEndOfTime));
    };
    const Nanoseconds arrival =
        next < requests.size() ? time_of(requests[next]) : std::numeric_limits<Nanoseconds>::max();
    if (steps_.empty() || arrival <= steps_.top().first) {
      arrive(next++, arrival);
      if (options_.progress && next % kProgressEvery == 0) options_.progress(next);
    } else {
      const int replica = steps_.top().second;
      steps_.pop();
      end_step(replica);
    }
  }
  std::uint64_t queries = 0, hits = 0;
  for (const auto& replica : replicas_) {
    if (!replica) continue;
    const engine::EngineMetrics& metrics = replica->metrics();
    queries += metrics.prefix_queries;
    hits += metrics.prefix_hits;
    outcome_.preemptions += metrics.preemptions;
    outcome_.steps += metrics.steps;
  }
  outcome_.cache_hits = queries == 0 ? 0 : static_cast<double>(hits) / static_cast<double>(queries);
  outcome_.duration = static_cast<double>(last_end_) / kNs;
  outcome_.first_token = percentiles_of(std::move(first_tokens_));
  outcome_.request = percentiles_of(std::move(requests_));
  outcome_.token = between_.percentiles();
  return outcome_;
}

}  // namespace

Outcome simulate(const Trace& trace, const ClusterOptions& options) {
  return Simulation(trace, options).run();
}

}  // namespace vsurge::capacity
