// A service of several models: who answers, what is told of each, and how they come and go.
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>

#include "access/key_file.h"
#include "api/info.h"
#include "api/model_choice.h"
#include "api/service_fixture.h"

namespace vsurge::api {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using testing::bytes_of;
using testing::error_of;
using testing::FixtureOptions;
using testing::kChat;
using testing::ServiceFixture;
using testing::TestResponder;

// A model beside that of the fixture.
struct OtherModel {
  explicit OtherModel(std::vector<std::string> model_names, std::string_view says)
      : names(std::move(model_names)), engine(options(), runner, router, clock) {
    runner.script = bytes_of(says);
    EXPECT_TRUE(engine.start());
  }
  static engine::EngineOptions options() {
    engine::EngineOptions out;
    out.context_max = testing::kContext;
    out.page_size = 16;
    out.pages = 256;
    out.vocabulary = testing::kVocabulary;
    out.eos_tokens = {testing::kEos};
    return out;
  }
  ServedModel served() { return {testing::tiny_model(names), assets, engine, router}; }

  std::vector<std::string> names;
  text::TextAssets assets = testing::byte_assets();
  testing::ScriptedRunner runner;
  EventRouter router;
  base::SteadyClock clock;
  engine::Engine engine;
};

constexpr const char* kKey = "the-admin-key";

FixtureOptions with_admin() {
  FixtureOptions options;
  options.gatekeeper = *access::Gatekeeper::open({.key_file = {}, .plain_keys = {kKey}});
  return options;
}

std::string body_for(std::string_view model, std::string_view members = "") {
  return fmt::format(R"({{"model":"{}","messages":[{{"role":"user","content":"hi"}}]{}{}}})", model,
                     members.empty() ? "" : ",", members);
}

std::string text_of(const TestResponder& answer) {
  const json::value body = json::parse(answer.body());
  return std::string(body.at("choices").at(0).at("message").at("content").as_string());
}

class Several : public ::testing::Test {
 protected:
  void begin(FixtureOptions options = {}) {
    fixture = std::make_unique<ServiceFixture>(options);
    fixture->runner.script = bytes_of("first");
    fixture->service.add(other.served());
  }
  std::shared_ptr<TestResponder> send(std::string method, std::string path, std::string body = "",
                                      std::string key = "", std::string query = "") {
    HttpRequest request;
    request.method = std::move(method);
    request.path = std::move(path);
    request.query = std::move(query);
    request.body = std::move(body);
    request.headers = {{"content-type", "application/json"}};
    if (!key.empty()) request.headers.emplace_back("x-api-key", key);
    auto responder = fixture->handle(std::move(request));
    fixture->finish(*responder);
    return responder;
  }
  std::shared_ptr<TestResponder> chat(std::string_view model, std::string_view members = "",
                                      std::string key = "") {
    return send("POST", kChat, body_for(model, members), std::move(key));
  }
  json::value get(std::string path, std::string query = "") {
    const auto answer = send("GET", std::move(path), "", "", std::move(query));
    EXPECT_EQ(answer->status(), 200) << answer->body();
    return json::parse(answer->body());
  }

