#include "tests/sim/model.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace vsurge::engine::sim {
namespace {

constexpr float kBanned = -std::numeric_limits<float>::infinity();

std::uint64_t bits(float a, float b) {
  return static_cast<std::uint64_t>(std::bit_cast<std::uint32_t>(a)) << 32 |
         std::bit_cast<std::uint32_t>(b);
}

bool contains(const std::vector<TokenId>& tokens, TokenId token) {
  return std::find(tokens.begin(), tokens.end(), token) != tokens.end();
}

bool samples_edited(const SamplingParams& s) {
  return s.repetition_penalty != 1.0F || s.presence_penalty != 0.0F ||
         s.frequency_penalty != 0.0F || s.dry.multiplier > 0.0F || !s.logit_bias.empty() ||
         !s.bad_words.empty() || !s.allowed_token_ids.empty() || !s.suppress_tokens.empty() ||
         s.min_tokens > 0 || s.thinking.has_value();
}

}  // namespace

base::Status ChainConstraint::fill_mask(std::span<std::uint32_t> words) {
  if (mask_fails(state_)) return base::fail(kConstraintFault, "no mask");
  for (TokenId token = 0; token < vocabulary_; ++token) {
    if (!allows(state_, token)) continue;
    words[static_cast<std::size_t>(token) / 32] |= 1U << (token % 32);
  }
  return {};
}

base::Result<bool> ChainConstraint::allows(TokenId token) {
  if (mask_fails(state_)) return base::fail(kConstraintFault, "no mask");
  return allows(state_, token);
}

base::Status ChainConstraint::accept(TokenId token) {
  state_ = after(state_, token);
  if (accept_fails(state_)) return base::fail(kConstraintFault, "not accepted");
  return {};
}

Story Model::begin(Ticket ticket, int index, std::span<const TokenId> prompt) const {
  const EngineOptions& options = scenario_.options;
  Story story;
  story.ticket = ticket;
  story.index = index;
  story.spec = &scenario_.requests[static_cast<std::size_t>(index)];
  const SamplingParams& sampling = story.spec->sampling;
  story.prompt = static_cast<int>(prompt.size());
  const int room = sequence_tokens_max(options) - story.prompt;
  const bool pools = story.spec->pooling.has_value();
  story.answer_max = pools ? 1 : std::min(room, sampling.max_tokens.value_or(room));
  story.caches = options.prefix_cache && story.spec->use_prefix_cache;
  // Who shares nothing has a beginning of its own, so that sharing would show.
  story.root = mix(
      story.caches ? static_cast<std::uint64_t>(story.spec->name_space) + 1 : ticket + 1'000'000,
      scenario_.seed);
  story.edited = story.spec->constrained || samples_edited(sampling);
  const bool searches = sampling.beam.width > 0;
  if (searches) story.edited = false;
  story.held = !searches && sampling.n > 1 && story.prompt > 1;
  story.alive = sampling.n;
  for (int i = 0; i < (searches ? sampling.beam.width : sampling.n); ++i) {
    Choice& choice = story.choices.emplace_back();
    choice.tokens.reserve(static_cast<std::size_t>(story.prompt + story.answer_max));
    choice.chain.reserve(choice.tokens.capacity());
    choice.tokens.assign(prompt.begin(), prompt.end());
    Chain chain = story.root;
    for (const TokenId token : prompt) choice.chain.push_back(chain = chain_after(chain, token));
    SamplingParams drawn = sampling;
    if (pools) drawn.temperature = 0;
    choice.draw = draw_of(drawn, searches ? 0 : choice_seed(options, ticket, sampling, i));
    choice.mask = mix(ticket, static_cast<std::uint64_t>(i));
    choice.state = story.held && i > 0 ? State::kHeld : State::kWaiting;
    if (!sampling.prompt_logprobs || i > 0) choice.scored = story.prompt;
  }
  if (searches) begin_search(options, story);
  return story;
}

// Whole numbers: their sums have no rounding to agree about.
std::array<float, kHidden> Model::state_of(Chain chain) {
  return {static_cast<float>(chain & 0xFFFFF), static_cast<float>(chain >> 44)};
}

