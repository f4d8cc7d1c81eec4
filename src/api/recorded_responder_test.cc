#include "api/recorded_responder.h"

#include <gtest/gtest.h>

#include "api/service_fixture.h"

namespace vsurge::api {
namespace {

using testing::bytes_of;
using testing::chat_body;
using testing::FixtureOptions;
using testing::kChat;
using testing::kCompletions;
using testing::ServiceFixture;

// Keeps what it is told. Requests of a fixture end on the test's thread.
class Records final : public RequestObserver {
 public:
  void ended(const RequestRecord& record) override { all.push_back(record); }

  std::vector<RequestRecord> all;
};

FixtureOptions observed_by(const std::shared_ptr<Records>& records) {
  FixtureOptions options;
  options.observers = {records};
  return options;
}

struct Recorded {
  std::shared_ptr<Records> records = std::make_shared<Records>();
  ServiceFixture fixture{observed_by(records)};

  const RequestRecord& only() const {
    EXPECT_EQ(records->all.size(), 1u);
    return records->all.at(0);
  }
};

TEST(RecordedResponder, TellsAnAnswer) {
  for (const char* members : {"", R"("stream":true)"}) {
    Recorded test;
    test.fixture.runner.script = bytes_of("abc");
    const auto answer = test.fixture.answer(kChat, chat_body(members));
    const RequestRecord& record = test.only();
    EXPECT_EQ(record.id, answer->header("X-Request-ID"));
    EXPECT_EQ(record.method, "POST");
    EXPECT_EQ(record.route, kChat);
    EXPECT_EQ(record.model, "tiny");
    EXPECT_EQ(record.status, 200);
    EXPECT_EQ(record.finish_reason, "stop");
    EXPECT_EQ(record.error_code, "");
    EXPECT_EQ(record.stream, *members != 0);
    EXPECT_EQ(record.choices, 1);
    EXPECT_GT(record.prompt_tokens, 2);
    EXPECT_EQ(record.cached_tokens, 0);
    EXPECT_EQ(record.completion_tokens, 4);  // with the end of text
    EXPECT_GT(record.arrived, 0);
    EXPECT_LE(record.arrived, record.submitted);
    EXPECT_LE(record.submitted, record.first_token);
    EXPECT_LE(record.first_token, record.last_token);
    EXPECT_LE(record.last_token, record.ended);
  }
}

TEST(RecordedResponder, TellsChoices) {
  Recorded test;
  test.fixture.runner.script = bytes_of("abc");
  test.fixture.answer(kCompletions, testing::completion_body(R"("n":3,"max_tokens":2)"));
  EXPECT_EQ(test.only().choices, 3);
  EXPECT_EQ(test.only().completion_tokens, 6);
  EXPECT_EQ(test.only().finish_reason, "length");
}

TEST(RecordedResponder, TellsRefusals) {
  struct Case {
    const char* method;
    const char* path;
    int status;
    const char* code;
    const char* route;
  };
  for (const Case& each : {Case{"GET", "/nothing", 404, "not_found", ""},
                           Case{"GET", kChat, 405, "method_not_allowed", ""},
                           Case{"POST", kChat, 400, "invalid_json", kChat},
                           Case{"POST", "/tokenize", 400, "invalid_json", "/tokenize"},
                           Case{"GET", "/v1/models/a", 404, "model_not_found", "/v1/models/{name}"},
                           Case{"GET", "/health", 200, "", "/health"}}) {
    Recorded test;
    HttpRequest request;
    request.method = each.method;
    request.path = each.path;
    request.body = "{";
    const auto answer = test.fixture.handle(std::move(request));
    test.fixture.finish(*answer);
    EXPECT_EQ(test.only().status, each.status) << each.path;
    EXPECT_EQ(test.only().error_code, each.code) << each.path;
    EXPECT_EQ(test.only().route, each.route) << each.path;
    EXPECT_EQ(test.only().id, answer->header("X-Request-ID"));
  }
}

TEST(RecordedResponder, TellsWhatNeverBecameARequest) {
  Recorded test;
  test.fixture.service.error_body(431, "the header is too large", "10.0.0.1");
  EXPECT_EQ(test.only().peer, "10.0.0.1");
  EXPECT_EQ(test.only().status, 431);
  EXPECT_EQ(test.only().error_code, "header_too_large");
  EXPECT_EQ(test.only().route, "");
}

TEST(RecordedResponder, TellsAFailureInAStream) {
  Recorded test;
  test.fixture.runner.script = bytes_of("abc");
  test.fixture.runner.fail_at = 2;
  test.fixture.answer(kChat, chat_body(R"("stream":true)"));
  EXPECT_EQ(test.only().status, 200);
  EXPECT_EQ(test.only().error_code, "numerical_error");
  EXPECT_EQ(test.only().completion_tokens, 2);
}

TEST(RecordedResponder, TellsClientsThatLeave) {
  for (const char* members : {"", R"("stream":true)"}) {
    Recorded test;
    test.fixture.runner.script = bytes_of("abc");
    test.fixture.runner.endless = true;
    test.fixture.runner.step_delay_us = 200;
    const auto answer = test.fixture.post(kChat, chat_body(members));
    test.fixture.executor.run_until(
        [&] { return test.fixture.engine.metrics().generation_tokens > 3; });
    answer->leave();
    test.fixture.executor.run_until([&] { return !test.records->all.empty(); });
    test.fixture.wait_idle();
    EXPECT_EQ(test.only().status, kStatusClientLeft);
    EXPECT_GT(test.only().prompt_tokens, 0);
    EXPECT_EQ(test.only().finish_reason, "");
  }
}

TEST(RecordedResponder, AnswersForThoseWhoForget) {
  const auto records = std::make_shared<Records>();
  ServiceFixture fixture;
  ServiceOptions options;
  options.observers = {records};
  const auto hub = std::make_shared<ServiceHub>(options);
  const auto responder = std::make_shared<testing::TestResponder>(fixture.executor);
  const auto record = std::make_shared<RequestRecord>();
  record->id = "a";
  RecordedResponder::make(hub, responder, record);
  EXPECT_EQ(responder->status(), 500);
  EXPECT_EQ(responder->header("X-Request-ID"), "a");
  ASSERT_EQ(records->all.size(), 1u);
  EXPECT_EQ(records->all[0].status, 500);
  EXPECT_EQ(records->all[0].error_code, "internal_error");
}

TEST(RequestRecord, TakesOnlyValidIds) {
  const auto record = [](std::string name, std::string value) {
    HttpRequest request;
    request.headers = {{std::move(name), std::move(value)}};
    return record_of(request);
  };
  EXPECT_EQ(record("x-request-id", "a-b_c.d:9").id, "a-b_c.d:9");
  EXPECT_EQ(record("x-request-id", "a b").id, "");
  EXPECT_EQ(record("x-request-id", std::string(129, 'a')).id, "");

  const std::string good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  EXPECT_EQ(record("traceparent", good).traceparent, good);
  EXPECT_EQ(record("traceparent", "cc" + good.substr(2) + "-what-the-future-brings").traceparent,
            "cc" + good.substr(2));
  for (const std::string& bad :
       {std::string(), good.substr(1), good + "-more", good + "0", "ff" + good.substr(2),
        "cc" + good.substr(2) + ".more", "00-" + std::string(32, '0') + good.substr(35),
        good.substr(0, 36) + std::string(16, '0') + "-01", "00-0AF7" + good.substr(7),
        "00_" + good.substr(3), "cc" + good.substr(2) + "-" + std::string(999, 'a')}) {
    EXPECT_EQ(record("traceparent", bad).traceparent, "") << bad;
  }
}

}  // namespace
}  // namespace vsurge::api
