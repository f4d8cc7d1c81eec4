// RecordedResponder: sees how a request is answered, and tells its observers once when it has
// ended, so that no endpoint has to.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "api/http.h"
#include "api/request_record.h"
#include "api/service_hub.h"

namespace vsurge::api {

// Also puts X-Request-ID into every answer, and answers 500 itself where everybody forgot to.
class RecordedResponder final : public Responder,
                                public std::enable_shared_from_this<RecordedResponder> {
 public:
  RecordedResponder(std::shared_ptr<ServiceHub> hub, std::shared_ptr<Responder> to,
                    std::shared_ptr<RequestRecord> record);
  // On the connection's executor. The record is complete but for what comes of the request. Asks to
  // be told when the client goes.
  static std::shared_ptr<RecordedResponder> make(std::shared_ptr<ServiceHub> hub,
                                                 std::shared_ptr<Responder> to,
                                                 std::shared_ptr<RequestRecord> record);
  ~RecordedResponder() override;

  // More headers of the answer. Before it begins.
  void add_headers(Headers headers);

  void send(int status, Headers headers, std::string body) override;
  void begin_stream(int status, Headers headers) override;
  void write(std::string bytes) override;
  void end() override;
  void abort() override;
  TaskQueue& queue() override { return to_->queue(); }
  void on_gone(std::function<void()> callback) override;
  void on_pressure(std::function<void(bool)> callback) override {
    to_->on_pressure(std::move(callback));
  }
  void on_quiet(int after_ms, std::function<void()> callback) override {
    to_->on_quiet(after_ms, std::move(callback));
  }

 private:
  void gone();
  void tell_ended();
  Headers with_id(Headers headers) const;

  const std::shared_ptr<ServiceHub> hub_;
  const std::shared_ptr<Responder> to_;
  const std::shared_ptr<RequestRecord> record_;
  Headers more_headers_;
  std::function<void()> on_gone_;  // on the executor alone
  bool gone_ = false;              // on the executor alone
  std::atomic<bool> told_{false};
};

}  // namespace vsurge::api
