// The listeners of FireOptions.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "server/http_server.h"
#include "vsurge/api_server.h"

namespace vsurge::facade {

// Into `out`: host, port and all that is to listen beside them. kUsage.
base::Status set_listeners(const FireOptions& fire, server::ServerOptions& out);

// Tells where the server listens, and warns of doors that are open to others; the URL of the first
// one.
std::string tell_listeners(const FireOptions& fire, const server::HttpServer& server, bool keys);

}  // namespace vsurge::facade
