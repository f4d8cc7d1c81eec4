#include "server/address_counts.h"

#include <gtest/gtest.h>

namespace vsurge::server {
namespace {

std::string key_of(const char* address) {
  return client_key(boost::asio::ip::make_address(address));
}

TEST(ClientKey, ThisMachineHasNone) {
  for (const char* address : {"127.0.0.1", "127.9.8.7", "::1", "::ffff:127.0.0.1"}) {
    EXPECT_EQ(key_of(address), "") << address;
  }
}

TEST(ClientKey, TellsClientsApart) {
  EXPECT_NE(key_of("10.0.0.1"), key_of("10.0.0.2"));
  EXPECT_EQ(key_of("::ffff:10.0.0.1"), key_of("10.0.0.1"));
  EXPECT_EQ(key_of("2001:db8:1:2::1"), key_of("2001:db8:1:2:ffff::9"));
  EXPECT_NE(key_of("2001:db8:1:2::1"), key_of("2001:db8:1:3::1"));
}

TEST(AddressCounts, EachClientHasItsShare) {
  AddressCounts counts(2);
  EXPECT_TRUE(counts.take("a"));
  EXPECT_TRUE(counts.take("a"));
  EXPECT_FALSE(counts.take("a"));
  EXPECT_TRUE(counts.take("b"));
  counts.give_back("a");
  EXPECT_TRUE(counts.take("a"));
  EXPECT_FALSE(counts.take("a"));
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(counts.take(""));
}

}  // namespace
}  // namespace vsurge::server
