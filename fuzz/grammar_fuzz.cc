// A source of constrained output, its kind in the first byte and a seed in the second: an error, or
// masks whose tokens are taken and whose answers are what the kind promises.
#include <boost/json/parse.hpp>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "text/grammar.h"
#include "text/test_byte_tokenizer.h"

namespace {

using namespace vsurge::text;  // NOLINT(google-build-using-namespace): all of this file
using Kind = GrammarSource::Kind;

constexpr int kStepsMax = 60;
constexpr Kind kKinds[] = {Kind::kJsonSchema, Kind::kJsonObject, Kind::kRegex,
                           Kind::kLark,       Kind::kGbnf,       Kind::kChoice};

const GrammarFactory& factory() {
  static const GrammarFactory made = [] {
    const auto tokenizer = Tokenizer::from_json(testing::byte_tokenizer_json());
    if (!tokenizer) std::abort();
    vsurge::base::GrammarLimits limits;
    limits.source_bytes_max = 16 * vsurge::base::kKiB;
    limits.compile_fuel = 100'000;
    limits.step_fuel = 20'000;
    const TokenId ends[] = {testing::kEnd};
    auto all = GrammarFactory::make(*tokenizer, testing::kLogits, ends, limits);
    if (!all) std::abort();
    return std::move(*all);
  }();
  return made;
}

// Errors of the client's making, or that the machine was busy.
void check(const vsurge::base::Error& error) {
  if (error.code == vsurge::base::ErrorCode::kInternal || error.message.empty()) std::abort();
}

void walk(const Grammar& grammar, Kind kind, std::uint32_t seed) {
  auto matcher = grammar.matcher();
  if (!matcher) std::abort();
  std::string answer;
  for (int step = 0; step < kStepsMax; ++step) {
    std::vector<std::uint32_t> mask(testing::kLogits / 32);
    if (const auto filled = matcher->fill_mask(mask); !filled) return check(filled.error());
    std::vector<TokenId> allowed;
    for (TokenId token = 0; token < testing::kLogits; ++token) {
      if ((mask[static_cast<std::size_t>(token) / 32] >> (token % 32) & 1U) != 0) {
        allowed.push_back(token);
      }
    }
    if (allowed.empty()) std::abort();
    if (allowed.back() > testing::kEnd) std::abort();
    seed = seed * 1664525U + 1013904223U;
    const TokenId token = allowed[(seed >> 8) % allowed.size()];
    if (token == testing::kEnd || (allowed.back() == testing::kEnd && step > kStepsMax / 2)) {
      boost::system::error_code error;
      boost::json::parse_options options;
      options.max_depth = 2 * kStepsMax;
      if (kind == Kind::kJsonSchema || kind == Kind::kJsonObject) {
        boost::json::parse(answer, error, {}, options);
      }
      if (error) std::abort();
      return;
    }
    if (const auto taken = matcher->accept(token); !taken) return check(taken.error());
    answer += testing::character_of(token);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const Kind kind = kKinds[data[0] % std::size(kKinds)];
  const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  const auto grammar = factory().compile({kind, std::string(text), ""});
  if (!grammar) {
    check(grammar.error());
    return 0;
  }
  walk(*grammar, kind, data[1]);
  return 0;
}
