// A socket that listens: made here from an address, or handed over by whoever started the process.
// Knows no Asio.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "api/http.h"
#include "base/error.h"
#include "base/limits.h"
#include "server/listen_address.h"

namespace vsurge::server {

class Listener {
 public:
  // Binds and listens; kEnvironment when it cannot. The file of a Unix socket on which nobody
  // listens any more is replaced, any other file is left alone. tls: there are files for it.
  static base::Result<Listener> open(const ListenAddress& address, bool tls,
                                     const base::HttpLimits& limits);

  Listener(Listener&& other) noexcept { *this = std::move(other); }
  Listener& operator=(Listener&& other) noexcept;
  ~Listener() { close(); }
  // Closes the socket and removes its file, if it is still the one that was made here.
  void close();
  void remove_file();
  int descriptor() const { return fd_; }
  void release() { fd_ = -1; }  // the socket is somebody else's from here on

  int family() const { return family_; }        // AF_INET, AF_INET6 or AF_UNIX
  std::uint16_t port() const { return port_; }  // 0: none
  bool tls() const { return tls_; }
  api::Door door() const { return door_; }
  // "http://127.0.0.1:11556", "unix:/run/vsurge.sock": where clients find it.
  const std::string& url() const { return url_; }

 private:
  Listener() = default;
  base::Status open_tcp(const ListenAddress& address, const base::HttpLimits& limits);
  base::Status open_unix(const ListenAddress& address);
  base::Status take_over(const ListenAddress& address, const base::HttpLimits& limits);
  base::Status look_at_name(const ListenAddress& address);

  int fd_ = -1;
  int family_ = 0;
  std::uint16_t port_ = 0;
  bool tls_ = false;
  api::Door door_ = api::Door::kPublic;
  std::string url_;
  std::string file_;  // to be removed; empty = none
  dev_t file_device_ = 0;
  ino_t file_node_ = 0;
};

// Who is at the other end of a connection.
struct Peer {
  std::string name;    // "10.0.0.7"; of a Unix socket the user: "unix:1000"
  std::string client;  // as client_key(); empty for this machine
};

// Nothing when it has left already.
std::optional<Peer> peer_of(int connection);

// The kernel would otherwise buffer megabytes of a stream that nobody reads. TCP sockets take it
// over from their listener, Unix sockets do not.
void set_send_buffer(int socket, const base::HttpLimits& limits);

}  // namespace vsurge::server
