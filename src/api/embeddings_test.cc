// /v1/embeddings over a real engine whose states are known.
#include "api/embeddings.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <cmath>
#include <cstring>
#include <fstream>

#include "api/service_fixture.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;
using engine::PooledStates;
using testing::bytes_of;
using testing::error_of;
using testing::FixtureOptions;
using testing::kBos;
using testing::ServiceFixture;
using Vector = std::vector<float>;

constexpr const char* kPath = "/v1/embeddings";

FixtureOptions options_of(PooledStates states, bool normalize = false) {
  FixtureOptions out;
  out.pooled.kind = PooledKind::kEmbedding;
  out.pooled.states = states;
  out.pooled.normalize = normalize;
  out.pooled.hidden = testing::kPooledHidden;
  return out;
}

Vector expected(std::vector<engine::TokenId> ids, PooledStates states) {
  std::vector<double> sum(testing::kPooledHidden);
  const std::size_t first = states == PooledStates::kLast ? ids.size() - 1 : 0;
  const std::size_t end = states == PooledStates::kFirst ? 1 : ids.size();
  for (std::size_t i = first; i < end; ++i) {
    const Vector state = testing::pooled_state(ids[i], static_cast<int>(i));
    for (std::size_t k = 0; k < sum.size(); ++k) sum[k] += state[k];
  }
  Vector out;
  for (const double s : sum) out.push_back(static_cast<float>(s / double(end - first)));
  return out;
}

std::vector<engine::TokenId> with_bos(std::string_view text) {
  auto ids = bytes_of(text);
  ids.insert(ids.begin(), kBos);
  return ids;
}

std::string body_of(std::string_view input, std::string_view more = "") {
  return fmt::format(R"({{"model":"tiny","input":{}{}}})", input, more);
}

std::vector<Vector> vectors_of(const testing::TestResponder& answer) {
  EXPECT_EQ(answer.status(), 200) << answer.body();
  const json::value value = json::parse(answer.body());
  std::vector<Vector> out;
  std::int64_t index = 0;
  for (const json::value& item : value.at("data").as_array()) {
    EXPECT_EQ(item.at("object"), "embedding");
    EXPECT_EQ(item.at("index").as_int64(), index++);
    Vector vector;
    for (const json::value& number : item.at("embedding").as_array()) {
      vector.push_back(static_cast<float>(number.as_double()));
    }
    out.push_back(std::move(vector));
  }
  return out;
}

TEST(Embeddings, Shape) {
  ServiceFixture fixture(options_of(PooledStates::kLast));
  for (const char* path : {"/v1/embeddings", "/embeddings"}) {
    const auto answer = fixture.answer(path, body_of(R"("hi")"));
    // "i" is byte 105 at position 2.
    EXPECT_EQ(answer->body(),
              R"({"object":"list","data":[{"object":"embedding","index":0,"embedding":)"
              R"([1.640625,-0.5,0.75]}],"model":"tiny","usage":{"prompt_tokens":3,)"
              R"("total_tokens":3}})");
    EXPECT_EQ(answer->header("Content-Type"), "application/json");
    EXPECT_NE(answer->header("X-Request-ID"), "");
  }
  fixture.wait_idle();
}

