#include "server/listener.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "base/escape.h"
#include "base/log.h"
#include "server/address_counts.h"

namespace vsurge::server {
namespace {

using base::ErrorCode;

base::Status cannot(const ListenAddress& address, std::string_view why) {
  return base::fail(ErrorCode::kEnvironment, "cannot listen on {}: {}",
                    base::shorten(base::escape_for_line(text_of(address)), 400), why);
}

base::Status cannot(const ListenAddress& address, int error) {
  return cannot(address, std::strerror(error));
}

std::string without_brackets(const std::string& host) {
  const bool brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
  return brackets ? host.substr(1, host.size() - 2) : host;
}

struct FreeAddresses {
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};

sockaddr_un unix_address(const std::string& path) {
  sockaddr_un out{};
  out.sun_family = AF_UNIX;
  std::memcpy(out.sun_path, path.data(), path.size());  // parse_listen_address() knows its size
  return out;
}

int bind_to(int fd, const std::string& path) {
  const sockaddr_un name = unix_address(path);
  return ::bind(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0 ? 0 : errno;
}

// Whether anybody listens at this socket's file: 0 = yes, ECONNREFUSED = no.
int knock(const std::string& path) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return errno;
  const sockaddr_un name = unix_address(path);
  int error = ::connect(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0 ? 0 : errno;
  if (error == EAGAIN || error == EINPROGRESS) error = 0;  // many wait there
  ::close(fd);
  return error;
}

// Removes what a process left that was killed.
base::Status remove_stale(const ListenAddress& address) {
  struct stat before{};
  if (::lstat(address.path.c_str(), &before) != 0) return {};
  if (!S_ISSOCK(before.st_mode)) return cannot(address, "the file is there and is no socket");
  const int error = knock(address.path);
  if (error == 0) return cannot(address, "another process listens there");
  if (error != ECONNREFUSED) return cannot(address, error);
  struct stat now{};
  if (::lstat(address.path.c_str(), &now) == 0 && now.st_ino == before.st_ino &&
      now.st_dev == before.st_dev) {
    ::unlink(address.path.c_str());
  }
  return {};
}

std::string host_text(const sockaddr_storage& name, std::uint16_t& port) {
  char room[INET6_ADDRSTRLEN] = {};
  if (name.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(name);
    port = ntohs(v4.sin_port);
    return ::inet_ntop(AF_INET, &v4.sin_addr, room, sizeof room);
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(name);
  port = ntohs(v6.sin6_port);
  return fmt::format("[{}]", ::inet_ntop(AF_INET6, &v6.sin6_addr, room, sizeof room));
}

namespace ip = boost::asio::ip;

ip::address address_of(const sockaddr_storage& name) {
  if (name.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(name);
    return ip::address_v4(ntohl(v4.sin_addr.s_addr));
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(name);
  ip::address_v6::bytes_type bytes;
  std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
  return ip::address_v6(bytes, v6.sin6_scope_id);
}

int option_of(int fd, int option) {
  int value = 0;
  socklen_t size = sizeof value;
  return ::getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

}  // namespace

base::Result<Listener> Listener::open(const ListenAddress& address, bool tls,
                                      const base::HttpLimits& limits) {
  Listener out;
  switch (address.kind) {
    case ListenAddress::Kind::kTcp:
      VSURGE_TRY(out.open_tcp(address, limits));
      break;
    case ListenAddress::Kind::kUnix:
      VSURGE_TRY(out.open_unix(address));
      break;
    case ListenAddress::Kind::kDescriptor:
      VSURGE_TRY(out.take_over(address, limits));
      break;
  }
  out.door_ = address.admin ? api::Door::kAdmin : api::Door::kPublic;
  out.tls_ = address.tls.value_or(tls && out.family_ != AF_UNIX);
  if (out.tls_ && !tls) {
    return base::fail(ErrorCode::kUsage, "listener {}: tls expects a key file and a certificate",
                      text_of(address));
  }
  VSURGE_TRY(out.look_at_name(address));
  return out;
}

base::Status Listener::open_tcp(const ListenAddress& address, const base::HttpLimits& limits) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(without_brackets(address.host).c_str(),
                                  std::to_string(address.port).c_str(), &hints, &found);
  if (error != 0) return cannot(address, ::gai_strerror(error));
  const std::unique_ptr<addrinfo, FreeAddresses> list(found);
  family_ = found->ai_family;
  fd_ = ::socket(family_, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, found->ai_protocol);
  if (fd_ < 0) return cannot(address, errno);
  const int on = 1;
  ::setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  set_send_buffer(fd_, limits);
  if (::bind(fd_, found->ai_addr, found->ai_addrlen) != 0 || ::listen(fd_, SOMAXCONN) != 0) {
    return cannot(address, errno);
  }
  return {};
}

base::Status Listener::open_unix(const ListenAddress& address) {
  VSURGE_TRY(remove_stale(address));
  family_ = AF_UNIX;
  fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd_ < 0) return cannot(address, errno);
  if (const int error = bind_to(fd_, address.path)) return cannot(address, error);
  file_ = address.path;
  struct stat now{};
  // Nobody can connect before listen(): the mode is there in time.
  if (::chmod(file_.c_str(), address.mode) != 0 || ::lstat(file_.c_str(), &now) != 0 ||
      ::listen(fd_, SOMAXCONN) != 0) {
    const int error = errno;
    ::unlink(std::exchange(file_, {}).c_str());
    return cannot(address, error);
  }
  file_device_ = now.st_dev;
  file_node_ = now.st_ino;
  return {};
}

// A copy is served: the caller's stays open, so that nothing that comes later has its number.
base::Status Listener::take_over(const ListenAddress& address, const base::HttpLimits& limits) {
  if (option_of(address.descriptor, SO_ACCEPTCONN) != 1 ||
      option_of(address.descriptor, SO_TYPE) != SOCK_STREAM) {
    return cannot(address, "it is no socket that listens");
  }
  family_ = option_of(address.descriptor, SO_DOMAIN);
  if (family_ != AF_INET && family_ != AF_INET6 && family_ != AF_UNIX) {
    return cannot(address, "it is neither a TCP nor a Unix socket");
  }
  fd_ = ::fcntl(address.descriptor, F_DUPFD_CLOEXEC, 0);
  if (fd_ < 0) return cannot(address, errno);
  set_send_buffer(fd_, limits);
  return {};
}

base::Status Listener::look_at_name(const ListenAddress& address) {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  if (::getsockname(fd_, reinterpret_cast<sockaddr*>(&name), &size) != 0) {
    return cannot(address, errno);
  }
  if (family_ != AF_UNIX) {
    const std::string host = host_text(name, port_);
    const bool any = host == "0.0.0.0" || host == "[::]";
    url_ = fmt::format("{}://{}:{}", tls_ ? "https" : "http", any ? "127.0.0.1" : host, port_);
    return {};
  }
  const auto& path = reinterpret_cast<const sockaddr_un&>(name).sun_path;
  const std::size_t room = size - offsetof(sockaddr_un, sun_path);
  url_ = "unix:" + base::escape_for_line({path, ::strnlen(path, std::min(room, sizeof path))});
  if (tls_) url_ += " (TLS)";
  return {};
}

Listener& Listener::operator=(Listener&& other) noexcept {
  if (this == &other) return *this;
  close();
  fd_ = std::exchange(other.fd_, -1);
  family_ = other.family_;
  port_ = other.port_;
  tls_ = other.tls_;
  door_ = other.door_;
  url_ = std::move(other.url_);
  file_ = std::exchange(other.file_, {});
  file_device_ = other.file_device_;
  file_node_ = other.file_node_;
  return *this;
}

void Listener::remove_file() {
  const std::string file = std::exchange(file_, {});
  struct stat now{};
  if (file.empty() || ::lstat(file.c_str(), &now) != 0) return;
  if (now.st_dev == file_device_ && now.st_ino == file_node_) ::unlink(file.c_str());
}

void Listener::close() {
  remove_file();
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

std::optional<Peer> peer_of(int connection) {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  if (::getpeername(connection, reinterpret_cast<sockaddr*>(&name), &size) != 0) {
    return std::nullopt;
  }
  if (name.ss_family == AF_INET || name.ss_family == AF_INET6) {
    const auto address = address_of(name);
    return Peer{address.to_string(), client_key(address)};
  }
  ucred who{};
  socklen_t who_size = sizeof who;
  const bool known = ::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &who, &who_size) == 0;
  return Peer{known ? fmt::format("unix:{}", who.uid) : "unix", ""};
}

void set_send_buffer(int socket, const base::HttpLimits& limits) {
  const int room = static_cast<int>(std::min<std::size_t>(limits.send_buffer_bytes, 1 << 30));
  ::setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
}

}  // namespace vsurge::server
