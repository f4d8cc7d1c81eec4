// Beam searches through the scheduler, against what transformers found:
// tools/oracle/beam_goldens.py.
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/mapped_file.h"
#include "engine/scheduler.h"

namespace vsurge::engine {
namespace {

namespace json = boost::json;

constexpr float kWorthClose = 1e-3F;  // scores agree to that

struct Answer {
  std::vector<TokenId> tokens;
  TokenId stop = -1;
  double worth = 0;
};

struct Case {
  std::size_t model = 0;
  std::vector<TokenId> prompt;
  std::vector<TokenId> stops;
  SamplingParams sampling;
  std::vector<Answer> answers;
};

// Logprobs by place and last token.
using Table = std::vector<std::vector<std::vector<float>>>;

struct Goldens {
  std::vector<Table> models;
  std::vector<Case> cases;
};

std::vector<TokenId> tokens(const json::value& value) {
  return json::value_to<std::vector<TokenId>>(value);
}

Table table_of(const json::value& model) {
  auto table = json::value_to<Table>(model.at("logits"));
  for (auto& place : table) {
    for (std::vector<float>& row : place) {
      double sum = 0;
      for (const float logit : row) sum += std::exp(static_cast<double>(logit));
      for (float& logit : row) logit -= static_cast<float>(std::log(sum));
    }
  }
  return table;
}

Case case_of(const json::object& from) {
  Case one;
  one.model = from.at("model").to_number<std::size_t>();
  one.prompt = tokens(from.at("prompt"));
  one.stops = tokens(from.at("stops"));
  SamplingParams& sampling = one.sampling;
  sampling.n = sampling.beam.width = from.at("width").to_number<int>();
  sampling.beam.length_penalty = from.at("length_penalty").to_number<float>();
  const json::value& early = from.at("early_stopping");
  sampling.beam.early_stopping = early.is_string() ? BeamStop::kNever
                                 : early.as_bool() ? BeamStop::kWhenFull
                                                   : BeamStop::kWhenUnlikely;
  sampling.min_tokens = from.at("min_tokens").to_number<int>();
  sampling.max_tokens = from.at("max_tokens").to_number<int>();
  sampling.logprobs = 2;
  for (const json::value& answer : from.at("answers").as_array()) {
    one.answers.push_back({tokens(answer.at("tokens")), answer.at("stop").to_number<TokenId>(),
                           answer.at("worth").to_number<double>()});
  }
  return one;
}

Goldens goldens() {
  Goldens result;
  const auto file =
      base::MappedFile::open(std::string(VSURGE_SOURCE_DIR) + "/tests/golden/beams.json");
  if (!file) {
    ADD_FAILURE() << file.error().message;
    return result;
  }
  const auto bytes = file->bytes();
  const json::value all = json::parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  for (const json::value& model : all.at("models").as_array()) {
    result.models.push_back(table_of(model));
  }
  for (const json::value& one : all.at("cases").as_array()) {
    result.cases.push_back(case_of(one.as_object()));
  }
  return result;
}

// The rows are those of the table, the alternatives sorted as the kernel does.
class TableRunner final : public StepRunner {
 public:
  explicit TableRunner(const Goldens& all) : all_(all) {}

  void run(const StepPlan& plan, StepResult& result) override {
    std::size_t taken = 0;
    for (const PlannedSequence& planned : plan.sequences) {
      if (planned.rows == 0) continue;
      ASSERT_EQ(planned.rows, 1);
      const Table& table = all_.models[all_.cases[planned.ticket - 1].model];
      const auto place = static_cast<std::size_t>(planned.first) + planned.tokens.size() - 1;
      const auto& row = table[place][static_cast<std::size_t>(planned.tokens.back())];
      const auto at = static_cast<std::size_t>(planned.first_row);
      const auto wanted = static_cast<std::size_t>(plan.rows[at].logprobs);
      const std::span room = std::span(result.top).subspan(taken, wanted);
      taken += wanted;
      std::vector<kernels::TopLogprob> sorted;
      for (const float logprob : row)
        sorted.push_back({static_cast<TokenId>(sorted.size()), logprob});
      std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
        return a.logprob != b.logprob ? a.logprob > b.logprob : a.token < b.token;
      });
      ASSERT_LE(wanted, sorted.size());
      std::copy_n(sorted.begin(), wanted, room.begin());
      kernels::SampleResult& sampled = result.rows[at];
      sampled.token = sorted.front().token;
      sampled.top = room.data();
      sampled.top_count = static_cast<std::int32_t>(wanted);
    }
  }

