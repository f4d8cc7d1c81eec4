#include "base/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "base/escape.h"
#include "base/log_writer.h"

namespace vsurge::base {
namespace {

constexpr std::size_t kWaitingBytesMax = 4 << 20;  // of lines for stdout

std::atomic<LogFormat> format_now = LogFormat::kText;
std::atomic<std::uint64_t> dropped_before = 0;  // by writers that are gone
std::atomic<LogWriter*> writer_now = nullptr;

// Of the line that this thread is logging, as it will stand in it.
thread_local std::string_view line_fields;

// Hands lines to a LogWriter.
class WriterSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  WriterSink() { writer_now = &writer_; }
  ~WriterSink() override {
    LogWriter* mine = &writer_;
    writer_now.compare_exchange_strong(mine, nullptr);  // unless another one is there already
    dropped_before += writer_.lines_dropped();
  }
  WriterSink(const WriterSink&) = delete;
  WriterSink& operator=(const WriterSink&) = delete;

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    writer_.write({line.data(), line.size()});
  }
  void flush_() override { writer_.flush(); }

 private:
  LogWriter writer_{STDOUT_FILENO, kWaitingBytesMax};
};

bool is_plain(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return c > ' ' && c < '\x7F' && c != '"' && c != '=' && c != '\\';
  });
}

std::string fields_as_text(std::span<const LogField> fields) {
  std::string out;
  for (const LogField& field : fields) {
    out += ' ';
    out += field.name;
    out += '=';
    if (const auto* text = std::get_if<std::string_view>(&field.value)) {
      out += is_plain(*text) ? std::string(*text) : '"' + escape_for_json(*text) + '"';
    } else if (const auto* number = std::get_if<double>(&field.value)) {
      fmt::format_to(std::back_inserter(out), "{:.6g}", *number);
    } else {
      fmt::format_to(std::back_inserter(out), "{}", std::get<std::int64_t>(field.value));
    }
  }
  return out;
}

std::string fields_as_json(std::span<const LogField> fields) {
  std::string out;
  for (const LogField& field : fields) {
    fmt::format_to(std::back_inserter(out), R"(,"{}":)", field.name);
    if (const auto* text = std::get_if<std::string_view>(&field.value)) {
      out += '"' + escape_for_json(*text) + '"';
    } else if (const auto* number = std::get_if<double>(&field.value)) {
      fmt::format_to(std::back_inserter(out), "{:.6g}", *number);
    } else {
      fmt::format_to(std::back_inserter(out), "{}", std::get<std::int64_t>(field.value));
    }
  }
  return out;
}

// %? in a pattern: the fields.
class Fields final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg&, const std::tm&, spdlog::memory_buf_t& out) override {
    out.append(line_fields.data(), line_fields.data() + line_fields.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<Fields>();
  }
};

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

template <std::string (*escape)(std::string_view)>
std::unique_ptr<spdlog::formatter> make_formatter(const char* pattern,
                                                  spdlog::pattern_time_type time) {
  auto out = std::make_unique<spdlog::pattern_formatter>(time);
  out->add_flag<Escaped<escape>>('*').template add_flag<Fields>('?').set_pattern(pattern);
  return out;
}

spdlog::sink_ptr make_sink(LogFormat format, LogTarget target) {
  if (target == LogTarget::kStdout) return std::make_shared<WriterSink>();
  if (format == LogFormat::kJson) return std::make_shared<spdlog::sinks::stderr_sink_mt>();
  return std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
}

}  // namespace

Status init_logging(std::string_view level, LogFormat format, LogTarget target) {
  const std::string name = level == "warn" ? "warning" : std::string(level);
  const auto parsed = spdlog::level::from_str(name);
  if (parsed == spdlog::level::off && name != "off") {
    return fail(ErrorCode::kUsage,
                "log level: expected trace, debug, info, warning, error, critical or off, "
                "found '{}'",
                level);
  }
  auto logger = std::make_shared<spdlog::logger>("vsurge", make_sink(format, target));
  logger->set_formatter(
      format == LogFormat::kJson
          ? make_formatter<escape_for_json>(
                R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","message":"%*"%?})",
                spdlog::pattern_time_type::utc)
          : make_formatter<escape_for_line>("%H:%M:%S.%e %^%L%$ %*%?",
                                            spdlog::pattern_time_type::local));
  logger->set_level(parsed);
  logger->flush_on(target == LogTarget::kStderr ? spdlog::level::trace : spdlog::level::off);
  format_now = format;
  spdlog::set_default_logger(std::move(logger));
  return {};
}

std::uint64_t log_lines_dropped() {
  const LogWriter* writer = writer_now;
  return dropped_before + (writer == nullptr ? 0 : writer->lines_dropped());
}

void log_event(spdlog::level::level_enum level, std::string_view message,
               std::span<const LogField> fields) {
  if (!spdlog::should_log(level)) return;
  const std::string text =
      format_now == LogFormat::kJson ? fields_as_json(fields) : fields_as_text(fields);
  line_fields = text;
  spdlog::log(level, message);
  line_fields = {};
}

}  // namespace vsurge::base
