#include "bytes_support.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <optional>

namespace vsurge::engine::bytes {
namespace {

// Depends on the number of tokens accepted, so one that is counted twice or not at all is seen.
class TurningMask final : public TokenConstraint {
 public:
  base::Status fill_mask(std::span<std::uint32_t> words) override {
    std::ranges::fill(words, pattern());
    return {};
  }
  base::Result<bool> allows(TokenId token) override {
    return (pattern() >> (token % 32) & 1U) != 0;
  }
  base::Status accept(TokenId) override {
    ++accepted_;
    return {};
  }

 private:
  std::uint32_t pattern() const {
    constexpr std::uint32_t kPatterns[] = {0x77777777U, 0xbbbbbbbbU, 0xddddddddU};
    return kPatterns[accepted_ % 3];
  }

  std::size_t accepted_ = 0;
};

constexpr int kBeamsMax = 4;

TokenId draw_token(Random& random, const Sizes& sizes) {
  return random.between(3, sizes.vocabulary - 1);
}

std::vector<TokenId> draw_tokens(Random& random, const Sizes& sizes, int count) {
  std::vector<TokenId> tokens;
  while (static_cast<int>(tokens.size()) < count) tokens.push_back(draw_token(random, sizes));
  return tokens;
}

int draw_length(Random& random, int most) {
  if (random.chance(15)) return random.between(1, std::min(4, most));
  if (random.chance(60)) return random.between(1, std::max(1, most / 4));
  return random.between(1, most);
}

// Goes on for `count` tokens, at random or with repetitions that can be guessed.
void extend(Random& random, const Sizes& sizes, std::vector<TokenId>& prompt, int count) {
  const auto period = static_cast<std::size_t>(random.between(1, 9));
  const bool repeats = random.chance(50);
  for (int i = 0; i < count; ++i) {
    const bool again = repeats && prompt.size() >= period;
    prompt.push_back(again ? prompt[prompt.size() - period] : draw_token(random, sizes));
  }
}

std::vector<TokenId> draw_prompt(Random& random, const Sizes& sizes,
                                 std::span<const Draft> before) {
  const int length = draw_length(random, sizes.prompt_max);
  std::vector<TokenId> prompt;
  if (!before.empty() && random.chance(60)) {
    const Draft& other =
        before[static_cast<std::size_t>(random.between(0, static_cast<int>(before.size()) - 1))];
    const auto most = static_cast<int>(other.prompt.size());
    int shared = random.chance(30) ? most : random.between(1, most);
    if (random.chance(40) && shared > 16) shared -= shared % 16;  // a border of pages
    prompt.assign(other.prompt.begin(), other.prompt.begin() + shared);
  }
  extend(random, sizes, prompt, std::max(1, length - static_cast<int>(prompt.size())));
  if (static_cast<int>(prompt.size()) > sizes.prompt_max) {
    prompt.resize(static_cast<std::size_t>(sizes.prompt_max));
  }
  return prompt;
}

void draw_truncation(Random& random, SamplingParams& sampling) {
  sampling.temperature = random.real(0.3F, 1.8F);
  if (random.chance(40)) sampling.top_k = random.between(1, 60);
  if (random.chance(40)) sampling.top_p = random.real(0.3F, 1.0F);
  if (random.chance(30)) sampling.min_p = random.real(0.0F, 0.2F);
  if (random.chance(10)) sampling.typical_p = random.real(0.5F, 1.0F);
  if (random.chance(10)) sampling.top_n_sigma = random.real(0.5F, 3.0F);
  if (random.chance(10)) sampling.xtc = {.probability = 0.5F, .threshold = 0.05F};
}

void draw_edits(Random& random, const Sizes& sizes, SamplingParams& sampling) {
  if (random.chance(25)) {
    sampling.repetition_penalty = random.real(0.8F, 1.5F);
    sampling.presence_penalty = random.real(-0.5F, 1.5F);
    sampling.frequency_penalty = random.real(-0.5F, 1.5F);
  }
  if (random.chance(10)) sampling.dry.multiplier = random.real(0.5F, 2.0F);
  if (random.chance(20)) {
    for (const TokenId token : draw_tokens(random, sizes, random.between(1, 8))) {
      sampling.logit_bias.emplace_back(token, random.real(-8.0F, 8.0F));
    }
  }
  if (random.chance(30)) {  // likely enough to end some answers
    sampling.stop_token_ids = draw_tokens(random, sizes, random.between(1, 8));
    if (random.chance(50)) sampling.logit_bias.emplace_back(sampling.stop_token_ids[0], 4.0F);
  }
  if (random.chance(10)) sampling.bad_words = {draw_tokens(random, sizes, random.between(1, 2))};
  if (random.chance(10)) sampling.suppress_tokens = draw_tokens(random, sizes, 5);
}

SamplingParams draw_sampling(Random& random, const Sizes& sizes) {
  SamplingParams sampling;
  sampling.seed = random.next();
  sampling.max_tokens = random.between(std::min(4, sizes.answer_max), sizes.answer_max);
  sampling.temperature = 0;
  if (random.chance(60)) draw_truncation(random, sampling);
  if (random.chance(60)) draw_edits(random, sizes, sampling);
  if (random.chance(50)) sampling.logprobs = random.chance(70) ? 3 : random.between(0, 20);
  if (random.chance(20)) sampling.prompt_logprobs = random.chance(70) ? 3 : random.between(0, 20);
  if (random.chance(25)) sampling.n = random.between(2, 3);
  if (random.chance(50)) sampling.speculative_tokens = random.chance(70) ? 4 : 16;
  if (random.chance(10)) sampling.min_tokens = random.between(1, *sampling.max_tokens);
  sampling.ignore_eos = random.chance(30);
  return sampling;
}

// A search instead, of the same length.
SamplingParams as_search(Random& random, const SamplingParams& sampling) {
  SamplingParams search;
  search.max_tokens = sampling.max_tokens;
  search.min_tokens = sampling.min_tokens;
  search.stop_token_ids = sampling.stop_token_ids;
  search.ignore_eos = sampling.ignore_eos;
  search.logprobs = sampling.logprobs;
  search.beam.width = random.between(2, kBeamsMax);
  search.beam.length_penalty = random.one_of({0.0F, 1.0F, 2.0F, -1.0F});
  search.beam.early_stopping =
      random.one_of({BeamStop::kWhenUnlikely, BeamStop::kWhenFull, BeamStop::kNever});
  search.n = random.between(1, search.beam.width);
  return search;
}

// Most models go on with what repeats itself.
Draft draw_guessable(Random& random, const Sizes& sizes) {
  Draft draft;
  const std::vector<TokenId> motif = draw_tokens(random, sizes, random.between(2, 5));
  for (int i = 0; i < sizes.prompt_max * 2 / 3; ++i) {
    draft.prompt.push_back(motif[static_cast<std::size_t>(i) % motif.size()]);
  }
  draft.sampling.temperature = 0;
  draft.sampling.max_tokens = sizes.answer_max;
  draft.sampling.logprobs = 3;
  draft.sampling.n = 2;
  draft.sampling.speculative_tokens = 4;
  draft.sampling.ignore_eos = true;
  return draft;
}

bool same_bits(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}

std::string text_of(const Logprobs* logprobs) {
  if (logprobs == nullptr) return "none";
  std::string text = fmt::format("{:a} rank {}", logprobs->logprob, logprobs->rank);
  for (const auto& top : logprobs->top) text += fmt::format(", {}: {:a}", top.token, top.logprob);
  return text;
}

bool same(const Logprobs* a, const Logprobs* b) {
  if (a == nullptr || b == nullptr) return a == b;
  return same_bits(a->logprob, b->logprob) && a->rank == b->rank &&
         std::ranges::equal(a->top, b->top, [](const auto& x, const auto& y) {
           return x.token == y.token && same_bits(x.logprob, y.logprob);
         });
}

std::string list_difference(const char* name, std::span<const Answer::Told> expected,
                            std::span<const Answer::Told> found, bool whole) {
  for (std::size_t i = 0; i < std::min(expected.size(), found.size()); ++i) {
    const Logprobs* a = expected[i].logprobs.get();
    const Logprobs* b = found[i].logprobs.get();
    if (expected[i].token == found[i].token && same(a, b)) continue;
    return fmt::format("{} {}: alone {} ({}), here {} ({})", name, i, expected[i].token, text_of(a),
                       found[i].token, text_of(b));
  }
  if (whole ? found.size() == expected.size() : found.size() <= expected.size()) return {};
  return fmt::format("{}s: alone {}, here {}", name, expected.size(), found.size());
}

void take(const Event& event, Answers& answers) {
  Answer& answer = answers[{event.ticket, event.choice}];
  switch (event.kind) {
    case EventKind::kPromptLogprobs:
      answer.prompt.push_back({event.token, event.logprobs});
      return;
    case EventKind::kToken:
      answer.tokens.push_back({event.token, event.logprobs});
      return;
    case EventKind::kEnd:
      ++answer.ends;
      answer.reason = event.reason;
      answer.stop_token = event.stop_token;
      answer.score = event.score;
      answer.usage = event.usage;
      if (event.reason == FinishReason::kError) answer.error = event.error->message;
      return;
  }
}

// Those who come and those who go before the step is planned. True when some are still to come.
bool come_and_go(Scheduler& scheduler, std::span<const Visit> visits, int step,
                 base::Nanoseconds now) {
  bool more = false;
  for (const Visit& visit : visits) {
    if (visit.arrives == step) scheduler.add(visit.ticket, visit.draft->request(), now);
    more |= visit.arrives > step;
    if (visit.leaves < 0 || visit.arrives + visit.leaves != step) continue;
    if (visit.choice < 0) {
      scheduler.cancel(visit.ticket);
    } else {
      scheduler.cancel(visit.ticket, visit.choice);
    }
  }
  return more;
}

int pages_for(int tokens, int page_size) {
  return (tokens + page_size - 1) / page_size;
}

}  // namespace

Request Draft::request() const {
  Request result;
  result.prompt = prompt;
  result.sampling = sampling;
  result.priority = priority;
  result.client = client;
  result.cache_namespace = cache_namespace;
  result.use_prefix_cache = use_prefix_cache;
  for (int i = 0; masked && i < sampling.n; ++i) {
    result.constraints.push_back(std::make_unique<TurningMask>());
  }
  return result;
}

Draft Draft::alone(int choice) const {
  Draft result;
  result.prompt = prompt;
  result.sampling = sampling;
  result.masked = masked;
  if (searches()) return result;
  result.sampling.n = 1;
  result.sampling.speculative_tokens = 0;
  result.sampling.seed = choice_seed({}, 0, sampling, choice);
  if (choice > 0) result.sampling.prompt_logprobs.reset();  // choice 0 alone tells them
  return result;
}

std::vector<Draft> draw_drafts(Random& random, const Sizes& sizes, int count) {
  std::vector<Draft> drafts;
  drafts.push_back(draw_guessable(random, sizes));
  while (static_cast<int>(drafts.size()) < count) {
    Draft draft;
    draft.prompt = draw_prompt(random, sizes, drafts);
    draft.sampling = draw_sampling(random, sizes);
    draft.priority = random.chance(20) ? random.between(-1, 2) : 0;
    draft.client = random.one_of({"", "a", "b"});
    draft.cache_namespace = random.chance(10) ? "other" : "";
    draft.use_prefix_cache = !random.chance(10);
    const bool searches = drafts.size() == 1 || random.chance(12);
    if (searches) draft.sampling = as_search(random, draft.sampling);
    draft.masked = !searches && random.chance(15);
    drafts.push_back(std::move(draft));
  }
  return drafts;
}

std::string Conditions::describe() const {
  return fmt::format(
      "{}: weights {}, kv {}, {} threads, {} pages of {}, at once {}, prompts {}, step {}, chunk "
      "{}, rows {}, cache {} ({} bits), {} ns a step",
      path.filename().string(), static_cast<int>(weights),
      kv == tensor::DType::kI8 ? "int8" : "bf16", threads, options.pages, options.page_size,
      options.max_concurrent_decodes, options.max_concurrent_prefill, options.max_batched_tokens,
      options.prefill_chunk_max, logit_rows_max(options), options.prefix_cache,
      options.prefix_hash_bits, options.target_step);
}

Conditions alone_conditions(const Conditions& base, const Sizes& sizes) {
  Conditions conditions = base;
  EngineOptions& options = conditions.options;
  options.context_max = sizes.prompt_max + sizes.answer_max;
  options.max_concurrent_decodes = kBeamsMax;
  options.max_batched_tokens = options.context_max;
  options.logit_rows_max = sizes.prompt_max;
  options.page_size = 16;
  options.pages = 2 * pages_for(options.context_max, options.page_size);
  options.prefix_cache = false;
  return conditions;
}

Conditions draw_conditions(Random& random, const Conditions& base, const Sizes& sizes, bool few) {
  Conditions conditions = base;
  conditions.threads = random.between(1, 4);
  EngineOptions& options = conditions.options;
  options.context_max = sizes.prompt_max + sizes.answer_max;
  options.max_concurrent_decodes = few ? random.between(6, 16) : random.between(2, 16);
  options.max_concurrent_prefill = random.between(1, 4);
  options.max_batched_tokens =
      std::max(options.max_concurrent_decodes, random.one_of({8, 16, 33, 64, 150, 256, 512}));
  options.prefill_chunk_max = random.one_of({0, 0, 3, 7, 16, 50, 128, 255});
  // Many of them are short, so that it needs small pages to have enough to run out of.
  options.page_size = few ? random.one_of({16, 16, 16, 32}) : random.one_of({16, 32, 64, 128});
  if (sizes.prompt_max < 128 && random.chance(75)) options.page_size = 16;
  options.prefix_cache = random.chance(85);
  options.prefix_hash_bits = random.chance(30) ? 3 : 64;
  const int longest = pages_for(options.context_max, options.page_size);
  options.pages = few ? std::max(5, longest / random.between(1, 4)) : 5 * longest;
  if (few && (sizes.prompt_max < 128 || random.chance(50))) {
    // Prompts are read at once, so that many are decoding when pages run out.
    options.max_concurrent_prefill = 16;
    options.max_batched_tokens = 512;
    options.prefill_chunk_max = 0;
    return conditions;
  }
  if (random.chance(30)) {  // chunks by time as well; times stand for tokens
    for (int i = 0; i < StepCost::kPowers; ++i) {
      options.cost.tokens_ns[static_cast<std::size_t>(i)] = 1000.0 * (1 << i);
    }
    options.cost.prompt_key_ns = 1;
    options.target_step = random.between(10'000, 100'000);
  }
  return conditions;
}

base::Result<std::unique_ptr<Machine>> Machine::load(const Conditions& conditions) {
  std::unique_ptr<Machine> machine(new Machine);
  machine->backend_ =
      VSURGE_TRY(tensor::make_cpu_backend({.threads = conditions.threads, .isa = {}}));
  model::LoadOptions load;
  load.weights = conditions.weights;
  machine->model_ = VSURGE_TRY(model::load_model(conditions.path, *machine->backend_, load));
  return machine;
}

base::Status Machine::reserve(const Conditions& conditions) {
  options_ = conditions.options;
  options_.vocabulary = info().vocabulary;
  options_.eos_tokens = info().eos_tokens;
  options_.window = info().window;
  VSURGE_TRY(check_options(options_));
  const model::StepLimits limits{.tokens_max = options_.max_batched_tokens,
                                 .sequences_max = running_max(options_),
                                 .logit_rows_max = logit_rows_max(options_),
                                 .context_max = options_.context_max,
                                 .page_size = options_.page_size,
                                 .pages = options_.pages,
                                 .kv_dtype = conditions.kv};
  VSURGE_TRY(model_->reserve(limits));
  executor_ = std::make_unique<Executor>(*model_, *backend_, limits);
  return {};
}

std::string Counts::describe() const {
  return fmt::format(
      "{} choices ({} of searches) and {} tokens equal; {} steps, {} preemptions, {} tokens from "
      "the cache, {} "
      "pages "
      "evicted, {} copied, {} of {} guesses kept, {} choices cancelled",
      compared, searched, tokens, steps, preemptions, prefix_hits, evictions, copies, guesses_kept,
      guesses, cancelled);
}

std::string Counts::missing() const {
  std::string text;
  if (preemptions == 0) text += "preemptions ";
  if (prefix_hits == 0) text += "prefix hits ";
  if (evictions == 0) text += "evictions ";
  if (copies == 0) text += "copies of pages ";
  if (guesses == 0) text += "guesses ";
  if (cancelled == 0) text += "cancels ";
  if (searched == 0) text += "beam searches ";
  return text;
}

Answers run(Machine& machine, Scheduler& scheduler, std::span<const Visit> visits, Counts& counts) {
  Answers answers;
  StepResult result;
  base::Nanoseconds now = 0;
  const EngineMetrics before = scheduler.metrics();
  for (int step = 0;; ++step) {
    now += 1'000'000;
    const bool more = come_and_go(scheduler, visits, step, now);
    const StepPlan& plan = scheduler.plan(now);
    result.reset(plan);
    if (!plan.empty()) machine.executor().run(plan, result);
    counts.copies += plan.copies.size();
    for (const Event& event : scheduler.commit(result, now)) take(event, answers);
    if (!more && scheduler.idle()) break;
  }
  const EngineMetrics& after = scheduler.metrics();
  counts.steps += after.steps - before.steps;
  counts.preemptions += after.preemptions - before.preemptions;
  counts.prefix_hits += after.prefix_hits - before.prefix_hits;
  counts.guesses_made += after.guessed_tokens - before.guessed_tokens;
  counts.guesses_kept += after.accepted_tokens - before.accepted_tokens;
  counts.guesses += after.guessed_tokens - before.guessed_tokens;
  counts.evictions += after.pages_evicted - before.pages_evicted;
  return answers;
}

std::string difference(const Answer& expected, const Answer& found) {
  if (found.ends != 1) return fmt::format("{} ends", found.ends);
  const bool whole = found.reason != FinishReason::kCancelled;
  std::string text = list_difference("prompt token", expected.prompt, found.prompt, whole);
  if (text.empty()) text = list_difference("token", expected.tokens, found.tokens, whole);
  if (!text.empty() || !whole) return text;
  const auto end = [](const Answer& answer) {
    return fmt::format("reason {}, stop token {}, score {:a}, {} + {} tokens, error '{}'",
                       static_cast<int>(answer.reason), answer.stop_token, answer.score,
                       answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.error);
  };
  if (end(expected) == end(found)) return {};
  return fmt::format("end: alone {}, here {}", end(expected), end(found));
}

}  // namespace vsurge::engine::bytes
