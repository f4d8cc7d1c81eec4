// How many connections each address has. Any thread.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <cstddef>
#include <mutex>
#include <string>
#include <unordered_map>

namespace vsurge::server {

// What counts as one client: an IPv4 address, or the 64 bits of an IPv6 address that a network
// hands to one customer. Empty for this machine itself, which is not limited.
std::string client_key(const boost::asio::ip::address& address);

class AddressCounts {
 public:
  explicit AddressCounts(std::size_t connections_max) : max_(connections_max) {}

  // False when that client has its share; else give_back() when the connection has ended. An empty
  // key is always taken.
  bool take(const std::string& key);
  void give_back(const std::string& key);

 private:
  const std::size_t max_;
  std::mutex mutex_;
  std::unordered_map<std::string, std::size_t> counts_;  // none is 0
};

}  // namespace vsurge::server
