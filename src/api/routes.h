// Which endpoint a method and a path mean.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace vsurge::api {

enum class Target : std::uint8_t {
  kChat,
  kCompletions,
  kMessages,
  kMessagesCount,
  kResponses,
  kResponseTokens,
  kResponse,
  kResponseErase,
  kResponseCancel,
  kResponseItems,
  kConversations,
  kConversation,
  kConversationErase,
  kConversationItems,
  kModels,
  kModel,
  kTools,
  kOpenApi,
  kDocs,
  kLive,
  kReady,
  kHealth,
  kMetrics,
  kVersion,
  kEngine,
  kEnginePause,
  kEngineDrain,
  kEngineResume,
  kCacheReset,
  kTokenize,
  kDetokenize,
  kApplyTemplate,
  kModelLoad,
  kModelUnload,
  kEmbeddings,
  kRerank,
  kScore,
};

// What a key must be good for, where a server has keys.
enum class Access : std::uint8_t {
  kOpen,   // nothing
  kRead,   // any key
  kUse,    // generating, counted against the key's limits
  kAdmin,  // ruling the server
};

struct Route {
  std::string_view method;
  // A path; "{id}" in it stands for anything not empty without slashes, "{name}" at its end with
  // slashes, too (model names have them).
  std::string_view path;
  Target target;
  Access access;
};

std::span<const Route> route_table();

// What is there, where not all is.
enum class RouteSet : std::uint8_t {
  kAll,
  kPublic,  // no ruling the server
  kAdmin,   // no generating
};
bool has_route(RouteSet set, const Route& route);

struct RouteMatch {
  const Route* route = nullptr;  // of this path and method
  std::string_view id;           // what "{id}" stands for
  std::string allow;             // methods of this path: "GET, HEAD, OPTIONS"; empty: no such path
};

// HEAD is GET. OPTIONS has no route: `allow` answers it; path "*" has the methods of all.
RouteMatch match_route(std::string_view method, std::string_view path,
                       RouteSet set = RouteSet::kAll);

}  // namespace vsurge::api
