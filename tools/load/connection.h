// A blocking-to-connect, then non-blocking socket to this machine, with or without TLS.
#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <string_view>

namespace vsurge::load {

// Ends the program: without a server there is nothing to measure.
[[noreturn]] void give_up(const char* what);

class Connection {
 public:
  // tls: nullptr = none. Null `fd()` never: it connects or gives up.
  Connection(int port, SSL_CTX* tls);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int fd() const { return fd_; }
  // All of them, waiting where it must; false when the server has closed.
  bool send(std::string_view bytes);
  // Bytes that are there: 0 = none now, -1 = the server has closed.
  long receive(char* room, std::size_t size);

 private:
  int fd_;
  SSL* ssl_ = nullptr;
};

}  // namespace vsurge::load
