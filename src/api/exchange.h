// Exchange: the life of one chat or completions request, from its bytes to the end of its answer.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/answer_writer.h"
#include "api/prepare.h"
#include "api/service_core.h"
#include "api/text_stream.h"
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
  struct Choice {
    Choice(engine::Ticket ticket_in, TextStream text_in)
        : ticket(ticket_in), text(std::move(text_in)) {}

    engine::Ticket ticket;
    TextStream text;
    std::string shown;             // the answer so far, when it is not streamed
    const char* finish = nullptr;  // the reason, once it is done
    bool role_sent = false;
    int tokens = 0;
    int cached_tokens = 0;
  };

  void on_prepared(ApiResult<PreparedRequest> prepared);
  void submit(PreparedRequest prepared);
  void on_events(std::size_t index, const std::vector<engine::Event>& events);
  // Appends what `event` adds to the text.
  base::Status take_event(Choice& choice, const engine::Event& event, std::string& text);
  void stream_text(std::size_t index, std::string_view text);
  void answer_if_done();
  void fail(const ApiError& error);
  void cancel_open_choices();
  void on_gone();
  Headers headers(Headers more) const;
  AnswerUsage usage() const;
  void log_end(int status) const;

  const std::shared_ptr<ServiceCore> core_;
  const Call call_;
  const base::Nanoseconds started_;
  std::atomic<bool> gone_{false};  // read by the text worker
  bool done_ = false;              // answered, or nobody to answer
  bool stream_begun_ = false;
  GenerationFields generation_;
  AnswerHead head_;
  std::optional<AnswerWriter> writer_;
  std::vector<Choice> choices_;
  std::int64_t prompt_tokens_ = 0;
};

}  // namespace vsurge::api
