// How much memory this process may use, and has left. Any thread.
#pragma once

#include <cstdint>
#include <filesystem>

namespace vsurge::base {

// Bytes that can still be taken without swapping or being killed: what the machine has available,
// cut by what the limits of this process's cgroups leave (pages of files there count as free).
std::int64_t memory_available_bytes();

// The same from other roots, for tests: `proc` as /proc, `cgroups` as /sys/fs/cgroup.
std::int64_t memory_available_bytes(const std::filesystem::path& proc,
                                    const std::filesystem::path& cgroups);

}  // namespace vsurge::base