float Model::pooled_logit(Chain chain, TokenId token) {
  return static_cast<float>(mix(chain, static_cast<std::uint64_t>(token) + 5) >> 44);
}

bool Model::is_pooled(const Story& story, int position) {
  const Pooling& pooling = *story.spec->pooling;
  if (!pooling.logits_of.empty()) return false;
  if (pooling.states == PooledStates::kMean) return true;
  return position == (pooling.states == PooledStates::kFirst ? 0 : story.prompt - 1);
}

std::vector<float> Model::pooled(const Story& story, const Choice& choice) {
  std::vector<float> out;
  for (const TokenId token : story.spec->pooling->logits_of) {
    out.push_back(pooled_logit(choice.chain.back(), token));
  }
  if (!out.empty()) return out;
  std::array<double, kHidden> sum{};
  int count = 0;
  for (int position = 0; position < story.prompt; ++position) {
    if (!is_pooled(story, position)) continue;
    const auto state = state_of(choice.chain[static_cast<std::size_t>(position)]);
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += state[i];
    ++count;
  }
  for (const double x : sum) out.push_back(static_cast<float>(x / count));
  return out;
}

std::uint64_t Model::draw_of(const kernels::SampleRow& row) {
  std::uint64_t state = mix(row.seed, bits(row.temperature, row.top_p));
  state = mix(state, bits(row.min_p, row.typical_p));
  state = mix(state, bits(row.top_n_sigma, row.xtc_probability));
  return mix(state, bits(row.xtc_threshold, static_cast<float>(row.top_k)));
}

std::uint64_t Model::draw_of(const SamplingParams& sampling, std::uint64_t seed) {
  // A search draws nothing.
  const float temperature = sampling.beam.width > 0 ? 0 : sampling.temperature;
  std::uint64_t state = mix(seed, bits(temperature, sampling.top_p));
  state = mix(state, bits(sampling.min_p, sampling.typical_p));
  state = mix(state, bits(sampling.top_n_sigma, sampling.xtc.probability));
  return mix(state, bits(sampling.xtc.threshold, static_cast<float>(sampling.top_k)));
}

TokenId Model::plain_token(Chain chain, TokenId last, std::uint64_t draw) const {
  const std::uint64_t hash = mix(chain, draw);
  const auto vocabulary = static_cast<std::uint64_t>(scenario_.options.vocabulary);
  if (static_cast<int>(hash & 127) < scenario_.predictable) {
    return static_cast<TokenId>((static_cast<std::uint64_t>(last) + 1) % vocabulary);
  }
  return static_cast<TokenId>((hash >> 32) % vocabulary);
}

float Model::logit(Chain chain, std::uint64_t draw, TokenId token) {
  const std::uint64_t hash = mix(mix(chain, draw), static_cast<std::uint64_t>(token) + 3);
  return static_cast<float>(hash >> 40) * 0x1p-20F - 8.0F;
}

std::optional<Alternatives> alternatives_of(const SamplingParams& sampling) {
  if (!sampling.logprobs) return std::nullopt;
  const std::vector<TokenId>& named = sampling.logprob_token_ids;
  if (named.empty()) return Alternatives{*sampling.logprobs};
  return Alternatives{static_cast<int>(named.size()), named.data()};
}

kernels::SampleResult Model::scores(Chain chain, TokenId token, const Alternatives& wanted,
                                    int vocabulary, kernels::TopLogprob* top) {
  kernels::SampleResult result{};
  result.token = token;
  if (wanted.count < 0) return result;
  const std::uint64_t hash = mix(chain, static_cast<std::uint64_t>(token) + 17);
  result.logprob = -static_cast<float>(hash >> 56);
  result.rank = 1 + static_cast<std::int32_t>(hash % 5);
  const bool named = wanted.tokens != nullptr;
  result.top_count = named ? wanted.count : std::min(wanted.count, vocabulary);
  result.top = top;
  for (int i = 0; i < result.top_count; ++i) {
    const auto likely = static_cast<std::int32_t>((hash >> 8) % 1024) + i;
    top[i] = {named ? wanted.tokens[i] : likely, -static_cast<float>(i)};
  }
  return result;
}

