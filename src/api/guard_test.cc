// What a server with keys lets in, counts and keeps apart.
#include "api/guard.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <filesystem>
#include <set>

#include "access/key_file.h"
#include "api/service_fixture.h"

namespace vsurge::api {
namespace {

namespace fs = std::filesystem;
using testing::chat_body;
using testing::error_of;
using testing::FixtureOptions;
using testing::ServiceFixture;
using testing::TestResponder;

class GuardTest : public ::testing::Test {
 protected:
  GuardTest() {
    std::string name = (fs::temp_directory_path() / "vsurge_guard_XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    EXPECT_TRUE(access::update_key_file(path(), [](auto&) -> base::Status { return {}; }));
  }
  ~GuardTest() override { fs::remove_all(folder_); }

  // The text of a new key.
  std::string add(access::ApiKey key) {
    std::string text = access::renew_secret(key);
    EXPECT_TRUE(access::update_key_file(path(), [&](auto& keys) -> base::Status {
      keys.push_back(key);
      return {};
    }));
    return text;
  }
  fs::path path() const { return folder_ / "keys"; }

  // Of the keys that were added before.
  ServiceFixture& server(FixtureOptions options = {}) {
    auto gatekeeper = access::Gatekeeper::open({.key_file = path()});
    EXPECT_TRUE(gatekeeper) << gatekeeper.error().message;
    options.gatekeeper = std::move(*gatekeeper);
    fixture_ = std::make_unique<ServiceFixture>(options);
    fixture_->runner.script = testing::bytes_of("yes");
    return *fixture_;
  }

  std::shared_ptr<TestResponder> ask(const std::string& method, const std::string& where,
                                     const std::string& key, std::string body = "",
                                     Headers headers = {}) {
    HttpRequest request;
    request.method = method;
    request.path = where;
    request.headers = std::move(headers);
    request.headers.emplace_back("content-type", "application/json");
    if (!key.empty()) request.headers.emplace_back("authorization", "Bearer " + key);
    request.body = std::move(body);
    auto responder = fixture_->handle(std::move(request));
    fixture_->finish(*responder);
    return responder;
  }
  std::shared_ptr<TestResponder> chat(const std::string& key, std::string_view members = "") {
    return ask("POST", testing::kChat, key, chat_body(members));
  }

  fs::path folder_;
  std::unique_ptr<ServiceFixture> fixture_;
};

std::string example(std::string_view path) {
  std::string out(path);
  for (const std::string_view hole : {"{id}", "{name}"}) {
    const auto at = out.find(hole);
    if (at != std::string::npos) out.replace(at, hole.size(), "tiny");
  }
  return out;
}

TEST_F(GuardTest, EveryRouteButTheProbes) {
  server();
  std::set<std::string_view> open;
  for (const Route& route : route_table()) {
    const std::string where = example(route.path);
    for (const std::string& method :
         {std::string(route.method), std::string(route.method == "GET" ? "HEAD" : "")}) {
      if (method.empty()) continue;
      const auto answer = ask(method, where, "");
      if (answer->status() != 401) {
        open.insert(route.path);
        continue;
      }
      EXPECT_EQ(answer->header("WWW-Authenticate"), "Bearer") << where;
      const auto wrong = ask(method, where, "vs-123456789012-00");
      EXPECT_EQ(wrong->status(), 401) << where;
    }
  }
  EXPECT_EQ(open, (std::set<std::string_view>{"/live", "/ready", "/health"}));
  EXPECT_EQ(ask("GET", "/none", "")->status(), 404);
}

TEST_F(GuardTest, MetricsMayBeOpen) {
  server({.metrics_without_key = true});
  EXPECT_EQ(ask("GET", "/metrics", "")->status(), 200);
  EXPECT_EQ(ask("GET", "/version", "")->status(), 401);
}

TEST_F(GuardTest, BothHeadersAndBothShapes) {
  const std::string key = add({.id = "", .name = "alice"});
  server();
  EXPECT_EQ(chat(key)->status(), 200);
  for (const Headers& headers :
       {Headers{{"x-api-key", key}}, Headers{{"authorization", "bearer   " + key}},
        Headers{{"authorization", "Basic x"}, {"x-api-key", key}}}) {
    EXPECT_EQ(ask("GET", "/v1/models", "", "", headers)->status(), 200);
  }
  const auto error = error_of(*chat("vs-no"), 401);
  EXPECT_EQ(error.at("code").as_string(), "invalid_api_key");
  EXPECT_EQ(error.at("type").as_string(), "authentication_error");
  const auto anthropic = boost::json::parse(ask("POST", "/v1/messages", "")->body());
  EXPECT_EQ(anthropic.at("error").at("type").as_string(), "authentication_error");
  EXPECT_EQ(anthropic.at("type").as_string(), "error");
}

TEST_F(GuardTest, Roles) {
  const std::string looks = add({.id = "", .name = "looks", .role = access::Role::kReadonly});
  const std::string other = add({.id = "", .name = "other", .models = {"large", "larger"}});
  const std::string named = add({.id = "", .name = "named", .models = {"large", "tiny"}});
  server();
  EXPECT_EQ(ask("GET", "/v1/models", looks)->status(), 200);
  EXPECT_EQ(ask("GET", "/metrics", looks)->status(), 200);
  EXPECT_EQ(error_of(*chat(looks), 403).at("code").as_string(), "insufficient_permissions");
  const auto error = error_of(*chat(other), 403);
  EXPECT_EQ(error.at("code").as_string(), "model_not_found");
  EXPECT_EQ(error.at("param").as_string(), "model");
  EXPECT_EQ(chat(named)->status(), 200);
}

TEST_F(GuardTest, LimitsAreToldAndKept) {
  const std::string key = add(
      {.id = "", .name = "alice", .limits = {.requests_per_minute = 2, .tokens_per_day = 1000}});
  const std::string free = add({.id = "", .name = "bob"});
  server();
  const auto first = chat(key);
  EXPECT_EQ(first->status(), 200);
  EXPECT_EQ(first->header("x-ratelimit-limit-requests"), "2");
  EXPECT_EQ(first->header("x-ratelimit-remaining-requests"), "1");
  EXPECT_EQ(first->header("x-ratelimit-reset-requests"), "30s");
  EXPECT_EQ(first->header("x-ratelimit-remaining-tokens"), "1000");
  const auto second = chat(key, R"("stream":true)");
  EXPECT_EQ(second->status(), 200);
  EXPECT_EQ(second->header("x-ratelimit-remaining-requests"), "0");
  EXPECT_LT(std::stoi(second->header("x-ratelimit-remaining-tokens")), 1000);
  const auto third = chat(key);
  const auto error = error_of(*third, 429);
  EXPECT_EQ(error.at("code").as_string(), "rate_limit_exceeded");
  EXPECT_EQ(error.at("type").as_string(), "requests");
  EXPECT_EQ(third->header("Retry-After"), "30");
  EXPECT_EQ(third->header("x-ratelimit-remaining-requests"), "0");
  EXPECT_EQ(ask("GET", "/v1/models", key)->status(), 200);  // looking is not counted
  const auto other = chat(free);
  EXPECT_EQ(other->status(), 200);
  EXPECT_EQ(other->header("x-ratelimit-limit-requests"), "");
}

class CountedEnds final : public RequestObserver {
 public:
  void ended(const RequestRecord& /*record*/) override { ++count; }
  std::atomic<int> count{0};
};

TEST_F(GuardTest, RunningRequestsCountUntilTheyEnd) {
  const std::string key = add({.id = "", .name = "alice", .limits = {.concurrent_requests = 1}});
  const auto ends = std::make_shared<CountedEnds>();
  ServiceFixture& fixture = server({.observers = {ends}});
  fixture.runner.endless = true;
  HttpRequest request;
  request.method = "POST";
  request.path = testing::kChat;
  request.headers = {{"x-api-key", key}};
  request.body = chat_body(R"("stream":true,"max_tokens":150)");
  const auto running = fixture.handle(request);
  EXPECT_EQ(error_of(*chat(key), 429).at("code").as_string(), "rate_limit_exceeded");
  const int before = ends->count;
  running->leave();
  fixture.executor.run_until([&] { return ends->count > before; });
  fixture.wait_idle();
  fixture.runner.endless = false;
  EXPECT_EQ(chat(key)->status(), 200);
  // What is refused later is counted as ended, too.
  EXPECT_EQ(ask("POST", testing::kChat, key, "{")->status(), 400);
  EXPECT_EQ(chat(key)->status(), 200);
}

TEST_F(GuardTest, WhatAKeyStoresIsItsOwn) {
  const std::string alice = add({.id = "", .name = "alice"});
  const std::string bob = add({.id = "", .name = "bob", .role = access::Role::kAdmin});
  server();
  const auto id_in = [](const TestResponder& answer) {
    return std::string(boost::json::parse(answer.body()).at("id").as_string());
  };
  const std::string response =
      id_in(*ask("POST", "/v1/responses", alice, R"({"model":"tiny","input":"hi","user":"u"})"));
  const std::string conversation = id_in(*ask("POST", "/v1/conversations", alice, "{}"));
  for (const std::string& where :
       {"/v1/responses/" + response, "/v1/responses/" + response + "/input_items",
        "/v1/conversations/" + conversation, "/v1/conversations/" + conversation + "/items"}) {
    EXPECT_EQ(ask("GET", where, alice)->status(), 200) << where;
    EXPECT_EQ(ask("GET", where, bob)->status(), 404) << where;
  }
  for (const std::string& members : {R"("previous_response_id":")" + response + '"',
                                     R"("conversation":")" + conversation + '"'}) {
    const std::string body = R"({"model":"tiny","input":"hi",)" + members + "}";
    EXPECT_EQ(ask("POST", "/v1/responses", bob, body)->status(), 404) << members;
    EXPECT_EQ(ask("POST", "/v1/responses/input_tokens", bob, body)->status(), 404) << members;
    EXPECT_EQ(ask("POST", "/v1/responses", alice, body)->status(), 200) << members;
  }
  for (const std::string& where :
       {"/v1/responses/" + response, "/v1/conversations/" + conversation}) {
    EXPECT_EQ(ask("DELETE", where, bob)->status(), 404) << where;
    EXPECT_EQ(ask("DELETE", where, alice)->status(), 200) << where;
  }
}

std::int64_t cached_tokens(const TestResponder& answer) {
  return boost::json::parse(answer.body())
      .at("usage")
      .at("prompt_tokens_details")
      .at("cached_tokens")
      .to_number<std::int64_t>();
}

TEST_F(GuardTest, TheCacheIsNotShared) {
  const std::string alice = add({.id = "", .name = "alice"});
  const std::string bob = add({.id = "", .name = "bob"});
  const std::string body = R"({"model":"tiny","messages":[{"role":"user","content":")" +
                           std::string(100, 'x') + R"("}]})";
  for (const bool share : {false, true}) {
    server({.share_prefix_cache = share});
    EXPECT_EQ(cached_tokens(*ask("POST", testing::kChat, alice, body)), 0);
    EXPECT_GT(cached_tokens(*ask("POST", testing::kChat, alice, body)), 0);
    EXPECT_EQ(cached_tokens(*ask("POST", testing::kChat, bob, body)) > 0, share);
  }
}

