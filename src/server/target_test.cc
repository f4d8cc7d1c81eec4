#include "server/target.h"

#include <gtest/gtest.h>

namespace vsurge::server {
namespace {

std::string path_of(std::string_view target, std::string_view method = "GET") {
  const auto parsed = parse_target(method, target, "example.com:80");
  return parsed ? parsed->path + "?" + parsed->query : "refused";
}

TEST(ParseTarget, DecodesPaths) {
  EXPECT_EQ(path_of("/"), "/?");
  EXPECT_EQ(path_of("/v1/models/a%20b%2Fc?x=%20"), "/v1/models/a b/c?x=%20");
  EXPECT_EQ(path_of("/%C3%A4?"), "/\xc3\xa4?");
  EXPECT_EQ(path_of("http://Example.com:80/p?q"), "/p?q");
  EXPECT_EQ(path_of("HTTPS://example.com:80?q"), "/?q");
  EXPECT_EQ(path_of("http://example.com:80"), "/?");
  EXPECT_EQ(path_of("*", "OPTIONS"), "*?");
}

TEST(ParseTarget, RefusesTheRest) {
  for (const std::string_view bad : {"",
                                     "a",
                                     "*",
                                     "example.com:80",
                                     "http://other/",
                                     "http://",
                                     "ftp://example.com:80/",
                                     "/%",
                                     "/%1",
                                     "/%gg",
                                     "/%00",
                                     "/%0a",
                                     "/%7f",
                                     "/%ff",
                                     "/%c0%80",
                                     "/%ed%a0%80",
                                     "/%f5%80%80%80",
                                     "/%e2%82",
                                     "/a#b",
                                     "/\xc3\xa4",
                                     "/a b",
                                     "/a\tb"}) {
    EXPECT_EQ(path_of(bad), "refused") << bad;
  }
}

}  // namespace
}  // namespace vsurge::server
