#include "api/sampling_texts.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "base/limits.h"

namespace vsurge::api {
namespace {

using base::ErrorCode;
using base::fail_param;
using Tokens = std::vector<engine::TokenId>;

constexpr std::array<std::string_view, 4> kBreakers = {"\n", ":", "\"", "*"};
constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kThinking = {
    std::pair{"<think>", "</think>"},
    std::pair{"[THINK]", "[/THINK]"},
    std::pair{"<seed:think>", "</seed:think>"},
    std::pair{"<thinking>", "</thinking>"},
};

base::Status add_bad_word(const text::Tokenizer& tokenizer, std::string_view word,
                          std::vector<Tokens>& out) {
  constexpr std::size_t kMost = base::EngineLimits{}.bad_word_tokens_max;
  const std::size_t start = std::min(word.find_first_not_of(' '), word.size());
  const std::string bare(word.substr(start));
  Tokens first;
  for (const bool space : {false, true}) {
    auto tokens = tokenizer.encode(space ? " " + bare : bare, false, kMost);
    if (!tokens && tokens.error().code == ErrorCode::kContextLengthExceeded) {
      return fail_param(ErrorCode::kInvalidRequest, "bad_words",
                        "bad_words: expected at most {} tokens in each, found more", kMost);
    }
    if (!tokens) {
      tokens.error().param = "bad_words";
      return std::unexpected(std::move(tokens).error());
    }
    if (tokens->empty()) {
      if (space) continue;
      return fail_param(ErrorCode::kInvalidRequest, "bad_words",
                        "bad_words: expected at least one token in each, found none");
    }
    if (!space) first = *tokens;
    if (space && (tokens->front() == first.front() || tokens->size() != first.size())) continue;
    out.push_back(std::move(*tokens));
  }
  return {};
}

base::Status add_breaker(const text::Tokenizer& tokenizer, std::string_view text, Tokens& out) {
  for (const std::string_view before : {"", "a", " "}) {
    auto tokens = tokenizer.encode(std::string(before).append(text), false);
    if (!tokens) {
      tokens.error().param = "dry_sequence_breakers";
      return std::unexpected(std::move(tokens).error());
    }
    if (tokens->empty() || std::ranges::find(out, tokens->back()) != out.end()) continue;
    out.push_back(tokens->back());
  }
  return {};
}

}  // namespace

base::Status resolve_texts(const text::Tokenizer& tokenizer, const SamplingTexts& texts,
                           engine::SamplingParams& sampling) {
  for (const std::string& word : texts.bad_words) {
    VSURGE_TRY(add_bad_word(tokenizer, word, sampling.bad_words));
  }
  if (sampling.dry.multiplier == 0) return {};
  if (texts.dry_breakers) {
    for (const std::string& text : *texts.dry_breakers) {
      VSURGE_TRY(add_breaker(tokenizer, text, sampling.dry.sequence_breakers));
    }
  } else {
    for (const std::string_view text : kBreakers) {
      VSURGE_TRY(add_breaker(tokenizer, text, sampling.dry.sequence_breakers));
    }
  }
  return {};
}

std::optional<ThinkingTokens> thinking_tokens(const text::Tokenizer& tokenizer) {
  for (const auto& [begin, end] : kThinking) {
    const auto first = tokenizer.id_of(begin);
    const auto last = tokenizer.id_of(end);
    if (first && last) return ThinkingTokens{*first, *last};
  }
  return std::nullopt;
}

base::Result<engine::ThinkingBudget> thinking_budget(const text::Tokenizer& tokenizer, int tokens,
                                                     std::span<const engine::TokenId> prompt) {
  const auto marks = thinking_tokens(tokenizer);
  if (!marks) {
    return fail_param(ErrorCode::kInvalidRequest, "thinking_token_budget",
                      "thinking_token_budget: this model's vocabulary has no tokens that open and "
                      "close reasoning, such as <think> and </think>");
  }
  engine::ThinkingBudget budget{
      .tokens = tokens, .begin_token = marks->begin, .end_token = marks->end};
  for (const engine::TokenId token : prompt) {
    if (token == marks->begin) budget.open = true;
    if (token == marks->end) budget.open = false;
  }
  return budget;
}

}  // namespace vsurge::api
