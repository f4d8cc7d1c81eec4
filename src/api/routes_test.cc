#include "api/routes.h"

#include <gtest/gtest.h>

namespace vsurge::api {
namespace {

TEST(Routes, EveryRouteMatchesItself) {
  for (const Route& route : route_table()) {
    const RouteMatch match = match_route(route.method, route.path);
    ASSERT_NE(match.route, nullptr) << route.path;
    EXPECT_EQ(match.route->target, route.target);
    EXPECT_NE(match.allow.find(route.method), std::string::npos);
    EXPECT_EQ(match_route("TRACE", route.path).route, nullptr);
    EXPECT_FALSE(match_route("TRACE", route.path).allow.empty());
  }
}

TEST(Routes, Allow) {
  EXPECT_EQ(match_route("GET", "/v1/completions").allow, "POST, OPTIONS");
  EXPECT_EQ(match_route("POST", "/health").allow, "GET, HEAD, OPTIONS");
  EXPECT_EQ(match_route("GET", "/v1/completions").route, nullptr);
  EXPECT_NE(match_route("HEAD", "/health").route, nullptr);
  EXPECT_EQ(match_route("post", "/v1/completions").route, nullptr);
  EXPECT_FALSE(match_route("OPTIONS", "*").allow.empty());
}

TEST(Routes, DoorsHaveTheirOwn) {
  for (const Route& route : route_table()) {
    const RouteMatch ruled = match_route(route.method, route.path, RouteSet::kAdmin);
    const RouteMatch open = match_route(route.method, route.path, RouteSet::kPublic);
    EXPECT_EQ(ruled.route != nullptr, route.access != Access::kUse) << route.path;
    EXPECT_EQ(open.route != nullptr, route.access != Access::kAdmin) << route.path;
  }
  EXPECT_EQ(match_route("GET", "/v1/engine/pause", RouteSet::kPublic).allow, "")
      << "not even that it is there is told";
  EXPECT_EQ(match_route("GET", "/v1/engine/pause", RouteSet::kAdmin).allow, "POST, OPTIONS");
}

TEST(Routes, Ids) {
  EXPECT_EQ(match_route("GET", "/v1/models/Qwen/Qwen3-8B").id, "Qwen/Qwen3-8B");
  EXPECT_EQ(match_route("GET", "/v1/models").route->target, Target::kModels);
  for (const std::string_view path : {"", "/", "/v1/models/", "/v1", "/v1/chat/completions/",
                                      "/v1/x", "/V1/models", "/health/"}) {
    EXPECT_TRUE(match_route("GET", path).allow.empty()) << path;
  }
}

}  // namespace
}  // namespace vsurge::api
