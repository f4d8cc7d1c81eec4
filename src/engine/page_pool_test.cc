#include "engine/page_pool.h"

#include <gtest/gtest.h>

#include <set>

namespace vsurge::engine {

TEST(PagePool, HandsOutEachPageOnce) {
  PagePool pool(5);
  std::set<std::int32_t> pages;
  for (int i = 0; i < 5; ++i) pages.insert(pool.allocate());
  EXPECT_EQ(pages, (std::set<std::int32_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(pool.free(), 0);
  EXPECT_EQ(pool.used(), 5);
  EXPECT_EQ(pool.audit(), "");
  for (const std::int32_t page : pages) pool.release(page);
  EXPECT_EQ(pool.free(), 5);
  EXPECT_EQ(pool.used(), 0);
  EXPECT_TRUE(pool.balanced());
  EXPECT_EQ(pool.audit(), "");
}

TEST(PagePool, FreeOnlyWithTheLastHolder) {
  PagePool pool(2);
  const std::int32_t page = pool.allocate();
  pool.retain(page);
  EXPECT_EQ(pool.holders(page), 2);
  pool.release(page);
  EXPECT_EQ(pool.used(), 1);
  EXPECT_EQ(pool.audit(), "");
  pool.release(page);
  EXPECT_EQ(pool.used(), 0);
  EXPECT_EQ(pool.allocate(), page) << "the page freed last comes first";
}

TEST(PagePoolDeathTest, BugsStopAtOnce) {
  PagePool pool(1);
  EXPECT_DEATH(pool.release(0), "freed twice");
  EXPECT_DEATH(pool.retain(0), "free");
  EXPECT_DEATH(pool.release(7), "page 7 of 1");
  pool.allocate();
  EXPECT_DEATH(pool.allocate(), "check failed");
}

}  // namespace vsurge::engine
