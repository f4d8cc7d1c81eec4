#include "api/routes.h"

#include <array>
#include <optional>

namespace vsurge::api {
namespace {

constexpr auto kRoutes = std::to_array<Route>({
    {"POST", "/v1/chat/completions", Target::kChat, Access::kUse},
    {"POST", "/v1/completions", Target::kCompletions, Access::kUse},
    {"POST", "/v1/messages", Target::kMessages, Access::kUse},
    {"POST", "/v1/messages/count_tokens", Target::kMessagesCount, Access::kUse},
    {"POST", "/v1/responses", Target::kResponses, Access::kUse},
    {"POST", "/v1/responses/input_tokens", Target::kResponseTokens, Access::kUse},
    {"GET", "/v1/responses/{id}", Target::kResponse, Access::kUse},
    {"DELETE", "/v1/responses/{id}", Target::kResponseErase, Access::kUse},
    {"POST", "/v1/responses/{id}/cancel", Target::kResponseCancel, Access::kUse},
    {"GET", "/v1/responses/{id}/input_items", Target::kResponseItems, Access::kUse},
    {"POST", "/v1/conversations", Target::kConversations, Access::kUse},
    {"GET", "/v1/conversations/{id}", Target::kConversation, Access::kUse},
    {"DELETE", "/v1/conversations/{id}", Target::kConversationErase, Access::kUse},
    {"GET", "/v1/conversations/{id}/items", Target::kConversationItems, Access::kUse},
    {"GET", "/v1/models", Target::kModels, Access::kRead},
    {"GET", "/v1/models/{name}", Target::kModel, Access::kRead},
    {"GET", "/v1/tools", Target::kTools, Access::kRead},
    {"GET", "/openapi.json", Target::kOpenApi, Access::kRead},
    {"GET", "/docs", Target::kDocs, Access::kRead},
    {"GET", "/live", Target::kLive, Access::kOpen},
    {"GET", "/ready", Target::kReady, Access::kOpen},
    {"GET", "/health", Target::kHealth, Access::kOpen},
    {"GET", "/metrics", Target::kMetrics, Access::kRead},
    {"GET", "/version", Target::kVersion, Access::kRead},
    {"GET", "/v1/engine", Target::kEngine, Access::kAdmin},
    {"POST", "/v1/engine/pause", Target::kEnginePause, Access::kAdmin},
    {"POST", "/v1/engine/drain", Target::kEngineDrain, Access::kAdmin},
    {"POST", "/v1/engine/resume", Target::kEngineResume, Access::kAdmin},
    {"POST", "/v1/cache/reset", Target::kCacheReset, Access::kAdmin},
    // llama-server's paths, too.
    {"POST", "/v1/models/load", Target::kModelLoad, Access::kAdmin},
    {"POST", "/models/load", Target::kModelLoad, Access::kAdmin},
    {"POST", "/v1/models/unload", Target::kModelUnload, Access::kAdmin},
    {"POST", "/models/unload", Target::kModelUnload, Access::kAdmin},
    {"POST", "/tokenize", Target::kTokenize, Access::kUse},
    {"POST", "/v1/tokenize", Target::kTokenize, Access::kUse},
    {"POST", "/detokenize", Target::kDetokenize, Access::kUse},
    {"POST", "/v1/detokenize", Target::kDetokenize, Access::kUse},
    {"POST", "/apply-template", Target::kApplyTemplate, Access::kUse},
    {"POST", "/v1/apply-template", Target::kApplyTemplate, Access::kUse},
    {"POST", "/v1/embeddings", Target::kEmbeddings, Access::kUse},
    {"POST", "/embeddings", Target::kEmbeddings, Access::kUse},
    {"POST", "/v1/rerank", Target::kRerank, Access::kUse},
    {"POST", "/v2/rerank", Target::kRerank, Access::kUse},
    {"POST", "/rerank", Target::kRerank, Access::kUse},
    {"POST", "/v1/score", Target::kScore, Access::kUse},
    {"POST", "/score", Target::kScore, Access::kUse},
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

bool has_route(RouteSet set, const Route& route) {
  switch (set) {
    case RouteSet::kAll:
      return true;
    case RouteSet::kPublic:
      return route.access != Access::kAdmin;
    case RouteSet::kAdmin:
      return route.access != Access::kUse;
  }
  return false;
}

RouteMatch match_route(std::string_view method, std::string_view path, RouteSet set) {
  RouteMatch match;
  if (path == "*") return {nullptr, {}, "GET, HEAD, POST, OPTIONS"};
  const std::string_view wanted = method == "HEAD" ? "GET" : method;
  for (const Route& route : kRoutes) {
    if (!has_route(set, route)) continue;
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
