#include "server/address_counts.h"

#include "base/error.h"

namespace vsurge::server {

std::string client_key(const boost::asio::ip::address& address) {
  namespace ip = boost::asio::ip;
  if (address.is_v6() && !address.to_v6().is_v4_mapped()) {
    if (address.is_loopback()) return {};
    const auto bytes = address.to_v6().to_bytes();
    return {bytes.begin(), bytes.begin() + 8};
  }
  const auto v4 =
      address.is_v4() ? address.to_v4() : ip::make_address_v4(ip::v4_mapped, address.to_v6());
  if (v4.is_loopback()) return {};
  const auto bytes = v4.to_bytes();
  return {bytes.begin(), bytes.end()};
}

bool AddressCounts::take(const std::string& key) {
  if (key.empty()) return true;
  const std::lock_guard lock(mutex_);
  const auto found = counts_.find(key);
  if (found == counts_.end()) {
    if (max_ == 0) return false;
    counts_.emplace(key, 1);
    return true;
  }
  if (found->second >= max_) return false;
  ++found->second;
  return true;
}

void AddressCounts::give_back(const std::string& key) {
  if (key.empty()) return;
  const std::lock_guard lock(mutex_);
  const auto found = counts_.find(key);
  CHECK(found != counts_.end());
  if (--found->second == 0) counts_.erase(found);
}

}  // namespace vsurge::server
