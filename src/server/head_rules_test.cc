#include "server/head_rules.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace vsurge::server {
namespace {

using Fields = std::vector<std::pair<std::string_view, std::string_view>>;

// Status of the rejection, 0 for none.
int status_of(const Fields& fields, bool http_1_1 = true) {
  HeadRules rules{base::HttpLimits{}};
  for (const auto& [name, value] : fields) {
    if (const auto why = rules.field(name, value)) return why->status;
  }
  const auto why = rules.finish(http_1_1);
  return why ? why->status : 0;
}

TEST(HeadRules, Framing) {
  EXPECT_EQ(status_of({{"host", "h"}}), 0);
  EXPECT_EQ(status_of({}), 400);
  EXPECT_EQ(status_of({}, false), 0);
  EXPECT_EQ(status_of({{"host", "h"}, {"host", "h"}}), 400);
  EXPECT_EQ(status_of({{"host", "[::1]:80"}, {"content-length", "10485760"}}), 0);
  EXPECT_EQ(status_of({{"host", "h"}, {"content-length", "10485761"}}), 413);
  EXPECT_EQ(status_of({{"host", "h"}, {"content-length", "1"}, {"content-length", "1"}}), 400);
  EXPECT_EQ(status_of({{"host", "h"}, {"content-length", "1 "}}), 400);
  EXPECT_EQ(status_of({{"host", "h"}, {"transfer-encoding", "chunked"}}), 0);
  EXPECT_EQ(status_of({{"transfer-encoding", "chunked"}}, false), 400);
  EXPECT_EQ(status_of({{"host", "h"}, {"transfer-encoding", "gzip, chunked"}}), 501);
  EXPECT_EQ(status_of({{"host", "h"}, {"transfer-encoding", "chunked, gzip"}}), 400);
  EXPECT_EQ(status_of({{"host", "h"}, {"transfer-encoding", "chunked"}, {"content-length", "0"}}),
            400);
  EXPECT_EQ(status_of({{"host", "h"}, {"expect", "100-Continue"}}), 0);
  EXPECT_EQ(status_of({{"host", "h"}, {"expect", "200-ok"}}), 417);
}

TEST(HeadRules, KeepAlive) {
  const auto keeps = [](std::string_view connection, bool http_1_1) {
    HeadRules rules{base::HttpLimits{}};
    EXPECT_FALSE(rules.field("connection", connection));
    return rules.keep_alive(http_1_1);
  };
  EXPECT_TRUE(keeps("", true));
  EXPECT_FALSE(keeps("CLOSE", true));
  EXPECT_FALSE(keeps("keep-alive, close", true));
  EXPECT_FALSE(keeps("", false));
  EXPECT_TRUE(keeps("Keep-Alive", false));
  EXPECT_FALSE(keeps("foo,,close ,", true));
}

}  // namespace
}  // namespace vsurge::server
