#include "api/output_constraint.h"

#include <gtest/gtest.h>

#include <string>

#include "text/grammar_fixture.h"

namespace vsurge::api {
namespace {

using text::testing::allows;
using text::testing::factory;
using text::testing::kEnd;
using text::testing::Mask;
using text::testing::token_of;
using Kind = text::GrammarSource::Kind;

constexpr engine::TokenId kBegin = 96;  // beyond the tokenizer's: the grammar never allows them
constexpr engine::TokenId kClose = 97;
const ConstraintTokens kTokens{98, {kEnd}};

std::unique_ptr<engine::TokenConstraint> yes(const ReasoningGate& gate) {
  const auto grammar = factory().compile({Kind::kChoice, R"(["yes"])", ""});
  EXPECT_TRUE(grammar);
  auto made = make_output_constraint(*grammar, gate, kTokens);
  EXPECT_TRUE(made);
  return std::move(*made);
}

Mask mask_of(engine::TokenConstraint& constraint) {
  Mask mask;
  mask.fill(0xdeadbeef);  // whatever was there
  EXPECT_TRUE(constraint.fill_mask(mask));
  for (engine::TokenId token = 0; token < text::testing::kLogits; ++token) {
    const auto alone = constraint.allows(token);
    EXPECT_TRUE(alone && *alone == allows(mask, token)) << token;
  }
  return mask;
}

int allowed(const Mask& mask) {
  int count = 0;
  for (const std::uint32_t word : mask) count += std::popcount(word);
  return count;
}

TEST(OutputConstraint, HoldsFromTheFirstToken) {
  const auto constraint = yes({});
  for (const char c : std::string("yes")) {
    const Mask mask = mask_of(*constraint);
    EXPECT_TRUE(allows(mask, token_of(c)));
    EXPECT_EQ(allowed(mask), 1);
    ASSERT_TRUE(constraint->accept(token_of(c)));
  }
  const Mask mask = mask_of(*constraint);
  EXPECT_TRUE(allows(mask, kEnd)) << "and nothing else";
  EXPECT_EQ(allowed(mask), 1);
  EXPECT_FALSE(yes({})->accept(token_of('x')));
}

TEST(OutputConstraint, WaitsForTheEndOfOpenReasoning) {
  const auto constraint = yes({.begin = kBegin, .end = kClose, .open = true});
  for (const char c : std::string("no {")) {
    const Mask mask = mask_of(*constraint);
    EXPECT_EQ(allowed(mask), 97) << "all of 98 but the end of text";
    EXPECT_FALSE(allows(mask, kEnd));
    EXPECT_TRUE(allows(mask, kClose));
    EXPECT_FALSE(allows(mask, 98)) << "beyond the vocabulary";
    ASSERT_TRUE(constraint->accept(token_of(c)));
  }
  ASSERT_TRUE(constraint->accept(kClose));
  EXPECT_EQ(allowed(mask_of(*constraint)), 1);
  EXPECT_FALSE(allows(mask_of(*constraint), kBegin)) << "it does not begin again";
  EXPECT_TRUE(constraint->accept(token_of('y')));
}

TEST(OutputConstraint, LetsTheModelOpenReasoningFirst) {
  const auto thinks = yes({.begin = kBegin, .end = kClose});
  const Mask first = mask_of(*thinks);
  EXPECT_TRUE(allows(first, kBegin));
  EXPECT_TRUE(allows(first, token_of('y')));
  EXPECT_EQ(allowed(first), 2);
  ASSERT_TRUE(thinks->accept(kBegin));
  ASSERT_TRUE(thinks->accept(token_of('n')));
  ASSERT_TRUE(thinks->accept(kClose));
  EXPECT_EQ(allowed(mask_of(*thinks)), 1);
  const auto answers = yes({.begin = kBegin, .end = kClose});
  ASSERT_TRUE(answers->accept(token_of('y')));
  EXPECT_FALSE(allows(mask_of(*answers), kBegin));
}

TEST(OutputConstraint, EachChoiceHasItsOwnPlace) {
  const auto grammar = factory().compile({Kind::kRegex, "a*b", ""});
  ASSERT_TRUE(grammar);
  auto one = make_output_constraint(*grammar, {}, kTokens);
  auto other = make_output_constraint(*grammar, {}, kTokens);
  ASSERT_TRUE(one && other);
  ASSERT_TRUE((*one)->accept(token_of('b')));
  EXPECT_TRUE(allows(mask_of(**one), kEnd));
  EXPECT_FALSE(allows(mask_of(**other), kEnd));
}

TEST(OutputConstraint, AMaskWithoutRoomIsAnError) {
  const auto constraint = yes({});
  std::array<std::uint32_t, 1> small{};
  EXPECT_FALSE(constraint->fill_mask(small));
}

}  // namespace
}  // namespace vsurge::api
