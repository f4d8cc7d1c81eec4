#include "api/output_constraint.h"

#include <algorithm>
#include <utility>

namespace vsurge::api {
namespace {

class OutputConstraint final : public engine::TokenConstraint {
 public:
  OutputConstraint(text::GrammarMatcher matcher, const ReasoningGate& gate,
                   const ConstraintTokens& tokens)
      : matcher_(std::move(matcher)), gate_(gate), tokens_(tokens), reasons_(gate.open) {}

  base::Status fill_mask(std::span<std::uint32_t> words) override {
    if (reasons_) {
      fill_reasoning(words);
      return {};
    }
    VSURGE_TRY(matcher_.fill_mask(words));
    if (first_ && gate_.begin >= 0) set(words, gate_.begin, true);
    return {};
  }

  base::Result<bool> allows(engine::TokenId token) override {
    if (reasons_) return token < tokens_.vocabulary && !ends_answer(token);
    if (first_ && gate_.begin >= 0 && token == gate_.begin) return true;
    return matcher_.allows(token);
  }

  base::Status accept(engine::TokenId token) override {
    const bool first = std::exchange(first_, false);
    if (reasons_) {
      reasons_ = token != gate_.end;
      return {};
    }
    if (first && gate_.begin >= 0 && token == gate_.begin) {
      reasons_ = true;
      return {};
    }
    return matcher_.accept(token);
  }

 private:
  bool ends_answer(engine::TokenId token) const {
    return std::ranges::find(tokens_.end_tokens, token) != tokens_.end_tokens.end();
  }

  static void set(std::span<std::uint32_t> words, engine::TokenId token, bool allowed) {
    const auto bit = static_cast<std::size_t>(token);
    if (token < 0 || bit / 32 >= words.size()) return;
    const std::uint32_t one = 1U << (bit % 32);
    words[bit / 32] = allowed ? words[bit / 32] | one : words[bit / 32] & ~one;
  }

  void fill_reasoning(std::span<std::uint32_t> words) const {
    const auto count = static_cast<std::size_t>(std::max(0, tokens_.vocabulary));
    for (std::size_t i = 0; i < words.size(); ++i) {
      const std::size_t left = count > 32 * i ? count - 32 * i : 0;
      words[i] = left >= 32 ? ~0U : (1U << left) - 1;
    }
    for (const engine::TokenId token : tokens_.end_tokens) set(words, token, false);
  }

  text::GrammarMatcher matcher_;
  const ReasoningGate gate_;
  const ConstraintTokens tokens_;
  bool reasons_;
  bool first_ = true;
};

}  // namespace

base::Result<std::unique_ptr<engine::TokenConstraint>> make_output_constraint(
    const text::Grammar& grammar, const ReasoningGate& gate, const ConstraintTokens& tokens) {
  CHECK((!gate.open && gate.begin < 0) || gate.end >= 0, "reasoning that nothing ends");
  text::GrammarMatcher matcher = VSURGE_TRY(grammar.matcher());
  return std::make_unique<OutputConstraint>(std::move(matcher), gate, tokens);
}

}  // namespace vsurge::api
