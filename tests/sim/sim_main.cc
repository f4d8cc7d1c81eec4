// Simulates from seeds until so many steps are done, or a fault is found; then prints the least
// scenario that still has a fault.
//   vsurge_sim [--seed N] [--steps N] [--seeds N] [--no-shrink]
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstring>
#include <optional>
#include <string_view>

#include "tests/sim/shrink.h"
#include "tests/sim/simulation.h"

namespace vsurge::engine::sim {
namespace {

struct Arguments {
  std::uint64_t seed = 1;
  std::uint64_t steps = 1'000'000;
  std::uint64_t seeds = UINT64_MAX;
  bool shrinks = true;
};

std::optional<Arguments> parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--no-shrink") {
      arguments.shrinks = false;
      continue;
    }
    std::uint64_t* number = name == "--seed"    ? &arguments.seed
                            : name == "--steps" ? &arguments.steps
                            : name == "--seeds" ? &arguments.seeds
                                                : nullptr;
    if (number == nullptr || ++i == argc) return std::nullopt;
    const char* end = argv[i] + std::strlen(argv[i]);
    if (std::from_chars(argv[i], end, *number).ptr != end) return std::nullopt;
  }
  return arguments;
}

// The seed of the run in hand, told to the parent before each: it may die.
struct Progress {
  std::uint64_t seed = 0;
  bool done = false;
};

void print_summary(const Seen& seen, std::uint64_t runs, double seconds) {
  fmt::print("{} runs, {} steps, {} requests, {} tokens computed; {:.0f} steps/s\n", runs,
             seen.steps, seen.requests, seen.tokens, static_cast<double>(seen.steps) / seconds);
  for (std::size_t i = 0; i < kSituations; ++i) {
    const auto situation = static_cast<Situation>(i);
    fmt::print("  {:>10}  {}\n", seen.count(situation), name_of(situation));
  }
}

int run_all(const Arguments& arguments, int to_parent) {
  const auto begin = std::chrono::steady_clock::now();
  Seen seen;
  Progress progress{arguments.seed, false};
  for (; seen.steps < arguments.steps && progress.seed - arguments.seed < arguments.seeds;
       ++progress.seed) {
    if (write(to_parent, &progress, sizeof progress) != sizeof progress) return 3;
    const std::string fault = run_scenario(draw_scenario(progress.seed), &seen);
    if (fault.empty()) continue;
    fmt::print("seed {}: {}\n", progress.seed, fault);
    return 1;
  }
  const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
  print_summary(seen, progress.seed - arguments.seed, time.count());
  return 0;
}

void print_shrunk(std::uint64_t seed) {
  const Scenario whole = draw_scenario(seed);
  const std::string fault = fault_apart(whole);
  if (fault.empty()) return;
  const Scenario least =
      shrink(whole, [&fault](const Scenario& s) { return same_fault(fault_apart(s), fault); });
  fmt::print("\n{} events of {}:\n{}", least.ops.size(), whole.ops.size(), describe(least));
  std::fflush(stdout);
  // Says what it finds, and dies of it where that is a CHECK.
  fmt::print("{}\n", run_scenario(least));
}

int main_of(int argc, char** argv) {
  const std::optional<Arguments> arguments = parse(argc, argv);
  if (!arguments) {
    fmt::print(stderr, "usage: vsurge_sim [--seed N] [--steps N] [--seeds N] [--no-shrink]\n");
    return 2;
  }
  int pipe_ends[2];
  if (pipe(pipe_ends) != 0) return 3;
  const pid_t child = fork();
  if (child == 0) {
    close(pipe_ends[0]);
    const int status = run_all(*arguments, pipe_ends[1]);
    std::fflush(stdout);
    _exit(status);
  }
  close(pipe_ends[1]);
  Progress progress;
  Progress last;
  while (read(pipe_ends[0], &progress, sizeof progress) == sizeof progress) last = progress;
  int status = 0;
  if (waitpid(child, &status, 0) != child) return 3;
  if (WIFEXITED(status) && WEXITSTATUS(status) != 1) return WEXITSTATUS(status);
  if (!WIFEXITED(status)) fmt::print("seed {}: a CHECK failed\n", last.seed);
  fmt::print("replay: ./dev sim --seed {} --seeds 1\n", last.seed);
  std::fflush(stdout);
  if (arguments->shrinks) print_shrunk(last.seed);
  return 1;
}

}  // namespace
}  // namespace vsurge::engine::sim

int main(int argc, char** argv) {
  return vsurge::engine::sim::main_of(argc, argv);
}
