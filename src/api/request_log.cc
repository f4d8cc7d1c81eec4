#include "api/request_log.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "api/limits.h"
#include "base/escape.h"
#include "base/log.h"

namespace vsurge::api {
namespace {

bool is_probe(std::string_view route) {
  static constexpr auto kProbes =
      std::to_array<std::string_view>({"/live", "/ready", "/health", "/metrics"});
  return std::ranges::find(kProbes, route) != kProbes.end();
}

double milliseconds(base::Nanoseconds time) {
  return 1e-6 * static_cast<double>(time);
}

void append_answer(std::vector<base::LogField>& fields, const RequestRecord& record) {
  fields.push_back({"prompt_tokens", record.prompt_tokens});
  fields.push_back({"cached_tokens", record.cached_tokens});
  fields.push_back({"completion_tokens", record.completion_tokens});
  if (record.choices > 1) fields.push_back({"choices", std::int64_t{record.choices}});
  fields.push_back({"queue_ms", milliseconds(record.queued)});
  if (record.first_token == 0) return;
  fields.push_back({"ttft_ms", milliseconds(record.first_token - record.arrived)});
  if (record.longest_answer < 2) return;
  fields.push_back({"itl_ms", milliseconds(record.last_token - record.first_token) /
                                  static_cast<double>(record.longest_answer - 1)});
}

}  // namespace

void RequestLog::ended(const RequestRecord& record) {
  const bool quiet = is_probe(record.route) && record.status < 400;
  const auto level = quiet ? spdlog::level::debug : spdlog::level::info;
  if (!spdlog::should_log(level)) return;
  std::vector<base::LogField> fields;
  const auto text = [&](std::string_view name, std::string_view value) {
    if (!value.empty()) fields.push_back({name, value});
  };
  const std::string method = base::shorten(record.method, kMethodLoggedBytesMax);
  text("id", record.id);
  text("peer", record.peer);
  text("method", method);
  text("route", record.route);
  text("model", record.model);
  if (record.key != nullptr) text("key", record.key->name);
  fields.push_back({"status", std::int64_t{record.status}});
  text("error", record.error_code);
  text("reason", record.finish_reason);
  if (record.stream) fields.push_back({"stream", std::int64_t{1}});
  if (record.background) fields.push_back({"background", std::int64_t{1}});
  if (record.choices > 0) append_answer(fields, record);
  fields.push_back({"total_ms", milliseconds(record.ended - record.arrived)});
  text("traceparent", record.traceparent);
  base::log_event(level, "request", fields);
}

void log_body(const RequestRecord& record, const HttpRequest& request) {
  if (request.body.empty()) return;
  const std::string body = base::shorten(request.body, kLoggedBodyBytesMax);
  const base::LogField fields[] = {{"id", record.id}, {"route", record.route}, {"body", body}};
  base::log_event(spdlog::level::info, "request body", fields);
}

}  // namespace vsurge::api
