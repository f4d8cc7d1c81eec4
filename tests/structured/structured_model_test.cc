// Constrained answers of the default model, through scheduler and executor.
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "base/test_data.h"
#include "model_fixture.h"

namespace vsurge::structured {
namespace {

using engine::FinishReason;
using Kind = text::GrammarSource::Kind;

constexpr int kPagesFew = 24;  // too few for all at once: some are preempted

class StructuredModel : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    const auto path = base::default_model_path();
    if (!path) return;
    auto made = Bed::load(*path, kPagesFew, 12);
    ASSERT_TRUE(made) << made.error().message;
    bed_ = std::move(*made);
  }
  static void TearDownTestSuite() { bed_.reset(); }
  void SetUp() override {
    if (!bed_) GTEST_SKIP() << base::default_model_missing();
  }

  static text::Grammar grammar(Kind kind, std::string source) {
    auto made = bed_->factory().compile({kind, std::move(source), ""});
    EXPECT_TRUE(made) << made.error().message;
    return std::move(*made);
  }
  static std::string text_of(const Told& told) {
    return bed_->tokenizer().decode(told.tokens, true).value();
  }

  static inline std::unique_ptr<Bed> bed_;
};

TEST_F(StructuredModel, EveryAnswerThatEndsIsOfItsSchema) {
  const text::Grammar people = grammar(Kind::kJsonSchema, R"({"type":"object","properties":{
      "name":{"type":"string","minLength":1,"maxLength":20},
      "age":{"type":"integer","minimum":18,"maximum":99},
      "likes":{"type":"array","items":{"enum":["tea","cake"]},"minItems":1,"maxItems":3}},
      "required":["name","age","likes"],"additionalProperties":false})");
  engine::SamplingParams sampling;
  sampling.temperature = 2;
  sampling.max_tokens = 200;
  sampling.n = 4;
  std::vector<engine::Request> requests;
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    sampling.seed = seed;
    requests.push_back(bed_->request("Somebody who likes tea:", sampling, &people));
  }
  for (const auto& [choice, told] : bed_->run(std::move(requests))) {
    ASSERT_EQ(told.reason, FinishReason::kStop) << told.error << text_of(told);
    const auto answer = boost::json::parse(text_of(told)).as_object();
    EXPECT_EQ(answer.size(), 3U);
    EXPECT_TRUE(answer.at("name").is_string());
    const auto age = answer.at("age").to_number<int>();
    EXPECT_TRUE(18 <= age && age <= 99) << age;
    const auto& likes = answer.at("likes").as_array();
    EXPECT_TRUE(1 <= likes.size() && likes.size() <= 3);
    for (const auto& like : likes) EXPECT_TRUE(like == "tea" || like == "cake");
  }
}

// Masks belong to the sequence: neither company, nor preemption, nor the other choices of its
// request change an answer.
TEST_F(StructuredModel, AloneAndTogetherTheSame) {
  const text::Grammar list = grammar(Kind::kJsonSchema, R"({"type":"array","items":{"type":"string",
      "maxLength":30},"minItems":12,"maxItems":20})");
  const text::Grammar word = grammar(Kind::kRegex, "([a-z]{2,9} ){20,40}end");
  engine::SamplingParams sampling;
  sampling.temperature = 1.5F;
  sampling.max_tokens = 100;
  sampling.logprobs = 2;
  const auto make = [&](std::uint64_t seed) {
    sampling.seed = seed;
    sampling.n = seed == 0 ? 6 : 1;
    const text::Grammar* grammar = seed == 0 ? &list : seed % 3 == 0 ? nullptr : &word;
    return bed_->request("Write a list of some words that come to mind, one after the other.",
                         sampling, grammar);
  };
  std::vector<engine::Request> together;
  for (std::uint64_t seed = 0; seed < 10; ++seed) together.push_back(make(seed));
  const std::uint64_t before = bed_->preemptions();
  const Answers all = bed_->run(std::move(together));
  EXPECT_GT(bed_->preemptions(), before) << "or the test shows less than it should";
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    std::vector<engine::Request> alone;
    alone.push_back(make(seed));
    for (const auto& [choice, told] : bed_->run(std::move(alone))) {
      EXPECT_EQ(told, all.at({seed + 1, choice.second})) << seed << " " << choice.second;
      EXPECT_EQ(told.error, "");
    }
  }
}

// One whose grammar passes a limit ends with an error; the others do not notice.
TEST_F(StructuredModel, AFailingMaskEndsItsRequestAlone) {
  const text::Grammar bomb =
      grammar(Kind::kRegex, "(.*a.{20}|.*b.{25}|.*c.{30}|.*e.{35}|.*i.{40})x{400}");
  const text::Grammar fine = grammar(Kind::kChoice, R"(["yes","no"])");
  engine::SamplingParams sampling;
  sampling.temperature = 2;
  sampling.max_tokens = 200;
  std::vector<engine::Request> requests;
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    sampling.seed = seed;
    requests.push_back(bed_->request("Go on:", sampling, seed % 2 == 0 ? &bomb : &fine));
  }
  const Answers answers = bed_->run(std::move(requests));
  for (const auto& [choice, told] : answers) {
    if (choice.first % 2 == 1) {
      EXPECT_EQ(told.reason, FinishReason::kError);
      EXPECT_NE(told.error.find("too many"), std::string::npos) << told.error;
    } else {
      EXPECT_EQ(told.reason, FinishReason::kStop);
      EXPECT_TRUE(text_of(told) == "yes" || text_of(told) == "no") << text_of(told);
    }
  }
}

TEST_F(StructuredModel, OneThatIsCutIsABeginning) {
  const text::Grammar numbers = grammar(
      Kind::kJsonSchema, R"({"type":"array","items":{"const":7},"minItems":100,"maxItems":100})");
  engine::SamplingParams sampling;
  sampling.temperature = 0;
  sampling.max_tokens = 9;
  std::vector<engine::Request> requests;
  requests.push_back(bed_->request("[", sampling, &numbers));
  const Told told = bed_->run(std::move(requests)).begin()->second;
  EXPECT_EQ(told.reason, FinishReason::kLength);
  EXPECT_TRUE(text_of(told).starts_with("[7,7,7")) << text_of(told);
}

}  // namespace
}  // namespace vsurge::structured
