#include "facade/logging.h"

#include <string>

#include "base/log.h"

namespace vsurge::facade {
namespace {

// spdlog's own default logger, which writes to stdout, has no name.
bool is_set_up() {
  const auto logger = spdlog::default_logger();
  return logger != nullptr && !logger->name().empty();
}

}  // namespace

void ensure_logging() {
  if (is_set_up()) return;
  const auto status = base::init_logging("info", base::LogFormat::kText);
  CHECK(status.has_value());
}

base::Status set_log_level(std::string_view level) {
  const std::string name = level == "warn" ? "warning" : std::string(level);
  const auto parsed = spdlog::level::from_str(name);
  const bool unknown = parsed == spdlog::level::off && name != "off";
  if (unknown || !is_set_up()) return base::init_logging(level, base::LogFormat::kText);
  spdlog::set_level(parsed);
  return {};
}

}  // namespace vsurge::facade
