#include "base/side_thread.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace vsurge::base {
namespace {

TEST(SideThread, OneJobAfterAnother) {
  SideThread side;
  side.wait();
  int count = 0;
  for (int i = 0; i < 2000; ++i) {
    side.start([](void* context) { ++*static_cast<int*>(context); }, &count);
    if (i % 3 == 0) std::this_thread::yield();
    side.wait();
    ASSERT_EQ(count, i + 1);
  }
}

TEST(SideThread, TheEndWaitsForTheJob) {
  bool done = false;
  {
    SideThread side;
    side.start(
        [](void* context) {
          std::this_thread::sleep_for(std::chrono::milliseconds(20));
          *static_cast<bool*>(context) = true;
        },
        &done);
  }
  EXPECT_TRUE(done);
}

}  // namespace
}  // namespace vsurge::base
