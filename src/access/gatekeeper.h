// Gatekeeper: knows the keys of a server and what each has used.
#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "access/key_ring.h"
#include "access/quota.h"
#include "base/clock.h"
#include "base/error.h"

namespace vsurge::access {

struct GatekeeperOptions {
  std::filesystem::path key_file = {};       // empty: none
  std::vector<std::string> plain_keys = {};  // of any form, 8 bytes or more; admin
  std::int64_t (*unix_seconds)() = nullptr;  // wall clock; nullptr: the system's
};

// Standings of a key, for the headers of its answers.
struct Standings {
  std::optional<Standing> requests;
  std::optional<Standing> tokens;
};

// Any thread. A key file that changed is read again at the next question, at most once a second;
// one that is not in order, or gone, is told in the log and the keys stay as they were.
class Gatekeeper {
 public:
  // kEnvironment when the file cannot be read, kUsage for a plain key that is too short.
  static base::Result<std::unique_ptr<Gatekeeper>> open(GatekeeperOptions options);

  // nullptr: nobody's, or expired.
  std::shared_ptr<const ApiKey> find(std::string_view text, base::Nanoseconds now);

  // A request of the key begins, or what it would exceed.
  std::optional<Excess> begin(const ApiKey& key, base::Nanoseconds now);
  // It has ended, with the tokens it used.
  void end(std::string_view key_id, std::int64_t tokens, base::Nanoseconds now);
  Standings standings(std::string_view key_id, base::Nanoseconds now);

 private:
  struct Stamp {
    std::int64_t modified_ns = 0;
    std::uint64_t inode = 0;
    std::uint64_t bytes = 0;
    friend bool operator==(const Stamp&, const Stamp&) = default;
  };

  explicit Gatekeeper(GatekeeperOptions options) : options_(std::move(options)) {}
  static base::Result<Stamp> stamp_of(const std::filesystem::path& path);
  base::Status load();
  void look_at_file(base::Nanoseconds now);

  const GatekeeperOptions options_;
  std::mutex mutex_;  // of all below
  std::shared_ptr<const KeyRing> ring_;
  Stamp stamp_;
  std::optional<base::Nanoseconds> looked_;
  std::map<std::string, Quota, std::less<>> quotas_;  // by the keys' ids
};

}  // namespace vsurge::access
