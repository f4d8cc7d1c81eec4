// ApiKey: who may use the server, what for, and how much.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "access/secret.h"
#include "base/error.h"

namespace vsurge::access {

enum class Role : std::uint8_t {
  kReadonly,  // looks: models, metrics, health
  kUser,      // generates, too
  kAdmin,     // and rules the server
};
std::string_view role_name(Role role);
std::optional<Role> role_of(std::string_view name);

// Absent = no limit; each is at least 1.
struct KeyLimits {
  std::optional<std::int64_t> requests_per_minute = {};
  std::optional<std::int64_t> requests_per_day = {};
  std::optional<std::int64_t> tokens_per_minute = {};  // of prompts and answers
  std::optional<std::int64_t> tokens_per_day = {};
  std::optional<std::int64_t> concurrent_requests = {};

  friend bool operator==(const KeyLimits&, const KeyLimits&) = default;
};

struct ApiKey {
  std::string id;    // kIdDigits hex digits; no secret, and the same after rotate
  std::string name;  // is_key_name()
  Role role = Role::kUser;
  std::vector<std::string> models = {};  // that it may use; empty = all
  KeyLimits limits = {};
  std::int64_t created = 0;                  // seconds since 1970
  std::optional<std::int64_t> expires = {};  // the same; from then on it is refused
  Salt salt = {};
  Digest digest = {};  // salted, of the whole text of the key

  friend bool operator==(const ApiKey&, const ApiKey&) = default;
};

inline constexpr std::size_t kIdDigits = 12;

// 1 to 64 letters, digits, '.', '_', '-', '@': it stands in logs.
bool is_key_name(std::string_view name);

// A new text for the key, "vs-ID-SECRET", of which the key keeps the digest. Makes an id where
// there is none.
std::string renew_secret(ApiKey& key);
// The id in such a text; empty where it has another form.
std::string_view id_in(std::string_view text);

}  // namespace vsurge::access
