#include "vsurge/api_keys.h"

#include <algorithm>

#include "access/key_file.h"
#include "base/clock.h"
#include "base/escape.h"
#include "facade/errors.h"

namespace vsurge {
namespace {

using base::ErrorCode;
using base::fail;

std::string in_quotes(const std::string& text) {
  return "'" + base::shorten(base::escape_for_line(text), 80) + "'";
}

base::Result<access::ApiKey> to_key(const ApiKeyInfo& info) {
  if (!access::is_key_name(info.name)) {
    return fail(ErrorCode::kUsage, "name: expected 1 to 64 letters, digits or . _ - @, found {}",
                in_quotes(info.name));
  }
  const auto role = access::role_of(info.role);
  if (!role) {
    return fail(ErrorCode::kUsage, "role: expected admin, user or readonly, found {}",
                in_quotes(info.role));
  }
  for (const auto* limit :
       {&info.requests_per_minute, &info.requests_per_day, &info.tokens_per_minute,
        &info.tokens_per_day, &info.concurrent_requests, &info.expires}) {
    if (*limit && **limit < 1) {
      return fail(ErrorCode::kUsage, "limits and expires: expected 1 or more, found {}", **limit);
    }
  }
  return access::ApiKey{.id = "",
                        .name = info.name,
                        .role = *role,
                        .models = info.models,
                        .limits = {.requests_per_minute = info.requests_per_minute,
                                   .requests_per_day = info.requests_per_day,
                                   .tokens_per_minute = info.tokens_per_minute,
                                   .tokens_per_day = info.tokens_per_day,
                                   .concurrent_requests = info.concurrent_requests},
                        .created = base::unix_seconds(),
                        .expires = info.expires};
}

ApiKeyInfo to_info(const access::ApiKey& key) {
  return {.id = key.id,
          .name = key.name,
          .role = std::string(access::role_name(key.role)),
          .models = key.models,
          .requests_per_minute = key.limits.requests_per_minute,
          .requests_per_day = key.limits.requests_per_day,
          .tokens_per_minute = key.limits.tokens_per_minute,
          .tokens_per_day = key.limits.tokens_per_day,
          .concurrent_requests = key.limits.concurrent_requests,
          .created = key.created,
          .expires = key.expires};
}

using Keys = std::vector<access::ApiKey>;

base::Result<Keys::iterator> find(Keys& keys, const std::string& name) {
  auto found = std::ranges::find(keys, name, &access::ApiKey::name);
  if (found == keys.end()) found = std::ranges::find(keys, name, &access::ApiKey::id);
  if (found == keys.end()) return fail(ErrorCode::kUsage, "no key is named {}", in_quotes(name));
  return found;
}

}  // namespace

std::string ApiKeys::add(const ApiKeyInfo& info) {
  access::ApiKey key = facade::unwrap(to_key(info));
  std::string text = access::renew_secret(key);
  facade::unwrap(access::update_key_file(path_, [&](Keys& keys) -> base::Status {
    if (find(keys, key.name)) {
      return fail(ErrorCode::kUsage, "there is a key named {} already", in_quotes(key.name));
    }
    keys.push_back(std::move(key));
    return {};
  }));
  return text;
}

std::vector<ApiKeyInfo> ApiKeys::list() const {
  std::vector<ApiKeyInfo> out;
  for (const access::ApiKey& key : facade::unwrap(access::read_key_file(path_))) {
    out.push_back(to_info(key));
  }
  return out;
}

void ApiKeys::revoke(const std::string& name) {
  facade::unwrap(access::update_key_file(path_, [&](Keys& keys) -> base::Status {
    keys.erase(VSURGE_TRY(find(keys, name)));
    return {};
  }));
}

std::string ApiKeys::rotate(const std::string& name) {
  std::string text;
  facade::unwrap(access::update_key_file(path_, [&](Keys& keys) -> base::Status {
    text = access::renew_secret(*VSURGE_TRY(find(keys, name)));
    return {};
  }));
  return text;
}

}  // namespace vsurge
