// Several answers to one prompt, whole and streamed, with all that is told of them.
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <ostream>
#include <random>
#include <set>

#include "tests/api_fixture.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;
using testing::bytes_of;
using testing::chat_body;
using testing::completion_body;
using testing::error_of;
using testing::events_of;
using testing::kChat;
using testing::kCompletions;
using testing::SamplingFixture;
using testing::Stream;

json::value answer(SamplingFixture& fixture, const std::string& path, const std::string& body) {
  const auto responder = fixture.answer(path, body);
  EXPECT_EQ(responder->status(), 200) << responder->body();
  return json::parse(responder->body());
}

// What a client puts together of one choice, from an answer or from a stream.
struct Told {
  std::string text;
  std::string finish;
  json::value stop_reason;
  json::array logprobs;  // chat: content; completions: [token, logprob, top, offset] of each
  json::array ids;
  friend bool operator==(const Told&, const Told&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Told& told) {
    return out << told.text << ' ' << told.finish << ' ' << told.stop_reason << ' ' << told.logprobs
               << ' ' << told.ids;
  }
};

void add_logprobs(const json::value& logprobs, Told& told) {
  if (logprobs.is_null()) return;
  if (const json::value* content = logprobs.as_object().if_contains("content")) {
    EXPECT_TRUE(logprobs.at("refusal").is_null());
    for (const json::value& token : content->as_array()) told.logprobs.push_back(token);
    return;
  }
  const std::size_t count = logprobs.at("tokens").as_array().size();
  for (const char* list : {"token_logprobs", "top_logprobs", "text_offset"}) {
    EXPECT_EQ(logprobs.at(list).as_array().size(), count) << list;
  }
  for (std::size_t i = 0; i < count; ++i) {
    told.logprobs.push_back(
        json::array{logprobs.at("tokens").at(i), logprobs.at("token_logprobs").at(i),
                    logprobs.at("top_logprobs").at(i), logprobs.at("text_offset").at(i)});
  }
}

// A choice of an answer or of a chunk.
void add(const json::value& choice, Told& told) {
  const json::object& object = choice.as_object();
  if (const json::value* message = object.if_contains("message")) {
    told.text += message->at("content").as_string();
  } else if (const json::value* delta = object.if_contains("delta")) {
    if (const json::value* text = delta->as_object().if_contains("content")) {
      told.text += text->as_string();
    }
  } else {
    told.text += object.at("text").as_string();
  }
  add_logprobs(object.at("logprobs"), told);
  if (object.at("finish_reason").is_string()) {
    EXPECT_TRUE(told.finish.empty());
    told.finish = object.at("finish_reason").as_string();
  }
  if (const json::value* reason = object.if_contains("stop_reason")) told.stop_reason = *reason;
  if (const json::value* ids = object.if_contains("token_ids")) {
    for (const json::value& id : ids->as_array()) told.ids.push_back(id);
  }
}

std::vector<Told> of_answer(const json::value& answer) {
  std::vector<Told> all;
  for (const json::value& choice : answer.at("choices").as_array()) {
    EXPECT_EQ(choice.at("index").to_number<std::size_t>(), all.size());
    add(choice, all.emplace_back());
  }
  return all;
}

std::vector<Told> of_stream(const Stream& stream, std::size_t count) {
  std::vector<Told> all(count);
  for (const json::value& chunk : stream.chunks) {
    for (const json::value& choice : chunk.at("choices").as_array()) {
      const auto index = choice.at("index").to_number<std::size_t>();
      EXPECT_LT(index, count);
      if (index < count) add(choice, all[index]);
    }
  }
  return all;
}

