// The endpoints about tokens: both servers' shapes, and refusals by field.
#include "api/tokens.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <fstream>

#include "api/service_fixture.h"

namespace vsurge::api {
namespace {

using testing::error_of;
using testing::ServiceFixture;

TEST(Tokens, TokenizeAsVllm) {
  ServiceFixture fixture;
  for (const char* path : {"/tokenize", "/v1/tokenize"}) {
    const auto answer = fixture.answer(path, R"({"model":"tiny","prompt":"hi é"})");
    EXPECT_EQ(answer->status(), 200);
    EXPECT_EQ(answer->header("Content-Type"), "application/json");
    EXPECT_NE(answer->header("X-Request-ID"), "");
    EXPECT_EQ(answer->body(), R"({"count":6,"max_model_len":200,"tokens":)"
                              R"([256,104,105,32,195,169],"token_strs":null})");
  }
  EXPECT_EQ(fixture
                .answer("/tokenize", R"({"prompt":"a b","add_special_tokens":false,)"
                                     R"("return_token_strs":true})")
                ->body(),
            R"({"count":3,"max_model_len":200,"tokens":[97,32,98],"token_strs":["a","Ġ","b"]})");
  EXPECT_EQ(fixture
                .answer("/tokenize", R"({"prompt":"","add_special_tokens":false,)"
                                     R"("return_token_strs":true})")
                ->body(),
            R"({"count":0,"max_model_len":200,"tokens":[],"token_strs":[]})");
}

// A prompt may be longer than the context: nothing is computed of it.
TEST(Tokens, TokenizeBeyondTheContext) {
  ServiceFixture fixture;
  const auto answer =
      fixture.answer("/tokenize", R"({"prompt":")" + std::string(5000, 'x') + R"("})");
  EXPECT_EQ(answer->status(), 200);
  EXPECT_EQ(answer->body().substr(0, 13), R"({"count":5001)");
}

TEST(Tokens, TokenizeMessages) {
  ServiceFixture fixture;
  const auto messages = [&](std::string_view more) {
    return fixture
        .answer("/tokenize",
                fmt::format(R"({{"messages":[{{"role":"user","content":"hi"}}]{}}})", more))
        ->body();
  };
  const std::string with_prompt = R"({"count":5,"max_model_len":200,)"
                                  R"("tokens":[256,258,104,105,259],"token_strs":null})";
  EXPECT_EQ(messages(""), with_prompt);
  EXPECT_EQ(messages(R"(,"add_generation_prompt":true)"), with_prompt);
  EXPECT_EQ(messages(R"(,"add_generation_prompt":false)"),
            R"({"count":4,"max_model_len":200,"tokens":[256,258,104,105],"token_strs":null})");
  EXPECT_EQ(messages(R"(,"chat_template_kwargs":{"add_generation_prompt":false})"),
            R"({"count":4,"max_model_len":200,"tokens":[256,258,104,105],"token_strs":null})");
  EXPECT_EQ(messages(R"(,"add_special_tokens":true)").substr(0, 10), R"({"count":6)");
}

// Calls without content, in the form that the template wants.
TEST(Tokens, CallsFitTheTemplate) {
  constexpr std::string_view kBody =
      R"({"messages":[{"role":"user","content":"u"},{"role":"assistant","content":null,)"
      R"("tool_calls":[{"id":"c1","type":"function","function":{"name":"f",)"
      R"("arguments":"{\"word\": \"x\"}"}}]},)"
      R"({"role":"tool","tool_call_id":"c1","content":"t"}]})";
  const auto prompt = [&](std::string_view of_call) {
    ServiceFixture fixture;
    const std::string source =
        "{% if tools %}{% endif %}{% for m in messages %}[{{ m.content }}"
        "{% for c in m.tool_calls or [] %}" +
        std::string(of_call) + "{% endfor %}]{% endfor %}";
    fixture.assets.chat_template = *text::ChatTemplate::compile(source);
    const boost::json::value answer =
        boost::json::parse(fixture.answer("/apply-template", std::string(kBody))->body());
    return std::string(answer.at("prompt").as_string());
  };
  EXPECT_EQ(prompt("{{ c.function.arguments.word }}"), "[u][x][t]");
  EXPECT_EQ(prompt("{{ ':' + c.function.arguments }}"), R"([u][:{"word":"x"}][t])");
}

