// RequestLog: one line of the log for each request that has ended.
#pragma once

#include "api/http.h"
#include "api/request_record.h"

namespace vsurge::api {

// Nothing of a prompt or an answer is in it. Successful probes (/live, /ready, /health, /metrics)
// are told at level debug only.
class RequestLog final : public RequestObserver {
 public:
  void ended(const RequestRecord& record) override;
};

// The body as it came, shortened.
void log_body(const RequestRecord& record, const HttpRequest& request);

}  // namespace vsurge::api
