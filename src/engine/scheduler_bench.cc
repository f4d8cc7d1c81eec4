// What plan + commit cost per step when the model costs nothing.
//   scheduler_bench
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/clock.h"
#include "engine/scheduler.h"

namespace vsurge::engine {
namespace {

const base::SteadyClock steady;

double median_us(std::vector<base::Nanoseconds>& times) {
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2),
                   times.end());
  return static_cast<double>(times[times.size() / 2]) * 1e-3;
}

// `running` sequences decode with long contexts; nobody arrives or leaves.
double step_us(int running) {
  EngineOptions options;
  options.max_concurrent_decodes = running;
  options.max_concurrent_prefill = running;
  options.max_batched_tokens = std::max(512, 64 * running);
  options.context_max = 4096;
  options.pages = running * 256;
  options.vocabulary = 50'000;
  options.eos_tokens = {2, 3};
  Scheduler scheduler(options);
  for (int i = 0; i < running; ++i) {
    Request request;
    request.prompt.assign(500, 7);
    scheduler.add(static_cast<Ticket>(i + 1), std::move(request));
  }
  StepResult result;
  std::vector<base::Nanoseconds> times;
  for (int step = 0; step < 1000; ++step) {
    const base::Nanoseconds begin = steady.now();
    const StepPlan& plan = scheduler.plan(begin);
    const base::Nanoseconds middle = steady.now();
    result.sequences.clear();
    result.sequences.resize(plan.sequences.size());
    for (SequenceResult& sequence : result.sequences) sequence.token = 77;
    const base::Nanoseconds resume = steady.now();
    (void)scheduler.commit(result);
    // The first steps read the prompts.
    if (step >= 100) times.push_back(steady.now() - resume + middle - begin);
  }
  return median_us(times);
}

void report(const char* what, double us, double must) {
  fmt::print("{:44} {:8.1f} us   limit {:5.0f} us   {}\n", what, us, must,
             us <= must ? "holds" : "FAILS");
}

}  // namespace
}  // namespace vsurge::engine

int main() {
  using namespace vsurge;
  engine::report("plan + commit, 16 running", engine::step_us(16), 15);
  engine::report("plan + commit, 256 running", engine::step_us(256), 60);
  engine::report("plan + commit, 4096 running", engine::step_us(4096), 60 * 16 * 1.3);
  return 0;
}
