#include "facade/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/log.h"

namespace vsurge::facade {
namespace {

constexpr base::Nanoseconds kSecond = 1'000'000'000;
constexpr int kBarWidth = 30;
constexpr double kMiB = 1024.0 * 1024.0;

}  // namespace

Progress::Progress(std::string what)
    : what_(std::move(what)),
      terminal_(::isatty(STDERR_FILENO) != 0),
      started_(clock_.now()),
      shown_(started_ - (terminal_ ? kSecond : 0)) {}

Progress::~Progress() {
  if (terminal_) std::fputs("\r\033[K", stderr);
}

void Progress::update(std::int64_t done, std::int64_t total) {
  const base::Nanoseconds now = clock_.now();
  if (now - shown_ < (terminal_ ? kSecond / 10 : 10 * kSecond) || total <= 0) return;
  shown_ = now;
  const double share = std::clamp(static_cast<double>(done) / static_cast<double>(total), 0.0, 1.0);
  const double seconds = static_cast<double>(now - started_) / kSecond;
  const double left = share > 0 ? seconds * (1 - share) / share : 0;
  if (!terminal_) {
    base::log_info("{}: {:.0f} %, {:.0f} of {:.0f} MiB, {:.0f} s left", what_, share * 100,
                   static_cast<double>(done) / kMiB, static_cast<double>(total) / kMiB, left);
    return;
  }
  const int filled = static_cast<int>(share * kBarWidth);
  std::fputs(
      fmt::format("\r{} [{}{}] {:3.0f} %  {:.0f} of {:.0f} MiB  {:.0f} s left\033[K", what_,
                  std::string(static_cast<std::size_t>(filled), '#'),
                  std::string(static_cast<std::size_t>(kBarWidth - filled), '.'), share * 100,
                  static_cast<double>(done) / kMiB, static_cast<double>(total) / kMiB, left)
          .c_str(),
      stderr);
  std::fflush(stderr);
}

}  // namespace vsurge::facade
