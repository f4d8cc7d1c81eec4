// Seeded simulation of scheduler and page pool; see engine_sim.h. One run again:
//   engine_sim_test --seed=N     and with more of them: --runs=N
#include "tests/engine_sim.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <iostream>
#include <string_view>

namespace vsurge::engine::sim {
namespace {

std::uint64_t first_seed = 1;
int runs = 5000;

TEST(EngineSim, EverySequenceEqualsItsSoloRun) {
  Seen all;
  for (int i = 0; i < runs; ++i) {
    const std::uint64_t seed = first_seed + static_cast<std::uint64_t>(i);
    Simulation simulation(seed);
    const std::string fault = simulation.run();
    ASSERT_EQ(fault, "") << "replay: engine_sim_test --runs=1 --seed=" << seed;
    const Seen& seen = simulation.seen();
    all.steps += seen.steps;
    all.requests += seen.requests;
    all.refused += seen.refused;
    all.preemptions += seen.preemptions;
    all.last_preemptions += seen.last_preemptions;
    all.chunks += seen.chunks;
    all.cancelled_waiting += seen.cancelled_waiting;
    all.cancelled_running += seen.cancelled_running;
    all.deadlines += seen.deadlines;
    all.errors += seen.errors;
    all.full_context += seen.full_context;
  }
  std::cout << fmt::format(
      "{} runs: {} steps, {} requests, {} refused, {} preemptions ({} third ones), {} chunks, "
      "{} + {} cancelled waiting and running, {} deadlines, {} failed rows, {} full contexts\n",
      runs, all.steps, all.requests, all.refused, all.preemptions, all.last_preemptions, all.chunks,
      all.cancelled_waiting, all.cancelled_running, all.deadlines, all.errors, all.full_context);
  // A generator that does not reach these proves nothing about them.
  if (runs < 1000) return;
  for (const std::uint64_t count :
       {all.refused, all.preemptions, all.last_preemptions, all.chunks, all.cancelled_waiting,
        all.cancelled_running, all.deadlines, all.errors, all.full_context}) {
    EXPECT_GE(count, 100U);
  }
}

TEST(EngineSim, SameSeedSameTrace) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Simulation one(seed);
    Simulation two(seed);
    EXPECT_EQ(one.run(), two.run());
    EXPECT_EQ(one.trace(), two.trace());
  }
}

// Faults, planted once per run at a random step, that the simulation must find within a few runs.
struct Fault {
  const char* name;
  // True when it was planted.
  std::function<bool(Scheduler&, Random&)> in_scheduler;
  std::function<bool(StepPlan&, Random&)> in_plan;
};

Sequence* any_running(Scheduler& scheduler, Random& random) {
  auto& running = SchedulerPeer::running(scheduler);
  if (running.empty()) return nullptr;
  return running[static_cast<std::size_t>(random.between(0, static_cast<int>(running.size()) - 1))];
}

PlannedSequence* any_planned(StepPlan& plan, Random& random) {
  if (plan.empty()) return nullptr;
  return &plan.sequences[static_cast<std::size_t>(
      random.between(0, static_cast<int>(plan.sequences.size()) - 1))];
}

