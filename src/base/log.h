// Logging: one event is one line, as text or as JSON lines (over spdlog). Any thread may log. Never
// called inside kernels.
#pragma once

#include <spdlog/spdlog.h>

#include <cstdint>
#include <span>
#include <string_view>
#include <variant>

#include "base/error.h"

namespace vsurge::base {

enum class LogFormat : std::uint8_t { kText, kJson };

enum class LogTarget : std::uint8_t {
  kStderr,  // at once
  kStdout,  // from a thread of its own (LogWriter): who logs never waits, lines may be dropped
};

// level: trace, debug, info, warning, error, critical, off (uvicorn's and spdlog's names).
// Called once at start; before it, the default is text at info.
Status init_logging(std::string_view level, LogFormat format,
                    LogTarget target = LogTarget::kStderr);

// Lines that could not be written, since start; of kStdout alone.
std::uint64_t log_lines_dropped();

struct LogField {
  std::string_view name;  // ours: letters and '_'
  std::variant<std::int64_t, double, std::string_view> value;
};

// A line with fields: "message a=1 b=text", or members of the JSON object.
void log_event(spdlog::level::level_enum level, std::string_view message,
               std::span<const LogField> fields);

template <class... Args>
void log_debug(fmt::format_string<Args...> text, Args&&... args) {
  spdlog::debug(text, std::forward<Args>(args)...);
}
template <class... Args>
void log_info(fmt::format_string<Args...> text, Args&&... args) {
  spdlog::info(text, std::forward<Args>(args)...);
}
template <class... Args>
void log_warning(fmt::format_string<Args...> text, Args&&... args) {
  spdlog::warn(text, std::forward<Args>(args)...);
}
template <class... Args>
void log_error(fmt::format_string<Args...> text, Args&&... args) {
  spdlog::error(text, std::forward<Args>(args)...);
}

}  // namespace vsurge::base
