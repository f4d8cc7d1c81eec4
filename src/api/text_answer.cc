#include "api/text_answer.h"

#include <atomic>
#include <utility>

namespace vsurge::api {
namespace {

void send(const TextEndpoint& endpoint, Responder& responder, const std::string& request_id,
          const ApiResult<std::string>& result) {
  if (result) {
    responder.send(200, {{"Content-Type", "application/json"}, {"X-Request-ID", request_id}},
                   *result);
    return;
  }
  Headers headers = error_headers(result.error());
  headers.emplace_back("X-Request-ID", request_id);
  responder.send(result.error().status, std::move(headers), endpoint.error_json(result.error()));
}

}  // namespace

void answer_text(const std::shared_ptr<ServiceCore>& core, base::WorkerPool& workers,
                 TextCall call) {
  const auto gone = std::make_shared<std::atomic<bool>>(false);
  call.responder->on_gone([gone] { gone->store(true, std::memory_order_relaxed); });
  const std::size_t size = call.body.size();
  const TextEndpoint& endpoint = call.endpoint;
  const auto responder = call.responder;
  const std::string id = call.request_id;
  const bool fits =
      core->text_queue_bytes.fetch_add(size) + size <= core->options.text.text_queue_bytes_max;
  const bool taken = fits && workers.post([core, gone, call = std::move(call)]() mutable {
    core->text_queue_bytes.fetch_sub(call.body.size());
    if (gone->load(std::memory_order_relaxed)) return;
    ApiResult<std::string> result = call.endpoint.answer({*core, call.body, *gone});
    Responder& to = *call.responder;
    to.post([call = std::move(call), result = std::move(result)] {
      send(call.endpoint, *call.responder, call.request_id, result);
    });
  });
  if (taken) return;
  core->text_queue_bytes.fetch_sub(size);
  send(endpoint, *responder, id,
       std::unexpected(from_base({base::ErrorCode::kQueueFull,
                                  "Too many requests wait to be read; try again later.", ""})));
}

}  // namespace vsurge::api