TEST(Embeddings, EveryKindOfInputAndPooling) {
  for (const auto states : {PooledStates::kLast, PooledStates::kMean, PooledStates::kFirst}) {
    ServiceFixture fixture(options_of(states));
    const auto vectors = [&](std::string_view input, std::string_view more = "") {
      return vectors_of(*fixture.answer(kPath, body_of(input, more)));
    };
    const Vector hello = expected(with_bos("hello"), states);
    EXPECT_EQ(vectors(R"("hello")"), std::vector<Vector>{hello});
    EXPECT_EQ(vectors(R"(["hello","yo","hello"])"),
              (std::vector<Vector>{hello, expected(with_bos("yo"), states), hello}));
    EXPECT_EQ(vectors("[104,105]"), std::vector<Vector>{expected({104, 105}, states)});
    EXPECT_EQ(vectors("[[104,105],[7]]"),
              (std::vector<Vector>{expected({104, 105}, states), expected({7}, states)}));
    EXPECT_EQ(vectors(R"("hello")", R"(,"add_special_tokens":false)"),
              std::vector<Vector>{expected(bytes_of("hello"), states)});
    EXPECT_EQ(vectors(R"("hello")", R"(,"truncate_prompt_tokens":3)"),
              std::vector<Vector>{expected(with_bos("he"), states)});
    EXPECT_EQ(vectors("[1,2,3]", R"(,"truncate_prompt_tokens":2)"),
              std::vector<Vector>{expected({1, 2}, states)});
    const std::string all(testing::kContext - 1, 'x');  // with <s> the whole context
    EXPECT_EQ(vectors("\"" + all + "\""), std::vector<Vector>{expected(with_bos(all), states)});
    EXPECT_EQ(vectors("\"" + all + all + "\"", R"(,"truncate_prompt_tokens":-1)"),
              std::vector<Vector>{expected(with_bos(all), states)});
  }
}

TEST(Embeddings, NormalizedAndCut) {
  ServiceFixture fixture(options_of(PooledStates::kMean, true));
  const auto vector = [&](std::string_view more) {
    return vectors_of(*fixture.answer(kPath, body_of(R"("hello!")", more))).at(0);
  };
  const auto length = [](const Vector& v) {
    double squares = 0;
    for (const float x : v) squares += double{x} * x;
    return std::sqrt(squares);
  };
  const Vector raw = expected(with_bos("hello!"), PooledStates::kMean);
  EXPECT_NEAR(length(vector("")), 1, 1e-6);
  EXPECT_EQ(vector(R"(,"normalize":false)"), raw);
  const Vector two = vector(R"(,"dimensions":2)");
  ASSERT_EQ(two.size(), 2U);
  EXPECT_NEAR(length(two), 1, 1e-6);
  EXPECT_NEAR(two[0] / two[1], raw[0] / raw[1], 1e-5);
  EXPECT_EQ(vector(R"(,"dimensions":3)"), vector(""));
  EXPECT_EQ(vector(R"(,"dimensions":2,"normalize":false)"), (Vector{raw[0], raw[1]}));
}

Vector from_base64(std::string_view text) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  unsigned bits = 0;
  int count = 0;
  for (const char c : text) {
    const std::size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) break;
    bits = bits << 6U | static_cast<unsigned>(digit);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes += static_cast<char>(bits >> static_cast<unsigned>(count) & 255U);
  }
  Vector out(bytes.size() / sizeof(float));
  std::memcpy(out.data(), bytes.data(), out.size() * sizeof(float));
  return out;
}

TEST(Embeddings, Base64IsTheSameFloats) {
  for (const int dimensions : {1, 2, 3}) {  // all ends of a group
    ServiceFixture fixture(options_of(PooledStates::kMean, true));
    const std::string more = fmt::format(R"(,"dimensions":{})", dimensions);
    const auto floats = vectors_of(*fixture.answer(kPath, body_of(R"("hello")", more)));
    const auto answer =
        fixture.answer(kPath, body_of(R"("hello")", more + R"(,"encoding_format":"base64")"));
    const json::value value = json::parse(answer->body());
    const auto text = value.at("data").at(0).at("embedding").as_string();
    EXPECT_EQ(text.size() % 4, 0U);
    EXPECT_EQ(from_base64(text), floats.at(0));
  }
  std::string out;
  append_base64(out, Vector{1.0F});
  EXPECT_EQ(out, "AACAPw==");
}

TEST(Embeddings, NumbersAreNeverIntegers) {
  const auto text = [](float x) {
    std::string out;
    append_float(out, x);
    return out;
  };
  EXPECT_EQ(text(1), "1.0");
  EXPECT_EQ(text(-0.0F), "-0.0");
  EXPECT_EQ(text(0.1F), "0.1");
  EXPECT_EQ(text(1e-10F), "1e-10");
  EXPECT_EQ(text(16777216), "16777216.0");
}

