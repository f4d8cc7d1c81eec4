// RequestRecord: all that is told of one request when it has ended; for logs, metrics, accounts.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "access/api_key.h"
#include "api/http.h"
#include "base/clock.h"

namespace vsurge::api {

// The client left before its answer was complete (nginx's code; never sent).
inline constexpr int kStatusClientLeft = 499;

class RequestObserver;

// Written by those who answer the request, on its connection's executor. Times are those of the
// service's clock; 0 = it did not come to that.
struct RequestRecord {
  std::string id;          // X-Request-ID; empty where it never became a request
  std::string method;      // as sent
  std::string_view route;  // path of the route table; empty: none, or it never became a request
  std::string model;       // that answers
  std::shared_ptr<RequestObserver> model_metrics;  // that model's
  std::string peer;                                // address
  std::string traceparent;                         // W3C's, valid or empty

  std::shared_ptr<const access::ApiKey> key;  // whose it is; nullptr: nobody was asked, or refused
  bool counted = false;                       // against the key's limits

  int status = 0;             // of HTTP, or kStatusClientLeft
  std::string finish_reason;  // of the first choice
  int stopped = 0;            // choices that ended by themselves; the others did not end
  int cut = 0;                // choices that ended at max_tokens or the context's end
  // Of api_error.h; in a stream that had begun, beside status 200.
  std::string error_code;
  bool stream = false;
  bool background = false;        // a response that goes on behind the request that asked for it
  int choices = 0;                // of all prompts; 0 = it did not come to that
  int max_tokens = 0;             // that an answer may have
  std::size_t request_bytes = 0;  // of the body
  std::size_t response_bytes = 0;
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_tokens = 0;  // of the prompt
  std::int64_t completion_tokens = 0;
  std::int64_t longest_answer = 0;  // of the choices, tokens

  base::Nanoseconds arrived = 0;
  base::Nanoseconds submitted = 0;  // to the engine
  base::Nanoseconds queued = 0;     // how long it waited there
  base::Nanoseconds first_token = 0;
  base::Nanoseconds last_token = 0;
  base::Nanoseconds ended = 0;
};

// What the request itself says; the id is empty where it gives none that we would take.
RequestRecord record_of(const HttpRequest& request);

// Any thread; must not block.
class RequestObserver {
 public:
  virtual ~RequestObserver() = default;
  virtual void ended(const RequestRecord& record) = 0;
};

}  // namespace vsurge::api
