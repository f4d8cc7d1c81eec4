// What may go wrong between the first byte of a request and the last of its answer.
#include "api/exchange.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "api/service_fixture.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;
using testing::bytes_of;
using testing::chat_body;
using testing::error_of;
using testing::events_of;
using testing::kChat;
using testing::ServiceFixture;
using testing::Stream;

// Failures of the model.

TEST(Exchange, FailureBeforeTheFirstTokenIsAStatus) {
  ServiceFixture fixture;
  fixture.runner.script = bytes_of("abc");
  fixture.runner.fail_at = 0;
  for (const char* members : {"", R"("stream":true)"}) {
    const json::value error = error_of(*fixture.answer(kChat, chat_body(members)), 500);
    EXPECT_EQ(error.at("type").as_string(), "server_error");
    EXPECT_EQ(error.at("code").as_string(), "numerical_error");
  }
}

TEST(Exchange, FailureInAStreamIsAnEvent) {
  ServiceFixture fixture;
  fixture.runner.script = bytes_of("abc");
  fixture.runner.fail_at = 2;
  const auto answer = fixture.answer(kChat, chat_body(R"("stream":true)"));
  EXPECT_EQ(answer->status(), 200);
  EXPECT_TRUE(answer->ended());
  const Stream stream = events_of(answer->body());
  EXPECT_FALSE(stream.done);
  EXPECT_EQ(stream.chunks.back().at("error").at("code").as_string(), "numerical_error");
  EXPECT_EQ(stream.text(), "ab");
  fixture.wait_idle();
}

TEST(Exchange, EngineStopsInAStream) {
  ServiceFixture fixture;
  fixture.runner.script = bytes_of("abc");
  fixture.runner.endless = true;
  fixture.runner.step_delay_us = 1000;
  const auto answer = fixture.post(kChat, chat_body(R"("stream":true)"));
  fixture.executor.run_until([&] { return answer->writes().size() > 2; });
  fixture.engine.stop();
  fixture.finish(*answer);
  const Stream stream = events_of(answer->body());
  EXPECT_FALSE(stream.done);
  EXPECT_EQ(stream.chunks.back().at("error").at("code").as_string(), "shutting_down");
}

// Clients that leave.

TEST(Exchange, ClientLeavesWhileItIsAnswered) {
  for (const char* members : {R"("stream":true)", ""}) {
    ServiceFixture fixture;
    fixture.runner.script = bytes_of("abc");
    fixture.runner.endless = true;
    fixture.runner.step_delay_us = 200;
    const auto answer = fixture.post(kChat, chat_body(members));
    fixture.executor.run_until([&] { return fixture.engine.metrics().generation_tokens > 3; });
    answer->leave();
    fixture.wait_idle();
    EXPECT_EQ(fixture.engine.metrics().requests_cancelled, 1u);
    EXPECT_FALSE(answer->finished());
  }
}

TEST(Exchange, ClientLeavesTheQueue) {
  ServiceFixture fixture;
  fixture.runner.script = bytes_of("abc");
  fixture.engine.pause();
  const auto leaver = fixture.post(kChat, chat_body());
  const auto stayer = fixture.post(kChat, chat_body());
  fixture.executor.run_until([&] { return fixture.engine.metrics().requests_waiting == 2; });
  leaver->leave();
  fixture.executor.run_until([&] { return fixture.engine.metrics().requests_waiting == 1; });
  fixture.engine.resume();
  fixture.finish(*stayer);
  EXPECT_EQ(stayer->status(), 200);
  EXPECT_FALSE(leaver->finished());
  fixture.wait_idle();
}

TEST(Exchange, ClientLeavesBeforeItsTextIsRead) {
  ServiceFixture fixture;
  fixture.runner.script = bytes_of("abc");
  fixture.engine.pause();  // its text may be read before it leaves, after all
  const auto leaver = fixture.post(kChat, chat_body());
  leaver->leave();
  const auto stayer = fixture.post(kChat, chat_body());
  fixture.executor.run_until(
      [&] { return leaver.use_count() == 1 && fixture.engine.metrics().requests_waiting == 1; });
  fixture.engine.resume();
  fixture.finish(*stayer);
  EXPECT_EQ(stayer->status(), 200);
  EXPECT_FALSE(leaver->finished());
  fixture.wait_idle();
  EXPECT_EQ(fixture.engine.metrics().requests_finished, 1u);
  EXPECT_EQ(leaver.use_count(), 1);
}

TEST(Exchange, NothingKeepsAnAnswersResponderAlive) {
  ServiceFixture fixture;
  fixture.runner.script = bytes_of("abc");
  const auto answer = fixture.answer(kChat, chat_body());
  fixture.wait_idle();
  fixture.executor.run_until([&] { return answer.use_count() == 1; });
}

// Time.

constexpr base::Nanoseconds kMillisecond = 1'000'000;

