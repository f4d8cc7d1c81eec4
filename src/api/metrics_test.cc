#include "api/metrics.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>

#include "api/service_fixture.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;
using testing::bytes_of;
using testing::chat_body;
using testing::kChat;
using testing::ServiceFixture;

std::string scrape(ServiceFixture& fixture) {
  const auto answer = fixture.get("/metrics");
  EXPECT_EQ(answer->status(), 200);
  EXPECT_EQ(answer->header("Content-Type"), kMetricsType);
  return answer->body();
}

// Of the line that begins so; NaN where there is none.
double value_of(const std::string& text, const std::string& sample) {
  const std::size_t at = ("\n" + text).find("\n" + sample + " ");
  if (at == std::string::npos) return std::nan("");
  return std::stod(text.substr(at + sample.size()));
}

const std::string kLabels = R"(model_name="tiny",engine="0")";
double vllm(const std::string& text, const std::string& name, const std::string& more = "") {
  return value_of(text, "vllm:" + name + "{" + kLabels + more + "}");
}

// A request that ends by itself, one by a stop string, one by its length, a wrong one, one that
// fails.
void use(ServiceFixture& fixture) {
  fixture.runner.script = bytes_of("abc");
  fixture.answer(kChat, chat_body());
  fixture.answer(kChat, chat_body(R"("stop":["b"],"stream":true)"));
  fixture.wait_idle();
  fixture.answer(kChat, chat_body(R"("max_tokens":2,"n":2)"));
  fixture.answer(kChat, "{");
  fixture.wait_idle();
}

TEST(Metrics, HasVllmsNumbers) {
  ServiceFixture fixture;
  use(fixture);
  const std::string text = scrape(fixture);
  EXPECT_EQ(vllm(text, "request_success_total", R"(,finished_reason="stop")"), 2);
  EXPECT_EQ(vllm(text, "request_success_total", R"(,finished_reason="length")"), 2);
  EXPECT_EQ(vllm(text, "request_success_total", R"(,finished_reason="abort")"), 0);
  EXPECT_EQ(vllm(text, "num_requests_running"), 0);
  EXPECT_EQ(vllm(text, "num_requests_waiting"), 0);
  EXPECT_EQ(vllm(text, "kv_cache_usage_perc"), 0);
  EXPECT_EQ(vllm(text, "request_generation_tokens_sum"), 4 + 2 + 4);
  EXPECT_EQ(vllm(text, "request_max_num_generation_tokens_sum"), 4 + 2 + 2);
  EXPECT_EQ(vllm(text, "request_params_n_bucket", R"(,le="1.0")"), 2);
  EXPECT_EQ(vllm(text, "request_params_n_bucket", R"(,le="2.0")"), 3);
  EXPECT_EQ(vllm(text, "time_to_first_token_seconds_count"), 3);
  EXPECT_GE(vllm(text, "generation_tokens_total"), 9);  // without the end of text
  for (const char* name : {"e2e_request_latency_seconds", "request_queue_time_seconds",
                           "request_inference_time_seconds", "request_prefill_time_seconds",
                           "request_decode_time_seconds", "request_time_per_output_token_seconds",
                           "request_prompt_tokens", "request_params_max_tokens"}) {
    EXPECT_EQ(vllm(text, std::string(name) + "_count"), 3) << name;
  }
}

