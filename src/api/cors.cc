#include "api/cors.h"

#include <algorithm>
#include <string_view>

namespace vsurge::api {
namespace {

constexpr std::string_view kAll = "*";

bool has(const std::vector<std::string>& origins, std::string_view origin) {
  return std::ranges::find(origins, origin) != origins.end();
}

}  // namespace

Headers cors_headers(const std::vector<std::string>& origins, const HttpRequest& request) {
  const std::string_view origin = request.header("origin");
  if (origins.empty()) return {};
  Headers out;
  const bool all = has(origins, kAll);
  // The answer to one origin is no answer to another: caches must know.
  if (!all) out.emplace_back("Vary", "Origin");
  if (!all && !has(origins, origin)) return out;
  out.emplace_back("Access-Control-Allow-Origin", all ? kAll : origin);
  out.emplace_back("Access-Control-Expose-Headers",
                   "X-Request-ID, X-Ignored-Fields, Retry-After, x-ratelimit-limit-requests, "
                   "x-ratelimit-remaining-requests, x-ratelimit-reset-requests, "
                   "x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, "
                   "x-ratelimit-reset-tokens");
  return out;
}

Headers preflight_headers(const std::vector<std::string>& origins, const HttpRequest& request) {
  const bool asks = !request.header("access-control-request-method").empty();
  if (!asks || !(has(origins, kAll) || has(origins, request.header("origin")))) return {};
  return {
      {"Access-Control-Allow-Methods", "GET, HEAD, POST, DELETE, OPTIONS"},
      // Authorization is not in "*". The others: OpenAI's and Anthropic's clients in browsers.
      {"Access-Control-Allow-Headers",
       "Authorization, Content-Type, Accept, X-API-Key, X-Request-ID, Traceparent, "
       "OpenAI-Organization, OpenAI-Project, OpenAI-Beta, Anthropic-Version, Anthropic-Beta, "
       "Anthropic-Dangerous-Direct-Browser-Access, X-Stainless-Arch, X-Stainless-Helper-Method, "
       "X-Stainless-Lang, X-Stainless-OS, X-Stainless-Package-Version, "
       "X-Stainless-Retry-Count, X-Stainless-Runtime, X-Stainless-Runtime-Version, "
       "X-Stainless-Timeout"},
      {"Access-Control-Max-Age", "600"}};
}

}  // namespace vsurge::api
