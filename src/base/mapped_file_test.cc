#include "base/mapped_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <limits>
#include <string>
#include <utility>

namespace vsurge::base {
namespace {

class MappedFileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "vsurge_mapped_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path write(const std::string& name, const std::string& bytes) const {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return folder_ / name;
  }

  std::filesystem::path folder_;
};

TEST_F(MappedFileTest, GivesTheBytes) {
  const auto file = MappedFile::open(write("a", std::string("one\0two", 7)));
  ASSERT_TRUE(file.has_value());
  EXPECT_EQ(file->text(), std::string_view("one\0two", 7));
  EXPECT_EQ(file->bytes().size(), 7U);
}

TEST_F(MappedFileTest, AnEmptyFileIsAnEmptySpan) {
  const auto file = MappedFile::open(write("empty", ""));
  ASSERT_TRUE(file.has_value());
  EXPECT_TRUE(file->bytes().empty());
  file->release(0, 1);
}

TEST_F(MappedFileTest, RefusesWhatIsNotARegularFile) {
  ASSERT_EQ(::mkfifo((folder_ / "fifo").c_str(), 0600), 0);
  for (const auto& path : {folder_, folder_ / "fifo", std::filesystem::path("/dev/zero")}) {
    const auto file = MappedFile::open(path);
    ASSERT_FALSE(file.has_value()) << path;
    EXPECT_EQ(file.error().code, ErrorCode::kBadModel);
    EXPECT_EQ(file.error().message, path.string() + ": expected a regular file");
  }
}

TEST_F(MappedFileTest, NamesPathAndReasonOfWhatIsNotThere) {
  const auto file = MappedFile::open(folder_ / "none");
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error().code, ErrorCode::kBadModel);
  EXPECT_EQ(file.error().message,
            (folder_ / "none").string() + ": cannot open: No such file or directory");
}

TEST_F(MappedFileTest, ANulInTheNameOpensNothingElse) {
  const auto path = write("a", "secret");
  EXPECT_FALSE(MappedFile::open(path.string() + std::string("\0.safetensors", 13)).has_value());
  EXPECT_FALSE(read_text_file(path.string() + std::string("\0.json", 6), 100).has_value());
}

TEST_F(MappedFileTest, MovesHandTheMappingOver) {
  auto first = MappedFile::open(write("a", "aaa"));
  auto second = MappedFile::open(write("b", "bb"));
  ASSERT_TRUE(first.has_value() && second.has_value());
  MappedFile moved = std::move(*first);
  EXPECT_EQ(moved.text(), "aaa");
  EXPECT_TRUE(first->bytes().empty());
  moved = std::move(*second);
  EXPECT_EQ(moved.text(), "bb");
  EXPECT_TRUE(second->bytes().empty());
  MappedFile& same = moved;
  moved = std::move(same);
  EXPECT_EQ(moved.text(), "bb");
}

TEST_F(MappedFileTest, ReleasedPagesReadTheSameAgain) {
  std::string bytes(64 * 1024 + 5, 'x');
  bytes[4096] = 'y';
  const auto file = MappedFile::open(write("a", bytes));
  ASSERT_TRUE(file.has_value());
  constexpr auto kHuge = std::numeric_limits<std::size_t>::max();
  const std::pair<std::size_t, std::size_t> ranges[] = {
      {0, 64 * 1024}, {1, 2}, {4095, 4098}, {0, kHuge}, {5, kHuge}, {kHuge, kHuge}, {70'000, 1}};
  for (const auto& [offset, size] : ranges) {
    file->release(offset, size);
    EXPECT_EQ(file->text(), bytes);
  }
}

TEST_F(MappedFileTest, ReadTextFileHoldsItsLimit) {
  const auto path = write("a", "12345");
  EXPECT_EQ(read_text_file(path, 5), "12345");
  const auto over = read_text_file(path, 4);
  ASSERT_FALSE(over.has_value());
  EXPECT_EQ(over.error().message, path.string() + ": expected at most 4 bytes, found 5");
  EXPECT_EQ(read_text_file(write("empty", ""), 0), "");
  EXPECT_FALSE(read_text_file(folder_, 100).has_value());
}

}  // namespace
}  // namespace vsurge::base
