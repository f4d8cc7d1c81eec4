// Every sampling parameter, from the request to the token, against the distributions that
// tools/oracle/sampling_goldens.py worked out in NumPy.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/mapped_file.h"
#include "engine/options.h"
#include "engine/sampler_state.h"
#include "kernels/kernels.h"
#include "kernels/test_distribution.h"

namespace vsurge::testing {
namespace {

using engine::TokenId;
using kernels::IsaLevel;
namespace json = boost::json;

constexpr int kDraws = 100'000;
constexpr int kDrawsOfOtherLevels = 3'000;

struct Case {
  std::string name;
  std::vector<float> logits;
  std::vector<TokenId> prompt, answer;
  engine::SamplingParams params;
  std::vector<float> edited;
  std::vector<double> p;
  std::vector<std::pair<TokenId, double>> top;
};

float number(const json::value& value) {
  return value.is_null() ? -std::numeric_limits<float>::infinity()
                         : static_cast<float>(value.to_number<double>());
}

std::vector<float> numbers(const json::value& value) {
  std::vector<float> result;
  for (const json::value& item : value.as_array()) result.push_back(number(item));
  return result;
}

std::vector<TokenId> tokens(const json::value& value) {
  return json::value_to<std::vector<TokenId>>(value);
}

std::vector<std::pair<TokenId, double>> pairs(const json::value& value) {
  std::vector<std::pair<TokenId, double>> result;
  for (const json::value& item : value.as_array()) {
    const json::array& pair = item.as_array();
    result.emplace_back(pair[0].to_number<TokenId>(), pair[1].to_number<double>());
  }
  return result;
}

void read_dry(const json::object& from, engine::DryParams& dry) {
  dry.multiplier = number(from.at("multiplier"));
  dry.base = number(from.at("base"));
  dry.allowed_length = from.at("allowed_length").to_number<int>();
  if (const auto* range = from.if_contains("range")) dry.range = range->to_number<int>();
  if (const auto* breakers = from.if_contains("sequence_breakers")) {
    dry.sequence_breakers = tokens(*breakers);
  }
}

// Sets the field `key`; false when there is none of this name.
bool set_field(engine::SamplingParams& params, std::string_view key, const json::value& value) {
  const auto set = [&](std::string_view name, auto& field) {
    if (key != name) return false;
    field = value.to_number<std::remove_reference_t<decltype(field)>>();
    return true;
  };
  if (set("temperature", params.temperature) || set("top_p", params.top_p) ||
      set("min_p", params.min_p) || set("typical_p", params.typical_p) ||
      set("top_n_sigma", params.top_n_sigma) || set("top_k", params.top_k) ||
      set("repetition_penalty", params.repetition_penalty) ||
      set("presence_penalty", params.presence_penalty) ||
      set("frequency_penalty", params.frequency_penalty) || set("min_tokens", params.min_tokens)) {
    return true;
  }
  if (key == "suppress_tokens") {
    params.suppress_tokens = tokens(value);
  } else if (key == "allowed_token_ids") {
    params.allowed_token_ids = tokens(value);
  } else if (key == "stop_token_ids") {
    params.stop_token_ids = tokens(value);
  } else if (key == "bad_words") {
    for (const json::value& word : value.as_array()) params.bad_words.push_back(tokens(word));
  } else if (key == "logit_bias") {
    for (const auto& [token, bias] : pairs(value)) {
      params.logit_bias.emplace_back(token, static_cast<float>(bias));
    }
  } else if (key == "xtc") {
    params.xtc = {number(value.at("probability")), number(value.at("threshold"))};
  } else if (key == "dry") {
    read_dry(value.as_object(), params.dry);
  } else if (key == "thinking") {
    params.thinking = engine::ThinkingBudget{value.at("tokens").to_number<int>(), -1,
                                             value.at("end_token").to_number<TokenId>(),
                                             value.at("open").as_bool()};
  } else {
    return false;
  }
  return true;
}

std::vector<Case> read_cases() {
  const auto path = std::filesystem::path(VSURGE_SOURCE_DIR) / "tests/golden/sampling.json";
  const auto text = base::read_text_file(path, base::kMiB);
  EXPECT_TRUE(text.has_value());
  std::vector<Case> cases;
  const json::value parsed = json::parse(text.value());
  for (const json::value& item : parsed.as_array()) {
    const json::object& from = item.as_object();
    Case c;
    c.name = from.at("name").as_string();
    c.logits = numbers(from.at("logits"));
    c.prompt = tokens(from.at("prompt"));
    c.answer = tokens(from.at("answer"));
    for (const auto& [key, value] : from.at("params").as_object()) {
      EXPECT_TRUE(set_field(c.params, key, value)) << key;
    }
    c.edited = numbers(from.at("edited"));
    c.p.assign(c.logits.size(), 0);
    for (const auto& [token, p] : pairs(from.at("p"))) c.p[static_cast<std::size_t>(token)] = p;
    c.top = pairs(from.at("top"));
    cases.push_back(std::move(c));
  }
  return cases;
}

const std::vector<Case>& all_cases() {
  static const std::vector<Case> cases = read_cases();
  return cases;
}

engine::EngineOptions options_for(const Case& c) {
  engine::EngineOptions options;
  options.context_max = 1000;
  options.pages = 100;
  options.vocabulary = static_cast<int>(c.logits.size());
  options.eos_tokens = {1, 2};
  return options;
}

// The row of a case as the engine prepares it.
struct Prepared {
  std::unique_ptr<engine::SamplerState> state;
  kernels::SampleRow row{};
  std::vector<std::uint64_t> scratch;

