// ApiError: an error as the client sees it, in OpenAI's shape.
#pragma once

#include <fmt/format.h>

#include <expected>
#include <string>
#include <string_view>

#include "api/http.h"
#include "base/error.h"

namespace vsurge::api {

// {"error":{"message","type","param","code"}}: all four keys always; empty param and code are null.
struct ApiError {
  int status = 400;
  std::string type = "invalid_request_error";
  std::string code = {};
  std::string message = {};
  std::string param = {};
  int retry_after_seconds = 0;  // 0 = unknown
};

template <class T>
using ApiResult = std::expected<T, ApiError>;

// The error's JSON, one line, valid UTF-8.
std::string error_json(const ApiError& error);
// Headers that go with it: Content-Type, and for 429 and 503 Retry-After, at least 1 s.
Headers error_headers(const ApiError& error);

ApiError from_base(const base::Error& error);
// For a status that the server chose (bad HTTP, too large, timeout).
ApiError from_status(int status, std::string_view message);

// A client's text for an error: short, one line, valid UTF-8; in_quotes() adds quotes.
std::string printable_name(std::string_view text);
std::string in_quotes(std::string_view text);

// The common refusals of a request field; `param` is the path as OpenAI writes it:
// "messages[0].content".
std::unexpected<ApiError> bad_json(std::string code, std::string message);
std::unexpected<ApiError> missing(std::string param);
std::unexpected<ApiError> wrong_type(std::string param, std::string_view expected,
                                     std::string_view found);
std::unexpected<ApiError> unknown_field(std::string param);
std::unexpected<ApiError> unsupported(std::string param, std::string message);
std::unexpected<ApiError> bad_value(std::string param, std::string message);

}  // namespace vsurge::api
