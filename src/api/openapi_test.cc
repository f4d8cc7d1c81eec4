// /openapi.json against the code: its fields are those of the tables, and what its schemas refuse
// the server refuses, too.
#include "api/openapi.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <set>

#include "api/embeddings.h"
#include "api/fields.h"
#include "api/model_admin.h"
#include "api/openapi_parts.h"
#include "api/requests_fixture.h"
#include "api/rerank.h"
#include "api/responses.h"
#include "api/routes.h"
#include "api/service_fixture.h"
#include "api/tokens.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;
using testing::Verdict;
using testing::verdict;

class Document {
 public:
  Document() : value_(json::parse(testing::ServiceFixture().get("/openapi.json")->body())) {}

  const json::object& operation(std::string_view method, std::string_view path) const {
    return value_.at("paths").at(path).at(method).get_object();
  }
  const json::object& body(std::string_view path) const {
    return operation("post", path)
        .at("requestBody")
        .at("content")
        .at("application/json")
        .at("schema")
        .get_object();
  }
  const json::object& properties(std::string_view path) const {
    return body(path).at("properties").get_object();
  }
  const json::value& root() const { return value_; }

  // As JSON Schema 2020-12 says, of the keywords that the document has.
  bool takes(const json::object& schema, const json::value& value) const {
    for (const auto& [key, wanted] : schema) {
      if (!keyword(key, wanted, schema, value)) return false;
    }
    return true;
  }

 private:
  static bool has_type(std::string_view type, const json::value& value) {
    if (type == "null") return value.is_null();
    if (type == "boolean") return value.is_bool();
    if (type == "string") return value.is_string();
    if (type == "array") return value.is_array();
    if (type == "object") return value.is_object();
    if (type == "number") return value.is_number();
    EXPECT_EQ(type, "integer");
    return value.is_number() && value.to_number<double>() == std::floor(value.to_number<double>());
  }
  static bool is_type(const json::value& types, const json::value& value) {
    if (types.is_string()) return has_type(types.get_string(), value);
    return std::ranges::any_of(types.get_array(), [&](const json::value& type) {
      return has_type(type.get_string(), value);
    });
  }
  bool keyword(std::string_view key, const json::value& wanted, const json::object& schema,
               const json::value& value) const {
    const auto each_of = [&](const json::value& one) { return takes(one.get_object(), value); };
    if (key == "$ref") {
      const std::string_view name = std::string_view(wanted.get_string()).substr(21);
      return takes(value_.at("components").at("schemas").at(name).get_object(), value);
    }
    if (key == "type") return is_type(wanted, value);
    if (key == "const") return value == wanted;
    if (key == "enum")
      return std::ranges::find(wanted.get_array(), value) != wanted.get_array().end();
    if (key == "anyOf") return std::ranges::any_of(wanted.get_array(), each_of);
    if (key == "allOf") return std::ranges::all_of(wanted.get_array(), each_of);
    if (value.is_number()) return in_range(key, wanted, value.to_number<double>());
    if (value.is_array()) return array(key, wanted, value.get_array());
    if (value.is_object()) return object(key, wanted, schema, value.get_object());
    if (value.is_string() && key == "minLength") {
      return value.get_string().size() >= wanted.to_number<std::size_t>();
    }
    return true;
  }
  static bool in_range(std::string_view key, const json::value& wanted, double value) {
    if (key == "minimum") return value >= wanted.to_number<double>();
    if (key == "exclusiveMinimum") return value > wanted.to_number<double>();
    if (key == "maximum") return value <= wanted.to_number<double>();
    return true;
  }
  bool array(std::string_view key, const json::value& wanted, const json::array& value) const {
    if (key == "minItems") return value.size() >= wanted.to_number<std::size_t>();
    if (key == "maxItems") return value.size() <= wanted.to_number<std::size_t>();
    if (key != "items") return true;
    return std::ranges::all_of(
        value, [&](const json::value& one) { return takes(wanted.get_object(), one); });
  }
  bool object(std::string_view key, const json::value& wanted, const json::object& schema,
              const json::object& value) const {
    if (key == "required") {
      return std::ranges::all_of(wanted.get_array(), [&](const json::value& name) {
        return value.contains(name.get_string());
      });
    }
    if (key == "maxProperties") return value.size() <= wanted.to_number<std::size_t>();
    if (key != "properties" && key != "additionalProperties") return true;
    for (const auto& [name, one] : value) {
      const json::value* known = schema.if_contains("properties");
      const bool named = known != nullptr && known->get_object().contains(name);
      if (key == "properties" && named && !takes(wanted.at(name).get_object(), one)) {
        return false;
      }
      if (key == "additionalProperties" && !named &&
          (wanted.is_bool() ? !wanted.get_bool() : !takes(wanted.get_object(), one))) {
        return false;
      }
    }
    return true;
  }

  json::value value_;
};

bool has(const Field& field, Endpoint endpoint) {
  return (field.endpoints & static_cast<std::uint8_t>(endpoint)) != 0;
}

