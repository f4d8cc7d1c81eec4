#include "base/memory.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>

namespace vsurge::base {
namespace {

class Memory : public testing::Test {
 protected:
  void SetUp() override {
    root_ = std::filesystem::temp_directory_path() /
            ("vsurge_memory_test_" + std::to_string(::getpid()));
    write("proc/meminfo", "MemTotal:  9000 kB\nMemFree: 10 kB\nMemAvailable:    5000 kB\n");
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  std::int64_t available() { return memory_available_bytes(root_ / "proc", root_ / "groups"); }

  std::int64_t allowed() { return memory_allowed_bytes(root_ / "proc", root_ / "groups"); }

  std::filesystem::path root_;
};

TEST_F(Memory, TheMachinesWhenNoGroupLimits) {
  EXPECT_EQ(available(), 5000 * 1024);
  EXPECT_EQ(allowed(), 9000 * 1024);
  write("proc/self/cgroup", "0::/a/b\n");
  write("groups/a/b/memory.max", "max\n");
  write("groups/a/b/memory.current", "77\n");
  EXPECT_EQ(available(), 5000 * 1024);
}

TEST_F(Memory, TheTightestGroup) {
  write("proc/self/cgroup", "0::/a/b\n");
  write("groups/a/memory.max", "1000000\n");
  write("groups/a/memory.current", "900000\n");
  write("groups/a/memory.stat", "anon 5\ninactive_file 30000\n");
  write("groups/a/b/memory.max", "2000000\n");
  write("groups/a/b/memory.current", "100\n");
  EXPECT_EQ(available(), 130'000);
  EXPECT_EQ(allowed(), 1'000'000);
  write("groups/a/memory.current", "9000000\n");
  EXPECT_EQ(available(), 0);
}

TEST_F(Memory, VersionOne) {
  write("proc/self/cgroup", "4:cpu:/a\n3:memory,hugetlb:/a\n");
  write("groups/memory/memory.limit_in_bytes", "700000\n");
  write("groups/memory/memory.usage_in_bytes", "100000\n");
  EXPECT_EQ(available(), 600'000);
  EXPECT_EQ(allowed(), 700'000);
}

TEST_F(Memory, ThisProcess) {
  EXPECT_GT(memory_available_bytes(), 0);
  EXPECT_GT(memory_allowed_bytes(), 64 << 20);
}

}  // namespace
}  // namespace vsurge::base
