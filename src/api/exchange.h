// Exchange: the life of one request whose answer is generated, from its bytes to the end of its
// answer.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/answer.h"
#include "api/prepare.h"
#include "api/request_record.h"
#include "api/service_core.h"
#include "base/worker_pool.h"

namespace vsurge::api {

// Lives on its connection's executor and has no locks; only the endpoint's prepare() runs
// elsewhere, on a text worker. Kept alive by who still has something to tell it: the worker's job,
// the router, posted tasks.
class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  struct Call {
    const GenerationEndpoint& endpoint;
    std::shared_ptr<Responder> responder;
    std::shared_ptr<RequestRecord> record;
  };

  Exchange(std::shared_ptr<ServiceHub> hub, Call call);
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // Once, on the executor. Answers 429 itself when the workers have too much to do.
  void start(std::string body, base::WorkerPool& workers);

 private:
  // A request that was read, and the model that it is for.
  struct Prepared {
    std::shared_ptr<ServiceCore> core;
    PreparedRequest request;
  };

  ApiResult<Prepared> prepare(std::string_view body);
  void on_prepared(ApiResult<Prepared> prepared);
  void choose(std::shared_ptr<ServiceCore> core);
  void submit(PreparedRequest prepared);
  void hand_over(Prepared prepared);
  void watch_client();
  void watch_stream();
  base::Status submit_prompt(PreparedPrompt prompt, const ChoiceOptions& options);
  base::Result<engine::Request> engine_request(const PreparedPrompt& prompt) const;
  void on_events(std::size_t prompt, const std::vector<engine::Event>& events);
  base::Status take_event(AnswerPrompt& prompt, const engine::Event& event);
  void stream_choices(std::size_t prompt);
  void begin_stream(std::string& out);
  void cut_late_choices(base::Nanoseconds now);
  void answer_whole();
  void fail(const ApiError& error);
  void cancel_open_choices();
  void on_gone();
  void on_quiet();
  void on_pressure(bool behind);
  Headers headers(Headers more) const;
  void record_answer();

  const std::shared_ptr<ServiceHub> hub_;
  std::shared_ptr<ServiceCore> core_;  // of the request's model, once it is known
  const Call call_;
  std::atomic<bool> gone_{false};  // read by the text worker
  bool done_ = false;              // answered, or nobody to answer
  bool stream_begun_ = false;
  Answer answer_;
  std::unique_ptr<AnswerForm> form_;
  std::optional<ReaderOptions> reader_;           // of all choices
  std::shared_ptr<const text::Grammar> grammar_;  // that answers fit
  ReasoningGate gate_;
  std::vector<std::string> ignored_;  // fields of the request
};

}  // namespace vsurge::api
