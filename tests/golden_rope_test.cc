// Frequencies of every RoPE kind against transformers' (tools/oracle wrote them).
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cmath>
#include <filesystem>

#include "base/limits.h"
#include "base/mapped_file.h"
#include "model/rope.h"

namespace vsurge::testing {
namespace {

namespace json = boost::json;
using model::Rope;
using model::RopeConfig;
using model::RopeKind;

json::array golden() {
  const auto path = std::filesystem::path(VSURGE_SOURCE_DIR) / "tests/golden/rope.json";
  return json::parse(base::read_text_file(path, base::kMiB).value()).as_array();
}

RopeKind kind_of(std::string_view name) {
  if (name == "linear") return RopeKind::kLinear;
  if (name == "dynamic") return RopeKind::kDynamic;
  if (name == "llama3") return RopeKind::kLlama3;
  return name == "yarn" ? RopeKind::kYarn : RopeKind::kDefault;
}

RopeConfig config_of(const json::object& row) {
  const json::object& given = row.at("parameters").as_object();
  const auto number = [&](const char* name) -> std::optional<double> {
    const auto* value = given.if_contains(name);
    return value == nullptr ? std::nullopt : std::optional(value->to_number<double>());
  };
  RopeConfig config;
  config.kind = kind_of(given.at("rope_type").as_string());
  config.rotary_dim = row.at("rotary_dim").to_number<int>();
  config.context_max = row.at("context_max").to_number<int>();
  config.theta = *number("rope_theta");
  config.factor = number("factor").value_or(config.factor);
  config.original_context =
      static_cast<int>(number("original_max_position_embeddings").value_or(0));
  config.low_freq_factor = number("low_freq_factor").value_or(config.low_freq_factor);
  config.high_freq_factor = number("high_freq_factor").value_or(config.high_freq_factor);
  config.beta_fast = number("beta_fast").value_or(config.beta_fast);
  config.beta_slow = number("beta_slow").value_or(config.beta_slow);
  config.mscale = number("mscale");
  config.mscale_all_dim = number("mscale_all_dim");
  config.attention_factor = number("attention_factor");
  if (const auto* truncate = given.if_contains("truncate")) config.truncate = truncate->as_bool();
  return config;
}

// The angles at `position` by the golden frequencies.
void expect_angles(const Rope& rope, int position, const json::array& frequencies) {
  const auto pairs = static_cast<std::int64_t>(frequencies.size());
  std::vector<float> cosines(frequencies.size()), sines(frequencies.size());
  const std::int32_t positions[] = {position};
  rope.angles(positions, tensor::Tensor::view(cosines.data(), tensor::DType::kF32, 1, pairs),
              tensor::Tensor::view(sines.data(), tensor::DType::kF32, 1, pairs));
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    const auto frequency = static_cast<float>(frequencies[i].to_number<double>());
    const float angle = frequency * static_cast<float>(position);
    // frequencies may differ in their last bit
    const float tolerance = 1e-6f + 2e-7f * angle;
    EXPECT_NEAR(cosines[i], std::cos(angle) * rope.attention_factor(), tolerance) << i;
    EXPECT_NEAR(sines[i], std::sin(angle) * rope.attention_factor(), tolerance) << i;
  }
}

TEST(Rope, FrequenciesOfTransformers) {
  for (const auto& value : golden()) {
    const json::object& row = value.as_object();
    SCOPED_TRACE(row.at("name").as_string().c_str());
    const RopeConfig config = config_of(row);
    ASSERT_TRUE(model::validate(config));
    const Rope rope(config);
    EXPECT_NEAR(rope.attention_factor(), row.at("attention_factor").to_number<double>(), 1e-6);
    for (const auto& [length, frequencies] : row.at("inverse_frequencies").as_object()) {
      const int position = std::stoi(length) - 1;
      SCOPED_TRACE(position);
      expect_angles(rope, position, frequencies.as_array());
      if (config.kind != RopeKind::kDynamic) expect_angles(rope, 17, frequencies.as_array());
    }
  }
}

TEST(Rope, DivisorsOfGguf) {
  RopeConfig config{.rotary_dim = 4, .divisors = {1.0f, 8.0f}};
  const Rope rope(config);
  EXPECT_FLOAT_EQ(rope.inverse_frequencies()[0], 1.0f);
  EXPECT_FLOAT_EQ(rope.inverse_frequencies()[1], 0.01f / 8);
}

TEST(Rope, RefusesNumbersWithoutMeaning) {
  const RopeConfig good{.kind = RopeKind::kLlama3,
                        .rotary_dim = 64,
                        .factor = 8,
                        .context_max = 2048,
                        .original_context = 512};
  ASSERT_TRUE(model::validate(good));
  const auto refused = [&](auto change) {
    RopeConfig config = good;
    change(config);
    return !model::validate(config);
  };
  EXPECT_TRUE(refused([](auto& c) { c.theta = std::nan(""); }));
  EXPECT_TRUE(refused([](auto& c) { c.theta = 1; }));
  EXPECT_TRUE(refused([](auto& c) { c.rotary_dim = 63; }));
  EXPECT_TRUE(refused([](auto& c) { c.factor = 0; }));
  EXPECT_TRUE(refused([](auto& c) { c.original_context = 0; }));
  EXPECT_TRUE(refused([](auto& c) { c.high_freq_factor = 1; }));
  EXPECT_TRUE(refused([](auto& c) { c.divisors = {1.0f}; }));
  EXPECT_TRUE(refused([](auto& c) { c.divisors = std::vector<float>(32, 0.0f); }));
  EXPECT_TRUE(refused([](auto& c) { c.kind = RopeKind::kDynamic, c.rotary_dim = 2; }));
  EXPECT_TRUE(refused([](auto& c) { c.kind = RopeKind::kYarn, c.beta_fast = -1; }));
}

}  // namespace
}  // namespace vsurge::testing