// Bounds are part of the names that dashboards use.
TEST(Metrics, HasVllmsBuckets) {
  ServiceFixture fixture;
  const std::string text = scrape(fixture);
  const auto bounds_of = [&](const std::string& name) {
    std::string out;
    const std::regex line("\nvllm:" + name + R"re(_bucket\{[^}]*le="([^"]*)"\})re");
    for (std::sregex_iterator at(text.begin(), text.end(), line), end; at != end; ++at) {
      out += (out.empty() ? "" : " ") + (*at)[1].str();
    }
    return out;
  };
  EXPECT_EQ(bounds_of("time_to_first_token_seconds"),
            "0.001 0.005 0.01 0.02 0.04 0.06 0.08 0.1 0.25 0.5 0.75 1.0 2.5 5.0 7.5 10.0 20.0 40.0 "
            "80.0 160.0 640.0 2560.0 +Inf");
  EXPECT_EQ(bounds_of("inter_token_latency_seconds"),
            "0.01 0.025 0.05 0.075 0.1 0.15 0.2 0.3 0.4 0.5 0.75 1.0 2.5 5.0 7.5 10.0 20.0 40.0 "
            "80.0 +Inf");
  EXPECT_EQ(bounds_of("e2e_request_latency_seconds"),
            "0.3 0.5 0.8 1.0 1.5 2.0 2.5 5.0 10.0 15.0 20.0 30.0 40.0 50.0 60.0 120.0 240.0 480.0 "
            "960.0 1920.0 7680.0 +Inf");
  EXPECT_EQ(bounds_of("request_prompt_tokens"),  // the context has 200 tokens
            "1.0 2.0 5.0 10.0 20.0 50.0 100.0 200.0 +Inf");
  EXPECT_EQ(bounds_of("iteration_tokens_total"),
            "1.0 8.0 16.0 32.0 64.0 128.0 256.0 512.0 1024.0 2048.0 4096.0 8192.0 16384.0 +Inf");
}

TEST(Metrics, CountsHttpRequests) {
  ServiceFixture fixture;
  use(fixture);
  fixture.get("/nothing");
  const std::string text = scrape(fixture);
  const std::string chat = R"({handler="/v1/chat/completions",method="POST")";
  EXPECT_EQ(value_of(text, "http_requests_total" + chat + R"(,status="2xx"})"), 3);
  EXPECT_EQ(value_of(text, "http_requests_total" + chat + R"(,status="4xx"})"), 1);
  EXPECT_EQ(value_of(text, "http_request_duration_seconds_count" + chat + "}"), 4);
  EXPECT_EQ(value_of(text, R"(vsurge:http_responses_total{handler="none",status="404"})"), 1);
  EXPECT_EQ(value_of(text, R"(vsurge:request_errors_total{code="invalid_json"})"), 1);
}

TEST(Metrics, ClientsCannotMakeLabels) {
  ServiceFixture fixture;
  HttpRequest request;
  request.method = "BREW\"\n";
  request.path = "/v1/models/\"";
  fixture.handle(request);
  request.method = "GET";
  fixture.handle(std::move(request));
  const std::string text = scrape(fixture);
  EXPECT_EQ(value_of(text, R"(http_requests_total{handler="none",method="none",status="4xx"})"), 1);
  EXPECT_EQ(text.find("BREW"), std::string::npos);
  EXPECT_EQ(
      value_of(text,
               R"(http_requests_total{handler="/v1/models/{name}",method="GET",status="4xx"})"),
      1);
}

TEST(Metrics, EveryLineIsWellFormed) {
  ServiceFixture fixture;
  use(fixture);
  const std::string text = scrape(fixture);
  const std::regex sample(
      R"re([a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-z_]+="([^"\\]|\\["\\n])*",?)*\})? [-+0-9.eInfNa]+)re");
  std::set<std::string> types;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# HELP ")) continue;
    if (line.starts_with("# TYPE ")) {
      EXPECT_TRUE(types.insert(line).second) << line;
    } else {
      EXPECT_TRUE(std::regex_match(line, sample)) << line;
    }
  }
  EXPECT_GT(types.size(), 40u);
}

// Every query of the dashboard names a metric that is there, and labels that it has.
TEST(Metrics, DashboardAsksForWhatIsThere) {
  ServiceFixture fixture;
  use(fixture);
  const std::string text = scrape(fixture);
  std::ifstream file(std::string(VSURGE_SOURCE_DIR) + "/docs/grafana.json");
  const std::string content{std::istreambuf_iterator<char>(file), {}};
  ASSERT_FALSE(content.empty());
  const json::value dashboard = json::parse(content);
  const std::regex selector(R"re(([a-zA-Z_:][a-zA-Z0-9_:]*)\{([a-z_]*))re");
  int queries = 0;
  for (const json::value& panel : dashboard.at("panels").as_array()) {
    for (const json::value& target : panel.at("targets").as_array()) {
      const std::string query(target.at("expr").as_string());
      int found = 0;
      for (std::sregex_iterator at(query.begin(), query.end(), selector), end; at != end; ++at) {
        ++found;
        const std::regex line(
            "\n" + (*at)[1].str() +
            ((*at)[2].length() == 0 ? "[{ ]" : R"(\{.*\b)" + (*at)[2].str() + "=\""));
        EXPECT_TRUE(std::regex_search(text, line)) << query;
      }
      EXPECT_GT(found, 0) << query;
      queries += found;
    }
  }
  EXPECT_GT(queries, 40);
}

