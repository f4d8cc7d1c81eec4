// The guard: who a request comes from, and whether that may do what it asks for.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "access/api_key.h"
#include "api/api_error.h"
#include "api/http.h"
#include "api/request_record.h"
#include "api/routes.h"
#include "api/service_hub.h"

namespace vsurge::api {

// Lets a request in or says why not (401, 403, 429). Writes whose it is into the record; what it
// counted there ends with it. A server without keys lets all in, and so does the door for admins.
ApiResult<void> admit(ServiceHub& hub, const HttpRequest& request, const Route& route,
                      RequestRecord& record);

// Counts it as ended, if it was counted.
void count_ended(ServiceHub& hub, const RequestRecord& record);

// x-ratelimit-*, of a key with such limits.
Headers rate_limit_headers(ServiceHub& hub, const RequestRecord& record);

// What a key stores is its own: the name of its owner, and who may see it. Without keys there are
// no owners, and all is seen.
std::string owner_of(const access::ApiKey* key);
bool may_see(const access::ApiKey* key, std::string_view owner);

// Separates what the prefix cache shares: `salt` is the request's own.
std::string cache_namespace(const ServiceHub& hub, const access::ApiKey* key,
                            std::string_view salt);

}  // namespace vsurge::api