// Random answers, fields and ends: whole and streamed tell the same, and what is told is sound.
TEST(Choices, StreamedEqualsTheWhole) {
  SamplingFixture fixture;
  std::mt19937 random(5);
  const std::vector<std::string> pieces = {"a", "b", "<", "ü", "€", "😀", "\xF0\x9F", "\x80"};
  int stopped = 0, scored = 0;
  for (int round = 0; round < 250; ++round) {
    std::string text;
    for (std::size_t n = random() % 12; n > 0; --n) text += pieces[random() % pieces.size()];
    fixture.wait_idle();
    fixture.runner.script = bytes_of(text);
    fixture.runner.loudness = random() % 2 == 0 ? 40.0F : 4.0F;  // answers differ
    const bool chat = random() % 2 == 0;
    const std::size_t n = 1 + random() % 3;
    std::string members =
        fmt::format(R"("n":{},"seed":{},"max_tokens":{})", n, round, 1 + random() % 30);
    if (random() % 2 == 0) {
      members += fmt::format(R"(,"stop":["{}","{}"])", pieces[random() % 6],
                             pieces[random() % 6] + pieces[random() % 6]);
    }
    if (random() % 3 == 0) members += R"(,"include_stop_str_in_output":true)";
    if (random() % 3 == 0) members += R"(,"skip_special_tokens":false)";
    if (random() % 3 == 0) members += R"(,"stop_token_ids":[97])";
    if (random() % 2 == 0) members += R"(,"return_token_ids":true)";
    if (!chat && random() % 2 == 0) members += R"(,"echo":true)";
    if (random() % 3 > 0) {
      members += chat ? R"(,"logprobs":true,"top_logprobs":2)" : R"(,"logprobs":2)";
    }
    const auto body = [&](const char* stream) {
      const std::string all = members + fmt::format(R"(,"stream":{})", stream);
      return chat ? chat_body(all) : completion_body(all);
    };
    const char* path = chat ? kChat : kCompletions;
    const std::vector<Told> whole = of_answer(answer(fixture, path, body("false")));
    const Stream stream = events_of(fixture.answer(path, body("true"))->body());
    ASSERT_TRUE(stream.done);
    ASSERT_EQ(whole, of_stream(stream, n)) << members;
    for (const Told& told : whole) {
      stopped += told.finish == "stop" ? 1 : 0;
      scored += told.logprobs.empty() ? 0 : 1;
    }
  }
  EXPECT_GT(stopped, 50);
  EXPECT_GT(scored, 100);
}

TEST(Choices, EachHasItsSeedAndTheFirstIsTheAnswerAlone) {
  SamplingFixture fixture;
  fixture.runner.script = bytes_of("a");
  fixture.runner.endless = true;
  fixture.runner.loudness = 3;
  const auto texts = [&](std::string_view members) {
    std::vector<std::string> out;
    for (const Told& told : of_answer(answer(fixture, kChat, chat_body(members)))) {
      out.push_back(told.text);
    }
    return out;
  };
  const auto alone = texts(R"("seed":9,"max_tokens":12)");
  const auto four = texts(R"("seed":9,"max_tokens":12,"n":4)");
  ASSERT_EQ(four.size(), 4u);
  EXPECT_EQ(four[0], alone[0]);
  EXPECT_EQ(four, texts(R"("seed":9,"max_tokens":12,"n":4)"));
  EXPECT_EQ(std::set(four.begin(), four.end()).size(), 4u);
}

TEST(Choices, UsageCountsThePromptOnceAndAllAnswers) {
  SamplingFixture fixture;
  fixture.runner.script = bytes_of("ab");
  const json::value chat = answer(fixture, kChat, chat_body(R"("n":5)"));
  EXPECT_EQ(chat.at("choices").as_array().size(), 5u);
  EXPECT_EQ(chat.at("usage").at("prompt_tokens").as_int64(), 5);
  EXPECT_EQ(chat.at("usage").at("completion_tokens").as_int64(), 15);
  const json::value two =
      answer(fixture, kCompletions,
             R"({"model":"tiny","prompt":["x","yz"],"n":2,"best_of":3,"return_token_ids":true})");
  ASSERT_EQ(two.at("choices").as_array().size(), 4u);
  EXPECT_EQ(two.at("usage").at("prompt_tokens").as_int64(), 2 + 3);
  EXPECT_EQ(two.at("usage").at("completion_tokens").as_int64(), 2 * 3 * 3);
  for (std::size_t i = 0; i < 4; ++i) {
    const json::value& choice = two.at("choices").at(i);
    EXPECT_EQ(choice.at("index").to_number<std::size_t>(), i);
    EXPECT_EQ(choice.at("prompt_token_ids").as_array().size(), i < 2 ? 2u : 3u);
    EXPECT_EQ(choice.at("token_ids"), json::parse("[97,98,257]"));
  }
}

double mean_logprob(const json::value& choice) {
  double sum = 0;
  const json::array& all = choice.at("logprobs").at("token_logprobs").as_array();
  for (const json::value& each : all) sum += each.to_number<double>();
  return sum / static_cast<double>(all.size());
}

