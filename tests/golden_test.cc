// The decoder against transformers: tiny checkpoints of every family (tools/oracle made them and
// their logits), on every instruction set level of this machine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <fstream>
#include <iterator>

#include "base/limits.h"
#include "base/mapped_file.h"
#include "base/test_data.h"
#include "golden_runner.h"
#include "kernels/kernels.h"

namespace vsurge::testing {
namespace {

using model::WeightChoice;
namespace json = boost::json;
using Tokens = std::vector<std::int32_t>;

const std::filesystem::path kGolden = std::filesystem::path(VSURGE_SOURCE_DIR) / "tests/golden";

json::value read_json(const std::filesystem::path& path) {
  return json::parse(base::read_text_file(path, base::kMiB).value());
}

std::vector<float> read_floats(const std::filesystem::path& path) {
  const auto file = base::MappedFile::open(path).value();
  const auto* data = reinterpret_cast<const float*>(file.bytes().data());
  return {data, data + file.bytes().size() / sizeof(float)};
}

std::vector<std::string> families() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kGolden)) {
    // Folders of folders hold what other tests read.
    if (std::filesystem::exists(entry.path() / "golden.json")) {
      names.push_back(entry.path().filename());
    }
  }
  std::ranges::sort(names);
  return names;
}

std::vector<std::string> isa_levels() {
  std::vector<std::string> names;
  for (const auto level : kernels::kIsaLevels) {
    if (kernels::supported(level)) names.emplace_back(kernels::table(level).name);
  }
  return names;
}

// What the oracle stored for one checkpoint.
struct Golden {
  explicit Golden(const std::string& family)
      : folder(kGolden / family),
        object(read_json(folder / "golden.json").as_object()),
        ids(json::value_to<Tokens>(object.at("ids"))),
        logits(read_floats(folder / "logits.f32")) {}

  std::filesystem::path folder;
  json::object object;
  Tokens ids;
  std::vector<float> logits;  // [ids], then [long.rows]
};

double max_error(std::span<const float> expected, std::span<const float> found) {
  EXPECT_EQ(expected.size(), found.size());
  double error = 0;
  for (std::size_t i = 0; i < expected.size() && i < found.size(); ++i) {
    const double difference = std::abs(expected[i] - found[i]);
    if (!(difference <= error)) error = difference;  // NaN as well
  }
  return error;
}

ModelRunner open_runner(const std::filesystem::path& path, const RunnerOptions& options) {
  auto runner = ModelRunner::open(path, options);
  if (!runner) ADD_FAILURE() << runner.error().message;
  return std::move(runner).value();
}

class GoldenTest : public ::testing::TestWithParam<std::tuple<std::string, std::string>> {
 protected:
  Golden golden_{std::get<0>(GetParam())};
  RunnerOptions options_{.isa = std::get<1>(GetParam()), .weights = WeightChoice::kF32};
};

TEST_P(GoldenTest, LogitsInFloat) {
  auto runner = open_runner(golden_.folder, options_);
  const auto logits = runner.logits(golden_.ids, 64);
  const auto expected = std::span(golden_.logits).first(logits.size());
  EXPECT_LE(max_error(expected, logits), 1e-3);
  if (!golden_.object.contains("long")) return;

  // Over more than one chunk of keys.
  const auto width = static_cast<std::size_t>(runner.info().vocabulary);
  const auto ids = json::value_to<Tokens>(golden_.object.at("long").at("ids"));
  const auto all = runner.logits(ids, 200);
  std::size_t at = logits.size();
  for (const int row : json::value_to<Tokens>(golden_.object.at("long").at("rows"))) {
    const auto found = std::span(all).subspan(static_cast<std::size_t>(row) * width, width);
    EXPECT_LE(max_error(std::span(golden_.logits).subspan(at, width), found), 1e-3) << row;
    at += width;
  }
  EXPECT_EQ(at, golden_.logits.size());
}

TEST_P(GoldenTest, GreedyTokens) {
  auto runner = open_runner(golden_.folder, options_);
  const auto prompt = std::span(golden_.ids).first(8);
  EXPECT_EQ(runner.greedy(prompt, 64), json::value_to<Tokens>(golden_.object.at("greedy")));
}

TEST_P(GoldenTest, BFloat16LosesNoMoreThanTransformers) {
  options_.weights = WeightChoice::kBF16;
  options_.kv_dtype = tensor::DType::kBF16;
  auto runner = open_runner(golden_.folder, options_);
  const auto logits = runner.logits(golden_.ids, 64);
  const auto expected = std::span(golden_.logits).first(logits.size());
  const double kl = mean_kl(expected, logits, runner.info().vocabulary);
  const double limit = 1.2 * golden_.object.at("bf16_mean_kl").as_double();
  RecordProperty("bf16_kl_over_limit", std::to_string(kl / limit));
  EXPECT_LE(kl, limit);
}

