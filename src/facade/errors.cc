#include "facade/errors.h"

namespace vsurge::facade {

void throw_error(const base::Error& error) {
  const base::ErrorInfo& info = base::error_info(error.code);
  ErrorKind kind = ErrorKind::kInternal;
  switch (info.exit_status) {
    case 2:
      kind = ErrorKind::kUsage;
      break;
    case 3:
      kind = ErrorKind::kBadModel;
      break;
    case 4:
      kind = ErrorKind::kEnvironment;
      break;
    default:
      break;
  }
  if (error.code == base::ErrorCode::kInternal) kind = ErrorKind::kInternal;
  const std::string message = error.param.empty() || error.message.starts_with(error.param + ":")
                                  ? error.message
                                  : error.param + ": " + error.message;
  throw Error(kind, info.openai_code == nullptr ? "" : info.openai_code, message);
}

}  // namespace vsurge::facade
