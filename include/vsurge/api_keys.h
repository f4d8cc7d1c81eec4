// ApiKeys: the file of API keys that a server reads (ApiServerOptions::api_key_file).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "vsurge/error.h"

namespace vsurge {

// What a key may do and how much; no limit where nothing is said, else 1 or more.
struct ApiKeyInfo {
  std::string id = {};                   // given by add(); no secret
  std::string name = {};                 // 1 to 64 letters, digits or . _ - @
  std::string role = "user";             // readonly (looks), user (generates, too), admin
  std::vector<std::string> models = {};  // names of models it may use; empty = all
  std::optional<std::int64_t> requests_per_minute = {};
  std::optional<std::int64_t> requests_per_day = {};
  std::optional<std::int64_t> tokens_per_minute = {};  // of prompts and answers
  std::optional<std::int64_t> tokens_per_day = {};
  std::optional<std::int64_t> concurrent_requests = {};
  std::int64_t created = 0;                  // seconds since 1970; given by add()
  std::optional<std::int64_t> expires = {};  // the same; from then on it is refused
};

// Secrets are not in the file, only salted digests of them. It is replaced as a whole, so a running
// server sees each change within a second and no crash loses a key. Objects of any processes may
// change one file at the same time. All functions throw vsurge::Error.
class ApiKeys {
 public:
  explicit ApiKeys(std::string path) : path_(std::move(path)) {}

  // The key's text, which clients send and nobody can find out again. Makes the file where there
  // is none. The name must be new.
  std::string add(const ApiKeyInfo& info);
  std::vector<ApiKeyInfo> list() const;
  // By name or id, which must be there.
  void revoke(const std::string& name);
  // A new text; the old one is refused from now on.
  std::string rotate(const std::string& name);

 private:
  std::string path_;
};

}  // namespace vsurge