INSTANTIATE_TEST_SUITE_P(, GoldenTest,
                         ::testing::Combine(::testing::ValuesIn(families()),
                                            ::testing::ValuesIn(isa_levels())),
                         [](const auto& test) {
                           return std::get<0>(test.param) + "_" + std::get<1>(test.param);
                         });

// --- the same bytes, however the work is cut (two checkpoints, every format and level)

struct Format {
  std::string name;
  WeightChoice weights;
  tensor::DType kv;
};

class SameBytesTest
    : public ::testing::TestWithParam<std::tuple<std::string, std::string, Format>> {
 protected:
  RunnerOptions options() const {
    const auto& [family, isa, format] = GetParam();
    return {.isa = isa, .weights = format.weights, .kv_dtype = format.kv};
  }
  Golden golden_{std::get<0>(GetParam())};
};

TEST_P(SameBytesTest, ChunksDoNotMatter) {
  auto runner = open_runner(golden_.folder, options());
  const auto ids = json::value_to<Tokens>(golden_.object.at("long").at("ids"));
  const auto text = std::span(ids).first(300);
  const auto whole = runner.logits(text, 300);
  for (const int chunk : {1, 7, 64, 257}) {
    EXPECT_TRUE(runner.logits(text, chunk) == whole) << "chunks of " << chunk;
  }
}

TEST_P(SameBytesTest, CompanyAndThreadsDoNotMatter) {
  auto settings = options();
  auto runner = open_runner(golden_.folder, settings);
  settings.threads = 1;
  auto alone = open_runner(golden_.folder, settings);
  // Five texts of different lengths, advancing at different speeds in common steps.
  constexpr std::size_t kTexts = 5;
  std::vector<Tokens> texts;
  std::vector<std::vector<float>> found(kTexts);
  std::vector<Sequence> sequences(kTexts);
  for (std::size_t i = 0; i < kTexts; ++i) {
    texts.emplace_back(golden_.ids.rbegin() + static_cast<std::ptrdiff_t>(3 * i),
                       golden_.ids.rend());
  }
  const auto width = static_cast<std::size_t>(runner.info().vocabulary);
  for (bool left = true; left;) {
    std::vector<Part> parts;
    std::vector<std::size_t> owners;
    for (std::size_t i = 0; i < kTexts; ++i) {
      const auto done = static_cast<std::size_t>(sequences[i].length);
      const std::size_t count = std::min(2 * i + 1, texts[i].size() - done);
      if (count == 0) continue;
      parts.push_back({&sequences[i], std::span(texts[i]).subspan(done, count)});
      owners.push_back(i);
    }
    left = !parts.empty();
    if (!left) break;
    auto rows = runner.step(parts);
    for (std::size_t p = 0; p < parts.size(); ++p) {
      const auto own = rows.first(parts[p].tokens.size() * width);
      found[owners[p]].insert(found[owners[p]].end(), own.begin(), own.end());
      rows = rows.subspan(own.size());
    }
  }
  for (std::size_t i = 0; i < kTexts; ++i) {
    EXPECT_TRUE(alone.logits(texts[i], 1000) == found[i]) << "text " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(
    , SameBytesTest,
    ::testing::Combine(::testing::Values("llama", "mistral"), ::testing::ValuesIn(isa_levels()),
                       ::testing::Values(Format{"f32", WeightChoice::kF32, tensor::DType::kF32},
                                         Format{"bf16", WeightChoice::kBF16, tensor::DType::kBF16},
                                         Format{"i8", WeightChoice::kI8, tensor::DType::kBF16},
                                         Format{"i4", WeightChoice::kI4, tensor::DType::kBF16})),
    [](const auto& test) {
      return std::get<0>(test.param) + "_" + std::get<1>(test.param) + "_" +
             std::get<2>(test.param).name;
    });

// --- a really trained model

class TrainedTest : public ::testing::TestWithParam<std::string> {};

TEST_P(TrainedTest, Stories260KGivesItsGoldenTokens) {
  const auto folder = base::test_data_path("models-raw/stories260K/hf");
  if (!folder) GTEST_SKIP() << base::test_data_missing("models-raw/stories260K/hf");
  const auto golden = read_json(*folder / "golden_greedy.json");
  const auto expected = json::value_to<Tokens>(golden.at("greedy_ids"));
  auto runner = open_runner(*folder, {.isa = GetParam(), .weights = WeightChoice::kF32});
  const auto prompt = json::value_to<Tokens>(golden.at("prompt_ids"));
  EXPECT_EQ(runner.greedy(prompt, static_cast<int>(expected.size())), expected);
  EXPECT_EQ(expected.size(), 200u);
}

INSTANTIATE_TEST_SUITE_P(, TrainedTest, ::testing::ValuesIn(isa_levels()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace vsurge::testing
