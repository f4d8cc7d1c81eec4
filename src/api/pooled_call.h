// PooledCall: the life of a request whose texts the engine pools, from its bytes to its answer.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/plain_call.h"
#include "engine/request.h"

namespace vsurge::api {

// What is made of the vectors. On the connection's executor.
class PooledAnswer {
 public:
  virtual ~PooledAnswer() = default;
  // Of prompt i, once each, in any order; the numbers are finite. An error ends the call.
  virtual base::Status take(std::size_t i, const std::vector<float>& vector) = 0;
  // The answer; all are taken.
  virtual std::string json(const ServiceCore& core, std::int64_t prompt_tokens) = 0;
};

struct PooledRequest {
  std::vector<std::vector<engine::TokenId>> prompts;  // each fits the context
  engine::Pooling pooling;
  std::string user;
  int priority = 0;
  std::optional<double> timeout_seconds;  // of the whole request
  std::unique_ptr<PooledAnswer> answer;
};

// `gone` is read between long parts; when it is set the work is given up with some error.
using PreparePooled = ApiResult<PooledRequest> (*)(const ServiceCore& core, std::string_view body,
                                                   const std::atomic<bool>& gone);

// Lives on its connection's executor and has no locks, as Exchange does.
class PooledCall : public std::enable_shared_from_this<PooledCall> {
 public:
  explicit PooledCall(PlainCall call);
  ~PooledCall();
  PooledCall(const PooledCall&) = delete;
  PooledCall& operator=(const PooledCall&) = delete;

  // Once, on the executor.
  void start(std::string body, base::WorkerPool& workers, PreparePooled prepare);

 private:
  struct Prepared {
    std::shared_ptr<ServiceCore> core;
    PooledRequest request;
  };

  ApiResult<Prepared> read(std::string_view body, PreparePooled prepare);
  void on_prepared(ApiResult<Prepared> prepared);
  void submit_more();
  base::Status submit(std::size_t i);
  void on_end(std::size_t i, const engine::Event& event);
  void fail(const ApiError& error);
  void cancel_open();
  void on_gone();
  void record_tokens();

  const PlainCall call_;
  std::shared_ptr<ServiceCore> core_;  // of the request's model, once it is known
  std::atomic<bool> gone_{false};      // read by the text worker
  bool done_ = false;                  // answered, or nobody to answer
  PooledRequest request_;
  std::vector<engine::Ticket> tickets_;  // of each prompt that was submitted; 0 = it has ended
  std::size_t ended_ = 0;
  std::int64_t prompt_tokens_ = 0;
};

}  // namespace vsurge::api