  explicit Prepared(const Case& c)
      : scratch(kernels::sample_scratch(static_cast<std::int32_t>(c.logits.size()))) {
    const engine::EngineOptions options = options_for(c);
    engine::Request request;
    request.prompt = c.prompt;
    request.sampling = c.params;
    const base::Status status = engine::check_request(options, request);
    EXPECT_TRUE(status.has_value()) << status.error().message;
    state = engine::SamplerState::make(c.params, c.prompt, options);
    const engine::SamplingParams& p = c.params;
    row = {p.temperature, p.top_p, p.min_p, p.top_k, 9, 0, nullptr};
    row.typical_p = p.typical_p;
    row.top_n_sigma = p.top_n_sigma;
    row.xtc_probability = p.xtc.probability;
    row.xtc_threshold = p.xtc.threshold;
    if (!state) return;
    std::vector<TokenId> history = c.prompt;
    for (const TokenId token : c.answer) {
      state->accept(token);
      history.push_back(token);
    }
    state->prepare(history, row);
  }
  kernels::SampleResult sample(std::vector<float>& logits, IsaLevel level) {
    return kernels::table(level).sample(logits.data(), static_cast<std::int32_t>(logits.size()),
                                        row, scratch.data());
  }
};

class SamplingGolden : public ::testing::TestWithParam<std::size_t> {};

TEST_P(SamplingGolden, PenaltiesAndBansAreExact) {
  const Case& c = all_cases()[GetParam()];
  Prepared prepared(c);
  prepared.row.temperature = 0;
  std::vector<float> logits = c.logits;
  const auto result = prepared.sample(logits, kernels::best_level());
  EXPECT_EQ(logits, c.edited);
  // Greedy obeys them as well.
  const auto best = std::ranges::max_element(c.edited) - c.edited.begin();
  EXPECT_EQ(result.token, best);
}

TEST_P(SamplingGolden, DrawsFollowTheDistribution) {
  const Case& c = all_cases()[GetParam()];
  Prepared prepared(c);
  std::vector<int> seen(c.logits.size(), 0);
  std::vector<float> logits;
  std::vector<TokenId> first;
  for (int i = 0; i < kDraws; ++i) {
    logits = c.logits;
    prepared.row.position = static_cast<std::uint64_t>(i);
    const auto result = prepared.sample(logits, kernels::best_level());
    ASSERT_EQ(result.status, kernels::SampleStatus::kOk);
    ++seen[static_cast<std::size_t>(result.token)];
    if (i < kDrawsOfOtherLevels) first.push_back(result.token);
  }
  kernels::expect_distribution(c.p, seen, kDraws);
  for (const IsaLevel level : {IsaLevel::kScalar, IsaLevel::kAvx2}) {
    if (!kernels::supported(level)) continue;
    for (std::size_t i = 0; i < first.size(); ++i) {
      logits = c.logits;
      prepared.row.position = i;
      ASSERT_EQ(prepared.sample(logits, level).token, first[i]) << kernels::table(level).name;
    }
  }
}

// Told of the distribution of the model itself: nothing of the request changes them.
TEST_P(SamplingGolden, LogprobsAreTheModels) {
  const Case& c = all_cases()[GetParam()];
  Prepared prepared(c);
  std::array<kernels::TopLogprob, engine::kTopLogprobsMax> top;
  prepared.row.top = top.data();
  for (std::uint64_t i = 0; i < 200; ++i) {
    prepared.row.position = i;
    prepared.row.logprobs = -1;
    std::vector<float> logits = c.logits;
    const auto without = prepared.sample(logits, kernels::best_level());
    logits = c.logits;
    prepared.row.logprobs = engine::kTopLogprobsMax;
    const auto result = prepared.sample(logits, kernels::best_level());
    ASSERT_EQ(result.token, without.token);
    ASSERT_EQ(result.top_count, static_cast<std::int32_t>(c.top.size()));
    for (std::size_t k = 0; k < c.top.size(); ++k) {
      EXPECT_EQ(result.top[k].token, c.top[k].first);
      EXPECT_NEAR(static_cast<double>(result.top[k].logprob), c.top[k].second, 2e-6);
    }
    const float mine = c.logits[static_cast<std::size_t>(result.token)];
    const auto rank = 1 + std::ranges::count_if(c.logits, [&](float x) { return x > mine; });
    EXPECT_EQ(result.rank, rank);
    const double best = c.top[0].second;
    const double spread =
        static_cast<double>(mine) - static_cast<double>(std::ranges::max(c.logits));
    EXPECT_NEAR(static_cast<double>(result.logprob), best + spread, 2e-6);
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, SamplingGolden, ::testing::Range(std::size_t{0}, std::size_t{44}),
                         [](const auto& it) { return all_cases()[it.param].name; });

TEST(SamplingGoldens, AllAreRun) {
  EXPECT_EQ(all_cases().size(), 44U);
}

}  // namespace
}  // namespace vsurge::testing
