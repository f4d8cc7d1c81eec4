#include "api/api_error.h"

#include <algorithm>
#include <array>
#include <string>

#include "api/json.h"
#include "api/limits.h"
#include "base/escape.h"

namespace vsurge::api {

std::string error_json(const ApiError& error) {
  std::string out = R"({"error":{"message":)";
  append_json_string(out, error.message);
  out += R"(,"type":)";
  append_json_string(out, error.type);
  out += R"(,"param":)";
  if (error.param.empty()) {
    out += "null";
  } else {
    append_json_string(out, error.param);
  }
  out += R"(,"code":)";
  if (error.code.empty()) {
    out += "null";
  } else {
    append_json_string(out, error.code);
  }
  out += "}}";
  return out;
}

Headers error_headers(const ApiError& error) {
  Headers headers{{"Content-Type", "application/json"}};
  if (error.status == 429 || error.status == 503) {
    headers.emplace_back("Retry-After", std::to_string(std::max(1, error.retry_after_seconds)));
  }
  return headers;
}

ApiError from_base(const base::Error& error) {
  const base::ErrorInfo& info = base::error_info(error.code);
  return {.status = info.http_status,
          .type = info.openai_type,
          .code = info.openai_code == nullptr ? "" : info.openai_code,
          .message = base::escape_for_line(error.message),
          .param = base::escape_for_line(error.param),
          .retry_after_seconds = error.retry_after_seconds};
}

ApiError from_status(int status, std::string_view message) {
  struct Row {
    int status;
    const char* code;
  };
  static constexpr std::array kRows = {
      Row{400, "bad_request"},        Row{404, "not_found"},
      Row{405, "method_not_allowed"}, Row{408, "request_timeout"},
      Row{411, "length_required"},    Row{413, "payload_too_large"},
      Row{414, "uri_too_long"},       Row{415, "unsupported_media_type"},
      Row{417, "expectation_failed"}, Row{431, "header_too_large"},
      Row{500, "internal_error"},     Row{501, "not_implemented"},
      Row{503, "engine_unavailable"}, Row{505, "http_version_not_supported"},
  };
  ApiError error{.status = status, .message = base::escape_for_line(message)};
  if (status == 401) return {401, "authentication_error", "invalid_api_key", error.message, ""};
  if (status == 403) return {403, "permission_error", "forbidden", error.message, ""};
  if (status == 429) return {429, "rate_limit_error", "server_overloaded", error.message, ""};
  if (status >= 500) error.type = "server_error";
  const auto* row = std::ranges::find(kRows, status, &Row::status);
  if (row != kRows.end()) error.code = row->code;
  return error;
}

std::string printable_name(std::string_view text) {
  return base::shorten(base::escape_for_line(text.substr(0, 4 * kQuotedBytesMax)), kQuotedBytesMax);
}

std::string in_quotes(std::string_view text) {
  return fmt::format("'{}'", printable_name(text));
}

std::unexpected<ApiError> bad_json(std::string code, std::string message) {
  return std::unexpected(ApiError{.code = std::move(code), .message = std::move(message)});
}

std::unexpected<ApiError> missing(std::string param) {
  std::string message = fmt::format("Missing required parameter: '{}'.", param);
  return std::unexpected(ApiError{.code = "missing_required_parameter",
                                  .message = std::move(message),
                                  .param = std::move(param)});
}

std::unexpected<ApiError> wrong_type(std::string param, std::string_view expected,
                                     std::string_view found) {
  std::string message =
      fmt::format("Invalid type for '{}': expected {}, found {}.", param, expected, found);
  return std::unexpected(
      ApiError{.code = "invalid_type", .message = std::move(message), .param = std::move(param)});
}

std::unexpected<ApiError> unknown_field(std::string param) {
  std::string message = fmt::format("Unknown parameter: '{}'.", param);
  return std::unexpected(ApiError{
      .code = "unknown_parameter", .message = std::move(message), .param = std::move(param)});
}

std::unexpected<ApiError> unsupported(std::string param, std::string message) {
  return std::unexpected(ApiError{
      .code = "unsupported_value", .message = std::move(message), .param = std::move(param)});
}

std::unexpected<ApiError> bad_value(std::string param, std::string message) {
  return std::unexpected(
      ApiError{.code = "invalid_value", .message = std::move(message), .param = std::move(param)});
}

}  // namespace vsurge::api
