// For tests: a service over a real engine whose model says what the test wants, with a tokenizer of
// one token per byte; and a Responder that writes down what it is told.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <boost/json/value.hpp>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "api/service.h"
#include "base/clock.h"
#include "engine/engine.h"
#include "text/auto_tokenizer.h"

namespace vsurge::api::testing {

// Ids 0..255 are the bytes.
inline constexpr engine::TokenId kBos = 256;
inline constexpr engine::TokenId kEos = 257;
inline constexpr engine::TokenId kUser = 258;
inline constexpr engine::TokenId kAssistant = 259;
inline constexpr engine::TokenId kThink = 260;
inline constexpr engine::TokenId kThinkEnd = 261;
inline constexpr int kVocabulary = 262;
inline constexpr int kContext = 200;
inline constexpr int kPooledHidden = 3;

// What the runner says the state of a token is.
inline std::vector<float> pooled_state(engine::TokenId token, int position) {
  return {static_cast<float>(token) / 64, static_cast<float>(position) - 2.5F, 0.75F};
}

// What every test's model is.
ModelOptions tiny_model(std::vector<std::string> names);
// `more` is one special token more, with the next id.
text::TextAssets byte_assets(const char* more = nullptr);
std::vector<engine::TokenId> bytes_of(std::string_view text);

// The executor of all connections of a test, run by the test's thread.
class TestExecutor final : public TaskQueue {
 public:
  void post(std::function<void()> task) override;
  // Runs tasks until `done` says so; a failure after ten seconds.
  void run_until(const std::function<bool()>& done);

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;  // guarded by mutex_
};

class TestResponder final : public Responder {
 public:
  explicit TestResponder(TestExecutor& executor) : executor_(executor) {}

  void send(int status, Headers headers, std::string body) override;
  void begin_stream(int status, Headers headers) override;
  void write(std::string bytes) override;
  void end() override;
  void abort() override;
  TaskQueue& queue() override { return executor_; }
  void on_gone(std::function<void()> callback) override { on_gone_ = std::move(callback); }
  void on_pressure(std::function<void(bool)> callback) override {
    on_pressure_ = std::move(callback);
  }
  void on_quiet(int after_ms, std::function<void()> callback) override {
    quiet_ms_ = after_ms;
    on_quiet_ = std::move(callback);
  }

  // What the server does when the client goes.
  void leave();

  // What the server does when the client is behind, or has caught up.
  void press(bool behind) const { on_pressure_(behind); }

  // What the server does when nothing was written for quiet_ms().
  void be_quiet() const { on_quiet_(); }
  int quiet_ms() const { return quiet_ms_; }

  bool finished() const { return sent_ || ended_; }
  bool sent() const { return sent_; }
  bool begun() const { return begun_; }
  bool ended() const { return ended_; }
  int status() const { return status_; }
  std::string header(std::string_view name) const;
  const std::string& body() const { return body_; }  // sent, or all that was written
  const std::vector<std::string>& writes() const { return writes_; }

 private:
  TestExecutor& executor_;
  std::function<void()> on_gone_;
  std::function<void()> on_quiet_;
  std::function<void(bool)> on_pressure_;
  int quiet_ms_ = 0;
  bool sent_ = false, begun_ = false, ended_ = false, gone_ = false;
  int status_ = 0;
  Headers headers_;
  std::string body_;
  std::vector<std::string> writes_;
};

// Says `script` to everybody, then the end of text. At `fail_at` (a count of tokens) it fails. With
// a sampler, what it says is the loudest of its logits, so that every parameter of sampling has its
// effect: the others are noise in [0, 1), by position and token.
class ScriptedRunner final : public engine::StepRunner {
 public:
  std::vector<engine::TokenId> script;  // set while no request runs
  kernels::SampleFunction sample = nullptr;
  float loudness = 40;  // added to the logit of what the script says
  int fail_at = -1;
  bool endless = false;  // says the script again and again
  std::atomic<int> step_delay_us{0};

