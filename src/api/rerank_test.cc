// /v1/rerank and /v1/score over a real engine whose states and logits are known.
#include "api/rerank.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <cmath>
#include <fstream>
#include <limits>

#include "api/bare_core_fixture.h"
#include "api/rerank_prompt.h"
#include "api/service_fixture.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;
using testing::error_of;
using testing::FixtureOptions;
using testing::ServiceFixture;

constexpr const char* kRerank = "/v1/rerank";
constexpr const char* kScore = "/v1/score";

// Scores are the sigmoid of length / 100: see the runner.
FixtureOptions by_logits() {
  FixtureOptions out;
  out.pooled = {.kind = PooledKind::kTokenLogits,
                .hidden = testing::kPooledHidden,
                .score = {},
                .true_token = 121,
                .false_token = 110,
                .refused = {}};
  return out;
}

FixtureOptions by_classifier(int labels = 1) {
  FixtureOptions out;
  out.pooled = {.kind = PooledKind::kClassifier,
                .hidden = testing::kPooledHidden,
                .labels = labels,
                .score = {1, 0, 2},
                .refused = {}};
  return out;
}

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

// <s>, query, document.
double pair_score(std::string_view query, std::string_view document) {
  return sigmoid(
      static_cast<double>(2 * (static_cast<float>(1 + query.size() + document.size()) / 100) -
                          static_cast<float>(1 + query.size() + document.size()) / 100));
}

json::value answer_of(ServiceFixture& fixture, const char* path, std::string body) {
  const auto answer = fixture.answer(path, std::move(body));
  EXPECT_EQ(answer->status(), 200) << answer->body();
  return json::parse(answer->body());
}

constexpr const char* kThree = R"({"model":"tiny","query":"q","documents":["bb","dddd","a"])";

TEST(Rerank, BestFirst) {
  ServiceFixture fixture(by_logits());
  for (const char* path : {"/v1/rerank", "/rerank", "/v2/rerank"}) {
    const json::value value = answer_of(fixture, path, std::string(kThree) + "}");
    EXPECT_EQ(value.at("model"), "tiny");
    EXPECT_EQ(value.at("usage").at("total_tokens").as_int64(), 4 + 6 + 3);
    const json::array& results = value.at("results").as_array();
    ASSERT_EQ(results.size(), 3U);
    const std::pair<int, const char*> expected[] = {{1, "dddd"}, {0, "bb"}, {2, "a"}};
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(results[i].at("index").as_int64(), expected[i].first);
      EXPECT_EQ(results[i].at("document").at("text"), expected[i].second);
      EXPECT_NEAR(results[i].at("relevance_score").as_double(), pair_score("q", expected[i].second),
                  1e-7);
    }
  }
  fixture.wait_idle();
}

TEST(Rerank, TopAndDocuments) {
  ServiceFixture fixture(by_logits());
  const auto results = [&](std::string_view more) {
    return answer_of(fixture, kRerank, std::string(kThree) + std::string(more) + "}")
        .at("results")
        .as_array();
  };
  EXPECT_EQ(results(R"(,"top_n":1)").size(), 1U);
  EXPECT_EQ(results(R"(,"top_n":1)")[0].at("index").as_int64(), 1);
  EXPECT_EQ(results(R"(,"top_n":0)").size(), 3U);
  EXPECT_EQ(results(R"(,"top_n":9)").size(), 3U);
  const auto bare = results(R"(,"return_documents":false)");
  EXPECT_FALSE(bare[0].as_object().contains("document"));
  // Of equal scores the first comes first.
  const json::value equal =
      answer_of(fixture, kRerank, R"({"query":"q","documents":["ab",{"text":"cd"},"ef"]})");
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(equal.at("results").at(i).at("index").as_int64(), static_cast<std::int64_t>(i));
  }
  EXPECT_EQ(equal.at("results").at(1).at("document").at("text"), "cd");
  const auto logits = results(R"(,"use_activation":false)");
  EXPECT_NEAR(sigmoid(logits[0].at("relevance_score").as_double()), pair_score("q", "dddd"), 1e-7);
}

TEST(Rerank, ByAClassifier) {
  ServiceFixture fixture(by_classifier());
  const json::value value =
      answer_of(fixture, kRerank, R"({"query":"q","documents":["x"],"use_activation":false})");
  const auto state = testing::pooled_state('x', 2);
  EXPECT_NEAR(value.at("results").at(0).at("relevance_score").as_double(), state[0] + 2 * state[2],
              1e-6);
}

// What a broken checkpoint may hold must not become JSON.
TEST(Rerank, ScoresThatAreNotFinite) {
  FixtureOptions options = by_classifier();
  options.pooled.score[1] = std::numeric_limits<float>::infinity();
  ServiceFixture fixture(options);
  const auto answer =
      fixture.answer(kRerank, R"({"query":"q","documents":["x"],"use_activation":false})");
  EXPECT_EQ(error_of(*answer, 500).at("type"), "server_error");
  fixture.wait_idle();
}

