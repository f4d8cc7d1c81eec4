#include "api/grammar_cache.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <string>

#include "base/worker_pool.h"
#include "text/grammar_fixture.h"

namespace vsurge::api {
namespace {

using Kind = text::GrammarSource::Kind;
using text::testing::byte_factory;

constexpr std::size_t kPlenty = 64 * base::kMiB;

text::GrammarSource regex(int number) {
  return {Kind::kRegex, fmt::format("x{{{}}}", number), ""};
}

TEST(GrammarCache, CompilesASourceOnce) {
  GrammarCache cache(byte_factory(), kPlenty);
  const auto first = cache.get(regex(1), "regex");
  const auto again = cache.get(regex(1), "regex");
  ASSERT_TRUE(first && again);
  EXPECT_EQ(*first, *again);
  EXPECT_EQ(cache.stats().compiled, 1U);
  // The same text of another kind, or with other blanks, is another grammar.
  ASSERT_TRUE(cache.get({Kind::kJsonSchema, "{}", ""}, "json"));
  ASSERT_TRUE(cache.get({Kind::kJsonSchema, "{}", " "}, "json"));
  ASSERT_TRUE(cache.get({Kind::kRegex, "{}", ""}, "regex") ||
              cache.get({Kind::kRegex, "\\{\\}", ""}, "regex"));
  EXPECT_GE(cache.stats().compiled, 4U);
}

TEST(GrammarCache, ManyAtOnceShareOneCompilation) {
  GrammarCache cache(byte_factory(), kPlenty);
  constexpr int kAskers = 64;
  base::WorkerPool workers(4, kAskers);
  std::atomic<int> good{0};
  std::latch ended(kAskers);
  for (int i = 0; i < kAskers; ++i) {
    ASSERT_TRUE(workers.post([&] {
      good += cache.get({Kind::kJsonObject, "", ""}, "response_format") ? 1 : 0;
      ended.count_down();
    }));
  }
  ended.wait();
  EXPECT_EQ(good, kAskers);
  EXPECT_EQ(cache.stats().compiled, 1U);
}

TEST(GrammarCache, RefusalsAreRememberedAndNameTheField) {
  GrammarCache cache(byte_factory(), kPlenty);
  const text::GrammarSource bad{Kind::kJsonSchema, R"({"not":{}})", ""};
  const auto first = cache.get(bad, "response_format.json_schema.schema");
  ASSERT_FALSE(first);
  EXPECT_EQ(first.error().status, 400);
  EXPECT_EQ(first.error().param, "response_format.json_schema.schema");
  EXPECT_NE(first.error().message.find("'not'"), std::string::npos) << first.error().message;
  const auto again = cache.get(bad, "guided_json");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().param, "guided_json");
  EXPECT_EQ(cache.stats().compiled, 1U);
}

TEST(GrammarCache, WhatTookTooLongIsTriedAgain) {
  base::GrammarLimits limits;
  limits.compile_ms_max = 0;
  limits.late_compiles_max = 1'000;
  GrammarCache cache(byte_factory(limits), kPlenty);
  const std::size_t before = cache.stats().compiled;
  for (int i = 0; i < 2; ++i) {
    const auto late = cache.get({Kind::kRegex, "(a|b|c){0,500}(d|e){3,900}", ""}, "regex");
    if (late) return;  // it was in time, by chance
    EXPECT_EQ(late.error().status, 400);
  }
  EXPECT_EQ(cache.stats().compiled, before + 2);
}

TEST(GrammarCache, KeepsWithinItsBytes) {
  GrammarCache probe(byte_factory(), kPlenty);
  ASSERT_TRUE(probe.get(regex(1), "regex"));
  const std::size_t one = probe.stats().bytes;
  GrammarCache cache(byte_factory(), 4 * one);
  for (int i = 1; i <= 20; ++i) {
    ASSERT_TRUE(cache.get(regex(i), "regex"));
    ASSERT_TRUE(cache.get(regex(1), "regex")) << "used all the time, so it stays";
    EXPECT_LE(cache.stats().bytes, 4 * one);
  }
  EXPECT_EQ(cache.stats().compiled, 20U);
  EXPECT_GT(cache.stats().entries, 1U);
  const auto handed_out = cache.get(regex(2), "regex");
  for (int i = 30; i < 40; ++i) ASSERT_TRUE(cache.get(regex(i), "regex"));
  EXPECT_TRUE((*handed_out)->matcher()) << "lives on with who has it";
  GrammarCache none(byte_factory(), 0);
  EXPECT_TRUE(none.get(regex(1), "regex"));
  EXPECT_EQ(none.stats().entries, 0U);
}

}  // namespace
}  // namespace vsurge::api