// More texts than are computed at once, and more than a step holds.
TEST(Embeddings, ManyInOneRequest) {
  ServiceFixture fixture(options_of(PooledStates::kMean));
  std::string input = "[";
  std::vector<Vector> wanted;
  for (int i = 0; i < 300; ++i) {
    const std::string text(static_cast<std::size_t>(1 + i % 40), static_cast<char>('a' + i % 26));
    input += fmt::format("{}\"{}\"", i > 0 ? "," : "", text);
    wanted.push_back(expected(with_bos(text), PooledStates::kMean));
  }
  EXPECT_EQ(vectors_of(*fixture.answer(kPath, body_of(input + "]"))), wanted);
  fixture.wait_idle();
}

TEST(Embeddings, RefusalsNameTheField) {
  ServiceFixture fixture(options_of(PooledStates::kLast));
  struct Row {
    std::string body;
    const char* param;
    int status = 400;
  };
  const std::string long_text(testing::kContext, 'x');
  const std::string far_too_long(50 * testing::kContext, 'x');
  const Row rows[] = {
      {"{", ""},
      {"[]", ""},
      {R"({"input":"x"})", "model"},
      {R"({"model":"tiny"})", "input"},
      {R"({"model":"other","input":"x"})", "model", 404},
      {body_of("null"), "input"},
      {body_of("5"), "input"},
      {body_of("{}"), "input"},
      {body_of("[]"), "input"},
      {body_of("[[]]"), "input[0]"},
      {body_of(R"(["a",5])"), "input[1]"},
      {body_of(R"([5,"a"])"), "input[1]"},
      {body_of("[1,-1]"), "input[1]"},
      {body_of("[1,262]"), "input[1]"},
      {body_of("[[1],[2.5]]"), "input[1][0]"},
      {body_of(R"("")", R"(,"add_special_tokens":false)"), "input"},
      {body_of("\"" + long_text + "\""), "input"},
      {body_of("[\"a\",\"" + far_too_long + "\"]"), "input[1]"},
      {body_of(R"("x")", R"(,"encoding_format":"hex")"), "encoding_format"},
      {body_of(R"("x")", R"(,"encoding_format":1)"), "encoding_format"},
      {body_of(R"("x")", R"(,"dimensions":0)"), "dimensions"},
      {body_of(R"("x")", R"(,"dimensions":4)"), "dimensions"},
      {body_of(R"("x")", R"(,"dimensions":1.5)"), "dimensions"},
      {body_of(R"("x")", R"(,"normalize":"yes")"), "normalize"},
      {body_of(R"("x")", R"(,"truncate_prompt_tokens":0)"), "truncate_prompt_tokens"},
      {body_of(R"("x")", R"(,"truncate_prompt_tokens":-2)"), "truncate_prompt_tokens"},
      {body_of(R"("x")", R"(,"truncate_prompt_tokens":201)"), "truncate_prompt_tokens"},
      {body_of(R"("x")", R"(,"truncation_side":"left")"), "truncation_side"},
      {body_of(R"("x")", R"(,"timeout":0)"), "timeout"},
      {body_of(R"("x")", R"(,"priority":"high")"), "priority"},
      {body_of(R"("x")", R"(,"user":5)"), "user"},
      {body_of(R"("x")", R"(,"stream":true)"), "stream"},
      {body_of(R"("x")", R"(,"nonsense":null)"), "nonsense"},
  };
  for (const Row& row : rows) {
    const auto error = error_of(*fixture.answer(kPath, row.body), row.status);
    const auto& param = error.at("param");
    EXPECT_EQ(param.is_null() ? "" : std::string(param.as_string()), row.param) << row.body;
  }
  std::string many = "[\"a\"";
  for (std::size_t i = 0; i < kEmbeddingInputsMax; ++i) many += ",\"a\"";
  EXPECT_EQ(error_of(*fixture.answer(kPath, body_of(many + "]")), 400).at("param"), "input");
  // Neutral values of what is not done are taken, and the server is as before.
  EXPECT_EQ(fixture
                .answer(kPath, body_of(R"("x")", R"(,"truncation_side":"right","user":null,)"
                                                 R"("embd_normalize":2,"timeout":30)"))
                ->status(),
            200);
  fixture.wait_idle();
}