TEST(Rerank, RawLogitOfOneToken) {
  FixtureOptions options = by_logits();
  options.pooled.false_token = -1;
  ServiceFixture fixture(options);
  const json::value value = answer_of(fixture, kScore, R"({"text_1":"q","text_2":"abc"})");
  EXPECT_NEAR(value.at("data").at(0).at("score").as_double(), sigmoid(0.05), 1e-7);
}

TEST(Rerank, ScorePairs) {
  ServiceFixture fixture(by_logits());
  const auto scores = [&](std::string_view members) {
    const json::value value = answer_of(fixture, kScore, fmt::format("{{{}}}", members));
    EXPECT_EQ(value.at("object"), "list");
    std::vector<double> out;
    for (const json::value& item : value.at("data").as_array()) {
      EXPECT_EQ(item.at("object"), "score");
      EXPECT_EQ(item.at("index").as_int64(), static_cast<std::int64_t>(out.size()));
      out.push_back(item.at("score").as_double());
    }
    return out;
  };
  const auto expect = [](const std::vector<double>& found, const std::vector<double>& wanted) {
    ASSERT_EQ(found.size(), wanted.size());
    for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], wanted[i], 1e-7);
  };
  expect(scores(R"("text_1":"q","text_2":"abc")"), {pair_score("q", "abc")});
  expect(scores(R"("text_1":"q","text_2":["abc","a"])"),
         {pair_score("q", "abc"), pair_score("q", "a")});
  expect(scores(R"("queries":["q","long"],"documents":["abc","a"])"),
         {pair_score("q", "abc"), pair_score("long", "a")});
  expect(scores(R"("text_1":"q","documents":"abc")"), {pair_score("q", "abc")});
  EXPECT_EQ(fixture.answer("/score", R"({"text_1":"q","text_2":"abc"})")->status(), 200);
}

ModelOptions bare_options(PooledOptions pooled, int context) {
  ModelOptions options;
  options.model_names = {"m"};
  options.context_max = context;
  options.vocabulary = 1000;
  options.pooled = std::move(pooled);
  return options;
}

// Which text the tokens are of.
std::string prompt_of(const text::TextAssets& assets, PooledOptions pooled,
                      std::string_view instruction) {
  const testing::BareCore core(bare_options(std::move(pooled), 4096), assets);
  const auto prompts = RerankPrompts::make(*core, instruction);
  EXPECT_TRUE(prompts.has_value());
  const auto ids = prompts->of("Q", "D", "documents[0]");
  EXPECT_TRUE(ids.has_value()) << ids.error().message;
  return *assets.tokenizer.decode(*ids, false);
}

TEST(Rerank, Layouts) {
  const PooledOptions logits = by_logits().pooled;
  text::TextAssets assets = testing::byte_assets();
  EXPECT_EQ(prompt_of(assets, logits, ""), "<s>QD") << "no <|im_start|> in this vocabulary";
  assets.chat_template = *text::ChatTemplate::compile(
      "{% for m in messages %}{% if m.role == 'query' %}Q={{ m.content }} "
      "{% elif m.role == 'document' %}D={{ m.content }}{% else %}[{{ m.content }}] "
      "{% endif %}{% endfor %}");
  EXPECT_EQ(prompt_of(assets, logits, ""), "Q=Q D=D");
  EXPECT_EQ(prompt_of(assets, logits, "find"), "[find] Q=Q D=D");
  EXPECT_EQ(prompt_of(assets, by_classifier().pooled, ""), "Q=Q D=D");
  text::TextAssets qwen = testing::byte_assets("<|im_start|>");
  EXPECT_EQ(prompt_of(qwen, logits, ""),
            "<|im_start|>system\nJudge whether the Document meets the requirements based on the "
            "Query and the Instruct provided. Note that the answer can only be \"yes\" or "
            "\"no\".<|im_end|>\n<|im_start|>user\n<Instruct>: Given a web search query, retrieve "
            "relevant passages that answer the query\n<Query>: Q\n<Document>: D<|im_end|>\n"
            "<|im_start|>assistant\n<think>\n\n</think>\n\n");
  EXPECT_NE(prompt_of(qwen, logits, "Find it").find("<Instruct>: Find it\n"), std::string::npos);
  EXPECT_EQ(prompt_of(qwen, by_classifier().pooled, ""), "<s>QD");
}

