#include "connection.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace vsurge::load {

void give_up(const char* what) {
  std::fprintf(stderr, "vsurge_load: %s: %s\n", what, std::strerror(errno));
  std::exit(1);
}

Connection::Connection(int port, SSL_CTX* tls)
    : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd_ < 0 || ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    give_up("cannot connect");
  }
  const int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (tls != nullptr) {
    ssl_ = SSL_new(tls);
    if (ssl_ == nullptr || SSL_set_fd(ssl_, fd_) != 1 || SSL_connect(ssl_) != 1) {
      give_up("no TLS handshake");
    }
  }
  ::fcntl(fd_, F_SETFL, O_NONBLOCK);
}

Connection::~Connection() {
  SSL_free(ssl_);
  ::close(fd_);
}

bool Connection::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const long count = ssl_ == nullptr
                           ? ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL)
                           : SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()));
    if (count > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(count));
      continue;
    }
    const bool full = ssl_ == nullptr
                          ? errno == EAGAIN
                          : SSL_get_error(ssl_, static_cast<int>(count)) == SSL_ERROR_WANT_WRITE;
    if (!full) return false;
    pollfd wait{fd_, POLLOUT, 0};
    ::poll(&wait, 1, 1000);
  }
  return true;
}

long Connection::receive(char* room, std::size_t size) {
  if (ssl_ == nullptr) {
    const ssize_t count = ::recv(fd_, room, size, 0);
    if (count > 0) return count;
    return count < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
  }
  const int count = SSL_read(ssl_, room, static_cast<int>(std::min<std::size_t>(size, 1 << 30)));
  if (count > 0) return count;
  return SSL_get_error(ssl_, count) == SSL_ERROR_WANT_READ ? 0 : -1;
}

}  // namespace vsurge::load
