// Bodies that are wrong in every way, for each call with one plain JSON answer: a 400 that is
// sound, names the field where there is one, and leaves nothing behind.
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "api/embeddings.h"
#include "api/rerank.h"
#include "api/service_fixture.h"
#include "api/tokens.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;
using testing::error_of;
using testing::FixtureOptions;
using testing::ServiceFixture;

struct Call {
  const char* path;
  PooledKind kind;
  const char* body;  // that is taken
  std::span<const PlainField> fields;
};

std::vector<Call> calls() {
  return {
      {"/v1/embeddings", PooledKind::kEmbedding, R"({"model":"tiny","input":"é \" x"})",
       embeddings_fields()},
      {"/v1/rerank", PooledKind::kTokenLogits, R"({"query":"q","documents":["é \" x","b"]})",
       rerank_fields()},
      {"/v1/score", PooledKind::kTokenLogits, R"({"text_1":"q","text_2":["a","b"]})",
       score_fields()},
      {"/tokenize", PooledKind::kNone, R"({"prompt":"é \" x"})", tokenize_fields()},
      {"/detokenize", PooledKind::kNone, R"({"tokens":[104,105]})", detokenize_fields()},
      {"/apply-template",
       PooledKind::kNone,
       R"({"messages":[{"role":"user","content":"hi"}]})",
       {}},
  };
}

FixtureOptions options_of(const Call& call) {
  FixtureOptions out;
  out.pooled.kind = call.kind;
  out.pooled.hidden = testing::kPooledHidden;
  out.pooled.true_token = 1;
  out.pooled.false_token = 2;
  return out;
}

std::string code_of(const testing::TestResponder& answer) {
  return std::string(error_of(answer, 400).at("code").as_string());
}

TEST(PlainRows, CutAtEveryByte) {
  for (const Call& call : calls()) {
    ServiceFixture fixture(options_of(call));
    EXPECT_EQ(fixture.answer(call.path, call.body)->status(), 200) << call.path;
    const std::string body = call.body;
    for (std::size_t size = 0; size < body.size(); ++size) {
      const std::string code = code_of(*fixture.answer(call.path, body.substr(0, size)));
      EXPECT_TRUE(code == "invalid_json" || code == "invalid_utf8") << call.path << " " << size;
    }
    fixture.wait_idle();
  }
}

TEST(PlainRows, NoJson) {
  const struct {
    std::string before;
    std::string after;
    const char* code;
  } rows[] = {{"", " 1", "invalid_json"},           {"", "{}", "invalid_json"},
              {"\xEF\xBB\xBF", "", "invalid_json"}, {"[", "]", "invalid_type"},
              {"", "\xFF", "invalid_utf8"},         {"a=1&b=", "", "invalid_json"}};
  for (const Call& call : calls()) {
    ServiceFixture fixture(options_of(call));
    for (const auto& row : rows) {
      EXPECT_EQ(code_of(*fixture.answer(call.path, row.before + call.body + row.after)), row.code)
          << call.path << row.before << row.after;
    }
    const std::string inside = std::string(call.body, std::strlen(call.body) - 1);
    for (const auto& [member, code] :
         {std::pair{R"(,"user":NaN})", "invalid_json"}, std::pair{R"(,"user":01})", "invalid_json"},
          std::pair{R"(,"user":"\ud800"})", "invalid_unicode"},
          std::pair{R"(,"user":"a","user":"b"})", "invalid_json"},
          std::pair{",\"user\":\"\xC0\x80\"}", "invalid_utf8"},
          std::pair{R"(,"user":'a'})", "invalid_json"}}) {
      EXPECT_EQ(code_of(*fixture.answer(call.path, inside + member)), code) << member;
    }
    const std::string spaces(100'000, ' ');
    EXPECT_EQ(fixture.answer(call.path, call.body + spaces)->status(), 200);
  }
}

// Every field with a value of every type: taken, or a 400 that names it.
TEST(PlainRows, EveryFieldOfEveryType) {
  const char* values[] = {"true",
                          "0",
                          "-1",
                          "0.5",
                          "1e308",
                          R"("")",
                          R"("x")",
                          "[]",
                          "[[]]",
                          "[null]",
                          "{}",
                          R"({"text":{}})",
                          "9223372036854775808"};
  int refused = 0;
  for (const Call& call : calls()) {
    ServiceFixture fixture(options_of(call));
    for (const PlainField& field : call.fields) {
      for (const char* value : values) {
        json::object body = json::parse(call.body).as_object();
        body[field.name] = json::parse(value);
        const std::string text = json::serialize(body);
        const auto answer = fixture.answer(call.path, text);
        if (answer->status() == 200) continue;
        ++refused;
        ASSERT_TRUE(answer->status() == 400 || answer->status() == 404) << text;
        const json::value param = json::parse(answer->body()).at("error").at("param");
        ASSERT_TRUE(param.is_string()) << text << answer->body();
        // With two names of one thing the other may be the one that is named.
        const std::string_view name = param.as_string();
        const bool other = json::parse(call.body).as_object().contains(name);
        EXPECT_TRUE(name.starts_with(field.name) || other) << text << " names " << name;
      }
      json::object body = json::parse(call.body).as_object();
      if (body.contains(field.name)) continue;
      body[field.name] = nullptr;
      EXPECT_EQ(fixture.answer(call.path, json::serialize(body))->status(), 200) << field.name;
    }
    fixture.wait_idle();
  }
  EXPECT_GT(refused, 300);
}

TEST(PlainRows, WholeNumbersMayHaveAPoint) {
  ServiceFixture fixture(options_of(calls()[0]));
  const auto status = [&](const char* member) {
    return fixture
        .answer("/v1/embeddings", fmt::format(R"({{"model":"tiny","input":"x",{}}})", member))
        ->status();
  };
  EXPECT_EQ(status(R"("dimensions":2.0)"), 200);
  EXPECT_EQ(status(R"("dimensions":2.5)"), 400);
  EXPECT_EQ(status(R"("dimensions":"2")"), 400);
}

// The context exactly, and one token more; both numbers are told.
TEST(PlainRows, TheContextIsTheBound) {
  for (const int more : {0, 1}) {
    ServiceFixture fixture(options_of(calls()[0]));
    std::string ids = "[1";
    for (int i = 1; i < testing::kContext + more; ++i) ids += ",1";
    const auto answer =
        fixture.answer("/v1/embeddings", R"({"model":"tiny","input":)" + ids + "]}");
    if (more == 0) {
      EXPECT_EQ(answer->status(), 200);
      continue;
    }
    const auto error = error_of(*answer, 400);
    EXPECT_EQ(error.at("code"), "context_length_exceeded");
    const std::string message(error.at("message").as_string());
    EXPECT_NE(message.find("200"), std::string::npos);
    EXPECT_NE(message.find("201"), std::string::npos);
  }
}

}  // namespace
}  // namespace vsurge::api
