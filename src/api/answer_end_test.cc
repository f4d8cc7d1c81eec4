// What ends an answer beside its length, its end of text and stop strings.
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "api/service_fixture.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;
using testing::bytes_of;
using testing::completion_body;
using testing::events_of;
using testing::kCompletions;
using testing::ServiceFixture;

// A regex ends an answer where its match is complete, streamed or not.
TEST(AnswerEnd, StopRegex) {
  ServiceFixture fixture;
  fixture.runner.script = bytes_of("Answer: 42. More");
  for (const bool stream : {false, true}) {
    const auto responder = fixture.answer(
        kCompletions,
        completion_body(fmt::format(R"("stop_regex":["[0-9]{{2}}\\."],"stream":{})", stream)));
    ASSERT_EQ(responder->status(), 200) << responder->body();
    if (stream) {
      EXPECT_EQ(events_of(responder->body()).text(), "Answer: ");
      EXPECT_EQ(events_of(responder->body()).finish(), "stop");
      continue;
    }
    const json::value choice = json::parse(responder->body()).at("choices").at(0);
    EXPECT_EQ(choice.at("text").as_string(), "Answer: ");
    EXPECT_EQ(choice.at("stop_reason").as_string(), "[0-9]{2}\\.");
  }
  fixture.wait_idle();
}

// Time is up once a line is whole.
TEST(AnswerEnd, PredictionTime) {
  ServiceFixture fixture;
  fixture.runner.script = bytes_of("one\ntwo three four five six seven eight nine ten");
  fixture.runner.endless = true;
  fixture.runner.step_delay_us = 2000;
  const json::value answer = json::parse(
      fixture.answer(kCompletions, completion_body(R"("max_tokens":150,"t_max_predict_ms":20)"))
          ->body());
  const json::value& choice = answer.at("choices").at(0);
  EXPECT_EQ(choice.at("finish_reason").as_string(), "length");
  EXPECT_LT(answer.at("usage").at("completion_tokens").as_int64(), 120);
  EXPECT_GE(choice.at("text").as_string().size(), 4U);
  fixture.wait_idle();
}

}  // namespace
}  // namespace vsurge::api
