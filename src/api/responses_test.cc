// Responses and their events, as a client reads them.
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <chrono>
#include <string>
#include <string_view>
#include <thread>

#include "api/service_fixture.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;
using testing::error_of;
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

TEST(Responses, WhatIncludeTakes) {
  ServiceFixture fixture;
  fixture.runner.script = letters("a");
  for (const char* taken : {"[]", "null", R"(["reasoning.encrypted_content"])",
                            R"(["message.output_text.logprobs"])"}) {
    EXPECT_EQ(fixture.answer(kPath, body_with(fmt::format(R"("include":{})", taken)))->status(),
              200)
        << taken;
  }
  for (const char* refused : {R"(["file_search_call.results"])", "[7]", R"([""])"}) {
    const json::value error =
        error_of(*fixture.answer(kPath, body_with(fmt::format(R"("include":{})", refused))), 400);
    EXPECT_EQ(error.at("param").as_string(), "include[0]") << refused;
  }
  EXPECT_EQ(
      error_of(*fixture.answer(kPath, body_with(R"("include":"x")")), 400).at("param").as_string(),
      "include");
}

// Background.

json::value parsed(const testing::TestResponder& responder) {
  EXPECT_EQ(responder.status(), 200) << responder.body();
  return json::parse(responder.body());
}

