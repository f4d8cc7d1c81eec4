#include "base/process_stats.h"

#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>

namespace vsurge::base {
namespace {

// When the machine was started, in seconds since 1970.
double boot_unix_seconds() {
  std::ifstream file("/proc/stat");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("btime ")) return std::strtod(line.c_str() + 6, nullptr);
  }
  return 0;
}

int count_open_files() {
  std::error_code error;
  int count = 0;
  for (std::filesystem::directory_iterator at("/proc/self/fd", error), end; !error && at != end;
       at.increment(error)) {
    ++count;
  }
  return count - 1;  // the folder itself
}

}  // namespace

// The fields of /proc/self/stat are in proc(5), counted from 1; the second is the name in brackets.
ProcessStats process_stats() {
  ProcessStats out;
  std::ifstream file("/proc/self/stat");
  std::string text;
  std::getline(file, text);
  std::istringstream fields(text.substr(text.rfind(')') + 1));
  std::array<std::string, 25> field;
  for (std::size_t i = 3; i < field.size(); ++i) fields >> field[i];
  if (!fields) return out;
  const auto number = [&](std::size_t i) { return std::strtod(field[i].c_str(), nullptr); };
  const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  static const double kBooted = boot_unix_seconds();
  out.cpu_seconds = (number(14) + number(15)) / ticks;
  out.threads = static_cast<int>(number(20));
  out.start_unix_seconds = kBooted + number(22) / ticks;
  out.virtual_bytes = static_cast<std::uint64_t>(number(23));
  out.resident_bytes =
      static_cast<std::uint64_t>(number(24)) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  out.open_files = count_open_files();
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) out.open_files_max = limit.rlim_cur;
  return out;
}

}  // namespace vsurge::base
