#include "capacity/router.h"

#include <gtest/gtest.h>

#include <vector>

namespace vsurge::capacity {
namespace {

using Blocks = std::vector<std::uint64_t>;
constexpr RouterCosts kCosts{.prompt_token = 10, .step = 100};

TEST(Router, RoundRobinCountsOn) {
  Router router(Routing::kRoundRobin, 3, kCosts, 10);
  for (int i = 0; i < 7; ++i) EXPECT_EQ(router.route({}, 512, 10), i % 3);
}

TEST(Router, LeastLoadedIsWhoAnswersFirst) {
  Router router(Routing::kLeastLoaded, 2, kCosts, 10);
  EXPECT_EQ(router.route({}, 512, 1000), 0);
  EXPECT_EQ(router.route({}, 512, 10), 1);
  EXPECT_EQ(router.route({}, 512, 10), 1);
  router.read(0, 1000);
  EXPECT_EQ(router.route({}, 512, 10), 0) << "one answer there, two here";
  router.ended(1);
  router.ended(1);
  router.read(1, 20);
  EXPECT_EQ(router.route({}, 512, 10), 1);
}

TEST(Router, PrefixGoesWhereItIsKnown) {
  Router router(Routing::kPrefix, 4, kCosts, 10);
  const Blocks talk = {1, 2, 3};
  const int first = router.route(talk, 512, 1500);
  router.read(first, 1500);
  const Blocks next = {1, 2, 3, 4};
  EXPECT_EQ(router.route(next, 512, 2000), first);
  // The same beginning, but there is so much to read there that another is faster.
  for (int i = 0; i < 3; ++i) router.route(Blocks{1, 2, 3, 4, 5}, 512, 2500);
  EXPECT_NE(router.route(Blocks{1, 9}, 512, 600), first);
}

TEST(Router, ForgetsTheOldest) {
  Router router(Routing::kPrefix, 2, kCosts, 2);
  const auto serve = [&](const Blocks& blocks) {
    const int replica = router.route(blocks, 512, 1024);
    router.read(replica, 1024);
    router.ended(replica);
    return replica;
  };
  EXPECT_EQ(serve({1, 2}), 0);
  EXPECT_EQ(serve({3, 4}), 1) << "of equals the one that has had the fewest";
  EXPECT_EQ(serve({1, 2}), 0);
  EXPECT_EQ(serve({1, 2}), 0);
  EXPECT_EQ(serve({5, 6}), 1) << "where 3 and 4 give way";
  EXPECT_EQ(serve({1, 2}), 0);
  EXPECT_EQ(serve({5, 6}), 1);
  EXPECT_EQ(serve({5, 6}), 1);
  EXPECT_EQ(serve({5, 6}), 1);
  EXPECT_EQ(serve({3, 4}), 0);
}

}  // namespace
}  // namespace vsurge::capacity
