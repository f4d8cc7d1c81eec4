// Exchange: the life of one chat or completions request, from its bytes to the end of its answer.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/answer_writer.h"
#include "api/choice.h"
#include "api/logprobs.h"
#include "api/prepare.h"
#include "api/service_core.h"
#include "base/worker_pool.h"

namespace vsurge::api {

// Lives on its connection's executor and has no locks; only prepare() runs elsewhere, on a text
// worker. Kept alive by who still has something to tell it: the worker's job, the router, posted
// tasks. The only code that knows both text and tokens.
class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  struct Call {
    Endpoint endpoint = Endpoint::kChat;
    std::shared_ptr<Responder> responder;
    std::string request_id;
  };

  Exchange(std::shared_ptr<ServiceCore> core, Call call);
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // Once, on the executor. Answers 429 itself when the workers have too much to do.
  void start(std::string body, base::WorkerPool& workers);

 private:
  // A prompt and its choices: what the engine calls a request.
  struct Asked {
    engine::Ticket ticket = 0;
    std::vector<engine::TokenId> prompt;  // where the answer tells of its tokens
    std::size_t prompt_tokens = 0;
    Echo echo;
    std::vector<std::shared_ptr<const engine::Logprobs>> prompt_logprobs;  // from the second token
    std::vector<Choice> choices;
    std::vector<char> begun;    // of each choice: its first chunk is written
    std::vector<char> touched;  // of each choice: it got events in this turn
  };

  void on_prepared(ApiResult<PreparedRequest> prepared);
  void submit(PreparedRequest prepared);
  base::Status submit_prompt(PreparedPrompt prompt);
  engine::Request engine_request(const PreparedPrompt& prompt) const;
  void on_events(std::size_t prompt, const std::vector<engine::Event>& events);
  base::Status take_event(Asked& asked, const engine::Event& event);
  void stream_choices(std::size_t prompt);
  void stream_choice(std::size_t prompt, std::size_t choice, std::string& out);
  void answer_all();
  bool all_done() const;
  void fail(const ApiError& error);
  void cancel_open_choices();
  void on_gone();

  static ChoicePart take_part(const Asked& asked, Choice& choice);
  void put_echo(const Asked& asked, ChoicePart& part) const;
  // JSON of what came of a choice.
  std::string logprobs_json(const ChoicePart& part);
  std::string prompt_members(const Asked& asked);
  std::string ids_member(const ChoicePart& part) const;
  static std::string stop_member(const Choice& choice);

  Headers headers(Headers more) const;
  AnswerUsage usage() const;
  static AnswerUsage usage_of(const Asked& asked, const Choice& choice);
  void log_end(int status) const;

  const std::shared_ptr<ServiceCore> core_;
  const Call call_;
  const base::Nanoseconds started_;
  std::atomic<bool> gone_{false};  // read by the text worker
  bool done_ = false;              // answered, or nobody to answer
  bool stream_begun_ = false;
  GenerationFields generation_;
  ChoiceOptions choice_options_;
  AnswerHead head_;
  std::optional<AnswerWriter> writer_;
  std::optional<LogprobsJson> logprobs_;
  std::vector<Asked> asked_;
};

}  // namespace vsurge::api
