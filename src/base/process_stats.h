// What the kernel says of this process (Linux: /proc/self).
#pragma once

#include <cstdint>

namespace vsurge::base {

// 0 where it cannot be read.
struct ProcessStats {
  double cpu_seconds = 0;
  double start_unix_seconds = 0;
  std::uint64_t resident_bytes = 0;
  std::uint64_t virtual_bytes = 0;
  int open_files = 0;
  std::uint64_t open_files_max = 0;
  int threads = 0;
};

ProcessStats process_stats();

}  // namespace vsurge::base
