#include "server/response_head.h"

#include <gtest/gtest.h>

namespace vsurge::server {
namespace {

TEST(ResponseHead, HasWhatTheFramingNeeds) {
  ResponseHead head;
  head.content_length = 5;
  head.unix_seconds = 784111777;
  EXPECT_EQ(response_head(head, {{"X-A", "b"}}),
            "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nX-A: b\r\nContent-Length: "
            "5\r\n\r\n");
  head.chunked = true;
  head.keep_alive = false;
  EXPECT_TRUE(
      response_head(head, {}).ends_with("Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"));
  ResponseHead old;
  old.http_1_1 = false;
  EXPECT_TRUE(response_head(old, {}).ends_with("Connection: keep-alive\r\n\r\n"));
  ResponseHead empty;
  empty.status = 204;
  empty.content_length = 0;
  EXPECT_EQ(response_head(empty, {}).find("Content-Length"), std::string::npos);
}

TEST(ResponseHead, LeavesOutFieldsThatBreakIt) {
  const auto text = response_head({}, {{"A", "x\r\nInjected: 1"},
                                       {"B:", "y"},
                                       {"", "z"},
                                       {"content-LENGTH", "9"},
                                       {"Connection", "upgrade"},
                                       {"Good", "\xc3\xa4"}});
  EXPECT_EQ(text.find("Injected"), std::string::npos);
  EXPECT_EQ(text.find("B:"), std::string::npos);
  EXPECT_EQ(text.find('9'), text.find("1970") + 1) << "only the date has a 9";
  EXPECT_EQ(text.find("upgrade"), std::string::npos);
  EXPECT_NE(text.find("Good: \xc3\xa4\r\n"), std::string::npos);
}

TEST(ResponseHead, Dates) {
  EXPECT_EQ(http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(http_date(951782400), "Tue, 29 Feb 2000 00:00:00 GMT");
}

}  // namespace
}  // namespace vsurge::server
