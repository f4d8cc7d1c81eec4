// The file of API keys: read by the server, written by `vsurge keys`.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "access/api_key.h"
#include "base/error.h"

namespace vsurge::access {

// JSON lines: {"vsurge_keys":1}, then one object for each key, with the members of ApiKey and
// KeyLimits by name (those that are not said are left out), salt and digest in lower-case hex.
// Ids and names are unique.
std::string key_file_text(const std::vector<ApiKey>& keys);
// Untrusted. kEnvironment with the line at fault.
base::Result<std::vector<ApiKey>> parse_key_file(std::string_view text);

base::Result<std::vector<ApiKey>> read_key_file(const std::filesystem::path& path);

// Replaces the file by what `change` makes of its keys; where there is none, of no keys. One
// process at a time; another one waits for some seconds. Whatever happens the file is the old or
// the new one, and new ones are for their owner's eyes alone (mode 0600).
base::Status update_key_file(const std::filesystem::path& path,
                             const std::function<base::Status(std::vector<ApiKey>&)>& change);

}  // namespace vsurge::access