  OtherModel other{{"other", "alias"}, "second"};
  std::unique_ptr<ServiceFixture> fixture;
};

TEST(NamedModel, IsFoundWhereverItStands) {
  using Kind = NamedModel::Kind;
  const auto kind = [](std::string_view body) { return find_named_model(body).kind; };
  EXPECT_EQ(find_named_model(R"({"model":"a"})").name, "a");
  EXPECT_EQ(
      find_named_model(R"({"x":{"model":"b"},"y":["model","c"],"model":"a\u0062"} trailing)").name,
      "ab");
  EXPECT_EQ(find_named_model(R"({"mod\u0065l":"a", broken)").name, "a");
  EXPECT_EQ(find_named_model("{\"" + std::string(5000, 'x') + R"(":1,"model":"a"})").name, "a");
  EXPECT_EQ(kind(R"({"x":{"model":"b"}})"), Kind::kNone);
  EXPECT_EQ(kind(R"({"model":""})"), Kind::kNone);
  EXPECT_EQ(kind(R"({"model":null})"), Kind::kNone);
  EXPECT_EQ(kind(R"(["model"])"), Kind::kNone);
  for (const char* body : {"", "{", R"({"model")", R"({"model":)", R"({"model":5})",
                           R"({"model":["a"]})", R"({"model":{"model":"a"}})", R"({"x":1,})"}) {
    EXPECT_EQ(kind(body), Kind::kUnknown) << body;
  }
  EXPECT_EQ(kind(std::string(100, '[')), Kind::kUnknown);
  const std::string endless(100'000, 'm');
  EXPECT_LT(find_named_model(R"({"model":")" + endless + R"("})").name.size(), 1000u);
}

TEST_F(Several, TheNamedOneAnswers) {
  begin();
  EXPECT_EQ(text_of(*chat("tiny")), "first");
  EXPECT_EQ(text_of(*chat("org/tiny")), "first");
  EXPECT_EQ(text_of(*chat("other")), "second");
  const auto answer = chat("alias");
  EXPECT_EQ(text_of(*answer), "second");
  EXPECT_EQ(json::parse(answer->body()).at("model").as_string(), "other");
  const auto stream = chat("other", R"("stream":true)");
  EXPECT_EQ(testing::events_of(stream->body()).text(), "second");
}

TEST_F(Several, WhoNamesNoneIsAskedToDoSo) {
  begin();
  for (const char* body :
       {R"({"messages":[]})", R"({"model":"","messages":[]})", R"({"model":null,"messages":[]})"}) {
    const auto error = error_of(*send("POST", kChat, body), 400);
    EXPECT_EQ(error.at("param").as_string(), "model") << body;
    EXPECT_NE(error.at("message").as_string().find("'tiny', 'other'"), std::string::npos);
  }
  EXPECT_EQ(error_of(*send("POST", "/tokenize", R"({"prompt":"a"})"), 400).at("param").as_string(),
            "model");
  const auto error = error_of(*chat("none"), 404);
  EXPECT_EQ(error.at("code").as_string(), "model_not_found");
  EXPECT_EQ(error.at("param").as_string(), "model");
  // What is wrong with the body itself is still told.
  EXPECT_EQ(error_of(*send("POST", kChat, "{"), 400).at("code").as_string(), "invalid_json");
  EXPECT_EQ(error_of(*send("POST", kChat, R"({"model":5})"), 400).at("code").as_string(),
            "invalid_type");
}

TEST_F(Several, EveryEndpointHasThem) {
  begin();
  for (const char* model : {"tiny", "alias"}) {
    const auto with = [&](std::string_view members) {
      return fmt::format(R"({{"model":"{}",{}}})", model, members);
    };
    EXPECT_EQ(send("POST", "/tokenize", with(R"("prompt":"ab")"))->status(), 200);
    EXPECT_EQ(send("POST", "/detokenize", with(R"("tokens":[97])"))->status(), 200);
    EXPECT_EQ(send("POST", "/v1/completions", with(R"("prompt":"ab")"))->status(), 200);
    const auto response = send("POST", "/v1/responses", with(R"("input":"ab")"));
    ASSERT_EQ(response->status(), 200);
    const auto stored = json::parse(response->body());
    const std::string id(stored.at("id").as_string());
    EXPECT_EQ(get("/v1/responses/" + id).at("model"), stored.at("model"));
    // The other model may go on with it.
    const auto next = send("POST", "/v1/responses",
                           fmt::format(R"({{"model":"other","input":"c",)"
                                       R"("previous_response_id":"{}"}})",
                                       id));
    EXPECT_EQ(json::parse(next->body()).at("model").as_string(), "other");
  }
  EXPECT_EQ(send("POST", "/v1/conversations", "{}")->status(), 200);
}

TEST_F(Several, AreListed) {
  begin();
  const json::value list = get("/v1/models");
  std::vector<std::string> names;
  for (const json::value& model : list.at("data").as_array()) {
    names.emplace_back(model.at("id").as_string());
    EXPECT_EQ(model.at("metadata").at("state").as_string(), "ready");
  }
  EXPECT_EQ(names, (std::vector<std::string>{"tiny", "org/tiny", "other", "alias"}));
  EXPECT_EQ(get("/v1/models/alias").at("id").as_string(), "alias");
  EXPECT_EQ(send("GET", "/v1/models/none")->status(), 404);
  EXPECT_TRUE(get("/v1/tools").at("models").as_object().contains("alias"));
}

TEST_F(Several, MetricsTellThemApart) {
  begin();
  chat("other");
  const auto answer = send("GET", "/metrics");
  const std::string& text = answer->body();
  const auto has = [&](const std::string& line) { return text.find(line + "\n") != text.npos; };
  EXPECT_TRUE(has(R"(vllm:request_success_total{model_name="tiny",engine="0",)"
                  R"(finished_reason="stop"} 0.0)"));
  EXPECT_TRUE(has(R"(vllm:request_success_total{model_name="other",engine="0",)"
                  R"(finished_reason="stop"} 1.0)"));
  // A metric is told once, with all its samples.
  for (const char* name : {"vllm:num_requests_running", "vllm:e2e_request_latency_seconds",
                           "vsurge:kv_pages", "vsurge:build_info"}) {
    const std::string type = fmt::format("# TYPE {} ", name);
    const std::size_t at = text.find(type);
    ASSERT_NE(at, text.npos) << name;
    EXPECT_EQ(text.find(type, at + 1), text.npos) << name;
  }
  HttpRequest request;
  request.method = "GET";
  request.path = "/metrics";
  request.headers = {{"accept", "application/json"}};
  const auto seeds = fixture->handle(std::move(request));
  fixture->finish(*seeds);
  const json::value told = json::parse(seeds->body());
  EXPECT_EQ(told.at("models_loaded").as_int64(), 2);
  EXPECT_EQ(told.at("driver_metrics").at("other").at("completed").as_int64(), 1);
  EXPECT_EQ(told.at("driver_metrics").at("tiny").at("completed").as_int64(), 0);
}

TEST_F(Several, OneThatIsPausedOrDrainedLeavesTheOtherAlone) {
  begin(with_admin());
  const auto rule = [&](const char* what, const char* body, const char* query = "") {
    return send("POST", fmt::format("/v1/engine/{}", what), body, kKey, query);
  };
  EXPECT_EQ(rule("drain", R"({"model":"alias"})")->status(), 200);
  const auto error = error_of(*chat("other", "", kKey), 503);
  EXPECT_NE(error.at("message").as_string().find("drained"), std::string::npos);
  EXPECT_EQ(chat("tiny", "", kKey)->status(), 200);
  EXPECT_EQ(send("GET", "/ready")->status(), 200);
  EXPECT_EQ(send("GET", "/health")->status(), 200);
  EXPECT_EQ(send("GET", "/ready", "", "", "model=other")->status(), 503);
  EXPECT_EQ(send("GET", "/ready", "", "", "a=b&model=org%2Ftiny")->status(), 200);
  EXPECT_EQ(send("GET", "/ready", "", "", "model=none")->status(), 404);

  const auto all = json::parse(send("GET", "/v1/engine", "", kKey)->body());
  EXPECT_FALSE(all.at("draining").as_bool());
  EXPECT_TRUE(all.at("models").at("other").at("draining").as_bool());
  EXPECT_EQ(all.at("models").at("other").at("status").as_string(), "draining");
  EXPECT_EQ(rule("drain", "", "model=tiny")->status(), 200);
  EXPECT_EQ(chat("tiny", "", kKey)->status(), 503);
  EXPECT_EQ(send("GET", "/ready")->status(), 503);
  EXPECT_EQ(rule("resume", "")->status(), 200);
  EXPECT_EQ(chat("other", "", kKey)->status(), 200);
  EXPECT_EQ(error_of(*rule("pause", R"({"model":"none"})"), 404).at("param").as_string(), "model");
  EXPECT_EQ(rule("pause", R"({"model":5})")->status(), 400);
}

TEST_F(Several, HealthSaysWhichHasFailed) {
  begin();
  other.runner.fail_at = 0;
  const json::value before = get("/health");
  EXPECT_EQ(before.at("models").at("other").at("status").as_string(), "ready");
  struct Throws final : engine::StepRunner {
    void run(const engine::StepPlan&, engine::StepResult&) override {
      throw std::runtime_error("no");
    }
  } runner;
  EventRouter router;
  const base::SteadyClock clock;
  engine::Engine broken(OtherModel::options(), runner, router, clock);
  ASSERT_TRUE(broken.start());
  const text::TextAssets assets = testing::byte_assets();
  fixture->service.add({testing::tiny_model({"broken"}), assets, broken, router});
  EXPECT_EQ(chat("broken")->status(), 503);
  const auto answer = send("GET", "/health");
  EXPECT_EQ(answer->status(), 503);
  const json::value health = json::parse(answer->body());
  EXPECT_EQ(health.at("status").as_string(), "error");
  EXPECT_EQ(health.at("models").at("broken").at("status").as_string(), "error");
  EXPECT_EQ(health.at("models").at("tiny").at("status").as_string(), "ready");
  EXPECT_EQ(send("GET", "/ready")->status(), 200);
  EXPECT_EQ(chat("tiny")->status(), 200);
  fixture->wait_idle();
  fixture.reset();
}

TEST_F(Several, KeysWithAListMayUseThoseAlone) {
  std::string name = (fs::temp_directory_path() / "vsurge_models_XXXXXX").string();
  const fs::path folder = ::mkdtemp(name.data());
  access::ApiKey key{.id = "", .name = "alice", .models = {"alias"}};
  const std::string text = access::renew_secret(key);
  ASSERT_TRUE(access::update_key_file(folder / "keys", [&](auto& keys) -> base::Status {
    keys.push_back(key);
    return {};
  }));
  FixtureOptions options;
  options.gatekeeper = *access::Gatekeeper::open({.key_file = folder / "keys"});
  begin(options);
  EXPECT_EQ(chat("alias", "", text)->status(), 200);
  EXPECT_EQ(chat("other", "", text)->status(), 200);  // the same model
  const auto error = error_of(*chat("tiny", "", text), 403);
  EXPECT_EQ(error.at("code").as_string(), "model_not_found");
  EXPECT_EQ(error.at("param").as_string(), "model");
  const auto list = json::parse(send("GET", "/v1/models", "", text)->body());
  EXPECT_EQ(list.at("total").as_int64(), 2);
  EXPECT_EQ(send("GET", "/v1/models/tiny", "", text)->status(), 404);
  EXPECT_EQ(send("POST", "/v1/models/unload", R"({"model":"tiny"})", text)->status(), 403);
  fs::remove_all(folder);
}

// Brings "new", as slowly as the test wants.
class TestLoader final : public ModelLoader {
 public:
  base::Status check(const ModelWish& wish) override {
    if (wish.path != "outside") return {};
    return base::fail_param(base::ErrorCode::kInvalidRequest, "path", "outside");
  }
  base::Result<ServedModel> load(const ModelWish& wish) override {
    std::unique_lock lock(mutex_);
    ++loads;
    changed_.wait(lock, [this] { return !held_; });
    if (wish.path == "bad") return base::fail(base::ErrorCode::kBadModel, "not a checkpoint");
    model = std::make_unique<OtherModel>(wish.names, "third");
    return model->served();
  }
  base::Nanoseconds drain_time() const override { return drain; }
  base::Status stop(const std::string& name) override {
    if (stuck) return base::fail(base::ErrorCode::kEngineUnavailable, "stuck");
    if (model == nullptr || model->names.front() != name) return {};
    model->engine.drain();
    model->engine.stop();
    return {};
  }
  void release(const std::string& name) override {
    ++releases;
    if (model != nullptr && model->names.front() == name) model.reset();
  }

  void hold(bool held) {
    {
      const std::lock_guard lock(mutex_);
      held_ = held;
    }
    changed_.notify_all();
  }

  std::unique_ptr<OtherModel> model;
  base::Nanoseconds drain = 20'000'000'000;
  std::atomic<int> loads{0}, releases{0};
  std::atomic<bool> stuck{false};

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false;
};

constexpr const char* kLoad = "/v1/models/load";
constexpr const char* kUnload = "/v1/models/unload";

class ComingAndGoing : public Several {
 protected:
  void SetUp() override {
    FixtureOptions options = with_admin();
    options.loader = &loader;
    begin(options);
  }
  void TearDown() override {
    loader.hold(false);
    fixture.reset();
  }
  std::shared_ptr<TestResponder> post(std::string path, std::string body) {
    return send("POST", std::move(path), std::move(body), kKey);
  }
  // Not waiting for its answer.
  std::shared_ptr<TestResponder> begin_post(std::string path, std::string body) {
    HttpRequest request;
    request.method = "POST";
    request.path = std::move(path);
    request.body = std::move(body);
    request.headers = {{"x-api-key", kKey}};
    return fixture->handle(std::move(request));
  }
  std::string state_of(const std::string& model) {
    const auto answer = send("GET", "/v1/models/" + model, "", kKey);
    if (answer->status() != 200) return "none";
    return std::string(json::parse(answer->body()).at("metadata").at("state").as_string());
  }

  TestLoader loader;
};

TEST_F(ComingAndGoing, AModelComesAndGoes) {
  EXPECT_EQ(chat("new", "", kKey)->status(), 404);
  const auto loaded = post(kLoad, R"({"model":"new","path":"x","aliases":["newer"],"memory":2})");
  ASSERT_EQ(loaded->status(), 200) << loaded->body();
  EXPECT_EQ(json::parse(loaded->body()).at("model").at("id").as_string(), "new");
  EXPECT_EQ(state_of("newer"), "ready");
  EXPECT_EQ(text_of(*chat("newer", "", kKey)), "third");
  EXPECT_EQ(text_of(*chat("tiny", "", kKey)), "first");
  const auto unloaded = post(kUnload, R"({"name":"newer"})");
  ASSERT_EQ(unloaded->status(), 200) << unloaded->body();
  EXPECT_EQ(loader.model, nullptr);
  EXPECT_EQ(state_of("new"), "none");
  EXPECT_EQ(chat("new", "", kKey)->status(), 404);
  EXPECT_EQ(post("/models/load", R"({"name":"new"})")->status(), 200);  // again
  EXPECT_EQ(text_of(*chat("new", "", kKey)), "third");
}

TEST_F(ComingAndGoing, NamesAreTakenWhileTheyComeAndGo) {
  loader.hold(true);
  const auto first = begin_post(kLoad, R"({"model":"new"})");
  fixture->executor.run_until([&] { return loader.loads == 1; });
  EXPECT_EQ(state_of("new"), "loading");
  EXPECT_EQ(post(kLoad, R"({"model":"new"})")->status(), 409);
  EXPECT_EQ(post(kLoad, R"({"model":"x","aliases":["new"]})")->status(), 409);
  EXPECT_EQ(post(kLoad, R"({"model":"alias"})")->status(), 409);
  EXPECT_EQ(error_of(*post(kUnload, R"({"model":"new"})"), 409).at("code").as_string(), "conflict");
  const auto waits = chat("new", "", kKey);
  EXPECT_EQ(error_of(*waits, 503).at("code").as_string(), "loading");
  EXPECT_NE(waits->header("Retry-After"), "");
  EXPECT_EQ(chat("tiny", "", kKey)->status(), 200);
  EXPECT_EQ(send("GET", "/health")->status(), 200);
  loader.hold(false);
  fixture->finish(*first);
  EXPECT_EQ(first->status(), 200);
  EXPECT_EQ(loader.loads, 1);
}

TEST_F(ComingAndGoing, ALoadThatFailsLeavesNothing) {
  const auto error = error_of(*post(kLoad, R"({"model":"new","path":"bad"})"), 400);
  EXPECT_EQ(error.at("code").as_string(), "bad_model");
  EXPECT_EQ(error.at("message").as_string(), "not a checkpoint");
  EXPECT_EQ(state_of("new"), "none");
  EXPECT_EQ(loader.releases, 1);
  EXPECT_EQ(post(kLoad, R"({"model":"new"})")->status(), 200);
}

TEST_F(ComingAndGoing, RequestsOfAModelThatGoesEndFirst) {
  ASSERT_EQ(post(kLoad, R"({"model":"new"})")->status(), 200);
  loader.model->runner.step_delay_us = 20'000;
  const auto running = begin_post(kChat, body_for("new", R"("stream":true)"));
  fixture->executor.run_until([&] { return running->begun(); });
  const auto going = begin_post(kUnload, R"({"model":"new"})");
  fixture->executor.run_until([&] { return state_of("new") == "unloading"; });
  EXPECT_EQ(chat("new", "", kKey)->status(), 503);
  EXPECT_EQ(post(kUnload, R"({"model":"new"})")->status(), 409);
  EXPECT_EQ(post(kLoad, R"({"model":"new"})")->status(), 409);
  fixture->finish(*running);
  EXPECT_EQ(testing::events_of(running->body()).text(), "third");
  fixture->finish(*going);
  EXPECT_EQ(going->status(), 200);
  EXPECT_EQ(state_of("new"), "none");
}

TEST_F(ComingAndGoing, RequestsThatTakeTooLongAreEnded) {
  loader.drain = 50'000'000;
  ASSERT_EQ(post(kLoad, R"({"model":"new"})")->status(), 200);
  loader.model->runner.step_delay_us = 1000;
  loader.model->runner.endless = true;
  const auto running =
      begin_post(kChat, body_for("new", R"("stream":true,"max_tokens":150,"ignore_eos":true)"));
  loader.model->runner.step_delay_us = 20'000;
  fixture->executor.run_until([&] { return running->begun(); });
  const auto going = begin_post(kUnload, R"({"model":"new"})");
  fixture->finish(*going);
  EXPECT_EQ(going->status(), 200);
  EXPECT_TRUE(running->finished());
  EXPECT_NE(running->body().find("\"error\""), std::string::npos) << running->body();
  EXPECT_EQ(chat("tiny", "", kKey)->status(), 200);
}

// One that nobody listens to is a request of its model like any other, and is told of afterwards.
TEST_F(ComingAndGoing, ResponsesInTheBackgroundGoWithTheirModel) {
  loader.drain = 50'000'000;
  ASSERT_EQ(post(kLoad, R"({"model":"new"})")->status(), 200);
  loader.model->runner.step_delay_us = 20'000;
  loader.model->runner.endless = true;
  const auto begun = post("/v1/responses", R"({"model":"new","input":"hi","background":true})");
  ASSERT_EQ(begun->status(), 200) << begun->body();
  const std::string path =
      "/v1/responses/" + std::string(json::parse(begun->body()).at("id").as_string());
  EXPECT_EQ(json::parse(begun->body()).at("model").as_string(), "new");
  EXPECT_EQ(post(kUnload, R"({"model":"new"})")->status(), 200);
  EXPECT_EQ(loader.model, nullptr);
  const auto told = send("GET", path, "", kKey);
  ASSERT_EQ(told->status(), 200) << told->body();
  EXPECT_EQ(json::parse(told->body()).at("status").as_string(), "failed");
  EXPECT_EQ(chat("tiny", "", kKey)->status(), 200);
}

TEST_F(ComingAndGoing, OneThatIsStuckStays) {
  ASSERT_EQ(post(kLoad, R"({"model":"new"})")->status(), 200);
  loader.stuck = true;
  EXPECT_EQ(error_of(*post(kUnload, R"({"model":"new"})"), 503).at("code").as_string(),
            "engine_unavailable");
  EXPECT_EQ(state_of("new"), "ready");
}

TEST_F(ComingAndGoing, WhoDoesNotWaitIsToldThatItHasBegun) {
  loader.hold(true);
  const auto begun = post(kLoad, R"({"model":"new","wait":false})");
  EXPECT_EQ(begun->status(), 202);
  EXPECT_EQ(json::parse(begun->body()).at("model").at("metadata").at("state").as_string(),
            "loading");
  loader.hold(false);
  fixture->executor.run_until([&] { return state_of("new") == "ready"; });
  EXPECT_EQ(post(kUnload, R"({"model":"new","wait":false})")->status(), 202);
  fixture->executor.run_until([&] { return state_of("new") == "none"; });
}

TEST_F(ComingAndGoing, WishesAreChecked) {
  for (const auto& [body, param] : std::vector<std::pair<std::string, std::string>>{
           {R"({})", "model"},
           {R"({"model":""})", "model"},
           {R"({"model":"a","name":"b"})", "name"},
           {R"({"model":"a","path":"outside"})", "path"},
           {R"({"model":"a","path":"x\u0000y"})", "path"},
           {R"({"model":"a","path":5})", "path"},
           {R"({"model":"a","aliases":["a"]})", "aliases"},
           {R"({"model":"a","aliases":["b","b"]})", "aliases"},
           {R"({"model":"a","aliases":[""]})", "aliases[0]"},
           {R"({"model":"a","memory":0})", "memory"},
           {R"({"model":"a","memory":-1})", "memory"},
           {R"({"model":"a","max_length":0})", "max_length"},
           {R"({"model":"a","wait":1})", "wait"},
           {R"({"model":"a","quantization":"int4"})", "quantization"},
       }) {
    const auto error = error_of(*post(kLoad, body), 400);
    EXPECT_EQ(error.at("param").as_string(), param) << body;
  }
  EXPECT_EQ(post(kLoad, "[]")->status(), 400);
  EXPECT_EQ(post(kLoad, "{")->status(), 400);
  EXPECT_EQ(post(kLoad, std::string(100'000, ' '))->status(), 400);
  EXPECT_EQ(post(kUnload, R"({"model":"none"})")->status(), 404);
  EXPECT_EQ(loader.loads, 0);
}

TEST_F(ComingAndGoing, AllMayGo) {
  EXPECT_EQ(post(kUnload, R"({"model":"tiny"})")->status(), 200);
  EXPECT_EQ(chat("other", "", kKey)->status(), 200);
  EXPECT_EQ(post(kUnload, R"({"model":"other"})")->status(), 200);
  EXPECT_EQ(chat("other", "", kKey)->status(), 404);
  const auto list = json::parse(send("GET", "/v1/models", "", kKey)->body());
  EXPECT_EQ(list.at("total").as_int64(), 0);
  EXPECT_TRUE(list.at("first_id").is_null());
  EXPECT_EQ(send("GET", "/ready")->status(), 200);
  EXPECT_EQ(send("GET", "/metrics", "", kKey)->status(), 200);
}

// Two admins at odds, while requests come.
TEST_F(ComingAndGoing, ManyLoadsAndUnloadsAtOnce) {
  loader.drain = 0;
  std::map<int, int> statuses;
  std::vector<std::shared_ptr<TestResponder>> answers;
  for (int i = 0; i < 60; ++i) {
    answers.push_back(begin_post(i % 2 == 0 ? kLoad : kUnload, R"({"model":"new"})"));
    answers.push_back(begin_post(kChat, body_for(i % 3 == 0 ? "tiny" : "new")));
    if (i % 5 == 4) fixture->finish(*answers[answers.size() - 2]);
  }
  for (const auto& answer : answers) {
    fixture->finish(*answer);
    ++statuses[answer->status()];
  }
  for (const auto& [status, count] : statuses) {
    EXPECT_TRUE(status == 200 || status == 404 || status == 409 || status == 429 || status == 503 ||
                status == 499)
        << status;
  }
  EXPECT_GT(statuses[200], 20);
  EXPECT_EQ(chat("tiny", "", kKey)->status(), 200);
}

TEST_F(Several, WithoutALoaderNothingChanges) {
  begin(with_admin());
  EXPECT_EQ(error_of(*send("POST", kLoad, R"({"model":"a"})", kKey), 400).at("code").as_string(),
            "unsupported_value");
  EXPECT_EQ(send("POST", kUnload, R"({"model":"tiny"})", kKey)->status(), 400);
}

}  // namespace
}  // namespace vsurge::api
