#include "service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

namespace vsurge::apps {

ServiceManager::ServiceManager(const Environment& environment) {
  if (const char* socket = environment("NOTIFY_SOCKET")) socket_ = socket;
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