TEST_F(GuardTest, CacheNamesCannotBeMixedUp) {
  const ServiceHub hub{ServiceOptions()};
  const access::ApiKey a{.id = "a", .name = "a"};
  std::set<std::string> names;
  const auto salted = [](std::string_view salt, std::string_view key) {
    return std::string(salt) + '\0' + std::string(key);
  };
  for (const access::ApiKey* key : {static_cast<const access::ApiKey*>(nullptr), &a}) {
    for (const std::string& salt :
         {std::string(), salted("a", ""), salted("", "a"), salted("a", "a"), salted("aa", "")}) {
      EXPECT_TRUE(names.insert(cache_namespace(hub, key, salt)).second);
    }
  }
  EXPECT_TRUE(names.contains(""));
}

TEST_F(GuardTest, AdminsRuleTheEngine) {
  const std::string admin = add({.id = "", .name = "root", .role = access::Role::kAdmin});
  const std::string user = add({.id = "", .name = "alice"});
  ServiceFixture& fixture = server();
  const auto tell = [&](const char* method, const std::string& what) {
    const auto answer = ask(method, what, admin);
    EXPECT_EQ(answer->status(), 200) << answer->body();
    return boost::json::parse(answer->body());
  };
  for (const char* what : {"pause", "drain", "resume"}) {
    const auto refused = ask("POST", std::string("/v1/engine/") + what, user);
    EXPECT_EQ(error_of(*refused, 403).at("code").as_string(), "insufficient_permissions");
  }
  EXPECT_EQ(tell("GET", "/v1/engine").at("status").as_string(), "ready");
  EXPECT_EQ(tell("POST", "/v1/engine/pause").at("paused").as_bool(), true);
  EXPECT_EQ(ask("GET", "/ready", "")->status(), 503);
  HttpRequest request;
  request.method = "POST";
  request.path = testing::kChat;
  request.headers = {{"x-api-key", user}};
  request.body = chat_body();
  const auto waiting = fixture.handle(request);
  fixture.executor.run_until([&] { return fixture.engine.metrics().requests_waiting == 1; });
  EXPECT_EQ(tell("POST", "/v1/engine/drain").at("draining").as_bool(), true);
  EXPECT_EQ(error_of(*chat(user), 503).at("code").as_string(), "shutting_down");
  EXPECT_EQ(tell("POST", "/v1/engine/resume").at("status").as_string(), "ready");
  fixture.finish(*waiting);
  EXPECT_EQ(waiting->status(), 200);
  EXPECT_EQ(chat(user)->status(), 200);
  EXPECT_EQ(tell("POST", "/v1/cache/reset").at("status").as_string(), "ready");
  fixture.executor.run_until([&] { return fixture.engine.metrics().pages_cached == 0; });
}

