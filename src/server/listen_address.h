// Where a server listens, in the form of options:
//   tcp:HOST:PORT     an address ([::1] in brackets) or a name; port 0 = any free one
//   unix:PATH         a socket in the file system
//   fd:NUMBER         a socket that listens already, from whoever started the process
// and behind commas: tls, plain; of unix mode=OCTAL.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"

namespace vsurge::server {

struct ListenAddress {
  enum class Kind : std::uint8_t { kTcp, kUnix, kDescriptor };

  Kind kind = Kind::kTcp;
  std::string host = {};
  std::uint16_t port = 0;
  std::string path = {};
  std::uint32_t mode = 0660;  // of the file: who may connect
  int descriptor = -1;
  std::optional<bool> tls = {};  // nullopt: TCP as TlsFiles are given, Unix sockets plain
  bool admin = false;            // requests come by api::Door::kAdmin
};

// kUsage, with what was expected.
base::Result<ListenAddress> parse_listen_address(const std::string& text);

// "tcp:127.0.0.1:80": for messages.
std::string text_of(const ListenAddress& address);

// Whether it is certain that only this machine can connect; a name other than localhost and a
// descriptor are not.
bool is_local(const ListenAddress& address);

}  // namespace vsurge::server