TEST(Choices, BestOfTellsTheLikeliestPerToken) {
  SamplingFixture fixture;
  fixture.runner.script = bytes_of("a");
  fixture.runner.endless = true;
  fixture.runner.loudness = 5;
  const std::string fields = R"("seed":3,"max_tokens":8,"ignore_eos":true,"logprobs":0,)";
  const json::value all = answer(fixture, kCompletions, completion_body(fields + R"("n":6)"));
  std::vector<std::pair<double, std::string>> ranked;
  for (const json::value& choice : all.at("choices").as_array()) {
    ranked.emplace_back(-mean_logprob(choice), std::string(choice.at("text").as_string()));
  }
  std::ranges::sort(ranked);
  for (const int n : {1, 2, 6}) {
    const json::value best = answer(
        fixture, kCompletions, completion_body(fields + fmt::format(R"("n":{},"best_of":6)", n)));
    ASSERT_EQ(best.at("choices").as_array().size(), static_cast<std::size_t>(n));
    EXPECT_EQ(best.at("usage").at("completion_tokens").as_int64(), 48);
    if (n == 6) continue;  // all of them, in their order
    for (int i = 0; i < n; ++i) {
      EXPECT_EQ(best.at("choices").at(i).at("text").as_string(),
                ranked[static_cast<std::size_t>(i)].second);
    }
  }
  // Nobody asked for the logprobs that ranked them.
  const json::value quiet = answer(fixture, kChat, chat_body(R"("best_of":3,"max_tokens":4)"));
  EXPECT_TRUE(quiet.at("choices").at(0).at("logprobs").is_null());
  const auto streamed = fixture.answer(kChat, chat_body(R"("best_of":3,"stream":true)"));
  EXPECT_EQ(error_of(*streamed, 400).at("param").as_string(), "best_of");
}

TEST(Choices, BeamsComeInOrderAndStreamedAlike) {
  SamplingFixture fixture{4};
  fixture.runner.script = bytes_of("abcdef");
  fixture.runner.loudness = 2;
  for (const bool chat : {true, false}) {
    const char* path = chat ? kChat : kCompletions;
    const std::string members =
        R"("use_beam_search":true,"n":2,"best_of":4,"max_tokens":6,"return_token_ids":true)";
    const auto body = [&](std::string_view more) {
      const std::string all = members + std::string(more);
      return chat ? chat_body(all) : completion_body(all);
    };
    const std::string told = chat ? R"(,"logprobs":true)" : R"(,"logprobs":0)";
    const json::value whole = answer(fixture, path, body(told));
    const std::vector<Told> beams = of_answer(whole);
    ASSERT_EQ(beams.size(), 2u);
    EXPECT_NE(beams[0].ids, beams[1].ids);
    EXPECT_EQ(whole.at("usage").at("completion_tokens").to_number<std::size_t>(),
              beams[0].ids.size() + beams[1].ids.size());
    std::vector<double> scores;
    for (const Told& beam : beams) {
      double sum = 0;
      for (const json::value& token : beam.logprobs) {
        sum += (chat ? token.at("logprob") : token.at(1)).to_number<double>();
      }
      scores.push_back(sum);
    }
    EXPECT_GT(scores[0], scores[1]);
    EXPECT_EQ(answer(fixture, path, body(told)).at("choices"), whole.at("choices"));
  }
  for (const char* field :
       {R"("temperature":0.5)", R"("top_p":0.9)", R"("min_p":0.1)", R"("presence_penalty":1)",
        R"("logit_bias":{"5":1})", R"("speculative_tokens":2)"}) {
    const auto refused =
        fixture.answer(kChat, chat_body(fmt::format(R"("use_beam_search":true,"n":2,{})", field)));
    const std::string param(error_of(*refused, 400).at("param").as_string());
    EXPECT_NE(std::string_view(field).find(param), std::string_view::npos) << param << field;
  }
  fixture.wait_idle();
}

TEST(Choices, BeamsOfAStream) {
  SamplingFixture fixture;
  fixture.runner.script = bytes_of("abcdef");
  fixture.runner.loudness = 2;
  const std::string members =
      R"("use_beam_search":true,"n":3,"max_tokens":6,"return_token_ids":true)";
  const auto whole = of_answer(answer(fixture, kChat, chat_body(members)));
  const Stream stream =
      events_of(fixture.answer(kChat, chat_body(members + R"(,"stream":true)"))->body());
  EXPECT_TRUE(stream.done);
  EXPECT_EQ(of_stream(stream, 3), whole);
}

