// Scenarios from seeds: each run has some of the features and faults, with weights of its own.
#include <algorithm>

#include "engine/beam_search.h"
#include "tests/sim/model.h"
#include "tests/sim/queue_model.h"

namespace vsurge::engine::sim {
namespace {

// Percentages of one run; most of them are 0 in most runs.
struct Weights {
  int cancels = 0;
  int suspensions = 0;
  int deadlines = 0;
  int faults = 0;
  int choices = 0;
  int searches = 0;
  int guesses = 0;
  int logprobs = 0;
  int constraints = 0;
  int pooled = 0;
  int edits = 0;
  int continues = 0;
  int uncached = 0;
  int priorities = 0;  // classes
  int clients = 1;
  int name_spaces = 1;
  int trees = 1;
  int prompt_max = 1;
  int answer_max = 1;
  int span = 1;  // ticks in which all happens
  int disturbances = 0;
};

class Generator {
 public:
  explicit Generator(std::uint64_t seed) : random_(mix(seed, 1)) { scenario_.seed = seed; }

  Scenario draw() {
    draw_options();
    draw_memory();
    draw_times();
    draw_weights();
    draw_requests();
    draw_disturbances();
    order_ops(scenario_.ops);
    return std::move(scenario_);
  }

 private:
  void draw_options();
  void draw_memory();
  void draw_times();
  void draw_weights();
  void draw_requests();
  void draw_disturbances();
  RequestSpec draw_request(int index);
  void draw_sampling(SamplingParams& sampling);
  void draw_edits(SamplingParams& sampling);
  void draw_search(SamplingParams& sampling);
  void draw_fault(RequestSpec& spec);
  void draw_pooling(RequestSpec& spec);
  void draw_suspensions(const RequestSpec& spec, int index, int tick);
  void draw_cancels(const RequestSpec& spec, int index, int tick);
  int some(int percent_of_runs, int most) {
    return random_.chance(percent_of_runs) ? random_.between(1, most) : 0;
  }
  TokenId token() { return random_.between(0, scenario_.options.vocabulary - 1); }