constexpr std::pair<Endpoint, const char*> kBodies[] = {
    {Endpoint::kChat, "/v1/chat/completions"},
    {Endpoint::kCompletions, "/v1/completions"},
    {Endpoint::kMessages, "/v1/messages"},
    {Endpoint::kResponses, "/v1/responses"},
};

TEST(OpenApi, HasTheFieldsOfTheTables) {
  const Document document;
  for (const auto& [endpoint, path] : kBodies) {
    const json::object& properties = document.properties(path);
    std::set<std::string, std::less<>> told;
    for (const auto& [name, schema] : properties) {
      told.emplace(name);
      EXPECT_FALSE(schema.get_object().empty()) << path << " " << name;
    }
    std::set<std::string, std::less<>> of_table;
    for (const Field& field : field_table()) {
      if (!has(field, endpoint)) continue;
      const std::size_t dot = field.name.find('.');
      if (dot == std::string_view::npos) {
        of_table.emplace(field.name);
        continue;
      }
      const std::string_view member = field.name.substr(dot + 1);
      EXPECT_NE(json::serialize(properties.at(field.name.substr(0, dot))).find(member),
                std::string::npos)
          << field.name;
    }
    EXPECT_EQ(told, of_table) << path;
  }
  const std::pair<const char*, std::span<const PlainField>> plain[] = {
      {"/v1/embeddings", embeddings_fields()}, {"/v1/rerank", rerank_fields()},
      {"/v1/score", score_fields()},           {"/tokenize", tokenize_fields()},
      {"/detokenize", detokenize_fields()},    {"/v1/conversations", conversation_fields()},
      {"/v1/models/load", load_fields()},      {"/v1/models/unload", unload_fields()},
  };
  for (const auto& [path, fields] : plain) {
    const json::object& properties = document.properties(path);
    EXPECT_EQ(properties.size(), fields.size()) << path;
    for (const PlainField& field : fields) {
      ASSERT_TRUE(properties.contains(field.name)) << path << " " << field.name;
      EXPECT_FALSE(properties.at(field.name).get_object().empty()) << path << " " << field.name;
    }
  }
}

// Every component that is referred to is there, and every one that is there is referred to.
TEST(OpenApi, ComponentsAreWhole) {
  const Document document;
  const std::string text = json::serialize(document.root());
  std::set<std::string, std::less<>> used;
  constexpr std::string_view kBegin = "\"#/components/schemas/";
  for (std::size_t at = text.find(kBegin); at != std::string::npos; at = text.find(kBegin, at)) {
    at += kBegin.size();
    used.insert(text.substr(at, text.find('"', at) - at));
  }
  std::set<std::string, std::less<>> known;
  for (const auto& [name, schema] : component_schemas()) known.emplace(name);
  EXPECT_EQ(used, known);
}

// The values of a field that its ends are between, and those just outside.
struct Ends {
  std::vector<std::string> taken, refused;
};
Ends ends_of(const FieldShape& shape) {
  Ends out;
  if (shape.kind == FieldKind::kInteger || shape.kind == FieldKind::kNumber) {
    const double step = shape.kind == FieldKind::kInteger ? 1 : 0.25;
    out.taken = {fmt::format("{}", shape.low_open ? shape.low + step : shape.low),
                 fmt::format("{}", shape.high)};
    out.refused = {fmt::format("{}", shape.low_open ? shape.low : shape.low - step),
                   fmt::format("{}", shape.high + step)};
  }
  if (shape.kind == FieldKind::kFlag) out = {{"true", "false"}, {"1", R"("true")"}};
  if (shape.kind == FieldKind::kWord) {
    out.refused = {R"("robot")", R"("")", "1"};
    for (std::size_t at = 0; at <= shape.words.size();) {
      const std::size_t end = std::min(shape.words.find('|', at), shape.words.size());
      out.taken.push_back(fmt::format(R"("{}")", shape.words.substr(at, end - at)));
      at = end + 1;
    }
  }
  if (shape.kind == FieldKind::kName) {
    out = {{fmt::format(R"("{}")", std::string(shape.bytes_max, 'x'))},
           {fmt::format(R"("{}")", std::string(shape.bytes_max + 1, 'x')), "[]"}};
  }
  if (shape.kind == FieldKind::kTexts) {
    std::string many = R"("x")";
    for (std::size_t i = 0; i < shape.count_max; ++i) many += R"(,"x")";
    out = {{R"("x")", R"(["x","y"])"}, {R"("")", "1", R"([""])", "[" + many + "]"}};
  }
  return out;
}

// Fields whose values depend on others; the ranges of these are tested beside their code.
const std::set<std::string_view> kOnOthers = {
    "max_tokens",
    "best_of",
    "top_logprobs",
    "use_beam_search",
    "length_penalty",
    "chat_template",
    "continue_final_message",
    "speculative_tokens",
    "logprobs",
    "truncate_prompt_tokens",
    "prompt_logprobs",
    "t_max_predict_ms",
    "guided_whitespace_pattern",
};