TEST(Choices, AStopStringEndsOneOfThem) {
  SamplingFixture fixture;
  fixture.runner.script = bytes_of("a");
  fixture.runner.endless = true;
  fixture.runner.loudness = 4;
  fixture.runner.step_delay_us = 100;
  const json::value body =
      answer(fixture, kChat,
             chat_body(R"("n":8,"seed":2,"max_tokens":40,"ignore_eos":true,"stop":"aaa")"));
  int stops = 0, lengths = 0;
  for (const json::value& choice : body.at("choices").as_array()) {
    const std::string text(choice.at("message").at("content").as_string());
    EXPECT_EQ(text.find("aaa"), std::string::npos);
    if (choice.at("finish_reason").as_string() == "stop") {
      ++stops;
      EXPECT_EQ(choice.at("stop_reason").as_string(), "aaa");
    } else {
      ++lengths;
    }
  }
  EXPECT_EQ(stops + lengths, 8);
  EXPECT_GT(stops, 0);
  fixture.wait_idle();
}

TEST(Choices, ChunksTellTheUsageOfTheirChoiceSoFar) {
  SamplingFixture fixture;
  fixture.runner.script = bytes_of("abcd");
  const Stream stream = events_of(
      fixture
          .answer(kChat, chat_body(R"("n":2,"stream":true,"stream_options":)"
                                   R"({"continuous_usage_stats":true,"include_usage":true})"))
          ->body());
  std::vector<std::int64_t> last(2, 0);
  for (const json::value& chunk : stream.chunks) {
    const json::value& usage = chunk.at("usage");
    EXPECT_EQ(usage.at("prompt_tokens").as_int64(), 5);
    if (chunk.at("choices").as_array().empty()) {
      EXPECT_EQ(usage.at("completion_tokens").as_int64(), 10);
      continue;
    }
    const auto index = chunk.at("choices").at(0).at("index").to_number<std::size_t>();
    EXPECT_GE(usage.at("completion_tokens").as_int64(), last[index]);
    last[index] = usage.at("completion_tokens").as_int64();
  }
  EXPECT_EQ(last, (std::vector<std::int64_t>{5, 5}));
}

TEST(Choices, TokenIdsOfAStream) {
  SamplingFixture fixture;
  fixture.runner.script = bytes_of("aé");
  for (const bool chat : {true, false}) {
    const std::string members = R"("stream":true,"return_token_ids":true,"stop":"é")";
    const Stream stream =
        events_of(fixture
                      .answer(chat ? kChat : kCompletions,
                              chat ? chat_body(members) : completion_body(members))
                      ->body());
    EXPECT_EQ(stream.text(), "a");
    EXPECT_EQ(of_stream(stream, 1)[0].ids, json::parse("[97,195,169]").as_array());
    const json::value& first = stream.chunks.front();
    const json::value& where = chat ? first : first.at("choices").at(0);
    EXPECT_EQ(where.at("prompt_token_ids").as_array().size(), chat ? 5u : 3u);
  }
}

TEST(Choices, TokensAsIds) {
  SamplingFixture fixture;
  fixture.runner.script = bytes_of("a");
  const json::value body =
      answer(fixture, kChat,
             chat_body(R"("logprobs":true,"top_logprobs":1,"return_tokens_as_token_ids":true)"));
  const json::value& token = body.at("choices").at(0).at("logprobs").at("content").at(0);
  EXPECT_EQ(token.at("token").as_string(), "token_id:97");
  EXPECT_EQ(token.at("top_logprobs").at(0).at("token").as_string(), "token_id:97");
}

TEST(Choices, TooManyInAll) {
  SamplingFixture fixture;
  std::string prompts;
  for (int i = 0; i < 20; ++i) prompts += i == 0 ? "\"x\"" : ",\"x\"";
  const auto refused = fixture.answer(
      kCompletions, fmt::format(R"({{"model":"tiny","prompt":[{}],"n":100}})", prompts));
  EXPECT_EQ(error_of(*refused, 400).at("param").as_string(), "n");
}

}  // namespace
}  // namespace vsurge::api
