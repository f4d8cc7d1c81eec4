#include "server/listen_address.h"

#include <gtest/gtest.h>

namespace vsurge::server {
namespace {

using Kind = ListenAddress::Kind;

ListenAddress good(const std::string& text) {
  auto parsed = parse_listen_address(text);
  EXPECT_TRUE(parsed) << text;
  return parsed ? *parsed : ListenAddress{};
}

TEST(ListenAddress, Tcp) {
  const ListenAddress plain = good("tcp:127.0.0.1:80");
  EXPECT_EQ(plain.kind, Kind::kTcp);
  EXPECT_EQ(plain.host, "127.0.0.1");
  EXPECT_EQ(plain.port, 80);
  EXPECT_EQ(plain.tls, std::nullopt);
  EXPECT_TRUE(is_local(plain));
  const ListenAddress six = good("tcp:[::1]:0,tls");
  EXPECT_EQ(six.host, "[::1]");
  EXPECT_EQ(six.tls, true);
  EXPECT_TRUE(is_local(six));
  EXPECT_EQ(text_of(six), "tcp:[::1]:0");
  EXPECT_FALSE(is_local(good("tcp:example.org:65535,plain")));
  EXPECT_FALSE(is_local(good("tcp:0.0.0.0:1")));
}

TEST(ListenAddress, Unix) {
  const ListenAddress plain = good("unix:/run/a:b.sock");
  EXPECT_EQ(plain.kind, Kind::kUnix);
  EXPECT_EQ(plain.path, "/run/a:b.sock");
  EXPECT_EQ(plain.mode, 0660U);
  EXPECT_TRUE(is_local(plain));
  const ListenAddress both = good("unix:s,mode=0777,tls");
  EXPECT_EQ(both.mode, 0777U);
  EXPECT_EQ(both.tls, true);
  EXPECT_EQ(good("unix:s,mode=0").mode, 0U);
  EXPECT_EQ(good("unix:" + std::string(107, 'a')).path.size(), 107U);
}

TEST(ListenAddress, Descriptor) {
  EXPECT_EQ(good("fd:3").descriptor, 3);
  EXPECT_EQ(text_of(good("fd:3,plain")), "fd:3");
  EXPECT_FALSE(is_local(good("fd:3")));
}

TEST(ListenAddress, RefusesTheRest) {
  for (const std::string text : {"",
                                 "tcp",
                                 "tcp:",
                                 "tcp::",
                                 "tcp::80",
                                 "tcp:h",
                                 "tcp:h:",
                                 "tcp:h:65536",
                                 "tcp:h:-1",
                                 "tcp:h: 1",
                                 "tcp:::1:80",
                                 "tcp:h:80,x",
                                 "tcp:h:80,mode=0600",
                                 "udp:h:80",
                                 "unix",
                                 "unix:",
                                 "unix:@name",
                                 "unix:/a,mode=",
                                 "unix:/a,mode=1000",
                                 "unix:/a,mode=8",
                                 "unix:/a,mode=-1",
                                 "unix:/a,,tls",
                                 "fd:",
                                 "fd:-1",
                                 "fd:x",
                                 "fd:3,mode=0600",
                                 "/run/a.sock",
                                 "127.0.0.1:80",
                                 "http://127.0.0.1:80"}) {
    const auto parsed = parse_listen_address(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, base::ErrorCode::kUsage);
    EXPECT_NE(parsed.error().message.find("expected"), std::string::npos);
  }
  EXPECT_FALSE(parse_listen_address("unix:" + std::string(108, 'a')));
  EXPECT_FALSE(parse_listen_address("unix:" + std::string(1, '\0')));
}

}  // namespace
}  // namespace vsurge::server
