#include "base/error.h"

#include <array>
#include <cstdio>
#include <cstdlib>

namespace vsurge::base {
namespace {

constexpr const char* kClient = "invalid_request_error";
constexpr const char* kServer = "server_error";
constexpr const char* kLimit = "rate_limit_error";

// In the order of ErrorCode.
constexpr std::array kTable = {
    ErrorInfo{400, kClient, "invalid_value", 2},
    ErrorInfo{400, kClient, "unsupported_value", 2},
    ErrorInfo{400, kClient, "context_length_exceeded", 2},
    ErrorInfo{404, kClient, "model_not_found", 2},
    ErrorInfo{404, kClient, "not_found", 2},
    ErrorInfo{409, kClient, "conflict", 2},
    ErrorInfo{405, kClient, "method_not_allowed", 2},
    ErrorInfo{401, "authentication_error", "invalid_api_key", 2},
    ErrorInfo{413, kClient, "payload_too_large", 2},
    ErrorInfo{415, kClient, "unsupported_media_type", 2},
    ErrorInfo{400, kClient, "template_error", 3},
    ErrorInfo{429, kLimit, "server_overloaded", 4},
    ErrorInfo{429, kLimit, "queue_timeout", 4},
    ErrorInfo{408, kServer, "deadline_exceeded", 4},
    ErrorInfo{499, kServer, "cancelled", 4},
    ErrorInfo{503, kServer, "loading", 4},
    ErrorInfo{503, kServer, "shutting_down", 4},
    ErrorInfo{503, kServer, "engine_unavailable", 4},
    ErrorInfo{500, kServer, "numerical_error", 4},
    ErrorInfo{500, kServer, "internal_error", 4},
    ErrorInfo{400, kClient, "usage", 2},
    ErrorInfo{500, kServer, "bad_model", 3},
    ErrorInfo{500, kServer, "environment", 4},
};
static_assert(kTable.size() == static_cast<std::size_t>(ErrorCode::kEnvironment) + 1);

}  // namespace

const ErrorInfo& error_info(ErrorCode code) {
  return kTable[static_cast<std::size_t>(code)];
}

void check_failed(const char* file, int line, const char* expression, const std::string& message) {
  std::fprintf(stderr, "%s:%d: check failed: %s%s%s\n", file, line, expression,
               message.empty() ? "" : ": ", message.c_str());
  std::fflush(stderr);
  std::abort();
}

}  // namespace vsurge::base
