#include "api/guard.h"

#include <algorithm>
#include <cmath>

#include "api/model_choice.h"
#include "base/log.h"

namespace vsurge::api {
namespace {

constexpr std::string_view kBearer = "bearer ";
constexpr std::size_t kKeyBytesMax = 1024;
constexpr double kSecond = 1e9;

bool starts_with_bearer(std::string_view text) {
  return text.size() >= kBearer.size() &&
         std::ranges::equal(text.substr(0, kBearer.size()), kBearer, [](char x, char y) {
           return (x >= 'A' && x <= 'Z' ? static_cast<char>(x - 'A' + 'a') : x) == y;
         });
}

// `Authorization: Bearer KEY` as OpenAI's clients send it, `x-api-key: KEY` as Anthropic's.
std::string_view key_text(const HttpRequest& request) {
  std::string_view text = request.header("authorization");
  if (starts_with_bearer(text)) {
    text.remove_prefix(kBearer.size());
    while (text.starts_with(' ')) text.remove_prefix(1);
  } else {
    text = request.header("x-api-key");
  }
  return text.size() <= kKeyBytesMax ? text : std::string_view();
}

std::unexpected<ApiError> unauthorized(std::string message) {
  return std::unexpected(
      ApiError{401, "authentication_error", "invalid_api_key", std::move(message), ""});
}

std::unexpected<ApiError> forbidden(std::string code, std::string message, std::string param = "") {
  return std::unexpected(
      ApiError{403, "permission_error", std::move(code), std::move(message), std::move(param)});
}

bool may(access::Role role, Access access) {
  switch (access) {
    case Access::kOpen:
    case Access::kRead:
      return true;
    case Access::kUse:
      return role != access::Role::kReadonly;
    case Access::kAdmin:
      return role == access::Role::kAdmin;
  }
  return false;
}

bool may_use_any(const ServiceHub& hub, const access::ApiKey& key) {
  if (key.models.empty()) return true;
  const auto models = hub.models.list();
  return std::ranges::any_of(*models,
                             [&](const ModelEntry& model) { return may_use(&key, model); });
}

std::string_view period_word(const access::Excess& excess) {
  return excess.period > 3600 * static_cast<base::Nanoseconds>(kSecond) ? "day" : "minute";
}

ApiError over_limit(const access::Excess& excess) {
  ApiError error{429, "requests", "rate_limit_exceeded", "", ""};
  switch (excess.measure) {
    case access::Measure::kRequests:
      error.message = fmt::format("This key may send {} requests a {}; try again later.",
                                  excess.limit, period_word(excess));
      break;
    case access::Measure::kTokens:
      error.type = "tokens";
      error.message = fmt::format("This key may use {} tokens a {}; try again later.", excess.limit,
                                  period_word(excess));
      break;
    case access::Measure::kConcurrent:
      error.message = fmt::format("This key may have {} requests at a time; wait for one to end.",
                                  excess.limit);
      break;
  }
  error.retry_after_seconds =
      static_cast<int>(std::ceil(static_cast<double>(excess.retry_after) / kSecond));
  return error;
}

bool is_open(const ServiceHub& hub, const Route& route) {
  return route.access == Access::kOpen ||
         (route.target == Target::kMetrics && hub.options.metrics_without_key);
}

void audit(const RequestRecord& record, std::string_view what) {
  const base::LogField fields[] = {
      {"id", record.id},
      {"peer", record.peer},
      {"route", record.route},
      {"key", record.key == nullptr ? std::string_view("-") : std::string_view(record.key->name)}};
  base::log_event(spdlog::level::info, what, fields);
}

// OpenAI's form: "1s", "6m0s", "1h2m3s"; below a second "250ms".
std::string duration(base::Nanoseconds time) {
  const std::int64_t ms = (time + 999'999) / 1'000'000;
  if (ms < 1000) return fmt::format("{}ms", ms);
  const std::int64_t seconds = (ms + 999) / 1000;
  const std::int64_t minutes = seconds / 60;
  if (minutes == 0) return fmt::format("{}s", seconds);
  if (minutes < 60) return fmt::format("{}m{}s", minutes, seconds % 60);
  return fmt::format("{}h{}m{}s", minutes / 60, minutes % 60, seconds % 60);
}

void append_standing(std::string_view what, const std::optional<access::Standing>& standing,
                     Headers& out) {
  if (!standing) return;
  const auto add = [&](std::string_view name, std::string value) {
    out.emplace_back(fmt::format("x-ratelimit-{}-{}", name, what), std::move(value));
  };
  add("limit", std::to_string(standing->limit));
  add("remaining", std::to_string(standing->remaining));
  add("reset", duration(standing->reset));
}

}  // namespace

ApiResult<void> admit(ServiceHub& hub, const HttpRequest& request, const Route& route,
                      RequestRecord& record) {
  if (request.door == Door::kAdmin) {  // who can connect there may
    if (route.access == Access::kAdmin) audit(record, "done by an admin");
    return {};
  }
  access::Gatekeeper* gatekeeper = hub.options.gatekeeper.get();
  if (gatekeeper == nullptr && route.access == Access::kAdmin) {
    return forbidden("insufficient_permissions",
                     "This wants the key of an admin, and the server has no keys.");
  }
  if (gatekeeper == nullptr || is_open(hub, route)) return {};
  const std::string_view text = key_text(request);
  const base::Nanoseconds now = hub.clock.now();
  if (text.empty()) {
    return unauthorized(
        "This server wants an API key: send 'Authorization: Bearer KEY' or 'x-api-key: KEY'.");
  }
  record.key = gatekeeper->find(text, now);
  if (record.key == nullptr) {
    return unauthorized("The API key is not one of this server's, or has expired.");
  }
  if (!may(record.key->role, route.access)) {
    audit(record, "refused to a key");
    return forbidden("insufficient_permissions",
                     fmt::format("A key of the role '{}' may not do this.",
                                 access::role_name(record.key->role)));
  }
  if (route.access == Access::kAdmin) audit(record, "done by an admin");
  if (route.access != Access::kUse) return {};
  if (!may_use_any(hub, *record.key)) {
    return forbidden("model_not_found", "This key may not use this server's models.", "model");
  }
  const auto excess = gatekeeper->begin(*record.key, now);
  if (excess) return std::unexpected(over_limit(*excess));
  record.counted = true;
  return {};
}

void count_ended(ServiceHub& hub, const RequestRecord& record) {
  if (!record.counted) return;
  hub.options.gatekeeper->end(record.key->id, record.prompt_tokens + record.completion_tokens,
                              hub.clock.now());
}

Headers rate_limit_headers(ServiceHub& hub, const RequestRecord& record) {
  Headers out;
  if (record.key == nullptr) return out;
  const auto standings = hub.options.gatekeeper->standings(record.key->id, hub.clock.now());
  append_standing("requests", standings.requests, out);
  append_standing("tokens", standings.tokens, out);
  return out;
}

std::string owner_of(const access::ApiKey* key) {
  return key == nullptr ? "" : key->id;
}

bool may_see(const access::ApiKey* key, std::string_view owner) {
  return key == nullptr || key->id == owner;
}

// Three texts without NUL, two of them in `salt`; or nothing, where nobody asks for a separation.
std::string cache_namespace(const ServiceHub& hub, const access::ApiKey* key,
                            std::string_view salt) {
  const bool apart = key != nullptr && !hub.options.share_prefix_cache;
  if (!apart && salt.empty()) return {};
  std::string out = apart ? key->id : "";
  out += '\0';
  return out.append(salt);
}

}  // namespace vsurge::api
