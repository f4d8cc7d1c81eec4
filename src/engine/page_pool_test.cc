#include "engine/page_pool.h"

#include <gtest/gtest.h>

#include <set>

namespace vsurge::engine {

TEST(PagePool, HandsOutEachPageOnce) {
  PagePool pool(5);
  std::set<std::int32_t> pages;
  for (int i = 0; i < 5; ++i) pages.insert(pool.allocate().page);
  EXPECT_EQ(pages, (std::set<std::int32_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(pool.free(), 0);
  EXPECT_EQ(pool.used(), 5);
  EXPECT_EQ(pool.audit(), "");
  for (const std::int32_t page : pages) pool.release(page, false);
  EXPECT_EQ(pool.free(), 5);
  EXPECT_EQ(pool.used(), 0);
  EXPECT_TRUE(pool.balanced());
  EXPECT_EQ(pool.audit(), "");
}

TEST(PagePool, FreeOnlyWithTheLastHolder) {
  PagePool pool(2);
  const std::int32_t page = pool.allocate().page;
  pool.retain(page);
  EXPECT_EQ(pool.holders(page), 2);
  pool.release(page, false);
  EXPECT_EQ(pool.used(), 1);
  EXPECT_EQ(pool.audit(), "");
  pool.release(page, false);
  EXPECT_EQ(pool.used(), 0);
  EXPECT_EQ(pool.allocate().page, page) << "the page freed last comes first";
}

TEST(PagePool, IdlePagesGoLeastRecentlyReleasedFirst) {
  PagePool pool(4);
  for (int i = 0; i < 4; ++i) pool.allocate();
  pool.release(2, true);
  pool.release(0, true);
  pool.release(3, false);
  EXPECT_EQ(pool.idle(), 2);
  EXPECT_EQ(pool.available(), 3);
  EXPECT_TRUE(pool.is_idle(2));
  EXPECT_EQ(pool.audit(), "");
  // Free ones first, then the oldest.
  EXPECT_EQ(pool.allocate().page, 3);
  pool.retain(2);  // found in the cache again
  EXPECT_EQ(pool.audit(), "");
  pool.release(2, true);
  const PagePool::Allocation oldest = pool.allocate();
  EXPECT_EQ(oldest.page, 0);
  EXPECT_TRUE(oldest.was_idle);
  pool.drop(2);
  EXPECT_EQ(pool.idle(), 0);
  EXPECT_EQ(pool.free(), 1);
  EXPECT_EQ(pool.audit(), "");
}

TEST(PagePoolDeathTest, BugsStopAtOnce) {
  PagePool pool(1);
  EXPECT_DEATH(pool.release(0, false), "freed twice");
  EXPECT_DEATH(pool.retain(0), "not idle");
  EXPECT_DEATH(pool.drop(0), "not idle");
  EXPECT_DEATH(pool.release(7, true), "page 7 of 1");
  pool.allocate();
  EXPECT_DEATH(pool.allocate(), "check failed");
}

}  // namespace vsurge::engine
