#include "api/routes.h"

#include <array>
#include <optional>

namespace vsurge::api {
namespace {

constexpr auto kRoutes = std::to_array<Route>({
    {"POST", "/v1/chat/completions", Target::kChat},
    {"POST", "/v1/completions", Target::kCompletions},
    {"POST", "/v1/messages", Target::kMessages},
    {"POST", "/v1/messages/count_tokens", Target::kMessagesCount},
    {"POST", "/v1/responses", Target::kResponses},
    {"POST", "/v1/responses/input_tokens", Target::kResponseTokens},
    {"GET", "/v1/responses/{id}", Target::kResponse},
    {"DELETE", "/v1/responses/{id}", Target::kResponseErase},
    {"POST", "/v1/responses/{id}/cancel", Target::kResponseCancel},
    {"GET", "/v1/responses/{id}/input_items", Target::kResponseItems},
    {"POST", "/v1/conversations", Target::kConversations},
    {"GET", "/v1/conversations/{id}", Target::kConversation},
    {"DELETE", "/v1/conversations/{id}", Target::kConversationErase},
    {"GET", "/v1/conversations/{id}/items", Target::kConversationItems},
    {"GET", "/v1/models", Target::kModels},
    {"GET", "/v1/models/{name}", Target::kModel},
    {"GET", "/v1/tools", Target::kTools},
    {"GET", "/openapi.json", Target::kOpenApi},
    {"GET", "/docs", Target::kDocs},
    {"GET", "/live", Target::kLive},
    {"GET", "/ready", Target::kReady},
    {"GET", "/health", Target::kHealth},
    {"GET", "/metrics", Target::kMetrics},
    {"GET", "/version", Target::kVersion},
    {"POST", "/tokenize", Target::kTokenize},
    {"POST", "/v1/tokenize", Target::kTokenize},
    {"POST", "/detokenize", Target::kDetokenize},
    {"POST", "/v1/detokenize", Target::kDetokenize},
    {"POST", "/apply-template", Target::kApplyTemplate},
    {"POST", "/v1/apply-template", Target::kApplyTemplate},
    {"POST", "/v1/embeddings", Target::kEmbeddings},
    {"POST", "/embeddings", Target::kEmbeddings},
    {"POST", "/v1/rerank", Target::kRerank},
    {"POST", "/v2/rerank", Target::kRerank},
    {"POST", "/rerank", Target::kRerank},
    {"POST", "/v1/score", Target::kScore},
    {"POST", "/score", Target::kScore},
});

constexpr std::string_view kId = "{id}";
constexpr std::string_view kName = "{name}";

// What "{id}" or "{name}" stands for, or "" where the path has none; nothing when it does not
// match.
std::optional<std::string_view> match_path(std::string_view pattern, std::string_view path) {
  const bool name = pattern.ends_with(kName);
  const std::size_t at = pattern.find(name ? kName : kId);
  if (at == std::string_view::npos) {
    return pattern == path ? std::optional<std::string_view>("") : std::nullopt;
  }
  const std::string_view head = pattern.substr(0, at);
  const std::string_view tail = pattern.substr(at + (name ? kName : kId).size());
  if (path.size() <= head.size() + tail.size() || !path.starts_with(head) ||
      !path.ends_with(tail)) {
    return std::nullopt;
  }
  const std::string_view id = path.substr(head.size(), path.size() - head.size() - tail.size());
  if (!name && id.contains('/')) return std::nullopt;
  return id;
}

}  // namespace

std::span<const Route> route_table() {
  return kRoutes;
}

RouteMatch match_route(std::string_view method, std::string_view path) {
  RouteMatch match;
  if (path == "*") return {nullptr, {}, "GET, HEAD, POST, OPTIONS"};
  const std::string_view wanted = method == "HEAD" ? "GET" : method;
  for (const Route& route : kRoutes) {
    const auto id = match_path(route.path, path);
    if (!id) continue;
    match.allow += route.method == "GET" ? "GET, HEAD, " : std::string(route.method) + ", ";
    if (route.method != wanted) continue;
    match.route = &route;
    match.id = *id;
  }
  if (!match.allow.empty()) match.allow += "OPTIONS";
  return match;
}

}  // namespace vsurge::api
