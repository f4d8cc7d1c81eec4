// CORS: which pages of browsers may read answers. https://fetch.spec.whatwg.org/#http-cors-protocol
#pragma once

#include <string>
#include <vector>

#include "api/http.h"

namespace vsurge::api {

// What an answer to the request says of it; nothing unless `origins` has its Origin, or "*".
Headers cors_headers(const std::vector<std::string>& origins, const HttpRequest& request);
// What the answer to OPTIONS says besides, where it asks before a request (a preflight).
Headers preflight_headers(const std::vector<std::string>& origins, const HttpRequest& request);

}  // namespace vsurge::api
