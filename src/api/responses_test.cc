// Responses and their events, as a client reads them.
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <string>
#include <string_view>

#include "api/service_fixture.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;
using testing::ServiceFixture;

constexpr const char* kPath = "/v1/responses";

std::string body_with(std::string_view members) {
  return fmt::format(R"({{"model":"tiny","input":"hi",{}}})", members);
}

std::vector<engine::TokenId> letters(std::string_view text) {
  return {text.begin(), text.end()};
}

struct Event {
  std::string text;  // as sent, with its blank line
  json::value data;
};

std::vector<Event> events_in(std::string_view stream) {
  std::vector<Event> out;
  while (!stream.empty()) {
    const std::size_t end = stream.find("\n\n") + 2;
    const std::string text(stream.substr(0, end));
    stream.remove_prefix(end);
    out.push_back({text, json::parse(text.substr(text.find("data: ") + 6))});
  }
  return out;
}

TEST(Responses, AnAnswerCutShortIsIncompleteInEveryEvent) {
  ServiceFixture fixture;
  fixture.runner.script = letters("abcdef");
  const auto answer = fixture.answer(kPath, body_with(R"("max_output_tokens":3,"stream":true)"));
  const std::vector<Event> events = events_in(answer->body());
  const json::value& done = events[events.size() - 2].data;
  const json::value& end = events.back().data;
  EXPECT_EQ(done.at("type").as_string(), "response.output_item.done");
  EXPECT_EQ(done.at("item").at("status").as_string(), "incomplete");
  EXPECT_EQ(end.at("type").as_string(), "response.incomplete");
  EXPECT_EQ(end.at("response").at("output").at(0), done.at("item"));
}

TEST(Responses, FailuresHaveCodesThatClientsKnow) {
  ServiceFixture fixture;
  fixture.runner.script = letters("abcdef");
  fixture.runner.fail_at = 2;
  const auto answer = fixture.answer(kPath, body_with(R"("stream":true)"));
  const json::value end = events_in(answer->body()).back().data;
  EXPECT_EQ(end.at("type").as_string(), "response.failed");
  const json::value& response = end.at("response");
  EXPECT_EQ(response.at("error").at("code").as_string(), "server_error");
  EXPECT_FALSE(response.at("error").at("message").as_string().empty());
  EXPECT_EQ(response.at("output").at(0).at("status").as_string(), "incomplete");
}

TEST(Responses, ObfuscationPadsDeltas) {
  ServiceFixture fixture;
  fixture.runner.script = letters("abc");
  for (const bool padded : {false, true}) {
    const auto answer = fixture.answer(
        kPath, body_with(fmt::format(
                   R"("stream":true,"stream_options":{{"include_obfuscation":{}}})", padded)));
    int deltas = 0;
    for (const Event& event : events_in(answer->body())) {
      const json::object& data = event.data.as_object();
      const bool delta = data.at("type").as_string() == "response.output_text.delta";
      EXPECT_EQ(data.contains("obfuscation"), padded && delta) << event.text;
      deltas += static_cast<int>(delta);
    }
    EXPECT_GT(deltas, 0);
  }
}

TEST(Responses, ToolsAreToldWhole) {
  ServiceFixture fixture;
  fixture.runner.script = letters("a");
  // The fixture's context has no room for a prompt that tells of them.
  const auto answer = fixture.answer(
      kPath, body_with(R"("tool_choice":"none","tools":[{"type":"function","name":"f"}])"));
  ASSERT_EQ(answer->status(), 200) << answer->body();
  EXPECT_EQ(json::parse(answer->body()).at("tools"),
            json::parse(R"([{"type":"function","name":"f","parameters":null,"strict":false}])"));
}

}  // namespace
}  // namespace vsurge::api
