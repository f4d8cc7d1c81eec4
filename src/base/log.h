// Logging: one event is one line, on stderr, as text or as JSON lines (over spdlog).
// Any thread may log. Never called inside kernels.
#pragma once

#include <spdlog/spdlog.h>

#include <string_view>

#include "base/error.h"

namespace vsurge::base {

enum class LogFormat : std::uint8_t { kText, kJson };

// level: trace, debug, info, warning, error, critical, off (uvicorn's and spdlog's names).
// Called once at start; before it, the default is text at info.
Status init_logging(std::string_view level, LogFormat format);

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