std::vector<Fault> faults_in_scheduler() {
  return {
      {"a page is freed while it is read",
       [](Scheduler& s, Random& random) {
         const Sequence* sequence = any_running(s, random);
         if (sequence == nullptr || sequence->pages.empty()) return false;
         PagePoolPeer::free_early(SchedulerPeer::pool(s), sequence->pages.front());
         return true;
       },
       {}},
      {"a page is in two sequences",
       [](Scheduler& s, Random& random) {
         Sequence* to = any_running(s, random);
         const Sequence* from = any_running(s, random);
         if (to == nullptr || to == from || to->pages.empty() || from->pages.empty()) return false;
         to->pages.back() = from->pages.back();
         return true;
       },
       {}},
      {"a free page is lost",
       [](Scheduler& s, Random&) {
         return s.pool().free() > 0 && PagePoolPeer::lose(SchedulerPeer::pool(s));
       },
       {}},
      {"a page has a holder too many",
       [](Scheduler& s, Random& random) {
         const Sequence* sequence = any_running(s, random);
         if (sequence == nullptr || sequence->pages.empty()) return false;
         SchedulerPeer::pool(s).retain(sequence->pages.front());
         return true;
       },
       {}},
      {"the computed count is one too high",
       [](Scheduler& s, Random& random) {
         Sequence* sequence = any_running(s, random);
         if (sequence == nullptr || sequence->remaining() < 2) return false;
         ++sequence->computed;
         return true;
       },
       {}},
      {"a token of the answer changes",
       [](Scheduler& s, Random& random) {
         Sequence* sequence = any_running(s, random);
         if (sequence == nullptr) return false;
         sequence->tokens.back() = (sequence->tokens.back() + 1) % 3;
         return true;
       },
       {}},
      {"two pages change places",
       [](Scheduler& s, Random& random) {
         Sequence* sequence = any_running(s, random);
         if (sequence == nullptr || sequence->computed == 0 || sequence->pages.size() < 2) {
           return false;
         }
         std::swap(sequence->pages[0], sequence->pages[1]);
         return true;
       },
       {}},
      {"another request's seed",
       [](Scheduler& s, Random& random) {
         Sequence* sequence = any_running(s, random);
         if (sequence == nullptr) return false;
         ++sequence->row.seed;
         return true;
       },
       {}},
  };
}

std::vector<Fault> faults_in_plans() {
  return {
      {"a sequence is told the pages of another",
       {},
       [](StepPlan& plan, Random& random) {
         PlannedSequence* to = any_planned(plan, random);
         const PlannedSequence* from = any_planned(plan, random);
         if (to == nullptr || to == from || to->pages.size() != from->pages.size()) return false;
         to->pages = from->pages;
         return true;
       }},
      {"a page too few",
       {},
       [](StepPlan& plan, Random& random) {
         PlannedSequence* planned = any_planned(plan, random);
         if (planned == nullptr) return false;
         planned->pages = planned->pages.first(planned->pages.size() - 1);
         return true;
       }},
      {"the place is one too low",
       {},
       [](StepPlan& plan, Random& random) {
         PlannedSequence* planned = any_planned(plan, random);
         if (planned == nullptr || planned->first == 0) return false;
         --planned->first;
         return true;
       }},
      {"a token is skipped",
       {},
       [](StepPlan& plan, Random& random) {
         PlannedSequence* planned = any_planned(plan, random);
         if (planned == nullptr || planned->tokens.size() < 2) return false;
         ++planned->first;
         planned->tokens = planned->tokens.subspan(1);
         return true;
       }},
      {"samples before the prompt is read",
       {},
       [](StepPlan& plan, Random& random) {
         PlannedSequence* planned = any_planned(plan, random);
         if (planned == nullptr || planned->wants_token) return false;
         planned->wants_token = true;
         return true;
       }},
      {"the position of the draw is off by one",
       {},
       [](StepPlan& plan, Random& random) {
         PlannedSequence* planned = any_planned(plan, random);
         if (planned == nullptr || !planned->wants_token) return false;
         ++planned->sampling.position;
         return true;
       }},
      {"a sequence is computed twice",
       {},
       [](StepPlan& plan, Random& random) {
         PlannedSequence* planned = any_planned(plan, random);
         if (planned == nullptr) return false;
         planned->ticket = plan.sequences.front().ticket;
         return planned != &plan.sequences.front();
       }},
  };
}

enum class Outcome : std::uint8_t { kNotFound, kFound, kNotPlanted };

