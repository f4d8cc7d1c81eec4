// What a text worker is given of a request. Internal to api.
#pragma once

#include <atomic>
#include <string_view>

#include "access/api_key.h"
#include "api/service_core.h"

namespace vsurge::api {

struct PrepareCall {
  ServiceCore& core;
  std::string_view body;
  const access::ApiKey* key;  // whose request it is; nullptr: the server has no keys
  // Read between steps of the work; when it is set the work is given up with some error, which
  // nobody sees.
  const std::atomic<bool>& gone;

  bool given_up() const { return gone.load(std::memory_order_relaxed); }
};

}  // namespace vsurge::api
