#include "base/process_stats.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/clock.h"

namespace vsurge::base {
namespace {

TEST(ProcessStats, SaysWhatThisProcessUses) {
  const ProcessStats before = process_stats();
  EXPECT_GT(before.resident_bytes, 0u);
  EXPECT_GT(before.virtual_bytes, before.resident_bytes);
  EXPECT_GE(before.cpu_seconds, 0);
  EXPECT_GE(before.threads, 1);
  EXPECT_GE(before.open_files_max, static_cast<std::uint64_t>(before.open_files));
  EXPECT_GT(before.start_unix_seconds, 1e9);
  EXPECT_LE(before.start_unix_seconds, static_cast<double>(unix_seconds()) + 2);
  const int file = ::dup(0);
  EXPECT_EQ(process_stats().open_files, before.open_files + 1);
  ::close(file);
}

}  // namespace
}  // namespace vsurge::base