TEST(Guard, WithoutKeysThereAreNoAdmins) {
  ServiceFixture fixture;
  for (const Route& route : route_table()) {
    if (route.access != Access::kAdmin) continue;
    HttpRequest request;
    request.method = route.method;
    request.path = route.path;
    const auto answer = fixture.handle(request);
    EXPECT_EQ(error_of(*answer, 403).at("code").as_string(), "insufficient_permissions");
  }
}

TEST_F(GuardTest, TheDoorForAdmins) {
  const std::string admin = add({.id = "", .name = "root", .role = access::Role::kAdmin});
  ServiceFixture& fixture = server({.admin_door = true});
  for (const Route& route : route_table()) {
    HttpRequest request;
    request.method = route.method;
    request.path = example(route.path);
    request.door = Door::kAdmin;
    const auto answer = fixture.handle(request);
    fixture.finish(*answer);
    if (route.access == Access::kUse) {
      EXPECT_EQ(answer->status(), 404) << route.path;
    } else {
      EXPECT_NE(answer->status(), 401) << route.path << ": no key is asked for";
      EXPECT_NE(answer->status(), 403) << route.path;
      EXPECT_NE(answer->status(), 404) << route.path;
    }
    if (route.access != Access::kAdmin) continue;
    // To the others these are names of models, of which there are none.
    if (request.path.starts_with("/v1/models/")) {
      EXPECT_EQ(ask("GET", request.path, admin)->status(), 404) << request.path;
      EXPECT_EQ(ask("POST", request.path, admin)->status(), 405) << request.path;
      continue;
    }
    for (const char* method : {"GET", "POST", "OPTIONS"}) {
      EXPECT_EQ(ask(method, request.path, admin)->status(), 404)
          << "there alone: " << method << " " << route.path;
    }
  }
  HttpRequest resume;
  resume.method = "POST";
  resume.path = "/v1/engine/resume";
  resume.door = Door::kAdmin;
  EXPECT_EQ(fixture.handle(resume)->status(), 200);
  EXPECT_EQ(chat(admin)->status(), 200);
}