TEST(Rerank, RefusalsNameTheField) {
  ServiceFixture fixture(by_logits());
  struct Row {
    const char* path;
    std::string members;
    const char* param;
    int status = 400;
  };
  const std::string long_text(testing::kContext, 'x');
  const Row rows[] = {
      {kRerank, "", "query"},
      {kRerank, R"("query":"q")", "documents"},
      {kRerank, R"("documents":["a"])", "query"},
      {kRerank, R"("query":5,"documents":["a"])", "query"},
      {kRerank, R"("query":"q","documents":[])", "documents"},
      {kRerank, R"("query":"q","documents":"a")", "documents"},
      {kRerank, R"("query":"q","documents":["a",5])", "documents[1]"},
      {kRerank, R"("query":"q","documents":[{"title":"a"}])", "documents[0].title"},
      {kRerank, R"("query":"q","documents":[{}])", "documents[0].text"},
      {kRerank, R"("query":"q","documents":[{"text":1}])", "documents[0].text"},
      {kRerank, R"("query":"q","documents":["a"],"top_n":-1)", "top_n"},
      {kRerank, R"("query":"q","documents":["a"],"top_n":"1")", "top_n"},
      {kRerank, R"("query":"q","documents":["a"],"return_documents":1)", "return_documents"},
      {kRerank, R"("query":"q","documents":["a"],"max_tokens_per_doc":5)", "max_tokens_per_doc"},
      {kRerank, R"("query":"q","documents":["a"],"truncate_prompt_tokens":5)",
       "truncate_prompt_tokens"},
      {kRerank, R"("query":"q","documents":["a"],"instruction":"find")", "instruction"},
      {kRerank, R"("query":"q","documents":["a"],"use_activation":0)", "use_activation"},
      {kRerank, R"("query":"q","documents":["a"],"model":"gpt-4")", "model", 404},
      {kRerank, R"("query":"q","documents":["a"],"stream":true)", "stream"},
      {kRerank, R"("query":"q","documents":["a",")" + long_text + "\"]", "documents[1]"},
      {kScore, "", "text_1"},
      {kScore, R"("text_1":"a")", "text_2"},
      {kScore, R"("text_1":[],"text_2":"a")", "text_1"},
      {kScore, R"("text_1":["a","b"],"text_2":["a","b","c"])", "text_1"},
      {kScore, R"("text_1":["a","b"],"text_2":"c")", "text_1"},
      {kScore, R"("text_1":"a","queries":"b","text_2":"c")", "queries"},
      {kScore, R"("text_1":"a","text_2":7)", "text_2"},
      {kScore, R"("text_1":"a","text_2":"b","top_n":1)", "top_n"},
  };
  for (const Row& row : rows) {
    const auto error = error_of(*fixture.answer(row.path, "{" + row.members + "}"), row.status);
    EXPECT_EQ(error.at("param"), row.param) << row.members;
  }
  EXPECT_EQ(fixture
                .answer(kRerank, R"({"query":"q","documents":["a"],"rank_fields":["text"],)"
                                 R"("max_tokens_per_doc":null})")
                ->status(),
            200);
  fixture.wait_idle();
}

// A long query is there again with each document.
TEST(Rerank, TokensOfAllPromptsAreBounded) {
  const text::TextAssets assets = testing::byte_assets();
  const testing::BareCore core(bare_options(by_logits().pooled, 200'000), assets);
  const std::string query(150'000, 'q');
  const std::atomic<bool> gone{false};
  const auto prepared = [&](int documents) {
    std::string body = R"({"query":")" + query + R"(","documents":["a")";
    for (int i = 1; i < documents; ++i) body += R"(,"a")";
    return prepare_rerank(*core, body + "]}", gone);
  };
  EXPECT_TRUE(prepared(13).has_value());
  const auto refused = prepared(14);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().param, "documents[13]");
}

TEST(Rerank, GivesUpWhenTheClientHasGone) {
  const text::TextAssets assets = testing::byte_assets();
  const testing::BareCore core(bare_options(by_logits().pooled, 100), assets);
  const std::atomic<bool> gone{true};
  EXPECT_FALSE(prepare_rerank(*core, R"({"query":"q","documents":["a"]})", gone));
}

TEST(Rerank, CheckpointsThatAreNotMadeForIt) {
  FixtureOptions embeddings;
  embeddings.pooled.kind = PooledKind::kEmbedding;
  FixtureOptions refused;
  refused.pooled.refused = "modules.json: module Dense is not supported";
  for (const auto& [options, why] :
       {std::pair{FixtureOptions{}, "no reranker"}, std::pair{embeddings, "no reranker"},
        std::pair{by_classifier(3), "3 labels"}, std::pair{refused, "Dense"}}) {
    ServiceFixture fixture(options);
    for (const auto& [path, body] : {std::pair{kRerank, R"({"query":"q","documents":["a"]})"},
                                     std::pair{kScore, R"({"text_1":"q","text_2":"a"})"}}) {
      const auto error = error_of(*fixture.answer(path, body), 400);
      EXPECT_EQ(error.at("param"), "model");
      EXPECT_NE(error.at("message").as_string().find(why), std::string::npos) << error;
    }
  }
}

TEST(Rerank, FieldsAreInTheDocumentation) {
  std::ifstream file(std::string(VSURGE_SOURCE_DIR) + "/docs/API.md");
  const std::string all{std::istreambuf_iterator<char>(file), {}};
  const std::size_t begin = all.find("## Rerank and score");
  ASSERT_NE(begin, std::string::npos);
  const std::string text = all.substr(begin, all.find("\n## ", begin + 1) - begin);
  for (const auto fields : {rerank_fields(), score_fields()}) {
    for (const PlainField& field : fields) {
      EXPECT_NE(text.find(fmt::format("`{}`", field.name)), std::string::npos) << field.name;
    }
  }
}

}  // namespace
}  // namespace vsurge::api