  Random random_;
  Scenario scenario_;
  Weights weights_;
  bool large_ = false;
};

void Generator::draw_options() {
  EngineOptions& o = scenario_.options;
  o.hidden = kHidden;
  large_ = random_.chance(2);
  o.context_max = random_.between(2, large_ ? 300 : random_.chance(60) ? 24 : 70);
  o.max_batched_tokens = random_.between(1, large_ ? 200 : random_.chance(50) ? 6 : 48);
  o.max_concurrent_decodes = random_.between(1, large_ ? 60 : random_.chance(60) ? 4 : 10);
  o.max_concurrent_prefill = random_.between(1, 4);
  o.prefill_chunk_max = some(40, 9);
  o.vocabulary = random_.chance(60) ? random_.between(3, 8) : random_.between(3, kVocabularyMax);
  o.eos_tokens = {0};
  if (random_.chance(20)) o.eos_tokens.push_back(o.vocabulary - 1);
  o.window = some(25, 20);
  o.logit_rows_max = random_.chance(50) ? 0 : running_max(o) + random_.between(0, 6);
  o.prefix_cache = random_.chance(80);
  o.prefix_hash_bits = random_.chance(40) ? random_.between(1, 8) : random_.between(9, 64);
  o.passes_max = random_.chance(60) ? random_.between(1, 4) : 64;
  o.seed = random_.next();
  scenario_.predictable = random_.chance(50) ? random_.between(60, 127) : 0;
  scenario_.audit_every = random_.chance(30) ? 1 : random_.between(4, 24);
  if (large_) scenario_.audit_every = 32;
}

void Generator::draw_memory() {
  EngineOptions& o = scenario_.options;
  o.page_size = large_ ? random_.one_of({1, 4, 16, 32}) : random_.one_of({1, 2, 3, 4, 4, 8, 16});
  const int one = o.context_max / o.page_size;
  if (random_.chance(60)) {
    // Barely more than one sequence needs: giving way is the rule.
    o.pages = std::max(2, one + random_.between(-1, 4));
  } else {
    o.pages = random_.between(2, large_ ? 1000 : 40);
  }
  while (sequence_tokens_max(o) < 2) ++o.pages;
}

void Generator::draw_times() {
  EngineOptions& o = scenario_.options;
  scenario_.step_base = random_.between(1, 3000);
  scenario_.step_token = random_.between(0, 100);
  scenario_.outliers = some(20, 10);
  if (!random_.chance(30)) return;
  const int per_token = random_.between(1, 300);
  const int powers = random_.between(1, 8);
  for (int i = 0; i < powers; ++i) {
    o.cost.tokens_ns[static_cast<std::size_t>(i)] = 1000.0 + per_token * (1 << i);
  }
  o.cost.decode_key_ns = random_.between(0, 3);
  o.cost.prompt_key_ns = random_.between(0, 2);
  o.cost.row_ns = random_.between(0, 50);
  o.step_stretch = random_.one_of({1.0, 1.5, 2.0, 4.0});
  if (random_.chance(30)) o.target_step = random_.between(500, 9000);
}

void Generator::draw_weights() {
  Weights& w = weights_;
  w.cancels = some(50, 30);
  w.suspensions = some(40, 50);
  w.deadlines = some(40, 40);
  w.faults = some(35, 20);
  w.choices = some(40, 60);
  w.searches = some(25, 60);
  w.guesses = some(40, 100);
  w.logprobs = some(30, 60);
  w.constraints = some(20, 40);
  w.edits = some(25, 50);
  w.continues = some(40, 60);
  w.uncached = some(20, 30);
  w.priorities = some(30, 3);
  w.clients = random_.chance(60) ? 1 : random_.between(2, 6);
  w.name_spaces = random_.chance(60) ? 1 : random_.between(2, 4);
  w.trees = random_.between(1, 4);
  w.disturbances = some(35, 8);
  const int most = sequence_tokens_max(scenario_.options);
  w.prompt_max = random_.between(1, most + (random_.chance(20) ? 2 : -1));
  w.answer_max = random_.between(1, most);
  w.pooled = some(25, 60);
  for (int client = 1; client < w.clients; ++client) {
    if (!random_.chance(30)) continue;
    scenario_.options.client_weights[QueueModel::client_name(client)] =
        random_.one_of({0.5, 2., 7.});
  }
}

void Generator::draw_requests() {
  const int requests = random_.between(1, large_ ? 150 : random_.chance(30) ? 4 : 60);
  const int pace = random_.one_of({0, 1, 3, 8});  // ticks between arrivals
  int tick = 0;
  for (int i = 0; i < requests; ++i) {
    RequestSpec spec = draw_request(i);
    if (!random_.chance(30)) tick += random_.between(0, pace);
    scenario_.ops.push_back({tick, OpKind::kArrive, i, 0, 0});
    draw_cancels(spec, i, tick);
    draw_suspensions(spec, i, tick);
    scenario_.requests.push_back(std::move(spec));
  }
  weights_.span = tick + 30;
}

RequestSpec Generator::draw_request(int index) {
  const Weights& w = weights_;
  RequestSpec spec;
  spec.tree = random_.between(0, w.trees - 1);
  spec.length = random_.between(1, std::max(1, w.prompt_max));
  spec.branch_at = random_.chance(60) ? random_.between(0, spec.length) : spec.length;
  spec.branch = random_.between(0, 3);
  if (index > 0 && random_.chance(w.continues)) {
    spec.continues = random_.between(std::max(0, index - 10), index - 1);
    const RequestSpec& before = scenario_.requests[static_cast<std::size_t>(spec.continues)];
    const int room = sequence_tokens_max(scenario_.options) - 1;
    spec.branch_at = std::min(before.length, room);
    spec.length = std::min(room, before.length + random_.between(1, 12));
    spec.length = std::max(spec.length, 1);
    spec.name_space = before.name_space;
  } else {
    spec.name_space = random_.between(0, w.name_spaces - 1);
  }
  draw_sampling(spec.sampling);
  spec.priority = random_.between(0, w.priorities);
  spec.client = random_.between(0, w.clients - 1);
  spec.use_prefix_cache = !random_.chance(w.uncached);
  spec.constrained = spec.sampling.beam.width == 0 && random_.chance(w.constraints);
  if (random_.chance(w.deadlines)) spec.deadline_after = random_.between(1, 200'000);
  if (random_.chance(w.deadlines)) spec.queue_deadline_after = random_.between(1, 60'000);
  if (random_.chance(w.pooled)) draw_pooling(spec);
  if (random_.chance(w.faults)) draw_fault(spec);
  return spec;
}

// The prompt may fill all there is.
void Generator::draw_pooling(RequestSpec& spec) {
  spec.sampling = {};
  spec.constrained = false;
  spec.pooling =
      Pooling{random_.one_of({PooledStates::kLast, PooledStates::kMean, PooledStates::kFirst}), {}};
  if (random_.chance(10)) spec.length = sequence_tokens_max(scenario_.options);
  if (spec.pooling->states != PooledStates::kLast || !random_.chance(40)) return;
  spec.pooling->logits_of = {token(), token()};
}

void Generator::draw_fault(RequestSpec& spec) {
  if (spec.pooling) {
    const bool states = spec.pooling->logits_of.empty();
    spec.fault = states && random_.chance(50) ? FaultKind::kNotFinite : FaultKind::kChunkStatus;
    spec.fault_at = random_.chance(50) ? spec.length - 1 : random_.between(0, spec.length - 1);
    return;
  }
  spec.fault =
      random_.one_of({FaultKind::kNotFinite, FaultKind::kNothingAllowed, FaultKind::kBadToken,
                      FaultKind::kRowStatus, FaultKind::kChunkStatus});
  spec.fault_choice = random_.between(0, std::max(spec.sampling.n, spec.sampling.beam.width) - 1);
  spec.fault_at = random_.between(0, spec.length + 6);
}

void Generator::draw_sampling(SamplingParams& s) {
  const Weights& w = weights_;
  s.temperature = random_.one_of({0.0F, 0.7F, 1.0F, 2.0F});
  s.top_p = random_.real(0.01F, 1.0F);
  s.min_p = random_.real(0.0F, 1.0F);
  s.top_k = random_.between(0, 50);
  if (random_.chance(20)) {
    s.typical_p = random_.real(0.1F, 1.0F);
    s.top_n_sigma = random_.real(0.0F, 3.0F);
    s.xtc = {random_.real(0.0F, 1.0F), random_.real(0.0F, 0.5F)};
  }
  if (random_.chance(50)) s.seed = random_.next();
  if (!random_.chance(20)) s.max_tokens = random_.between(1, w.answer_max);
  s.ignore_eos = random_.chance(40);
  if (random_.chance(20)) s.stop_token_ids = {token()};
  if (random_.chance(w.choices)) s.n = random_.between(1, random_.chance(80) ? 4 : 9);
  if (random_.chance(w.guesses)) s.speculative_tokens = random_.between(1, 16);
  if (random_.chance(w.logprobs)) s.logprobs = random_.between(0, 20);
  if (s.logprobs && random_.chance(30)) {
    for (int i = random_.between(1, random_.chance(80) ? 4 : 128); i > 0; --i) {
      s.logprob_token_ids.push_back(token());
    }
  }
  if (random_.chance(w.logprobs)) s.prompt_logprobs = random_.between(0, 20);
  if (random_.chance(w.edits)) draw_edits(s);
  if (random_.chance(w.searches)) draw_search(s);
}

// What draws or edits has no meaning with it.
void Generator::draw_search(SamplingParams& s) {
  const EngineOptions& o = scenario_.options;
  const int stops = static_cast<int>(stop_tokens(s, o.eos_tokens).size());
  const int most = std::min({running_max(o), kBeamCandidatesMax - stops, o.vocabulary - stops});
  if (most < 2) return;
  SamplingParams search;
  search.seed = s.seed;
  search.temperature = random_.one_of({0.0F, 1.0F});
  search.max_tokens = s.max_tokens;
  search.ignore_eos = s.ignore_eos;
  search.stop_token_ids = s.stop_token_ids;
  search.logprobs = s.logprobs;
  if (random_.chance(20)) {
    search.min_tokens = random_.between(1, std::min(5, s.max_tokens.value_or(5)));
  }
  search.beam.width = random_.between(2, random_.chance(90) ? std::min(most, 4) : most);
  search.beam.length_penalty = random_.one_of({0.0F, 0.6F, 1.0F, 2.0F, -1.0F});
  search.beam.early_stopping =
      random_.one_of({BeamStop::kWhenUnlikely, BeamStop::kWhenFull, BeamStop::kNever});
  search.n = random_.between(1, search.beam.width);
  s = std::move(search);
}

void Generator::draw_edits(SamplingParams& s) {
  if (random_.chance(40)) s.repetition_penalty = random_.real(0.5F, 2.0F);
  if (random_.chance(30)) s.presence_penalty = random_.real(-2.0F, 2.0F);
  if (random_.chance(30)) s.frequency_penalty = random_.real(-2.0F, 2.0F);
  if (random_.chance(30)) {
    s.dry = {random_.real(0.1F, 4.0F),
             random_.real(1.0F, 2.0F),
             random_.between(1, 3),
             random_.chance(50) ? 0 : random_.between(1, 20),
             {}};
    if (random_.chance(50)) s.dry.sequence_breakers = {token()};
  }
  if (random_.chance(30)) s.logit_bias = {{token(), random_.real(-6.0F, 6.0F)}};
  if (random_.chance(30)) s.bad_words = {{token(), token()}, {token(), token(), token()}};
  if (random_.chance(10)) s.bad_words.push_back({token()});
  if (random_.chance(20)) s.allowed_token_ids = {token(), token(), token()};
  if (random_.chance(20)) s.suppress_tokens = {token()};
  if (random_.chance(30)) {
    s.min_tokens = random_.between(1, std::min(5, s.max_tokens.value_or(5)));
  }
  if (random_.chance(30)) {
    s.thinking = ThinkingBudget{random_.between(0, 4), random_.chance(50) ? token() : -1, token(),
                                random_.chance(60)};
  }
}

// Mostly soon: there are more states to be hit early.
void Generator::draw_cancels(const RequestSpec& spec, int index, int tick) {
  if (!random_.chance(weights_.cancels)) return;
  const int times = random_.chance(80) ? 1 : 3;
  for (int i = 0; i < times; ++i) {
    const int after = random_.chance(60) ? random_.between(0, 5) : random_.between(0, 60);
    const bool all = random_.chance(spec.sampling.n > 1 ? 30 : 80);
    scenario_.ops.push_back({tick + after, all ? OpKind::kCancel : OpKind::kCancelChoice, index,
                             random_.between(0, spec.sampling.n - 1), 0});
  }
}

void Generator::draw_suspensions(const RequestSpec& spec, int index, int tick) {
  if (!random_.chance(weights_.suspensions)) return;
  const int times = random_.chance(70) ? 1 : 4;
  for (int i = 0; i < times; ++i) {
    tick += random_.between(0, 8);
    scenario_.ops.push_back({tick, OpKind::kSuspend, index, 0, 0});
    // The choice that the others may wait for ends meanwhile.
    if (spec.sampling.n > 1 && random_.chance(30)) {
      scenario_.ops.push_back({tick, OpKind::kCancelChoice, index, 0, 0});
    }
    tick += random_.between(0, 12);
    // Some stay so until the end.
    if (!random_.chance(85)) return;
    scenario_.ops.push_back({tick, OpKind::kResume, index, 0, 0});
  }
}

void Generator::draw_disturbances() {
  const int count = some(weights_.disturbances > 0 ? 100 : 0, weights_.disturbances + 1);
  for (int i = 0; i < count; ++i) {
    const int tick = random_.between(0, weights_.span);
    const OpKind kind =
        random_.one_of({OpKind::kClearCache, OpKind::kClearCache, OpKind::kFlush, OpKind::kExpire,
                        OpKind::kTimeJump, OpKind::kSetCost, OpKind::kAbort, OpKind::kAbortInPlan});
    const int amount =
        kind == OpKind::kTimeJump ? random_.between(1, 100'000) : random_.between(0, 500);
    scenario_.ops.push_back({tick, kind, -1, 0, amount});
  }
}

}  // namespace

void order_ops(std::vector<Op>& ops) {
  std::vector<std::pair<int, std::size_t>> order;
  for (std::size_t i = 0; i < ops.size(); ++i) order.emplace_back(ops[i].tick, i);
  std::sort(order.begin(), order.end());
  std::vector<Op> ordered;
  for (const auto& [tick, i] : order) ordered.push_back(ops[i]);
  ops = std::move(ordered);
}

Scenario draw_scenario(std::uint64_t seed) {
  return Generator(seed).draw();
}

}  // namespace vsurge::engine::sim
