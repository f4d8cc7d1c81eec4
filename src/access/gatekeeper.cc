#include "access/gatekeeper.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "access/key_file.h"
#include "base/log.h"

namespace vsurge::access {
namespace {

using base::ErrorCode;
using base::fail;

constexpr base::Nanoseconds kLookEvery = 1'000'000'000;
constexpr std::size_t kPlainKeyBytesMin = 8;

}  // namespace

base::Result<std::unique_ptr<Gatekeeper>> Gatekeeper::open(GatekeeperOptions options) {
  if (options.unix_seconds == nullptr) options.unix_seconds = base::unix_seconds;
  for (const std::string& key : options.plain_keys) {
    if (key.size() >= kPlainKeyBytesMin) continue;
    return fail(ErrorCode::kUsage, "api_key: expected {} bytes or more, found {}",
                kPlainKeyBytesMin, key.size());
  }
  std::unique_ptr<Gatekeeper> made(new Gatekeeper(std::move(options)));
  VSURGE_TRY(made->load());
  return made;
}

base::Result<Gatekeeper::Stamp> Gatekeeper::stamp_of(const std::filesystem::path& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) {
    return fail(ErrorCode::kEnvironment, "{}: {}", path.string(),
                std::generic_category().message(errno));
  }
  return Stamp{.modified_ns = status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec,
               .inode = status.st_ino,
               .bytes = static_cast<std::uint64_t>(status.st_size)};
}

// The stamp is taken first: a file that changes while it is read is read again.
base::Status Gatekeeper::load() {
  std::vector<ApiKey> keys;
  if (!options_.key_file.empty()) {
    stamp_ = VSURGE_TRY(stamp_of(options_.key_file));
    keys = VSURGE_TRY(read_key_file(options_.key_file));
  }
  auto ring = std::make_shared<KeyRing>(std::move(keys));
  for (std::size_t i = 0; i < options_.plain_keys.size(); ++i) {
    ring->add_plain(options_.plain_keys[i], fmt::format("api-key-{}", i + 1));
  }
  ring_ = std::move(ring);
  return {};
}

void Gatekeeper::look_at_file(base::Nanoseconds now) {
  if (options_.key_file.empty()) return;
  if (looked_ && now - *looked_ < kLookEvery) return;
  looked_ = now;
  const auto stamp = stamp_of(options_.key_file);
  if (stamp && *stamp == stamp_) return;
  const auto loaded = stamp ? load() : base::Status(std::unexpected(stamp.error()));
  if (loaded) {
    base::log_info("API keys read anew: {}", ring_->size());
    return;
  }
  // One line for each state of the file.
  if (stamp || stamp_ != Stamp{}) {
    base::log_error("API keys stay as they were: {}", loaded.error().message);
  }
  stamp_ = stamp.value_or(Stamp{});
}

std::shared_ptr<const ApiKey> Gatekeeper::find(std::string_view text, base::Nanoseconds now) {
  std::shared_ptr<const KeyRing> ring;
  {
    const std::scoped_lock lock(mutex_);
    look_at_file(now);
    ring = ring_;
  }
  auto key = ring->find(text);
  if (key != nullptr && key->expires && options_.unix_seconds() >= *key->expires) return nullptr;
  return key;
}

std::optional<Excess> Gatekeeper::begin(const ApiKey& key, base::Nanoseconds now) {
  const std::scoped_lock lock(mutex_);
  const auto [quota, is_new] = quotas_.try_emplace(key.id, key.limits, now);
  if (!is_new) quota->second.set_limits(key.limits, now);
  return quota->second.begin(now);
}

void Gatekeeper::end(std::string_view key_id, std::int64_t tokens, base::Nanoseconds now) {
  const std::scoped_lock lock(mutex_);
  const auto quota = quotas_.find(key_id);
  CHECK(quota != quotas_.end(), "a request ended that never began");
  quota->second.end(tokens, now);
}

Standings Gatekeeper::standings(std::string_view key_id, base::Nanoseconds now) {
  const std::scoped_lock lock(mutex_);
  const auto quota = quotas_.find(key_id);
  if (quota == quotas_.end()) return {};
  return {quota->second.standing(Measure::kRequests, now),
          quota->second.standing(Measure::kTokens, now)};
}

}  // namespace vsurge::access