TEST(OpenApi, RequestsAreHeldToTheRangesThatAreTold) {
  int tried = 0;
  for (const Field& field : field_table()) {
    for (const Endpoint endpoint : testing::kEndpoints) {
      if (!has(field, endpoint) || !field.works() || field.name.contains('.')) continue;
      if (field.name == "model") continue;
      const Ends ends = ends_of(field.shape);
      for (const std::string& value : ends.refused) {
        const Verdict found = verdict(endpoint, fmt::format(R"("{}":{})", field.name, value));
        EXPECT_TRUE(found.param.starts_with(field.name)) << field.name << " " << value;
        ++tried;
      }
      if (kOnOthers.contains(field.name)) continue;
      for (const std::string& value : ends.taken) {
        EXPECT_EQ(verdict(endpoint, fmt::format(R"("{}":{})", field.name, value)), Verdict{})
            << field.name << " " << value;
      }
    }
  }
  EXPECT_GT(tried, 200);
}

// What the server takes the document takes.
TEST(OpenApi, SchemasTakeWhatIsTaken) {
  const Document document;
  const std::string_view probes[] = {
      "null",
      "true",
      "false",
      "0",
      "1",
      "-1",
      "7",
      "0.5",
      "1e300",
      R"("")",
      R"("x")",
      R"("auto")",
      R"("high")",
      R"("left")",
      "[]",
      "[1]",
      R"(["x"])",
      R"([""])",
      "[[1,2]]",
      R"([["x"]])",
      "{}",
      R"({"a":"b"})",
      R"({"5":1})",
      R"({"type":"text"})",
      R"({"type":"json_object"})",
      R"({"type":"content","content":"x"})",
      R"([{"role":"user","content":"x"}])",
      R"([{"role":"assistant","content":null}])",
      R"({"type":"object"})",
      R"({"type":"json_schema","json_schema":{"name":"n","schema":{}}})",
      R"({"choice":["a"]})",
      R"([{"type":"function","function":{"name":"f"}}])",
      R"([{"name":"f"}])",
      R"({"name":"f"})",
      R"({"type":"function","function":{"name":"f"}})",
      R"({"text":"x"})",
  };
  int taken = 0, refused = 0;
  for (const auto& [endpoint, path] : kBodies) {
    if (endpoint == Endpoint::kMessages || endpoint == Endpoint::kResponses) continue;
    for (const auto& [name, schema] : document.properties(path)) {
      if (name == "model" || name == "messages" || name == "prompt") continue;
      for (const std::string_view probe : probes) {
        const json::value value = json::parse(probe);
        const bool fits = document.takes(schema.get_object(), value);
        (fits ? taken : refused) += 1;
        if (fits) continue;
        EXPECT_NE(verdict(endpoint, fmt::format(R"("{}":{})", std::string_view(name), probe)),
                  Verdict{})
            << path << " " << name << " " << probe;
      }
    }
  }
  EXPECT_GT(taken, 500);
  EXPECT_GT(refused, 2000);
}

TEST(OpenApi, AnswersHaveTheirShape) {
  const Document document;
  testing::ServiceFixture fixture;
  fixture.runner.script = {'h', 'i'};
  const std::pair<const char*, std::string> posts[] = {
      {"/v1/chat/completions", testing::chat_body()},
      {"/v1/chat/completions", testing::chat_body(R"("logprobs":true,"n":2)")},
      {"/v1/completions", testing::completion_body(R"("logprobs":1)")},
      {"/v1/responses", R"({"model":"tiny","input":"hi"})"},
      {"/v1/responses/input_tokens", R"({"model":"tiny","input":"hi"})"},
      {"/v1/messages",
       R"({"model":"tiny","max_tokens":3,"messages":[{"role":"user","content":"x"}]})"},
      {"/v1/messages/count_tokens",
       R"({"model":"tiny","messages":[{"role":"user","content":"x"}]})"},
      {"/v1/conversations", "{}"},
      {"/tokenize", R"({"prompt":"x"})"},
      {"/detokenize", R"({"tokens":[65]})"},
      {"/apply-template", testing::chat_body()},
  };
  const auto schema_of = [&](const json::object& operation, const char* status) {
    return operation.at("responses").at(status).at("content").at("application/json").at("schema");
  };
  for (const auto& [path, body] : posts) {
    const json::object& operation = document.operation("post", path);
    EXPECT_TRUE(document.takes(document.body(path), json::parse(body))) << path;
    const auto answer = fixture.answer(path, body);
    ASSERT_EQ(answer->status(), 200) << answer->body();
    EXPECT_TRUE(
        document.takes(schema_of(operation, "200").get_object(), json::parse(answer->body())))
        << answer->body();
    const auto refusal = fixture.answer(path, R"({"robot":1})");
    EXPECT_EQ(refusal->status(), 400);
    EXPECT_TRUE(
        document.takes(schema_of(operation, "default").get_object(), json::parse(refusal->body())))
        << refusal->body();
  }
  for (const char* path : {"/v1/models", "/v1/tools", "/live", "/ready", "/health", "/version"}) {
    const json::object& operation = document.operation("get", path);
    EXPECT_TRUE(document.takes(schema_of(operation, "200").get_object(),
                               json::parse(fixture.get(path)->body())))
        << path;
  }
}

}  // namespace
}  // namespace vsurge::api