bool Model::is_stop(const SamplingParams& sampling, TokenId token) const {
  return (!sampling.ignore_eos && contains(scenario_.options.eos_tokens, token)) ||
         contains(sampling.stop_token_ids, token);
}

Outcome Model::next(const Story& story, const Choice& choice) const {
  const int number = static_cast<int>(&choice - story.choices.data());
  const int length = static_cast<int>(choice.tokens.size());
  if (choice.injected) return {Outcome::Kind::kError, 0, kStatusFault};
  if (story.spec->constrained && ChainConstraint::mask_fails(choice.mask)) {
    seen_.note(Situation::kMaskFailed);
    return {Outcome::Kind::kError, 0, kConstraintFault};
  }
  for (const FaultKind kind : {FaultKind::kNotFinite, FaultKind::kNothingAllowed}) {
    if (fails_at(story, number, length, kind)) {
      return {Outcome::Kind::kError, 0, code_of(kind)};
    }
  }
  Outcome outcome;
  if (story.edited) {
    outcome = edited_token(story, choice);
  } else {
    outcome.token = plain_token(choice.chain.back(), choice.tokens.back(),
                                draw_at(choice.draw, static_cast<std::uint64_t>(length)));
  }
  if (outcome.kind == Outcome::Kind::kError) return outcome;
  if (fails_at(story, number, length, FaultKind::kBadToken)) {
    return {Outcome::Kind::kError, 0, base::ErrorCode::kInternal};
  }
  if (is_stop(story.spec->sampling, outcome.token)) {
    outcome.kind = Outcome::Kind::kStop;
  } else if (story.spec->constrained &&
             ChainConstraint::accept_fails(ChainConstraint::after(choice.mask, outcome.token))) {
    seen_.note(Situation::kAcceptFailed);
    return {Outcome::Kind::kError, 0, kConstraintFault};
  }
  return outcome;
}

void Model::accept(const Story& story, Choice& choice, TokenId token) const {
  choice.chain.push_back(chain_after(choice.chain.back(), token));
  choice.tokens.push_back(token);
  if (story.spec->constrained) choice.mask = ChainConstraint::after(choice.mask, token);
}

bool Model::forces_end_of_thinking(const SamplingParams& sampling,
                                   std::span<const TokenId> answer) const {
  if (!sampling.thinking) return false;
  const ThinkingBudget& budget = *sampling.thinking;
  bool thinking = budget.open;
  int thought = 0;
  for (const TokenId token : answer) {
    if (token == budget.end_token) {
      thinking = false;
    } else if (thinking) {
      ++thought;
    } else if (token == budget.begin_token) {
      thinking = true;
    }
  }
  return thinking && thought >= budget.tokens;
}

// Bias, then repetition, then presence, frequency.
void Model::penalise(const SamplingParams& sampling, const Story& story, const Choice& choice,
                     Logits& logits) const {
  const auto answer = choice.tokens.begin() + story.prompt;
  for (TokenId token = 0; token < scenario_.options.vocabulary; ++token) {
    float& logit = logits[static_cast<std::size_t>(token)];
    float bias = 0;
    for (const auto& [biased, by] : sampling.logit_bias) bias += biased == token ? by : 0.0F;
    logit += bias;
    if (contains(choice.tokens, token) && sampling.repetition_penalty != 1.0F) {
      logit = logit > 0 ? logit / sampling.repetition_penalty : logit * sampling.repetition_penalty;
    }
    const auto count = std::count(answer, choice.tokens.end(), token);
    if (count == 0) continue;
    logit -= sampling.frequency_penalty * static_cast<float>(count) + sampling.presence_penalty;
  }
}

