// For tests: grammars on a tokenizer of characters, and what their masks say.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <span>
#include <utility>

#include "text/grammar.h"
#include "text/test_byte_tokenizer.h"
#include "text/tokenizer.h"

namespace vsurge::text::testing {

using Mask = std::array<std::uint32_t, kLogits / 32>;

inline Tokenizer byte_tokenizer() {
  auto made = Tokenizer::from_json(byte_tokenizer_json());
  EXPECT_TRUE(made) << made.error().message;
  return std::move(*made);
}

inline GrammarFactory byte_factory(const base::GrammarLimits& limits = {}) {
  const std::array<TokenId, 1> ends = {kEnd};
  auto made = GrammarFactory::make(byte_tokenizer(), kLogits, ends, limits);
  EXPECT_TRUE(made) << made.error().message;
  return std::move(*made);
}

inline const GrammarFactory& factory() {
  static const GrammarFactory made = byte_factory();
  return made;
}

inline bool allows(std::span<const std::uint32_t> mask, TokenId token) {
  const auto bit = static_cast<std::size_t>(token);
  return (mask[bit / 32] >> (bit % 32) & 1U) != 0;
}

}  // namespace vsurge::text::testing
