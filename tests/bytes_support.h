// Requests, conditions and runs for the test of same bytes: the real scheduler and the real model,
// without server or engine thread. One thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/executor.h"
#include "engine/scheduler.h"
#include "model/model.h"
#include "tensor/backend.h"
#include "tests/sim/random.h"

namespace vsurge::engine::bytes {

using sim::Random;

// What a client asks. Not a Request, which cannot be copied.
struct Draft {
  std::vector<TokenId> prompt;
  SamplingParams sampling;
  int priority = 0;
  std::string client;
  std::string cache_namespace;
  bool use_prefix_cache = true;
  bool masked = false;  // each choice has a mask that changes with every token

  Request request() const;
  bool searches() const { return sampling.beam.width > 0; }
  // The same as the one choice of a request of its own, with nothing that should not matter. Of a
  // beam search all answers come together.
  Draft alone(int choice) const;
};

struct Sizes {
  int vocabulary = 0;
  int prompt_max = 0;
  int answer_max = 0;
};

// So many drafts; about half of them begin as another does.
std::vector<Draft> draw_drafts(Random& random, const Sizes& sizes, int count);

// What a machine and its scheduler are made of.
struct Conditions {
  std::filesystem::path path;
  model::WeightChoice weights = model::WeightChoice::kAuto;
  tensor::DType kv = tensor::DType::kBF16;
  int threads = 1;
  EngineOptions options;  // vocabulary, eos_tokens and window are the model's

  std::string describe() const;
};

// For one sequence, or the beams of one search; prompts in one step, no prefix cache.
Conditions alone_conditions(const Conditions& base, const Sizes& sizes);
// `few`: no more pages than the longest of the requests needs, or less; then some do not fit.
Conditions draw_conditions(Random& random, const Conditions& base, const Sizes& sizes, bool few);

// A loaded model and what runs it.
class Machine {
 public:
  // Loads the model; reserve once before anything runs.
  static base::Result<std::unique_ptr<Machine>> load(const Conditions& conditions);
  base::Status reserve(const Conditions& conditions);

  const model::ModelInfo& info() const { return model_->info(); }
  // With what the model itself decides.
  const EngineOptions& options() const { return options_; }
  Executor& executor() { return *executor_; }

 private:
  Machine() = default;
  std::unique_ptr<tensor::Backend> backend_;
  std::unique_ptr<model::Model> model_;
  EngineOptions options_;
  std::unique_ptr<Executor> executor_;
};

// A request that comes at a step, and may be cancelled at a later one.
struct Visit {
  Ticket ticket = 0;
  const Draft* draft = nullptr;
  int arrives = 0;
  int leaves = -1;  // -1 = stays to its end
  int choice = -1;  // that leaves; -1 = all
};

// All that one choice was told.
struct Answer {
  struct Told {
    TokenId token = 0;
    std::shared_ptr<const Logprobs> logprobs;
  };
  std::vector<Told> prompt;
  std::vector<Told> tokens;
  int ends = 0;
  FinishReason reason = FinishReason::kStop;
  TokenId stop_token = -1;
  float score = 0;
  Usage usage;
  std::string error;
};
using Answers = std::map<std::pair<Ticket, int>, Answer>;

// How often what must not matter has happened.
struct Counts {
  std::uint64_t steps = 0;
  std::uint64_t preemptions = 0;
  std::uint64_t prefix_hits = 0;
  std::uint64_t guesses = 0;  // tokens
  std::uint64_t guesses_made = 0;
  std::uint64_t guesses_kept = 0;
  std::uint64_t copies = 0;     // of pages
  std::uint64_t evictions = 0;  // of cached pages
  std::uint64_t cancelled = 0;  // choices
  std::uint64_t compared = 0;   // choices
  std::uint64_t searched = 0;   // of these, answers of beam searches
  std::uint64_t tokens = 0;     // compared

  std::string describe() const;
  // What has not happened yet and should have, empty when all has.
  std::string missing() const;
};

// Steps until all visits have ended. `leaves` counts from the step in which the visit arrives.
Answers run(Machine& machine, Scheduler& scheduler, std::span<const Visit> visits, Counts& counts);

// Where `found` differs from `expected`, empty when nowhere. What was cancelled must be a
// beginning.
std::string difference(const Answer& expected, const Answer& found);

}  // namespace vsurge::engine::bytes
