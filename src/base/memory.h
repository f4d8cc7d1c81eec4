// How much memory this process may use, and has left. Any thread.
#pragma once

#include <cstdint>
#include <filesystem>

namespace vsurge::base {

// Bytes this process may use in all: the memory of the machine, cut by the limits of its cgroups.
std::int64_t memory_allowed_bytes();

// Bytes that can still be taken without swapping or being killed: what the machine has available,
// cut by what the limits of this process's cgroups leave (pages of files there count as free).
std::int64_t memory_available_bytes();

// The same from other roots, for tests: `proc` as /proc, `cgroups` as /sys/fs/cgroup.
std::int64_t memory_allowed_bytes(const std::filesystem::path& proc,
                                  const std::filesystem::path& cgroups);
std::int64_t memory_available_bytes(const std::filesystem::path& proc,
                                    const std::filesystem::path& cgroups);

}  // namespace vsurge::base
