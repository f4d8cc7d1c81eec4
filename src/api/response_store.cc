#include "api/response_store.h"

#include <list>
#include <mutex>
#include <unordered_map>
#include <utility>

namespace vsurge::api {
namespace {

std::size_t bytes_of(const StoredResponse& entry) {
  return entry.id.size() + entry.owner.size() + entry.object.size() + entry.input.size() +
         entry.history.size() + entry.output.size();
}

std::size_t bytes_of(const StoredConversation& entry) {
  return entry.id.size() + entry.owner.size() + entry.metadata.size() + entry.items.size();
}

// Entries by id, the oldest first.
template <class Entry>
class Shelf {
 public:
  Shelf(std::size_t entries_max, std::size_t bytes_max)
      : entries_max_(entries_max), bytes_max_(bytes_max) {}

  void put(Entry entry) {
    erase(entry.id);
    bytes_ += bytes_of(entry);
    entries_.push_back(std::move(entry));
    places_[entries_.back().id] = std::prev(entries_.end());
    while (entries_.size() > entries_max_ || (bytes_ > bytes_max_ && entries_.size() > 1)) {
      erase(std::string(entries_.front().id));
    }
  }

  std::optional<Entry> find(std::string_view id) const {
    const auto place = places_.find(std::string(id));
    if (place == places_.end()) return std::nullopt;
    return *place->second;
  }

  bool erase(const std::string& id) {
    const auto place = places_.find(id);
    if (place == places_.end()) return false;
    bytes_ -= bytes_of(*place->second);
    const auto at = place->second;
    places_.erase(place);
    entries_.erase(at);
    return true;
  }

 private:
  std::size_t entries_max_;
  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::list<Entry> entries_;
  std::unordered_map<std::string, typename std::list<Entry>::iterator> places_;
};

class MemoryStore final : public ResponseStore {
 public:
  explicit MemoryStore(const ResponseStoreLimits& limits)
      : responses_(limits.entries_max, limits.bytes_max),
        conversations_(limits.conversations_max, limits.bytes_max) {}

  base::Status put(StoredResponse response) override {
    const std::scoped_lock lock(mutex_);
    responses_.put(std::move(response));
    return {};
  }
  base::Result<std::optional<StoredResponse>> response(std::string_view id) override {
    const std::scoped_lock lock(mutex_);
    return responses_.find(id);
  }
  base::Result<bool> erase_response(std::string_view id) override {
    const std::scoped_lock lock(mutex_);
    return responses_.erase(std::string(id));
  }
  base::Status put(StoredConversation conversation) override {
    const std::scoped_lock lock(mutex_);
    conversations_.put(std::move(conversation));
    return {};
  }
  base::Result<std::optional<StoredConversation>> conversation(std::string_view id) override {
    const std::scoped_lock lock(mutex_);
    return conversations_.find(id);
  }
  base::Result<bool> erase_conversation(std::string_view id) override {
    const std::scoped_lock lock(mutex_);
    return conversations_.erase(std::string(id));
  }

 private:
  std::mutex mutex_;
  Shelf<StoredResponse> responses_;          // guarded by mutex_
  Shelf<StoredConversation> conversations_;  // guarded by mutex_
};

}  // namespace

std::unique_ptr<ResponseStore> make_memory_store(const ResponseStoreLimits& limits) {
  return std::make_unique<MemoryStore>(limits);
}

}  // namespace vsurge::api