Outcome run_with(const Fault& fault, std::uint64_t seed) {
  Simulation simulation(seed);
  bool planted = false;
  int countdown = static_cast<int>(seed % 13);
  if (fault.in_scheduler) {
    simulation.sabotage([&](Scheduler& scheduler, Random& random) {
      if (!planted && --countdown < 0) planted = fault.in_scheduler(scheduler, random);
    });
  } else {
    simulation.sabotage_plans([&](StepPlan& plan, Random& random) {
      if (!planted && --countdown < 0) planted = fault.in_plan(plan, random);
    });
  }
  const bool found = !simulation.run().empty();
  if (!planted) return Outcome::kNotPlanted;
  return found ? Outcome::kFound : Outcome::kNotFound;
}

// In a process of its own: a CHECK of the code under test finds faults, too, and ends it.
Outcome run_apart(const Fault& fault, std::uint64_t seed) {
  const pid_t child = fork();
  if (child == 0) {
    const int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (quiet >= 0) dup2(quiet, STDERR_FILENO);
    _exit(static_cast<int>(run_with(fault, seed)));
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? static_cast<Outcome>(WEXITSTATUS(status)) : Outcome::kFound;
}

void expect_found(const Fault& fault) {
  int planted = 0;
  int found = 0;
  for (std::uint64_t seed = 1; seed <= 300 && planted < 30; ++seed) {
    const Outcome outcome = run_apart(fault, seed);
    planted += outcome != Outcome::kNotPlanted ? 1 : 0;
    found += outcome == Outcome::kFound ? 1 : 0;
  }
  std::cout << fmt::format("{}: found in {} of {} runs\n", fault.name, found, planted);
  EXPECT_GE(planted, 10) << fault.name;
  // Some of them happen to change nothing: a token that equals the old one, an answer that ends
  // there anyway.
  EXPECT_GE(found * 10, planted * 8) << fault.name;
}

TEST(EngineSim, FindsFaultsInSchedulerAndPool) {
  for (const Fault& fault : faults_in_scheduler()) expect_found(fault);
}

TEST(EngineSim, FindsFaultsInPlans) {
  for (const Fault& fault : faults_in_plans()) expect_found(fault);
}

// The pages themselves: two sequences that are handed the same page overwrite each other.
TEST(EngineSim, OracleSeesAPageHandedOutTwice) {
  EngineOptions options;
  options.context_max = 16;
  options.page_size = 4;
  options.pages = 4;
  options.vocabulary = 10;
  Oracle oracle(options);
  for (const Ticket ticket : {Ticket{1}, Ticket{2}}) {
    Story story;
    story.ticket = ticket;
    story.tokens = {1, 2, 3};
    story.prompt = 3;
    oracle.add(std::move(story));
  }
  const std::vector<TokenId> tokens = {1, 2, 3};
  const std::vector<std::int32_t> pages = {2};
  StepPlan plan;
  for (const Ticket ticket : {Ticket{1}, Ticket{2}}) {
    plan.sequences.push_back({ticket, 0, tokens, pages, true, {}, nullptr});
  }
  StepResult result;
  result.sequences.resize(2);
  oracle.run(plan, result);
  EXPECT_NE(oracle.fault(), "");
}

bool read_flag(std::string_view argument, std::string_view name, std::uint64_t& value) {
  if (!argument.starts_with(name)) return false;
  argument.remove_prefix(name.size());
  return std::from_chars(argument.begin(), argument.end(), value).ec == std::errc();
}

}  // namespace
}  // namespace vsurge::engine::sim

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    std::uint64_t number = 0;
    if (vsurge::engine::sim::read_flag(argv[i], "--seed=", number)) {
      vsurge::engine::sim::first_seed = number;
    } else if (vsurge::engine::sim::read_flag(argv[i], "--runs=", number)) {
      vsurge::engine::sim::runs = static_cast<int>(number);
    } else {
      std::cerr << "unknown argument " << argv[i] << "; expected --seed=N or --runs=N\n";
      return 2;
    }
  }
  return RUN_ALL_TESTS();
}