  void run(const engine::StepPlan& plan, engine::StepResult& result) override;

 private:
  static void pool(const engine::PlannedSequence& planned);
  void run_rows(const engine::PlannedSequence& planned, const engine::StepPlan& plan,
                engine::StepResult& result);
  engine::TokenId says(std::size_t index) const;

  std::map<engine::Ticket, std::uint64_t> begun_;  // position of the first token
  std::size_t alternatives_ = 0;                   // of this step, already given to rows
};

struct FixtureOptions {
  int queue_requests_max = 64;
  std::size_t text_queue_bytes_max = 1 << 20;
  bool chat_template = true;
  int prompt_max = 0;
  int speculative_tokens = 0;
  kernels::SampleFunction sample = nullptr;  // of the runner
  PooledOptions pooled{};                    // with hidden = kPooledHidden, if any
  bool generates = true;
  std::vector<std::shared_ptr<RequestObserver>> observers{};
  bool log_requests = false;
  std::shared_ptr<access::Gatekeeper> gatekeeper{};
  bool admin_door = false;
  bool metrics_without_key = false;
  bool share_prefix_cache = false;
  std::vector<std::string> cors_origins{};
  base::Nanoseconds queue_timeout = 0;
  base::Nanoseconds request_timeout = 0;
  base::Nanoseconds sse_keep_alive = 0;
  base::Nanoseconds watchdog = 30'000'000'000;
  ModelLoader* loader = nullptr;
  const ReasoningFormat* reasoning = nullptr;
};

class ServiceFixture {
 public:
  explicit ServiceFixture(const FixtureOptions& options = {});
  ~ServiceFixture();

  std::shared_ptr<TestResponder> handle(HttpRequest request);
  std::shared_ptr<TestResponder> post(std::string path, std::string body);
  std::shared_ptr<TestResponder> get(std::string path);
  // post, and run until it is finished.
  std::shared_ptr<TestResponder> answer(std::string path, std::string body);
  void finish(const TestResponder& responder);
  // Runs until the engine has nothing and holds no page.
  void wait_idle();

  text::TextAssets assets;
  TestExecutor executor;
  ScriptedRunner runner;
  EventRouter router;
  base::SteadyClock clock;
  engine::Engine engine;
  Service service;
};

inline constexpr const char* kChat = "/v1/chat/completions";
inline constexpr const char* kCompletions = "/v1/completions";

// Bodies that say hi; `members` are added: "\"stream\":true".
std::string chat_body(std::string_view members = "");
std::string completion_body(std::string_view members = "");

// What a client makes of a stream.
struct Stream {
  std::vector<boost::json::value> chunks;
  bool done = false;

  std::string text(std::size_t index = 0) const {
    std::string out;
    for (const boost::json::value& chunk : chunks) {
      const boost::json::value* choices = chunk.as_object().if_contains("choices");
      if (choices == nullptr) continue;
      for (const boost::json::value& choice : choices->as_array()) {
        if (choice.at("index").to_number<std::size_t>() != index) continue;
        const boost::json::object& object = choice.as_object();
        const boost::json::value* delta = object.if_contains("delta");
        const boost::json::value* piece = delta == nullptr
                                              ? object.if_contains("text")
                                              : delta->as_object().if_contains("content");
        if (piece != nullptr) out += piece->as_string();
      }
    }
    return out;
  }
  std::string finish(std::size_t index = 0) const {
    for (const boost::json::value& chunk : chunks) {
      for (const boost::json::value& choice : chunk.at("choices").as_array()) {
        if (choice.at("index").to_number<std::size_t>() == index &&
            choice.at("finish_reason").is_string()) {
          return std::string(choice.at("finish_reason").as_string());
        }
      }
    }
    return {};
  }
};

Stream events_of(const std::string& body);
// The error object of an answer that must have this status.
boost::json::value error_of(const TestResponder& responder, int status);

}  // namespace vsurge::api::testing
