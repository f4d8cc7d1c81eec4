#include "capacity/trace.h"

#include <gtest/gtest.h>

#include "base/test_data.h"

namespace vsurge::capacity {
namespace {

constexpr std::string_view kCsv =
    "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
    "2023-11-16 23:59:59.5000000,374,44\r\n"
    "2023-11-17 00:00:01.0000000,396,0\r\n";

TEST(Trace, ReadsAzureCsv) {
  const auto trace = parse_trace("t.csv", kCsv);
  ASSERT_TRUE(trace.has_value()) << trace.error().message;
  ASSERT_EQ(trace->requests.size(), 2U);
  EXPECT_EQ(trace->requests[0].arrival, 0);
  EXPECT_NEAR(trace->requests[1].arrival, 1.5, 1e-6);
  EXPECT_EQ(trace->requests[1].prompt_tokens, 396);
  EXPECT_EQ(trace->requests[1].answer_tokens, 1) << "an answer has a token";
  EXPECT_TRUE(trace->blocks.empty());
}

TEST(Trace, ReadsMooncakeLines) {
  const auto trace = parse_trace(
      "t.jsonl",
      R"({"timestamp": 3000, "input_length": 600, "output_length": 5, "hash_ids": [7, 9, 11]})"
      "\n\n"
      R"({"timestamp": 0, "input_length": 10, "output_length": 2, "hash_ids": [7]})"
      "\n");
  ASSERT_TRUE(trace.has_value()) << trace.error().message;
  ASSERT_EQ(trace->requests.size(), 2U);
  EXPECT_EQ(trace->requests[0].prompt_tokens, 10) << "by arrival";
  EXPECT_EQ(trace->requests[1].arrival, 3);
  EXPECT_EQ(trace->blocks_of(trace->requests[1]).size(), 2U) << "600 tokens are two blocks";
  EXPECT_EQ(trace->blocks_of(trace->requests[1])[1], 9U);
}

TEST(Trace, SaysWhereAndWhat) {
  const std::string header = "TIMESTAMP,ContextTokens,GeneratedTokens\n";
  const std::string time = "2023-11-16 18:15:46.68";
  const struct {
    std::string text;
    const char* place;
  } cases[] = {
      {"", "t:0"},
      {header, "t:1"},
      {"a,b,c\n", "t:1"},
      {header + time + ",3\n", "t:2"},
      {header + time + ",3,x\n", "t:2"},
      {header + time + ",-3,4\n", "t:2"},
      {header + time + ",3,99999999999\n", "t:2"},
      {header + "2023-13-16 18:15:46,3,4\n", "t:2"},
      {header + "2023-11-16 24:15:46,3,4\n", "t:2"},
      {header + "yesterday,3,4\n", "t:2"},
      {"{\"timestamp\": 1}\n", "t:1"},
      {"{\"timestamp\": 1, \"input_length\": 1.5, \"output_length\": 1}\n", "t:1"},
      {"{\"timestamp\": -1, \"input_length\": 1, \"output_length\": 1}\n", "t:1"},
      {"{\"timestamp\": 1, \"input_length\": 1e300, \"output_length\": 1}\n", "t:1"},
      {"{\"timestamp\": 1, \"input_length\": 1, \"output_length\": 1, \"hash_ids\": 4}\n", "t:1"},
      {"{\"timestamp\": 1, \"input_length\": 1, \"output_length\": 1, \"hash_ids\": [-4]}\n",
       "t:1"},
      {"{\"timestamp\": 1, \"input_length\": 1, \"output_length\": 1}\n{]\n", "t:2"},
  };
  for (const auto& one : cases) {
    const auto trace = parse_trace("t", one.text);
    ASSERT_FALSE(trace.has_value()) << one.text;
    EXPECT_EQ(trace.error().code, base::ErrorCode::kUsage);
    EXPECT_TRUE(trace.error().message.starts_with(one.place))
        << trace.error().message << " of " << one.text;
  }
}

TEST(Trace, HasLimits) {
  EXPECT_FALSE(parse_trace("t", kCsv, {.bytes = 20}).has_value());
  EXPECT_FALSE(parse_trace("t", kCsv, {.requests = 1}).has_value());
  EXPECT_FALSE(parse_trace("t", kCsv, {.tokens = 380}).has_value());
  const std::string line =
      R"({"timestamp": 0, "input_length": 2000, "output_length": 2, "hash_ids": [1, 2, 3]})";
  EXPECT_TRUE(parse_trace("t", line, {.blocks = 3}).has_value());
  EXPECT_FALSE(parse_trace("t", line, {.blocks = 2}).has_value());
  // Centuries would overflow simulated time.
  const auto ages = parse_trace("t",
                                "TIMESTAMP,ContextTokens,GeneratedTokens\n"
                                "0001-01-01 00:00:00.0,1,1\n9999-01-01 00:00:00.0,1,1\n");
  ASSERT_FALSE(ages.has_value());
  EXPECT_NE(ages.error().message.find("from the first request to the last"), std::string::npos);
  EXPECT_EQ(read_trace("/nowhere/at all").error().code, base::ErrorCode::kEnvironment);
}

TEST(Trace, RealOnes) {
  for (const auto& [name, requests] :
       {std::pair{"corpora/AzureLLMInferenceTrace_conv.csv", 19366U},
        std::pair{"corpora/mooncake_conversation_trace.jsonl", 12031U}}) {
    const auto path = base::test_data_path(name);
    if (!path) GTEST_SKIP() << name << " is not there";
    const auto trace = read_trace(path->string());
    ASSERT_TRUE(trace.has_value()) << trace.error().message;
    EXPECT_EQ(trace->requests.size(), requests);
    EXPECT_GT(trace->duration(), 3000);
  }
}

}  // namespace
}  // namespace vsurge::capacity