// What must not come out, whatever its logit.
void Model::ban(const SamplingParams& sampling, const Story& story, const Choice& choice,
                Logits& logits) const {
  const auto& history = choice.tokens;
  const auto forbid = [&](TokenId token) { logits[static_cast<std::size_t>(token)] = kBanned; };
  for (const TokenId token : sampling.suppress_tokens) forbid(token);
  for (const std::vector<TokenId>& word : sampling.bad_words) {
    if (word.empty() || word.size() - 1 > history.size()) continue;
    if (!std::equal(word.begin(), word.end() - 1,
                    history.end() - static_cast<std::ptrdiff_t>(word.size() - 1))) {
      continue;
    }
    seen_.note_if(word.size() > 1, Situation::kBadWordBanned);
    forbid(word.back());
  }
  if (static_cast<int>(history.size()) - story.prompt < sampling.min_tokens) {
    seen_.note(Situation::kStopBanned);
    for (TokenId token = 0; token < scenario_.options.vocabulary; ++token) {
      if (is_stop(sampling, token)) forbid(token);
    }
  }
  if (sampling.allowed_token_ids.empty()) return;
  for (TokenId token = 0; token < scenario_.options.vocabulary; ++token) {
    if (!contains(sampling.allowed_token_ids, token)) forbid(token);
  }
}

// For each earlier place: how long is the text before it the same as the text before the end?
void Model::repeat_penalty(const DryParams& dry, std::span<const TokenId> history,
                           Logits& penalties) const {
  penalties.fill(0);
  if (dry.range > 0 && history.size() > static_cast<std::size_t>(dry.range)) {
    history = history.last(static_cast<std::size_t>(dry.range));
  }
  const std::size_t size = history.size();
  for (std::size_t place = 1; place < size; ++place) {
    std::size_t same = 0;
    while (same < place && history[place - 1 - same] == history[size - 1 - same] &&
           !contains(dry.sequence_breakers, history[place - 1 - same])) {
      ++same;
    }
    const TokenId token = history[place];
    if (same < static_cast<std::size_t>(dry.allowed_length)) continue;
    if (contains(dry.sequence_breakers, token)) continue;
    const double exponent = static_cast<double>(same) - dry.allowed_length;
    const double by =
        static_cast<double>(dry.multiplier) * std::pow(static_cast<double>(dry.base), exponent);
    float& penalty = penalties[static_cast<std::size_t>(token)];
    penalty = std::max(penalty, static_cast<float>(std::min(by, 1e6)));
    seen_.note(Situation::kDryPenalty);
  }
}

Outcome Model::edited_token(const Story& story, const Choice& choice) const {
  const SamplingParams& sampling = story.spec->sampling;
  const std::span<const TokenId> history = choice.tokens;
  const std::uint64_t draw = draw_at(choice.draw, history.size());
  const bool constrained = story.spec->constrained;
  Logits logits{};
  const bool forced =
      forces_end_of_thinking(sampling, history.subspan(static_cast<std::size_t>(story.prompt)));
  for (TokenId token = 0; token < scenario_.options.vocabulary; ++token) {
    logits[static_cast<std::size_t>(token)] = logit(choice.chain.back(), draw, token);
  }
  if (forced) {
    seen_.note(Situation::kThinkingForced);
    for (TokenId token = 0; token < scenario_.options.vocabulary; ++token) {
      if (token != sampling.thinking->end_token) logits[static_cast<std::size_t>(token)] = kBanned;
    }
  } else {
    penalise(sampling, story, choice, logits);
    if (sampling.dry.multiplier > 0) {
      Logits penalties;
      repeat_penalty(sampling.dry, history, penalties);
      for (std::size_t i = 0; i < logits.size(); ++i) logits[i] -= penalties[i];
    }
    ban(sampling, story, choice, logits);
  }
  TokenId best = -1;
  for (TokenId token = 0; token < scenario_.options.vocabulary; ++token) {
    const float value = logits[static_cast<std::size_t>(token)];
    if (value == kBanned || (constrained && !ChainConstraint::allows(choice.mask, token))) continue;
    if (best < 0 || value > logits[static_cast<std::size_t>(best)]) best = token;
  }
  if (best < 0) return {Outcome::Kind::kError, 0, base::ErrorCode::kInvalidRequest};
  return {Outcome::Kind::kToken, best, {}};
}

}  // namespace vsurge::engine::sim
