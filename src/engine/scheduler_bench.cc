// What the engine costs beside the model: plan and commit on a model that takes no time.
//   scheduler_bench --benchmark_format=json
#include <benchmark/benchmark.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "base/clock.h"
#include "engine/scheduler.h"

namespace vsurge::engine {
namespace {

const base::SteadyClock steady;

double seconds_since(base::Nanoseconds begin) {
  return static_cast<double>(steady.now() - begin) * 1e-9;
}

// How fast this core is at this moment: 64-bit multiplications that wait for each other.
void calibration(benchmark::State& state) {
  std::uint64_t value = 1;
  for (auto _ : state) {
    for (int i = 0; i < 1000; ++i) {
      value = value * 6364136223846793005ULL + 1442695040888963407ULL;
      benchmark::DoNotOptimize(value);
    }
  }
}
BENCHMARK(calibration);

EngineOptions options_for(int running) {
  EngineOptions options;
  options.max_concurrent_decodes = running;
  options.max_concurrent_prefill = running;
  options.max_batched_tokens = std::max(512, 64 * running);
  options.context_max = 8192;
  options.pages = running * 512;
  options.vocabulary = 50'000;
  options.eos_tokens = {2, 3};
  return options;
}

// Tokens of one client's prompt; `salt` makes them different from the first on.
std::vector<TokenId> prompt_of(int tokens, int salt) {
  std::vector<TokenId> prompt(static_cast<std::size_t>(tokens));
  std::iota(prompt.begin(), prompt.end(), 10);
  for (TokenId& token : prompt) token = (token + salt * 37) % 40'000 + 10;
  return prompt;
}

Request request_of(std::vector<TokenId> prompt, int answer) {
  Request request;
  request.prompt = std::move(prompt);
  request.sampling.max_tokens = answer;
  return request;
}

// A scheduler whose model answers 77.
struct Bench {
  explicit Bench(const EngineOptions& options) : scheduler(options) {}

  void add(Request request) { scheduler.add(++tickets, std::move(request), 0); }
  const StepResult& run(const StepPlan& plan) {
    result.reset(plan);
    for (kernels::SampleResult& row : result.rows) {
      row.token = 77;
      row.status = kernels::SampleStatus::kOk;
    }
    return result;
  }
  // Seconds of plan and commit, without the model.
  double step() {
    const base::Nanoseconds begin = steady.now();
    const StepPlan& plan = scheduler.plan(begin);
    double time = seconds_since(begin);
    tokens += plan.load.tokens;
    run(plan);
    const base::Nanoseconds resume = steady.now();
    benchmark::DoNotOptimize(scheduler.commit(result, resume));
    time += seconds_since(resume);
    return time;
  }
  void finish() {
    while (!scheduler.idle()) step();
  }

  Scheduler scheduler;
  StepResult result;
  Ticket tickets = 0;
  std::int64_t tokens = 0;
};

// All decode, nobody comes or goes.
void step(benchmark::State& state) {
  const auto running = static_cast<int>(state.range(0));
  Bench bench(options_for(running));
  for (int i = 0; i < running; ++i) bench.add(request_of(prompt_of(200, i), 7000));
  for (int i = 0; i < 10; ++i) bench.step();  // read the prompts
  for (auto _ : state) state.SetIterationTime(bench.step());
}
BENCHMARK(step)->Arg(16)->Arg(256)->Arg(1024)->Arg(4096)->UseManualTime()->Iterations(3000);

// A prompt of 4,096 tokens is admitted while the cache holds 100,000 pages: all of it is found
// there, or nothing.
void admission(benchmark::State& state) {
  const bool hits = state.range(0) != 0;
  constexpr int kPrompts = 400;
  EngineOptions options = options_for(64);
  options.pages = 256 * kPrompts + 2048;
  options.max_batched_tokens = 4096;
  Bench bench(options);
  for (int i = 0; i < kPrompts; ++i) {
    bench.add(request_of(prompt_of(4096, i), 1));
    bench.finish();
  }
  int salt = 0;
  for (auto _ : state) {
    salt = (salt + 7) % kPrompts;
    bench.add(request_of(prompt_of(4096, hits ? salt : salt + 1000), 1));
    const base::Nanoseconds begin = steady.now();
    benchmark::DoNotOptimize(bench.scheduler.plan(begin));
    state.SetIterationTime(seconds_since(begin));
    bench.scheduler.abort_all(FinishReason::kCancelled, {});
    (void)bench.scheduler.flush();
  }
  state.counters["cached_pages"] = bench.scheduler.pool().idle();
}
BENCHMARK(admission)->Arg(1)->Arg(0)->UseManualTime()->Iterations(2000);

// Requests that have nothing in common; seconds of the scheduler per token, with and without cache.
void no_hits(benchmark::State& state) {
  EngineOptions options = options_for(32);
  options.pages = 32 * 128;
  options.prefix_cache = state.range(0) != 0;
  Bench bench(options);
  int salt = 0;
  double time = 0;
  for (auto _ : state) {
    for (int i = 0; i < 32; ++i) bench.add(request_of(prompt_of(512, ++salt), 64));
    while (!bench.scheduler.idle()) time += bench.step();
  }
  state.counters["ns_per_token"] = time * 1e9 / static_cast<double>(bench.tokens);
}
BENCHMARK(no_hits)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);

// Two clients that always have requests waiting, one of them ten times as many: tokens served to
// the one by tokens served to the other, an answered token counted twice.
double service_ratio() {
  constexpr int kOffered[] = {20, 200};
  Bench bench(options_for(8));
  std::unordered_map<Ticket, int> client_of;
  double served[2] = {};
  int alive[2] = {};
  int salt = 0;
  for (int step = 0; step < 4000; ++step) {
    for (const int client : {0, 1}) {
      for (; alive[client] < kOffered[client]; ++alive[client]) {
        ++salt;
        Request request = request_of(prompt_of(20 + 13 * (salt % 9), salt), 10 + salt % 40);
        request.client = client == 0 ? "one" : "ten";
        bench.add(std::move(request));
        client_of[bench.tickets] = client;
      }
    }
    const StepPlan& plan = bench.scheduler.plan(step);
    for (const PlannedSequence& planned : plan.sequences) {
      const auto tokens = static_cast<double>(planned.tokens.size());
      served[client_of[planned.ticket]] += planned.samples ? tokens + 1 : tokens;
    }
    bench.run(plan);
    for (const Event& event : bench.scheduler.commit(bench.result, step)) {
      if (event.is_last) --alive[client_of[event.ticket]];
    }
  }
  return std::max(served[0], served[1]) / std::min(served[0], served[1]);
}

void fairness(benchmark::State& state) {
  double ratio = 0;
  for (auto _ : state) ratio = service_ratio();
  state.counters["service_ratio"] = ratio;
}
BENCHMARK(fairness)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace vsurge::engine

BENCHMARK_MAIN();
