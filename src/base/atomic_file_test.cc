#include "base/atomic_file.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <span>
#include <string_view>

namespace vsurge::base {
namespace {

namespace fs = std::filesystem;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

TEST(AtomicFile, LetsOneWriterIn) {
  std::string name = (fs::temp_directory_path() / "vsurge_atomic_XXXXXX").string();
  const fs::path folder = ::mkdtemp(name.data());
  const auto path = folder / "file";
  {
    auto first = AtomicFile::create(path);
    ASSERT_TRUE(first);
    EXPECT_NE(AtomicFile::create(path).error().message.find("another process"), std::string::npos);
    ASSERT_TRUE(first->write(bytes_of("half")));
  }
  EXPECT_TRUE(fs::is_empty(folder));  // not committed
  auto second = AtomicFile::create(path);
  ASSERT_TRUE(second);
  ASSERT_TRUE(second->write(bytes_of("whole")));
  ASSERT_TRUE(second->commit());
  std::string content;
  std::ifstream(path) >> content;
  EXPECT_EQ(content, "whole");
  EXPECT_FALSE(AtomicFile::create(folder / "no" / "file"));
  fs::remove_all(folder);
}

}  // namespace
}  // namespace vsurge::base
