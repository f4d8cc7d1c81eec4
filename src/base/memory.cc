#include "base/memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace vsurge::base {
namespace {

constexpr std::int64_t kNoLimit = std::numeric_limits<std::int64_t>::max();

// The number behind `name` in a file of lines "name number".
std::optional<std::int64_t> value_of(const std::filesystem::path& path, std::string_view name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(name)) continue;
    const std::size_t digit = line.find_first_of("0123456789", name.size());
    if (digit == std::string::npos || line.size() - digit > 18) return std::nullopt;
    std::int64_t value = 0;
    for (std::size_t i = digit; i < line.size() && line[i] >= '0' && line[i] <= '9'; ++i) {
      value = value * 10 + (line[i] - '0');
    }
    return value;
  }
  return std::nullopt;
}

// A file that holds one number; nothing when it holds "max" or is not there.
std::optional<std::int64_t> number_in(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::int64_t value = 0;
  if (!(file >> value) || value < 0) return std::nullopt;
  return value;
}

// What one cgroup folder allows.
std::int64_t limit_of(const std::filesystem::path& folder, bool unified) {
  return number_in(folder / (unified ? "memory.max" : "memory.limit_in_bytes")).value_or(kNoLimit);
}

// What it leaves.
std::int64_t left_in(const std::filesystem::path& folder, bool unified) {
  const std::int64_t limit = limit_of(folder, unified);
  const auto used = number_in(folder / (unified ? "memory.current" : "memory.usage_in_bytes"));
  if (limit == kNoLimit || !used) return kNoLimit;
  const char* files = unified ? "inactive_file " : "total_inactive_file ";
  return std::max<std::int64_t>(
      0, limit - *used + value_of(folder / "memory.stat", files).value_or(0));
}

// The least of what a line of /proc/meminfo says and of what `in_group` says of the cgroups this
// process is in, up to the root.
std::int64_t least_of(const std::filesystem::path& proc, const std::filesystem::path& cgroups,
                      std::string_view machine,
                      std::int64_t (*in_group)(const std::filesystem::path&, bool unified)) {
  std::int64_t least = kNoLimit;
  if (const auto kib = value_of(proc / "meminfo", machine)) least = *kib * 1024;
  std::ifstream groups(proc / "self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // hierarchy:controllers:path
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool unified = controllers.empty();
    if (!unified && controllers.find("memory") == std::string::npos) continue;
    const std::filesystem::path root = unified ? cgroups : cgroups / "memory";
    const std::filesystem::path group = line.substr(second + 1);
    for (std::filesystem::path at = group.relative_path();; at = at.parent_path()) {
      least = std::min(least, in_group(root / at, unified));
      if (at.empty()) break;
    }
  }
  return least;
}

}  // namespace

std::int64_t memory_allowed_bytes(const std::filesystem::path& proc,
                                  const std::filesystem::path& cgroups) {
  return least_of(proc, cgroups, "MemTotal:", limit_of);
}

std::int64_t memory_available_bytes(const std::filesystem::path& proc,
                                    const std::filesystem::path& cgroups) {
  return least_of(proc, cgroups, "MemAvailable:", left_in);
}

std::int64_t memory_allowed_bytes() {
  return memory_allowed_bytes("/proc", "/sys/fs/cgroup");
}

std::int64_t memory_available_bytes() {
  return memory_available_bytes("/proc", "/sys/fs/cgroup");
}

}  // namespace vsurge::base