TEST(Exchange, WaitsNoLongerThanTheQueuesTime) {
  ServiceFixture fixture({.queue_timeout = 20 * kMillisecond});
  fixture.runner.script = bytes_of("abc");
  fixture.engine.pause();
  const auto late = fixture.answer(kChat, chat_body());
  EXPECT_EQ(error_of(*late, 429).at("code").as_string(), "queue_timeout");
  EXPECT_GE(std::stoi(late->header("Retry-After")), 1);
  fixture.engine.resume();
  EXPECT_EQ(fixture.answer(kChat, chat_body())->status(), 200);
}

// The shorter of the server's time and the request's own.
TEST(Exchange, TakesNoLongerThanItsTime) {
  ServiceFixture fixture({.request_timeout = 200 * kMillisecond});
  fixture.runner.script = bytes_of("abc");
  fixture.runner.endless = true;
  fixture.runner.step_delay_us = 2000;
  const std::string members = R"("stream":true,"max_tokens":190)";
  const auto answer = fixture.answer(kChat, chat_body(members));
  Stream stream = events_of(answer->body());
  EXPECT_EQ(stream.chunks.back().at("error").at("code").as_string(), "deadline_exceeded");
  EXPECT_FALSE(stream.done);
  const auto shorter = fixture.answer(kChat, chat_body(members + R"(,"timeout":0.00001)"));
  EXPECT_EQ(error_of(*shorter, 408).at("code").as_string(), "deadline_exceeded");
  fixture.runner.step_delay_us = 0;
  const auto longer = fixture.answer(kChat, chat_body(R"("max_tokens":3,"timeout":60)"));
  EXPECT_EQ(longer->status(), 200);
  fixture.wait_idle();
}

TEST(Exchange, QuietStreamsSendComments) {
  ServiceFixture fixture({.sse_keep_alive = 15'000 * kMillisecond});
  fixture.runner.script = bytes_of("abc");
  const std::string plain =
      events_of(fixture.answer(kChat, chat_body(R"("stream":true)"))->body()).text();
  fixture.engine.pause();
  const auto answer = fixture.post(kChat, chat_body(R"("stream":true)"));
  fixture.executor.run_until([&] { return answer->quiet_ms() != 0; });
  EXPECT_EQ(answer->quiet_ms(), 15'000);
  EXPECT_FALSE(answer->begun());
  answer->be_quiet();
  EXPECT_EQ(answer->status(), 200);
  EXPECT_TRUE(answer->body().ends_with(": keep-alive\n\n"));
  answer->be_quiet();
  fixture.engine.resume();
  fixture.finish(*answer);
  const Stream stream = events_of(answer->body());
  EXPECT_EQ(stream.text(), plain);
  EXPECT_TRUE(stream.done);
  const std::string whole = answer->body();
  answer->be_quiet();
  EXPECT_EQ(answer->body(), whole);
  // Others have nothing to send before their end.
  const auto unstreamed = fixture.answer(kChat, chat_body());
  EXPECT_EQ(unstreamed->quiet_ms(), 0);
}

// A client that reads too slowly costs no pages, and misses nothing.
TEST(Exchange, WhoIsBehindIsSuspended) {
  ServiceFixture fixture;
  fixture.runner.script = bytes_of("a story that is read slowly");
  const std::string plain =
      events_of(fixture.answer(kChat, chat_body("\"stream\":true"))->body()).text();
  fixture.runner.step_delay_us = 2000;
  const auto slow = fixture.post(kChat, chat_body("\"stream\":true"));
  fixture.executor.run_until([&] { return slow->writes().size() > 3; });
  slow->press(true);
  fixture.executor.run_until([&] { return fixture.engine.metrics().requests_suspended == 1; });
  EXPECT_EQ(fixture.engine.metrics().pages_used, 0);
  const auto other = fixture.answer(kChat, chat_body());
  EXPECT_EQ(other->status(), 200);
  EXPECT_FALSE(slow->finished());
  slow->press(false);
  fixture.finish(*slow);
  EXPECT_EQ(events_of(slow->body()).text(), plain);
}

// Those who were refused at once come back at different times.
TEST(Exchange, RetriesAreSpread) {
  ServiceFixture fixture({.queue_requests_max = 1});
  fixture.runner.script = bytes_of("abc");
  fixture.engine.pause();
  const auto waiting = fixture.post(kChat, chat_body());
  fixture.executor.run_until([&] { return fixture.engine.metrics().requests_waiting == 1; });
  std::set<std::string> times;
  for (int i = 0; i < 30; ++i) {
    const auto refused = fixture.answer(kChat, chat_body());
    EXPECT_EQ(error_of(*refused, 429).at("code").as_string(), "server_overloaded");
    times.insert(refused->header("Retry-After"));
  }
  EXPECT_EQ(times, (std::set<std::string>{"1", "2", "3"}));
  fixture.engine.resume();
  fixture.finish(*waiting);
  EXPECT_EQ(waiting->status(), 200);
}

}  // namespace
}  // namespace vsurge::api
