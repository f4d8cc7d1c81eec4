#include "access/key_ring.h"

namespace vsurge::access {

KeyRing::KeyRing(std::vector<ApiKey> keys) {
  for (ApiKey& key : keys) {
    std::string id = key.id;
    by_id_.emplace(std::move(id), std::make_shared<const ApiKey>(std::move(key)));
  }
}

void KeyRing::add_plain(std::string_view text, std::string name) {
  ApiKey key;
  // Not from chance: what is stored for a key must be found again after a restart.
  key.id = to_hex(salted_digest({}, text).data(), kIdDigits / 2);
  key.name = std::move(name);
  key.role = Role::kAdmin;
  key.salt = salt_;
  key.digest = salted_digest(salt_, text);
  plain_.push_back(std::make_shared<const ApiKey>(std::move(key)));
}

std::shared_ptr<const ApiKey> KeyRing::find(std::string_view text) const {
  // An id is no secret; an unknown one costs a digest like a known one.
  const auto named = by_id_.find(id_in(text));
  const bool known = named != by_id_.end();
  const Digest digest = salted_digest(known ? named->second->salt : salt_, text);
  if (known && same_digest(digest, named->second->digest)) return named->second;
  const Digest plain_digest = salted_digest(salt_, text);
  std::shared_ptr<const ApiKey> found;
  for (const auto& key : plain_) {
    if (same_digest(plain_digest, key->digest)) found = key;
  }
  return found;
}

}  // namespace vsurge::access
