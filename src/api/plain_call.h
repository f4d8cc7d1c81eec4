// What calls with one plain JSON answer share: their fields, and a text worker that answers.
#pragma once

#include <boost/json/object.hpp>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "api/api_error.h"
#include "api/field_shape.h"
#include "api/prepare_call.h"
#include "api/service_core.h"
#include "base/worker_pool.h"

namespace vsurge::api {

// A field of such a call; as Field (fields.h), of one endpoint.
struct PlainField {
  std::string_view name;
  // Empty: the field works. Else the values that ask for nothing, as a JSON array; null always
  // does. Any other value is refused.
  std::string_view neutral_values = {};
  FieldShape shape = {};  // of one that works; its range is that of the code that reads it
};

// Refuses members that are not in the table (unknown_parameter) or not done (unsupported_value).
ApiResult<void> check_plain_fields(const boost::json::object& body,
                                   std::span<const PlainField> fields);

// The body, which must be an object. kBadJson with its place else.
ApiResult<boost::json::value> parse_object(const ServiceHub& hub, std::string_view body);

// `model`, where the client names one, must be served here.
ApiResult<void> check_named_model(const ServiceCore& core, const boost::json::object& body);

struct PlainCall {
  std::shared_ptr<ServiceHub> hub;
  std::shared_ptr<Responder> responder;
  std::shared_ptr<RequestRecord> record;
  std::string (*error_json)(const ApiError& error) = api::error_json;  // body of an error
};

// Makes the answer's JSON of the body alone; runs on a text worker.
using PlainAnswer = ApiResult<std::string> (*)(const PrepareCall& call);

// By the model that the body names. Any thread; does not block. Answers 429 itself when the workers
// have too much to do.
void answer_on_worker(PlainCall call, std::string body, base::WorkerPool& workers,
                      PlainAnswer answer);

// The same of an answer that needs no model.
using ModellessAnswer = ApiResult<std::string> (*)(ServiceHub& hub, std::string_view body,
                                                   const access::ApiKey* key);
void answer_on_worker(PlainCall call, std::string body, base::WorkerPool& workers,
                      ModellessAnswer answer);

// Sends an error with the headers that go with it.
void send_error(const PlainCall& call, const ApiError& error);
void send_json(const PlainCall& call, std::string body);

// Counts bytes that wait for a text worker, and hands the work over; false when there are too many
// of them. `work` gets the body.
[[nodiscard]] bool post_text_work(const std::shared_ptr<ServiceHub>& hub, base::WorkerPool& workers,
                                  std::string body, std::function<void(std::string)> work);
ApiError workers_busy();

}  // namespace vsurge::api
