// Errors as values, and checks for bugs.
//
// What the outside can cause (bytes of a client, a file, the machine) is a Result<T>. What only a
// bug can cause is a CHECK: it prints the place and ends the process. Nothing that a client sends
// or a model file holds may reach a CHECK.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <expected>
#include <string>
#include <utility>

namespace vsurge::base {

// What went wrong, seen from outside. One table (error.cc) gives each code its HTTP status,
// OpenAI `type` and `code`, and the exit status of the program.
enum class ErrorCode : std::uint8_t {
  kInvalidRequest,         // a field is wrong; `param` names it
  kUnsupportedValue,       // a known field with a value this server does not do; `param` names it
  kContextLengthExceeded,  // prompt plus answer do not fit the context
  kModelNotFound,
  kRouteNotFound,
  kConflict,  // with what is there, or going on
  kMethodNotAllowed,
  kUnauthorized,
  kPayloadTooLarge,
  kUnsupportedMediaType,
  kTemplateError,      // the chat template refused the messages
  kQueueFull,          // try again later
  kQueueTimeout,       // waited longer than the queue deadline
  kDeadlineExceeded,   // the request's own deadline passed
  kCancelled,          // the client left, or the engine was told to stop
  kLoading,            // not ready yet
  kShuttingDown,       // not accepting any more
  kEngineUnavailable,  // engine stuck or dead
  kNumericalError,     // NaN or Inf in this request's logits
  kInternal,           // our fault
  kUsage,              // wrong command line or option (exit 2)
  kBadModel,           // checkpoint, tokenizer or template refused (exit 3)
  kEnvironment,        // machine, memory, port, file system (exit 4)
};

struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;          // one line: what, where, expected, found
  std::string param;            // the request field at fault; empty when there is none
  int retry_after_seconds = 0;  // when it is worth to try again; 0 = unknown

  friend bool operator==(const Error&, const Error&) = default;
};

template <class T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

// return fail(ErrorCode::kBadModel, "{}: expected {}, found {}", path, want, got);
template <class... Args>
[[nodiscard]] std::unexpected<Error> fail(ErrorCode code, fmt::format_string<Args...> text,
                                          Args&&... args) {
  return std::unexpected(Error{code, fmt::format(text, std::forward<Args>(args)...), {}});
}

// The same for a request field: `param` is its name, as the client wrote it.
template <class... Args>
[[nodiscard]] std::unexpected<Error> fail_param(ErrorCode code, std::string param,
                                                fmt::format_string<Args...> text, Args&&... args) {
  return std::unexpected(
      Error{code, fmt::format(text, std::forward<Args>(args)...), std::move(param)});
}

// Static facts about a code; all strings live for ever.
struct ErrorInfo {
  int http_status;
  const char* openai_type;  // "invalid_request_error", ...
  const char* openai_code;  // "context_length_exceeded", ...; nullptr gives JSON null
  int exit_status;
};
const ErrorInfo& error_info(ErrorCode code);

[[noreturn]] void check_failed(const char* file, int line, const char* expression,
                               const std::string& message);

}  // namespace vsurge::base

// CHECK(cond) or CHECK(cond, "format", args...): for bugs only.
#define CHECK(cond, ...)                                                                      \
  do {                                                                                        \
    if (!(cond)) [[unlikely]]                                                                 \
      ::vsurge::base::check_failed(__FILE__, __LINE__, #cond, ::fmt::format("" __VA_ARGS__)); \
  } while (false)

// auto x = VSURGE_TRY(f());  VSURGE_TRY(g());  Gives the value or returns the error. May be nested,
// but not stand beside owning parts of one expression: g++ 12 leaks those on the way out.
#define VSURGE_TRY(expr) VSURGE_TRY_NUMBERED(__COUNTER__, expr)
#define VSURGE_TRY_NUMBERED(number, expr) VSURGE_TRY_NAMED(number, expr)
#define VSURGE_TRY_NAMED(number, expr)                                \
  ({                                                                  \
    auto&& vsurge_try_##number = (expr);                              \
    if (!vsurge_try_##number) [[unlikely]]                            \
      return std::unexpected(std::move(vsurge_try_##number).error()); \
    std::move(vsurge_try_##number).value();                           \
  })
