#include "access/api_key.h"

#include <algorithm>
#include <array>

namespace vsurge::access {
namespace {

constexpr std::array<std::string_view, 3> kRoleNames = {"readonly", "user", "admin"};
constexpr std::string_view kPrefix = "vs-";
constexpr std::size_t kSecretBytes = 24;
constexpr std::size_t kNameBytesMax = 64;

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-' || c == '@';
}

}  // namespace

std::string_view role_name(Role role) {
  return kRoleNames[static_cast<std::size_t>(role)];
}

std::optional<Role> role_of(std::string_view name) {
  const auto found = std::ranges::find(kRoleNames, name);
  if (found == kRoleNames.end()) return std::nullopt;
  return static_cast<Role>(found - kRoleNames.begin());
}

bool is_key_name(std::string_view name) {
  return !name.empty() && name.size() <= kNameBytesMax &&
         std::ranges::all_of(name, is_name_character);
}

std::string renew_secret(ApiKey& key) {
  if (key.id.empty()) key.id = random_hex(kIdDigits / 2);
  std::string text = std::string(kPrefix) + key.id + "-" + random_hex(kSecretBytes);
  key.salt = random_salt();
  key.digest = salted_digest(key.salt, text);
  return text;
}

std::string_view id_in(std::string_view text) {
  if (!text.starts_with(kPrefix)) return {};
  text.remove_prefix(kPrefix.size());
  if (text.size() <= kIdDigits || text[kIdDigits] != '-') return {};
  return text.substr(0, kIdDigits);
}

}  // namespace vsurge::access