TEST(Tokens, TokenizeAsLlamaServer) {
  ServiceFixture fixture;
  EXPECT_EQ(fixture.answer("/tokenize", R"({"content":"hi"})")->body(), R"({"tokens":[104,105]})");
  EXPECT_EQ(
      fixture.answer("/tokenize", R"({"content":"hi","add_special":true,"parse_special":true})")
          ->body(),
      R"({"tokens":[256,104,105]})");
  EXPECT_EQ(fixture.answer("/tokenize", R"({"content":"h é\n","with_pieces":true})")->body(),
            R"({"tokens":[{"id":104,"piece":"h"},{"id":32,"piece":" "},{"id":195,"piece":[195]},)"
            R"({"id":169,"piece":[169]},{"id":10,"piece":"\n"}]})");
  EXPECT_EQ(fixture.answer("/tokenize", R"({"content":""})")->body(), R"({"tokens":[]})");
}

TEST(Tokens, Detokenize) {
  ServiceFixture fixture;
  for (const char* path : {"/detokenize", "/v1/detokenize"}) {
    EXPECT_EQ(fixture.answer(path, R"({"tokens":[256,104,105,32,195,169]})")->body(),
              R"({"prompt":"<s>hi é","content":"<s>hi é"})");
  }
  EXPECT_EQ(fixture.answer("/detokenize", R"({"tokens":[]})")->body(),
            R"({"prompt":"","content":""})");
}

TEST(Tokens, TextComesBack) {
  ServiceFixture fixture;
  const std::string text = R"(a\"\\\n 日本 😀 \u0001 z)";
  const auto tokens =
      fixture.answer("/tokenize", fmt::format(R"({{"content":"{}"}})", text))->body();
  EXPECT_EQ(fixture.answer("/detokenize", tokens)->body(),
            fmt::format(R"({{"prompt":"{0}","content":"{0}"}})", text));
}

TEST(Tokens, ApplyTemplate) {
  ServiceFixture fixture;
  const std::string messages = R"({"messages":[{"role":"user","content":"a\"b"},)"
                               R"({"role":"assistant","content":"c"}])";
  for (const char* path : {"/apply-template", "/v1/apply-template"}) {
    EXPECT_EQ(fixture.answer(path, messages + "}")->body(),
              R"({"prompt":"<s><|user|>a\"b<|assistant|>c<|assistant|>"})");
    EXPECT_EQ(fixture.answer(path, messages + R"(,"add_generation_prompt":false})")->body(),
              R"({"prompt":"<s><|user|>a\"b<|assistant|>c"})");
  }
  // A whole chat request may be sent.
  EXPECT_EQ(fixture
                .answer("/apply-template",
                        messages + R"(,"model":"tiny","temperature":0.5,"max_tokens":7})")
                ->status(),
            200);
}