// Asks until the response has ended.
json::value poll(ServiceFixture& fixture, const std::string& id) {
  for (int i = 0; i < 2000; ++i) {
    const json::value response = parsed(*fixture.get(fmt::format("{}/{}", kPath, id)));
    const auto status = response.at("status").as_string();
    if (status != "queued" && status != "in_progress") return response;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  ADD_FAILURE() << "it does not end";
  return {};
}

HttpRequest get_request(std::string path, std::string query) {
  HttpRequest request;
  request.method = "GET";
  request.path = std::move(path);
  request.query = std::move(query);
  return request;
}

TEST(Responses, InTheBackground) {
  ServiceFixture fixture;
  fixture.runner.script = letters("abcdef");
  fixture.runner.step_delay_us = 2000;
  const auto created = fixture.answer(kPath, body_with(R"("background":true)"));
  const json::value begun = parsed(*created);
  EXPECT_EQ(created->header("Content-Type"), "application/json");
  EXPECT_EQ(begun.at("status").as_string(), "queued");
  EXPECT_TRUE(begun.at("background").as_bool());
  EXPECT_TRUE(begun.at("usage").is_null());
  EXPECT_TRUE(begun.at("output").as_array().empty());
  const std::string id(begun.at("id").as_string());
  const json::value ended = poll(fixture, id);
  EXPECT_EQ(ended.at("status").as_string(), "completed");
  EXPECT_EQ(ended.at("output").at(0).at("content").at(0).at("text").as_string(), "abcdef");
  EXPECT_EQ(ended.at("usage").at("output_tokens").as_int64(), 7);
  const json::value items = parsed(*fixture.get(fmt::format("{}/{}/input_items", kPath, id)));
  EXPECT_EQ(items.at("data").as_array().size(), 1U);
  // One request has made one answer, however often it was looked at.
  const std::string metrics = fixture.get("/metrics")->body();
  EXPECT_TRUE(metrics.contains(
      R"(http_requests_total{handler="/v1/responses",method="POST",status="2xx"} 1.0)"
      "\n"))
      << metrics;
  // It is one that others may go on from, and cancelling it changes nothing.
  EXPECT_EQ(
      fixture.answer(kPath, body_with(fmt::format(R"("previous_response_id":"{}")", id)))->status(),
      200);
  const auto late = fixture.post(fmt::format("{}/{}/cancel", kPath, id), "");
  fixture.finish(*late);
  EXPECT_EQ(parsed(*late), ended);
}

TEST(Responses, TheBackgroundIsHeardAgain) {
  ServiceFixture fixture;
  fixture.runner.script = letters("abcdefghij");
  fixture.runner.step_delay_us = 3000;
  const auto first = fixture.post(kPath, body_with(R"("background":true,"stream":true)"));
  fixture.executor.run_until([&] { return events_in(first->body()).size() >= 6; });
  first->leave();
  const std::vector<Event> heard = events_in(first->body());
  EXPECT_EQ(heard[0].data.at("type").as_string(), "response.created");
  EXPECT_EQ(heard[1].data.at("type").as_string(), "response.queued");
  EXPECT_EQ(heard[2].data.at("type").as_string(), "response.in_progress");
  const std::string id(heard[0].data.at("response").at("id").as_string());
  const std::string path = fmt::format("{}/{}", kPath, id);
  const auto rest = fixture.handle(get_request(path, "stream=true&starting_after=3"));
  fixture.finish(*rest);
  const std::vector<Event> events = events_in(rest->body());
  ASSERT_FALSE(events.empty()) << rest->body();
  EXPECT_EQ(events.front().data.at("sequence_number").as_int64(), 4);
  EXPECT_EQ(events.back().data.at("type").as_string(), "response.completed");
  // From the beginning, after its end: the same events.
  const auto all = fixture.handle(get_request(path, "stream=true"));
  fixture.finish(*all);
  EXPECT_EQ(all->header("Content-Type"), "text/event-stream");
  EXPECT_TRUE(all->body().starts_with(first->body()));
  EXPECT_TRUE(all->body().ends_with(rest->body()));
  const std::vector<Event> whole = events_in(all->body());
  for (std::size_t i = 0; i < whole.size(); ++i) {
    EXPECT_EQ(whole[i].data.at("sequence_number").to_number<std::size_t>(), i);
  }
  EXPECT_EQ(whole.back().data.at("response"), poll(fixture, id));
  const json::value error =
      error_of(*fixture.handle(get_request(path, "stream=true&starting_after=x")), 400);
  EXPECT_EQ(error.at("param").as_string(), "starting_after");
}

TEST(Responses, TheBackgroundIsCancelled) {
  ServiceFixture fixture;
  fixture.runner.script = letters("abc");
  fixture.runner.endless = true;
  fixture.runner.step_delay_us = 2000;
  const json::value begun = parsed(*fixture.answer(kPath, body_with(R"("background":true)")));
  const std::string id(begun.at("id").as_string());
  const json::value error = error_of(
      *fixture.answer(kPath, body_with(fmt::format(R"("previous_response_id":"{}")", id))), 400);
  EXPECT_EQ(error.at("param").as_string(), "previous_response_id");
  const auto cancelled = fixture.post(fmt::format("{}/{}/cancel", kPath, id), "");
  fixture.finish(*cancelled);
  EXPECT_EQ(parsed(*cancelled).at("status").as_string(), "cancelled");
  EXPECT_EQ(poll(fixture, id), parsed(*cancelled));
  fixture.wait_idle();
  // Erased while it runs: it is gone, and stays so.
  const std::string other(
      parsed(*fixture.answer(kPath, body_with(R"("background":true)"))).at("id").as_string());
  HttpRequest erase = get_request(fmt::format("{}/{}", kPath, other), "");
  erase.method = "DELETE";
  EXPECT_TRUE(parsed(*fixture.handle(erase)).at("deleted").as_bool());
  fixture.wait_idle();
  for (int i = 0; i < 500 && fixture.get(erase.path)->status() != 404; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  error_of(*fixture.get(erase.path), 404);
}

TEST(Responses, TheBackgroundRefuses) {
  ServiceFixture fixture;
  fixture.runner.script = letters("abcdef");
  fixture.runner.fail_at = 2;
  EXPECT_EQ(error_of(*fixture.answer(kPath, body_with(R"("background":true,"store":false)")), 400)
                .at("param")
                .as_string(),
            "background");
  const json::value begun = parsed(*fixture.answer(kPath, body_with(R"("background":true)")));
  const json::value failed = poll(fixture, std::string(begun.at("id").as_string()));
  EXPECT_EQ(failed.at("status").as_string(), "failed");
  EXPECT_EQ(failed.at("error").at("code").as_string(), "server_error");
  // Of one that was not made there nothing can be heard or cancelled.
  fixture.runner.fail_at = -1;
  const std::string path = fmt::format(
      "{}/{}", kPath,
      parsed(*fixture.answer(kPath, body_with(R"("store":true)"))).at("id").as_string());
  EXPECT_EQ(
      error_of(*fixture.handle(get_request(path, "stream=true")), 400).at("param").as_string(),
      "stream");
  EXPECT_EQ(error_of(*fixture.post(path + "/cancel", ""), 400).at("param").as_string(),
            "response_id");
  error_of(*fixture.post(std::string(kPath) + "/resp_0/cancel", ""), 404);
}

// What is made in the background when the server ends is given up, and nothing waits for it.
TEST(Responses, TheBackgroundEndsWithTheServer) {
  ServiceFixture fixture;
  fixture.runner.script = letters("abc");
  fixture.runner.endless = true;
  fixture.runner.step_delay_us = 1000;
  for (int i = 0; i < 3; ++i) parsed(*fixture.answer(kPath, body_with(R"("background":true)")));
  const auto heard = fixture.post(kPath, body_with(R"("background":true,"stream":true)"));
  fixture.executor.run_until([&] { return heard->begun(); });
  fixture.engine.stop();
  fixture.finish(*heard);
  EXPECT_EQ(events_in(heard->body()).back().data.at("type").as_string(), "response.failed");
}

}  // namespace
}  // namespace vsurge::api
