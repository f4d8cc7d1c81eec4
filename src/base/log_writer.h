// LogWriter: takes lines and writes them to a file from a thread of its own, so that whoever logs
// never waits for a reader that is slow, stopped or gone, nor for a disk that is full.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace vsurge::base {

class LogWriter {
 public:
  // `file` stays open and is not closed. At most bytes_max wait; lines beyond them are dropped.
  LogWriter(int file, std::size_t bytes_max);
  ~LogWriter();  // flushes
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // Whole lines. Any thread; does not block.
  void write(std::string_view lines);
  // Waits until all is written or dropped, at most kFlushMs.
  void flush();
  std::uint64_t lines_dropped() const { return dropped_.load(std::memory_order_relaxed); }

  static constexpr int kFlushMs = 500;

 private:
  bool is_half_full() const { return waiting_.size() >= bytes_max_ / 2; }
  void run();
  void put(std::string_view lines);
  void drop(std::string_view lines);

  const int file_;
  const std::size_t bytes_max_;
  std::atomic<std::uint64_t> dropped_{0};
  std::atomic<bool> give_up_{false};  // nothing more is written
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable idle_;
  std::string waiting_;    // guarded by mutex_
  bool writing_ = false;   // guarded by mutex_
  bool stopping_ = false;  // guarded by mutex_
  std::thread thread_;     // last: it uses the others
};

}  // namespace vsurge::base
