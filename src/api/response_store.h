// ResponseStore: responses and conversations that clients may come back to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace vsurge::api {

// JSON texts; what they mean is their writers' business.
struct StoredResponse {
  std::string id;
  std::string owner;    // id of the API key; empty: made without keys
  std::string object;   // the response as it was answered
  std::string input;    // array: the items that were new in its request
  std::string history;  // array: all items before its output, those of earlier responses too
  std::string output;   // array: its output items
};

struct StoredConversation {
  std::string id;
  std::string owner;  // as StoredResponse
  std::int64_t created = 0;
  std::string metadata;  // object
  std::string items;     // array
};

struct ResponseStoreLimits {
  std::size_t entries_max = 10'000;       // the seed's max_stored_responses
  std::size_t conversations_max = 1'000;  // the seed's max_stored_conversations
  std::size_t bytes_max = 256 * 1024 * 1024;
};

// Any thread. The oldest go first when a limit is reached.
class ResponseStore {
 public:
  virtual ~ResponseStore() = default;

  // What is put is there for whoever asks next, and with a file after a restart, too.
  virtual base::Status put(StoredResponse response) = 0;
  virtual base::Result<std::optional<StoredResponse>> response(std::string_view id) = 0;
  virtual base::Result<bool> erase_response(std::string_view id) = 0;

  virtual base::Status put(StoredConversation conversation) = 0;
  virtual base::Result<std::optional<StoredConversation>> conversation(std::string_view id) = 0;
  virtual base::Result<bool> erase_conversation(std::string_view id) = 0;
};

std::unique_ptr<ResponseStore> make_memory_store(const ResponseStoreLimits& limits);
// In an SQLite file, which is made where there is none. kEnvironment when it cannot be opened, or
// is the file of something else.
base::Result<std::unique_ptr<ResponseStore>> open_file_store(const std::filesystem::path& path,
                                                             const ResponseStoreLimits& limits);

}  // namespace vsurge::api