TEST(Embeddings, CheckpointsThatAreNotMadeForIt) {
  ServiceFixture plain;
  const auto error = error_of(*plain.answer(kPath, body_of(R"("x")")), 400);
  EXPECT_EQ(error.at("param"), "model");
  EXPECT_NE(error.at("message").as_string().find("not made for embeddings"), std::string::npos);
  FixtureOptions refused;
  refused.pooled.refused = "1_Pooling/config.json: pooling by max is not supported";
  ServiceFixture other(refused);
  const auto why = error_of(*other.answer(kPath, body_of(R"("x")")), 400);
  EXPECT_NE(why.at("message").as_string().find("by max"), std::string::npos);
  FixtureOptions scores;
  scores.pooled.kind = PooledKind::kClassifier;
  ServiceFixture reranker(scores);
  EXPECT_EQ(error_of(*reranker.answer(kPath, body_of(R"("x")")), 400).at("param"), "model");
}

// A checkpoint of embeddings has no answers.
TEST(Embeddings, NoTokensWithoutAHead) {
  FixtureOptions options = options_of(PooledStates::kLast);
  options.generates = false;
  ServiceFixture fixture(options);
  const auto error = error_of(*fixture.answer(testing::kChat, testing::chat_body()), 400);
  EXPECT_NE(error.at("message").as_string().find("vectors"), std::string::npos);
  EXPECT_EQ(fixture.answer(kPath, body_of(R"("x")"))->status(), 200);
}

TEST(Embeddings, QueueFullCancelledAndGone) {
  FixtureOptions options = options_of(PooledStates::kMean);
  options.queue_requests_max = 2;
  ServiceFixture fixture(options);
  fixture.runner.step_delay_us = 2000;
  std::string input = "[";
  for (int i = 0; i < 60; ++i) input += fmt::format("{}\"{:0150}\"", i > 0 ? "," : "", i);
  input += "]";
  const auto full = fixture.answer(kPath, body_of(input));
  EXPECT_EQ(full->status(), 429);
  EXPECT_NE(full->header("Retry-After"), "");
  fixture.wait_idle();
  const auto late = fixture.answer(kPath, body_of(R"(["a","b"])", R"(,"timeout":0.000001)"));
  EXPECT_EQ(late->status(), 408);
  fixture.wait_idle();
  ServiceFixture roomy(options_of(PooledStates::kMean));
  roomy.runner.step_delay_us = 2000;
  const auto gone = roomy.post(kPath, body_of(input));
  roomy.executor.run_until([&] { return roomy.engine.metrics().requests_running > 0; });
  gone->leave();
  roomy.wait_idle();
  EXPECT_FALSE(gone->finished());
  const auto stopped = roomy.post(kPath, body_of(input));
  roomy.executor.run_until([&] { return roomy.engine.metrics().requests_running > 0; });
  roomy.engine.stop();
  roomy.finish(*stopped);
  EXPECT_EQ(stopped->status(), 503);
}

TEST(Embeddings, FieldsAreInTheDocumentation) {
  std::ifstream file(std::string(VSURGE_SOURCE_DIR) + "/docs/API.md");
  const std::string all{std::istreambuf_iterator<char>(file), {}};
  const std::size_t begin = all.find("## Embeddings");
  ASSERT_NE(begin, std::string::npos);
  const std::string text = all.substr(begin, all.find("\n## ", begin + 1) - begin);
  for (const PlainField& field : embeddings_fields()) {
    EXPECT_NE(text.find(fmt::format("`{}`", field.name)), std::string::npos) << field.name;
  }
}

}  // namespace
}  // namespace vsurge::api