TEST_F(GuardTest, Cors) {
  const std::string key = add({.id = "", .name = "alice"});
  server({.cors_origins = {"https://a.example"}});
  const Headers preflight = {{"origin", "https://a.example"},
                             {"access-control-request-method", "POST"}};
  const auto before = ask("OPTIONS", testing::kChat, "", "", preflight);
  EXPECT_EQ(before->status(), 204);
  EXPECT_EQ(before->header("Access-Control-Allow-Origin"), "https://a.example");
  EXPECT_NE(before->header("Access-Control-Allow-Headers").find("Authorization"),
            std::string::npos);
  const auto answer = ask("GET", "/v1/models", key, "", {{"origin", "https://a.example"}});
  EXPECT_EQ(answer->header("Access-Control-Allow-Origin"), "https://a.example");
  EXPECT_EQ(answer->header("Vary"), "Origin");
  // Errors are read by pages, too.
  EXPECT_EQ(ask("GET", "/v1/models", "", "", {{"origin", "https://a.example"}})
                ->header("Access-Control-Allow-Origin"),
            "https://a.example");
  for (const char* origin : {"https://b.example", "null", ""}) {
    const auto other = ask("OPTIONS", testing::kChat, "", "",
                           {{"origin", origin}, {"access-control-request-method", "POST"}});
    EXPECT_EQ(other->header("Access-Control-Allow-Origin"), "") << origin;
    EXPECT_EQ(other->header("Access-Control-Allow-Methods"), "") << origin;
  }
  server({.cors_origins = {"*"}});
  EXPECT_EQ(
      ask("GET", "/live", "", "", {{"origin", "null"}})->header("Access-Control-Allow-Origin"),
      "*");
  server();
  EXPECT_EQ(ask("GET", "/live", "", "", {{"origin", "https://a.example"}})
                ->header("Access-Control-Allow-Origin"),
            "");
}

}  // namespace
}  // namespace vsurge::api
