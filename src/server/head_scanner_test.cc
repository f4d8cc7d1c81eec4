#include "server/head_scanner.h"

#include <gtest/gtest.h>

#include <string>

namespace vsurge::server {
namespace {

using Outcome = HeadScanner::Outcome;

TEST(HeadScanner, FindsTheEndHoweverBytesCome) {
  const std::string bytes = "\r\nGET / HTTP/1.1\r\nA: b\r\n\r\nrest";
  for (std::size_t cut = 0; cut + 5 < bytes.size(); ++cut) {
    HeadScanner scanner{base::HttpLimits{}};
    EXPECT_EQ(scanner.scan(std::string_view(bytes).substr(0, cut)), Outcome::kMore) << cut;
    EXPECT_EQ(scanner.scan(bytes), Outcome::kComplete) << cut;
    EXPECT_EQ(scanner.head_begin(), 2u);
    EXPECT_EQ(scanner.head_end(), bytes.size() - 4);
  }
}

TEST(HeadScanner, RefusesAsSoonAsItSees) {
  for (const std::string_view bad : {"GET /\n", "GET /\rx", "\x16\x03", "G\x7f", " GET", "\tGET",
                                     "GET /\r\nA: b\r\n c", "GET /\r\nA: b\r\n\td", "\n"}) {
    HeadScanner scanner{base::HttpLimits{}};
    EXPECT_EQ(scanner.scan(bad), Outcome::kRejected) << bad;
    EXPECT_EQ(scanner.rejection().status, 400);
    EXPECT_EQ(scanner.scan(bad), Outcome::kRejected) << "it stays refused";
  }
}

TEST(HeadScanner, KeepsItsLimits) {
  base::HttpLimits limits;
  limits.header_bytes_max = 400;
  limits.request_target_bytes_max = 100;
  HeadScanner line(limits);
  EXPECT_EQ(line.scan("GET /" + std::string(300, 'a')), Outcome::kRejected);
  EXPECT_EQ(line.rejection().status, 414);
  HeadScanner head(limits);
  EXPECT_EQ(head.scan("GET /\r\nA: " + std::string(500, 'a')), Outcome::kRejected);
  EXPECT_EQ(head.rejection().status, 431);
  head.reset();
  EXPECT_EQ(head.scan("GET /\r\n\r\n"), Outcome::kComplete);
}

}  // namespace
}  // namespace vsurge::server
