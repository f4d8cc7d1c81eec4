#include "base/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/escape.h"

namespace vsurge::base {
namespace {

// %* in a pattern: the message, made safe for its format; it may quote what came from outside.
template <std::string (*escape)(std::string_view)>
class Escaped final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& msg, const std::tm&,
              spdlog::memory_buf_t& out) override {
    const std::string text = escape({msg.payload.data(), msg.payload.size()});
    out.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<Escaped>();
  }
};

template <class Sink, std::string (*escape)(std::string_view)>
std::shared_ptr<spdlog::logger> make_logger(const char* pattern, spdlog::pattern_time_type time) {
  auto formatter = std::make_unique<spdlog::pattern_formatter>(time);
  formatter->add_flag<Escaped<escape>>('*').set_pattern(pattern);
  auto logger = std::make_shared<spdlog::logger>("vsurge", std::make_shared<Sink>());
  logger->set_formatter(std::move(formatter));
  return logger;
}

}  // namespace

Status init_logging(std::string_view level, LogFormat format) {
  const std::string name = level == "warn" ? "warning" : std::string(level);
  const auto parsed = spdlog::level::from_str(name);
  if (parsed == spdlog::level::off && name != "off") {
    return fail(ErrorCode::kUsage,
                "log level: expected trace, debug, info, warning, error, critical or off, "
                "found '{}'",
                level);
  }
  auto logger = format == LogFormat::kJson
                    ? make_logger<spdlog::sinks::stderr_sink_mt, escape_for_json>(
                          R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","message":"%*"})",
                          spdlog::pattern_time_type::utc)
                    : make_logger<spdlog::sinks::stderr_color_sink_mt, escape_for_line>(
                          "%H:%M:%S.%e %^%L%$ %*", spdlog::pattern_time_type::local);
  logger->set_level(parsed);
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
  return {};
}

}  // namespace vsurge::base
