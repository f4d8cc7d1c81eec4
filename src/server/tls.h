// The TLS side of new connections, made from files: key, certificate chain, authorities of clients.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>

#include "base/error.h"
#include "server/http_server.h"

namespace vsurge::server {

// TLS 1.2 and 1.3, ciphers with forward secrecy and authentication. kUsage for one file without
// the other, kEnvironment for what the files lack. Warns of a certificate that is out of its time.
base::Result<std::shared_ptr<boost::asio::ssl::context>> make_tls(const TlsFiles& files);

}  // namespace vsurge::server
