#include "api/recorded_responder.h"

#include <utility>

#include "api/api_error.h"

namespace vsurge::api {

RecordedResponder::RecordedResponder(std::shared_ptr<ServiceHub> hub, std::shared_ptr<Responder> to,
                                     std::shared_ptr<RequestRecord> record)
    : hub_(std::move(hub)), to_(std::move(to)), record_(std::move(record)) {}

std::shared_ptr<RecordedResponder> RecordedResponder::make(std::shared_ptr<ServiceHub> hub,
                                                           std::shared_ptr<Responder> to,
                                                           std::shared_ptr<RequestRecord> record) {
  auto made = std::make_shared<RecordedResponder>(std::move(hub), std::move(to), std::move(record));
  // Weak: the connection must not keep alive who keeps it alive.
  made->to_->on_gone([weak = made->weak_from_this()] {
    if (const auto self = weak.lock()) self->gone();
  });
  return made;
}

RecordedResponder::~RecordedResponder() {
  if (told_.load()) return;
  if (record_->status != 0) {
    abort();
    return;
  }
  const ApiError error =
      from_base({base::ErrorCode::kInternal, "The server gave no answer to this request.", ""});
  record_->error_code = error.code;
  send(error.status, error_headers(error), error_json(error));
}

void RecordedResponder::add_headers(Headers headers) {
  for (auto& header : headers) more_headers_.push_back(std::move(header));
}

Headers RecordedResponder::with_id(Headers headers) const {
  headers.insert(headers.end(), more_headers_.begin(), more_headers_.end());
  headers.emplace_back("X-Request-ID", record_->id);
  return headers;
}

void RecordedResponder::send(int status, Headers headers, std::string body) {
  if (!told_.load()) record_->status = status;
  record_->response_bytes += body.size();
  to_->send(status, with_id(std::move(headers)), std::move(body));
  tell_ended();
}

void RecordedResponder::begin_stream(int status, Headers headers) {
  if (!told_.load()) record_->status = status;
  to_->begin_stream(status, with_id(std::move(headers)));
}

void RecordedResponder::write(std::string bytes) {
  record_->response_bytes += bytes.size();
  to_->write(std::move(bytes));
}

void RecordedResponder::end() {
  to_->end();
  tell_ended();
}

void RecordedResponder::abort() {
  to_->abort();
  tell_ended();
}

void RecordedResponder::on_gone(std::function<void()> callback) {
  on_gone_ = std::move(callback);
  if (!gone_) return;
  post([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self == nullptr) return;
    if (const auto late = std::exchange(self->on_gone_, nullptr)) late();
  });
}

// Who answers may fill in the record first.
void RecordedResponder::gone() {
  gone_ = true;
  if (const auto callback = std::exchange(on_gone_, nullptr)) callback();
  if (!told_.load()) record_->status = kStatusClientLeft;
  tell_ended();
}

void RecordedResponder::tell_ended() {
  if (told_.exchange(true)) return;
  on_gone_ = nullptr;
  record_->ended = hub_->clock.now();
  hub_->tell_ended(*record_);
}

}  // namespace vsurge::api
