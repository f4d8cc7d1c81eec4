// KeyRing: finds the key that a text is, without telling by its time which it nearly was.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "access/api_key.h"

namespace vsurge::access {

// Immutable; any thread.
class KeyRing {
 public:
  KeyRing() = default;
  explicit KeyRing(std::vector<ApiKey> keys);
  // Texts of any form, given by who starts the server; each an admin key of that name.
  void add_plain(std::string_view text, std::string name);

  // nullptr: no key of this ring. Keys that have expired are found.
  std::shared_ptr<const ApiKey> find(std::string_view text) const;
  std::size_t size() const { return by_id_.size() + plain_.size(); }

 private:
  std::map<std::string, std::shared_ptr<const ApiKey>, std::less<>> by_id_;
  std::vector<std::shared_ptr<const ApiKey>> plain_;
  Salt salt_ = random_salt();
};

}  // namespace vsurge::access