TEST(Tokens, RefusalsNameTheField) {
  ServiceFixture fixture;
  struct Row {
    const char* path;
    const char* body;
    const char* param;
    int status = 400;
  };
  const Row rows[] = {
      {"/tokenize", "{}", "prompt"},
      {"/tokenize", "[]", ""},
      {"/tokenize", "{", ""},
      {"/tokenize", R"({"prompt":5})", "prompt"},
      {"/tokenize", R"({"prompt":["a"]})", "prompt"},
      {"/tokenize", R"({"content":["a"]})", "content"},
      {"/tokenize", R"({"prompt":"a","content":"b"})", "content"},
      {"/tokenize", R"({"prompt":"a","messages":[]})", "messages"},
      {"/tokenize", R"({"messages":[]})", "messages"},
      {"/tokenize", R"({"messages":[{"role":"robot","content":"x"}]})", "messages[0].role"},
      {"/tokenize", R"({"prompt":"a","add_generation_prompt":true})", "add_generation_prompt"},
      {"/tokenize", R"({"prompt":"a","add_special_tokens":1})", "add_special_tokens"},
      {"/tokenize", R"({"content":"a","parse_special":false})", "parse_special"},
      {"/tokenize", R"({"prompt":"a","with_pieces":true})", "with_pieces"},
      {"/tokenize", R"({"content":"a","add_special":true,"add_special_tokens":false})",
       "add_special_tokens"},
      {"/tokenize", R"({"prompt":"a","nonsense":1})", "nonsense"},
      {"/tokenize", R"({"prompt":"a","model":"gpt-4"})", "model", 404},
      {"/tokenize", R"({"prompt":"a","model":7})", "model"},
      {"/detokenize", "{}", "tokens"},
      {"/detokenize", R"({"tokens":"x"})", "tokens"},
      {"/detokenize", R"({"tokens":[1,-1]})", "tokens[1]"},
      {"/detokenize", R"({"tokens":[262]})", "tokens[0]"},
      {"/detokenize", R"({"tokens":[1.5]})", "tokens[0]"},
      {"/detokenize", R"({"tokens":[1],"skip":true})", "skip"},
      {"/detokenize", R"({"tokens":[1],"model":"gpt-4"})", "model", 404},
      {"/apply-template", "{}", "messages"},
      {"/apply-template", R"({"messages":"x"})", "messages"},
      {"/apply-template", R"({"messages":[],"nonsense":1})", "nonsense"},
      {"/apply-template",
       R"({"messages":[{"role":"user","content":"a"}],"add_generation_prompt":3})",
       "add_generation_prompt"},
      {"/apply-template", R"({"messages":[{"role":"system","content":"x"}]})", "messages"},
      {"/apply-template", R"({"messages":[],"model":"gpt-4"})", "model", 404},
  };
  for (const Row& row : rows) {
    const auto answer = fixture.answer(row.path, row.body);
    const auto error = error_of(*answer, row.status);
    const auto& param = error.at("param");
    EXPECT_EQ(param.is_null() ? "" : std::string(param.as_string()), row.param)
        << row.path << " " << row.body;
  }
  EXPECT_EQ(fixture.get("/tokenize")->status(), 405);
  EXPECT_EQ(fixture.answer("/detokenize", R"({"tokens":[104]})")->status(), 200);
}

TEST(Tokens, WithoutTemplateOrWhenShuttingDown) {
  ServiceFixture fixture({.chat_template = false});
  const char* body = R"({"messages":[{"role":"user","content":"x"}]})";
  EXPECT_EQ(error_of(*fixture.answer("/apply-template", body), 400).at("param"), "messages");
  EXPECT_EQ(error_of(*fixture.answer("/tokenize", body), 400).at("param"), "messages");
  fixture.service.begin_shutdown();
  EXPECT_EQ(fixture.answer("/tokenize", R"({"prompt":"a"})")->status(), 503);
}

TEST(Tokens, TooMuchToRead) {
  ServiceFixture fixture({.text_queue_bytes_max = 10});
  const auto answer = fixture.answer("/tokenize", R"({"prompt":"a"})");
  EXPECT_EQ(answer->status(), 429);
  EXPECT_NE(answer->header("Retry-After"), "");
}

TEST(Tokens, FieldsAreInTheDocumentation) {
  std::ifstream file(std::string(VSURGE_SOURCE_DIR) + "/docs/API.md");
  const std::string all{std::istreambuf_iterator<char>(file), {}};
  const std::size_t begin = all.find("## Tokens and templates");
  ASSERT_NE(begin, std::string::npos);
  const std::string text = all.substr(begin, all.find("\n## ", begin + 1) - begin);
  for (const auto fields : {tokenize_fields(), detokenize_fields()}) {
    for (const PlainField& field : fields) {
      EXPECT_NE(text.find(fmt::format("`{}`", field.name)), std::string::npos) << field.name;
    }
  }
}

}  // namespace
}  // namespace vsurge::api