TEST(Metrics, TellsJsonToThoseWhoAskForIt) {
  ServiceFixture fixture;
  use(fixture);
  HttpRequest request;
  request.method = "GET";
  request.path = "/metrics";
  request.headers = {{"accept", "application/json"}};
  const auto answer = fixture.handle(std::move(request));
  EXPECT_EQ(answer->header("Content-Type"), "application/json");
  const json::value body = json::parse(answer->body());
  EXPECT_EQ(body.at("total_requests").as_int64(), 4);
  EXPECT_EQ(body.at("successful_requests").as_int64(), 3);
  EXPECT_EQ(body.at("failed_requests").as_int64(), 1);
  EXPECT_EQ(body.at("status").as_string(), "ready");
  EXPECT_GT(body.at("average_tokens_per_second").to_number<double>(), 0);
  EXPECT_EQ(body.at("driver_metrics").at("tiny").at("completed").as_int64(), 4);

  EXPECT_TRUE(wants_json("application/json, text/plain, */*"));
  EXPECT_FALSE(wants_json("text/plain, application/json"));
  EXPECT_FALSE(wants_json("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3,*/*"));
  EXPECT_FALSE(wants_json(""));
}

TEST(Info, SaysWhetherItIsReady) {
  ServiceFixture fixture;
  EXPECT_EQ(fixture.get("/live")->status(), 200);
  EXPECT_EQ(fixture.get("/ready")->status(), 200);
  EXPECT_EQ(fixture.get("/ready")->body(), R"({"status":"ready"})");
  fixture.service.begin_shutdown();
  EXPECT_EQ(fixture.get("/ready")->body(), R"({"status":"shutting_down"})");
  EXPECT_EQ(fixture.get("/live")->status(), 200);
  EXPECT_EQ(fixture.get("/ready")->status(), 503);
  EXPECT_EQ(fixture.get("/health")->status(), 503);
  EXPECT_EQ(fixture.get("/metrics")->status(), 200);
}

TEST(Info, SaysThatItIsLoading) {
  ServiceFixture fixture;
  fixture.service.set_loading(true);
  EXPECT_EQ(fixture.get("/live")->status(), 200);
  EXPECT_EQ(fixture.get("/ready")->status(), 503);
  EXPECT_EQ(fixture.get("/health")->body(), R"({"status":"loading"})");
  const auto answer = fixture.post(kChat, chat_body());
  EXPECT_EQ(testing::error_of(*answer, 503).at("code").as_string(), "loading");
  EXPECT_NE(answer->header("Retry-After"), "");
  fixture.service.set_loading(false);
  EXPECT_EQ(fixture.get("/ready")->status(), 200);
}

TEST(Info, SaysThatTheEngineIsStuck) {
  ServiceFixture fixture(testing::FixtureOptions{.watchdog = 1'000'000});
  fixture.runner.script = bytes_of("a");
  fixture.runner.step_delay_us = 300'000;
  const auto answer = fixture.post(kChat, chat_body());
  fixture.executor.run_until([&] { return fixture.engine.metrics().stuck; });
  const auto health = fixture.get("/health");
  EXPECT_EQ(health->status(), 503);
  EXPECT_EQ(json::parse(health->body()).at("status").as_string(), "stuck");
  EXPECT_EQ(fixture.get("/ready")->status(), 503);
  EXPECT_EQ(fixture.get("/live")->status(), 200);
  EXPECT_EQ(value_of(scrape(fixture), "vsurge:engine_stuck{" + kLabels + "}"), 1);
  fixture.runner.step_delay_us = 0;
  fixture.finish(*answer);
  fixture.wait_idle();
  EXPECT_EQ(fixture.get("/health")->status(), 200);
}

}  // namespace
}  // namespace vsurge::api
