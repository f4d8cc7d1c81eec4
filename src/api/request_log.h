// RequestLog: one line of the log for each request that has ended.
#pragma once

#include "api/request_record.h"

namespace vsurge::api {

class RequestLog final : public RequestObserver {
 public:
  void ended(const RequestRecord& record) override;
};

}  // namespace vsurge::api