 private:
  const Goldens& all_;
};

EngineOptions options() {
  EngineOptions o;
  o.max_concurrent_decodes = 16;
  o.max_batched_tokens = 64;
  o.max_concurrent_prefill = 4;
  o.context_max = 20;
  o.page_size = 4;
  o.pages = 64;
  o.vocabulary = 14;
  return o;
}

Request request_of(const Case& one) {
  Request request;
  request.prompt = one.prompt;
  request.sampling = one.sampling;
  request.cache_namespace = std::to_string(one.model);
  return request;
}

void run_to_end(Scheduler& scheduler, TableRunner& runner, std::vector<Event>& events) {
  StepResult result;
  while (!scheduler.idle()) {
    const StepPlan& plan = scheduler.plan(0);
    result.reset(plan);
    ASSERT_NO_FATAL_FAILURE(runner.run(plan, result));
    for (const Event& event : scheduler.commit(result, 0)) events.push_back(event);
  }
  EXPECT_EQ(scheduler.pool().used(), 0);
}

// Of one case.
void compare(const Case& one, const std::vector<Event>& events) {
  std::vector<Answer> found(one.answers.size());
  std::vector<double> sums(one.answers.size(), 0);
  std::size_t ends = 0;
  for (const Event& event : events) {
    Answer& answer = found[static_cast<std::size_t>(event.choice)];
    double& sum = sums[static_cast<std::size_t>(event.choice)];
    if (!event.is_end()) {
      ASSERT_NE(event.logprobs, nullptr);
      ASSERT_EQ(event.logprobs->top.size(), 2U);
      answer.tokens.push_back(event.token);
      sum += static_cast<double>(event.logprobs->logprob);
      continue;
    }
    ++ends;
    EXPECT_EQ(event.reason, event.stop_token < 0 ? FinishReason::kLength : FinishReason::kStop);
    answer.stop = event.stop_token;
    EXPECT_LE(static_cast<double>(event.score), sum + 1e-4) << "without the token that stops it";
    const double length = event.usage.completion_tokens;
    answer.worth = static_cast<double>(event.score) /
                   std::pow(length, static_cast<double>(one.sampling.beam.length_penalty));
  }
  EXPECT_EQ(ends, one.answers.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].tokens, one.answers[i].tokens) << "answer " << i;
    EXPECT_EQ(found[i].stop, one.answers[i].stop) << "answer " << i;
    EXPECT_NEAR(found[i].worth, one.answers[i].worth, kWorthClose) << "answer " << i;
  }
}

TEST(BeamGoldens, EachAlone) {
  Goldens all = goldens();
  ASSERT_GT(all.cases.size(), 500U);
  TableRunner runner(all);
  for (std::size_t i = 0; i < all.cases.size() && !testing::Test::HasFailure(); ++i) {
    SCOPED_TRACE(i);
    EngineOptions o = options();
    Case& one = all.cases[i];
    // Both kinds of tokens that end an answer.
    (i % 2 == 0 ? o.eos_tokens : one.sampling.stop_token_ids) = one.stops;
    ASSERT_TRUE(check_request(o, request_of(one)));
    Scheduler scheduler(o);
    scheduler.add(i + 1, request_of(one), 0);
    std::vector<Event> events;
    ASSERT_NO_FATAL_FAILURE(run_to_end(scheduler, runner, events));
    compare(one, events);
  }
}

// Beams that wait, fork, give way and are computed again.
TEST(BeamGoldens, AllTogetherWithFewPages) {
  Goldens all = goldens();
  TableRunner runner(all);
  EngineOptions o = options();
  o.pages = 14;
  Scheduler scheduler(o);
  for (std::size_t i = 0; i < all.cases.size(); ++i) {
    Case& one = all.cases[i];
    one.sampling.stop_token_ids = one.stops;
    ASSERT_TRUE(check_request(o, request_of(one)));
    scheduler.add(i + 1, request_of(one), 0);
  }
  std::vector<Event> events;
  ASSERT_NO_FATAL_FAILURE(run_to_end(scheduler, runner, events));
  EXPECT_GT(scheduler.metrics().preemptions, 0U);
  std::map<Ticket, std::vector<Event>> by_ticket;
  for (Event& event : events) by_ticket[event.ticket].push_back(std::move(event));
  for (std::size_t i = 0; i < all.cases.size() && !testing::Test::HasFailure(); ++i) {
    SCOPED_TRACE(i);
    compare(all.cases[i], by_ticket[i + 1]);
  }
}

}  // namespace
}  // namespace vsurge::engine
