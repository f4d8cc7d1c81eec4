#include "service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>

namespace vsurge::apps {
namespace {

constexpr int kFirstSocket = 3;
constexpr int kSocketsMax = 256;
constexpr std::string_view kAdminName = "admin";

std::string text_of(const Environment& environment, const char* name) {
  const char* text = environment(name);
  return text == nullptr ? "" : text;
}

// Of a whole text; -1: it is none.
std::int64_t number_of(std::string_view text) {
  std::int64_t number = -1;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && rest == end ? number : -1;
}

}  // namespace

ServiceManager::ServiceManager(const Environment& environment)
    : socket_(text_of(environment, "NOTIFY_SOCKET")) {
  // Variables of a parent's service reach its children, too.
  const std::string watched = text_of(environment, "WATCHDOG_PID");
  const std::int64_t watchdog = number_of(text_of(environment, "WATCHDOG_USEC"));
  if (watchdog > 0 && (watched.empty() || number_of(watched) == ::getpid())) {
    watchdog_s_ = static_cast<double>(watchdog) / 1e6;
  }
  if (number_of(text_of(environment, "LISTEN_PID")) == ::getpid()) {
    listen_count_ = text_of(environment, "LISTEN_FDS");
    listen_names_ = text_of(environment, "LISTEN_FDNAMES");
  }
}

base::Status ServiceManager::tell_reloading() const {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const auto microseconds = static_cast<std::int64_t>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1000;
  return tell(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", microseconds));
}

base::Result<HandedSockets> ServiceManager::sockets() const {
  HandedSockets out;
  if (listen_count_.empty()) return out;
  const std::int64_t count = number_of(listen_count_);
  if (count < 0 || count > kSocketsMax) {
    return base::fail(base::ErrorCode::kUsage, "LISTEN_FDS: expected 0 to {}, found '{}'",
                      kSocketsMax, listen_count_);
  }
  std::string_view names = listen_names_;
  for (int i = 0; i < count; ++i) {
    const std::size_t colon = names.find(':');
    const bool admin = names.substr(0, colon) == kAdminName;
    names = colon == std::string_view::npos ? std::string_view() : names.substr(colon + 1);
    (admin ? out.admin_listen : out.listen).push_back(fmt::format("fd:{}", kFirstSocket + i));
  }
  return out;
}

base::Status ServiceManager::tell(std::string_view state) const {
  if (socket_.empty()) return {};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_.size() >= sizeof address.sun_path) {
    return base::fail(base::ErrorCode::kEnvironment, "NOTIFY_SOCKET '{}' is too long", socket_);
  }
  std::memcpy(address.sun_path, socket_.data(), socket_.size());
  if (socket_.front() == '@') address.sun_path[0] = '\0';
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const bool sent = fd >= 0 && ::sendto(fd, state.data(), state.size(), MSG_NOSIGNAL,
                                        reinterpret_cast<const sockaddr*>(&address), length) >= 0;
  const int why = errno;
  if (fd >= 0) ::close(fd);
  if (sent) return {};
  return base::fail(base::ErrorCode::kEnvironment, "NOTIFY_SOCKET '{}': {}", socket_,
                    std::strerror(why));
}

}  // namespace vsurge::apps
