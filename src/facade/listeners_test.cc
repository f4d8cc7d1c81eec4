#include "facade/listeners.h"

#include <gtest/gtest.h>

namespace vsurge::facade {
namespace {

using server::ListenAddress;

std::string refusal(const FireOptions& fire) {
  server::ServerOptions out;
  const auto status = set_listeners(fire, out);
  if (status) return "";
  EXPECT_EQ(status.error().code, base::ErrorCode::kUsage);
  return status.error().message;
}

TEST(Listeners, AreThoseOfTheOptions) {
  FireOptions fire;
  fire.port = 80;
  fire.listen = {"unix:/run/a", "tcp:127.0.0.1:0", "tcp:127.0.0.1:0"};
  fire.admin_listen = {"fd:3"};
  server::ServerOptions out;
  ASSERT_TRUE(set_listeners(fire, out));
  EXPECT_EQ(out.host, "0.0.0.0");
  EXPECT_EQ(out.port, 80);
  ASSERT_EQ(out.listen.size(), 4U);
  EXPECT_EQ(out.listen[0].path, "/run/a");
  EXPECT_FALSE(out.listen[2].admin);
  EXPECT_TRUE(out.listen[3].admin);
  fire.host = "none";
  server::ServerOptions without;
  ASSERT_TRUE(set_listeners(fire, without));
  EXPECT_EQ(without.host, "");
}

TEST(Listeners, WhatCannotBeIsRefused) {
  EXPECT_NE(refusal({.host = "none"}).find("none"), std::string::npos);
  EXPECT_NE(refusal({.host = "none", .admin_listen = {"unix:/a"}}), "")
      << "a door for admins alone serves nobody";
  EXPECT_NE(refusal({.listen = {"/a"}}).find("/a"), std::string::npos);
  EXPECT_NE(refusal({.listen = {"unix:/a,tls"}}).find("ssl_"), std::string::npos);
  EXPECT_NE(refusal({.listen = {"unix:/a"}, .admin_listen = {"unix:/a"}}).find("twice"),
            std::string::npos);
  EXPECT_NE(refusal({.listen = {"tcp:h:1", "tcp:h:1"}}).find("twice"), std::string::npos);
  EXPECT_NE(refusal({.listen = {"fd:3"}, .admin_listen = {"fd:3"}}).find("twice"),
            std::string::npos);
  EXPECT_EQ(refusal({.ssl_keyfile = "k", .ssl_certfile = "c", .listen = {"unix:/a,tls"}}), "");
}

}  // namespace
}  // namespace vsurge::facade
