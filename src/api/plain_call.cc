#include "api/plain_call.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <utility>

#include "api/json.h"
#include "api/limits.h"
#include "api/model_choice.h"
#include "api/reader.h"
#include "base/log.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;
using base::ErrorCode;

// Equal as JSON means it: 1 and 1.0 are one number.
bool same(const json::value& a, const json::value& b) {
  if (a.is_number() && b.is_number()) return a.to_number<double>() == b.to_number<double>();
  return a == b;
}

bool is_neutral(const PlainField& field, const json::value& value) {
  if (value.is_null()) return true;
  const json::value neutral = json::parse(field.neutral_values);  // ours: always JSON
  return std::ranges::any_of(neutral.get_array(),
                             [&](const json::value& each) { return same(each, value); });
}

}  // namespace

ApiResult<void> check_plain_fields(const json::object& body, std::span<const PlainField> fields) {
  for (const auto& [key, value] : body) {
    const std::string_view name = key;
    const auto field = std::ranges::find(fields, name, &PlainField::name);
    if (field == fields.end()) return unknown_field(printable_name(name));
    if (field->neutral_values.empty() || is_neutral(*field, value)) continue;
    return unsupported(
        std::string(name),
        field->neutral_values == "[]"
            ? fmt::format("'{}' is not supported here; leave it out.", name)
            : fmt::format("'{}' is not supported here with this value; leave it out or send one "
                          "of {}.",
                          name, field->neutral_values));
  }
  return {};
}

ApiResult<json::value> parse_object(const ServiceHub& hub, std::string_view body) {
  json::value value = VSURGE_TRY(parse_json(body, hub.options.json));
  if (!value.is_object()) {
    return bad_json("invalid_type",
                    fmt::format("The body must be a JSON object; found {}.", type_name(value)));
  }
  return value;
}

ApiResult<void> check_named_model(const ServiceCore& core, const json::object& body) {
  const auto model = VSURGE_TRY(ObjectReader(body, "").name("model", kIdBytesMax));
  if (!model || core.knows_model(*model)) return {};
  ApiError error = from_base({ErrorCode::kModelNotFound,
                              fmt::format("The model {} does not exist; this server has '{}'.",
                                          in_quotes(*model), core.options.model_names.front()),
                              ""});
  error.param = "model";
  return std::unexpected(std::move(error));
}

void send_error(const PlainCall& call, const ApiError& error) {
  call.record->error_code = error.code;
  if (error.status >= 500) {
    base::log_error("{} {}: {}", call.record->id, error.status, error.message);
  }
  call.responder->send(error.status, call.hub->error_headers(error), call.error_json(error));
}

void send_json(const PlainCall& call, std::string body) {
  call.responder->send(200, {{"Content-Type", "application/json"}}, std::move(body));
}

bool post_text_work(const std::shared_ptr<ServiceHub>& hub, base::WorkerPool& workers,
                    std::string body, std::function<void(std::string)> work) {
  const std::size_t size = body.size();
  auto& waiting = hub->text_queue_bytes;
  const bool fits = waiting.fetch_add(size) + size <= hub->options.text.text_queue_bytes_max;
  const bool taken =
      fits && workers.post([hub, text = std::move(body), work = std::move(work)]() mutable {
        hub->text_queue_bytes.fetch_sub(text.size());
        work(std::move(text));
      });
  if (!taken) waiting.fetch_sub(size);
  return taken;
}

ApiError workers_busy() {
  return from_base(
      {ErrorCode::kQueueFull, "Too many requests wait to be read; try again later.", ""});
}

namespace {

using Work = std::function<ApiResult<std::string>(std::string_view body)>;

void answer_with(const PlainCall& call, std::string body, base::WorkerPool& workers, Work work) {
  const bool taken = post_text_work(call.hub, workers, std::move(body),
                                    [call, work = std::move(work)](const std::string& text) {
                                      auto made = work(text);
                                      call.responder->post([call, made = std::move(made)] {
                                        if (!made) return send_error(call, made.error());
                                        send_json(call, *made);
                                      });
                                    });
  if (!taken) send_error(call, workers_busy());
}

}  // namespace

void answer_on_worker(PlainCall call, std::string body, base::WorkerPool& workers,
                      PlainAnswer answer) {
  answer_with(call, std::move(body), workers,
              [hub = call.hub, record = call.record,
               answer](std::string_view text) -> ApiResult<std::string> {
                const access::ApiKey* key = record->key.get();
                const auto core = VSURGE_TRY(choose_model(*hub, text, key));
                const std::atomic<bool> stays = false;
                return answer({*core, text, key, stays});
              });
}

void answer_on_worker(PlainCall call, std::string body, base::WorkerPool& workers,
                      ModellessAnswer answer) {
  answer_with(call, std::move(body), workers,
              [hub = call.hub, record = call.record, answer](std::string_view text) {
                return answer(*hub, text, record->key.get());
              });
}

}  // namespace vsurge::api
