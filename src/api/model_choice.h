// Which model a request is for. Internal to api.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "access/api_key.h"
#include "api/api_error.h"
#include "api/service_core.h"

namespace vsurge::api {

// `model` of a body, which may be any bytes.
struct NamedModel {
  enum class Kind : std::uint8_t {
    kName,
    kNone,     // no such member, or null, or empty: the body names none
    kUnknown,  // something else is wrong with the body; who reads it says what
  };
  Kind kind = Kind::kUnknown;
  std::string name = {};
};
NamedModel find_named_model(std::string_view body);

// The model that the body names; a server of one model has that, whatever the body says. Anything
// that is wrong with the body itself is left to who reads it. On a text worker.
ApiResult<std::shared_ptr<ServiceCore>> choose_model(const ServiceHub& hub, std::string_view body,
                                                     const access::ApiKey* key);

// A model that is there, by name; 404 where there is none that the key may use.
ApiResult<ModelEntry> find_model(const ServiceHub& hub, std::string_view name,
                                 const access::ApiKey* key);
// Keys with a list of models may use these alone.
bool may_use(const access::ApiKey* key, const ModelEntry& model);

// "'a', 'b'": those of the server, for messages.
std::string names_in_quotes(const ModelSet::List& models);

}  // namespace vsurge::api
