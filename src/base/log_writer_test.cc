#include "base/log_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <string>

namespace vsurge::base {
namespace {

struct Pipe {
  Pipe() { EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0); }
  ~Pipe() {
    close_reader();
    ::close(ends[1]);
  }
  void close_reader() {
    if (ends[0] >= 0) ::close(ends[0]);
    ends[0] = -1;
  }
  int writer() const { return ends[1]; }
  std::string read(std::size_t size) const {
    std::string out(size, 0);
    std::size_t have = 0;
    while (have < size) {
      const ssize_t count = ::read(ends[0], out.data() + have, size - have);
      if (count <= 0) break;
      have += static_cast<std::size_t>(count);
    }
    out.resize(have);
    return out;
  }

  std::array<int, 2> ends{-1, -1};
};

TEST(LogWriter, WritesAllInOrder) {
  const Pipe pipe;
  LogWriter writer(pipe.writer(), 1 << 20);
  std::string all;
  for (int i = 0; i < 1000; ++i) {
    const std::string line = "line " + std::to_string(i) + "\n";
    writer.write(line);
    all += line;
  }
  EXPECT_EQ(pipe.read(all.size()), all);
  writer.flush();
  EXPECT_EQ(writer.lines_dropped(), 0u);
}

TEST(LogWriter, DropsAndCountsWhatNobodyReads) {
  const Pipe pipe;
  const std::string line(1023, 'x');
  constexpr int kLines = 1000;
  std::uint64_t dropped = 0;
  {
    LogWriter writer(pipe.writer(), 64 << 10);
    for (int i = 0; i < kLines; ++i) writer.write(line + "\n");
    EXPECT_GT(writer.lines_dropped(), 0u);
    const std::size_t kept = kLines - writer.lines_dropped();
    EXPECT_GE(kept, 64u);
    EXPECT_LE(kept, 64u + 64u + 64u + 16u);  // in the pipe, in hand, waiting
    dropped = writer.lines_dropped();
  }  // gives up
  EXPECT_LT(dropped, static_cast<std::uint64_t>(kLines));
}

TEST(LogWriter, GoesOnWhenItIsReadAgain) {
  const Pipe pipe;
  LogWriter writer(pipe.writer(), 1 << 20);
  const std::string lines(200 << 10, '\n');  // more than a pipe holds
  writer.write(lines);
  EXPECT_EQ(pipe.read(lines.size()).size(), lines.size());
  writer.write("again\n");
  EXPECT_EQ(pipe.read(6), "again\n");
  EXPECT_EQ(writer.lines_dropped(), 0u);
}

TEST(LogWriter, SurvivesAReaderThatLeaves) {
  Pipe pipe;
  pipe.close_reader();
  LogWriter writer(pipe.writer(), 1 << 20);
  writer.write("one\ntwo\n");
  writer.flush();
  EXPECT_EQ(writer.lines_dropped(), 2u);
}

TEST(LogWriter, SurvivesAFullDisk) {
  const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  ASSERT_GE(full, 0);
  {
    LogWriter writer(full, 1 << 20);
    writer.write("one\n");
    writer.flush();
    EXPECT_EQ(writer.lines_dropped(), 1u);
  }
  ::close(full);
}

}  // namespace
}  // namespace vsurge::base
