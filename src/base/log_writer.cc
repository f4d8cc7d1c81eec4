#include "base/log_writer.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <utility>

namespace vsurge::base {
namespace {

constexpr int kGatherMs = 5;
constexpr int kPollMs = 50;  // how soon a thread that waits for a reader hears that it should stop

}  // namespace

LogWriter::LogWriter(int file, std::size_t bytes_max)
    : file_(file), bytes_max_(bytes_max), thread_([this] { run(); }) {}

LogWriter::~LogWriter() {
  flush();
  give_up_ = true;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void LogWriter::write(std::string_view lines) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() + lines.size() > bytes_max_) return drop(lines);
    const bool was_half_full = is_half_full();
    wake = waiting_.empty();
    waiting_ += lines;
    wake = wake || (!was_half_full && is_half_full());
  }
  if (wake) wake_.notify_one();
}

void LogWriter::flush() {
  std::unique_lock lock(mutex_);
  idle_.wait_for(lock, std::chrono::milliseconds(kFlushMs),
                 [this] { return waiting_.empty() && !writing_; });
}

void LogWriter::run() {
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, nullptr);  // SIGPIPE above all: EPIPE says the same
  std::string lines;
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    // Lines of some milliseconds are written together: to be woken for each costs more than they.
    wake_.wait_for(lock, std::chrono::milliseconds(kGatherMs),
                   [this] { return stopping_ || is_half_full(); });
    lines.clear();
    std::swap(lines, waiting_);
    writing_ = true;
    lock.unlock();
    put(lines);
    lock.lock();
    writing_ = false;
    if (waiting_.empty()) idle_.notify_all();
  }
}

// A pipe that polls as writable takes PIPE_BUF bytes without blocking.
void LogWriter::put(std::string_view lines) {
  while (!lines.empty()) {
    pollfd state{file_, POLLOUT, 0};
    const int ready = ::poll(&state, 1, kPollMs);
    if (give_up_) return drop(lines);
    if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
    const ssize_t written =
        ::write(file_, lines.data(), std::min<std::size_t>(lines.size(), PIPE_BUF));
    if (written >= 0) {
      lines.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EINTR && errno != EAGAIN) {
      return drop(lines);
    }
  }
}

void LogWriter::drop(std::string_view lines) {
  dropped_.fetch_add(static_cast<std::uint64_t>(std::ranges::count(lines, '\n')),
                     std::memory_order_relaxed);
}

}  // namespace vsurge::base
