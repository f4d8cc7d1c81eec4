#include "api/request_log.h"

#include "base/log.h"

namespace vsurge::api {

void RequestLog::ended(const RequestRecord& record) {
  base::log_info("{} {} {} {} prompt {} answer {} tokens, {:.3f} s", record.id, record.method,
                 record.route, record.status, record.prompt_tokens, record.completion_tokens,
                 static_cast<double>(record.ended - record.arrived) * 1e-9);
}

}  // namespace vsurge::api
