#include "facade/doctor.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <string>

#include "access/key_file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/thread_pool.h"
#include "kernels/kernels.h"
#include "model/inspect.h"
#include "server/http_server.h"

namespace vsurge {
namespace facade {
namespace {

constexpr std::int64_t kGiB = std::int64_t{1} << 30;
constexpr std::int64_t kMemoryMin = 1 * kGiB;     // the default model with a small KV cache
constexpr std::int64_t kMemoryWanted = 6 * kGiB;  // with the default one, of 4 GiB
constexpr std::uint64_t kFilesBeside = 256;       // of connections
constexpr int kDaysShort = 14;

double gib(std::int64_t bytes) {
  return static_cast<double>(bytes) / static_cast<double>(kGiB);
}

}  // namespace

Finding judge_cpu(kernels::IsaLevel best) {
  Finding out{.subject = "CPU", .found = fmt::format("runs at level {}", kernels::isa_name(best))};
  if (best == kernels::IsaLevel::kScalar) {
    out.verdict = Verdict::kPoor;
    out.advice =
        "it has no AVX2, or the virtual machine hides it: choose a CPU model that passes "
        "the host's instructions on";
  } else if (best == kernels::IsaLevel::kAvx2) {
    out.verdict = Verdict::kPoor;
    out.advice =
        "AVX-VNNI or AVX-512 would be several times as fast; a virtual machine may hide it";
  }
  return out;
}

Finding judge_cores(int allowed, int online) {
  Finding out{.subject = "cores", .found = fmt::format("{} of {} may be used", allowed, online)};
  if (allowed < online) {
    out.verdict = Verdict::kPoor;
    out.advice = "an affinity mask or a CPU quota keeps the others away; fine if that is wanted";
  }
  return out;
}

Finding judge_memory(std::int64_t allowed, std::int64_t available) {
  Finding out{.subject = "memory",
              .found = fmt::format("{:.1f} of {:.1f} GiB available", gib(available), gib(allowed))};
  if (available < kMemoryMin) {
    out.verdict = Verdict::kBad;
    out.advice = "end what else runs, or raise the limit of the control group";
  } else if (available < kMemoryWanted) {
    out.verdict = Verdict::kPoor;
    out.advice = "set --kv-cache-memory-bytes below the default of 4G, or free some";
  }
  return out;
}

Finding judge_huge_pages(std::string_view enabled) {
  Finding out{.subject = "huge pages", .found = {}};
  for (const std::string_view mode : {"always", "madvise", "never"}) {
    if (enabled.contains(fmt::format("[{}]", mode))) out.found = mode;
  }
  if (out.found == "always" || out.found == "madvise") return out;
  out.verdict = Verdict::kPoor;
  if (out.found.empty()) out.found = "the kernel has none";
  out.advice = "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled";
  return out;
}

Finding judge_files(std::uint64_t soft, std::uint64_t hard) {
  const std::uint64_t wanted = base::HttpLimits{}.connections_max + kFilesBeside;
  Finding out{.subject = "open files", .found = fmt::format("{}, at most {}", soft, hard)};
  if (hard >= wanted) return out;  // serve raises it itself
  out.verdict = Verdict::kPoor;
  out.advice = fmt::format(
      "{} are wanted for --max-connections {}: LimitNOFILE= of the unit, or "
      "fewer connections",
      wanted, base::HttpLimits{}.connections_max);
  return out;
}

Finding judge_clock(std::string_view source) {
  const auto name = source.substr(0, source.find('\n'));
  Finding out{.subject = "clock", .found = name.empty() ? "not known" : std::string(name)};
  if (name != "hpet" && name != "acpi_pm") return out;
  out.verdict = Verdict::kPoor;
  out.advice =
      "reading it is a system call of microseconds; boot with clocksource=tsc if the "
      "CPU's is stable";
  return out;
}

Finding judge_certificate(int days) {
  Finding out{.subject = "TLS", .found = fmt::format("the certificate is good for {} days", days)};
  if (days < 0) {
    out.verdict = Verdict::kBad;
    out.found = fmt::format("the certificate expired {} days ago", -days);
  } else if (days < kDaysShort) {
    out.verdict = Verdict::kPoor;
  }
  if (days < kDaysShort) out.advice = "replace its file; SIGHUP makes a server read it";
  return out;
}

}  // namespace facade

namespace {

Finding bad(std::string subject, std::string found, std::string advice) {
  return {std::move(subject), Verdict::kBad, std::move(found), std::move(advice)};
}

std::string first_line(const char* path) {
  std::string line;
  std::ifstream in(path);
  std::getline(in, line);
  return line;
}

Finding open_files() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return facade::judge_files(limit.rlim_cur, limit.rlim_max);
}

Finding tls(const DoctorOptions& options) {
  const auto days = server::check_tls({.key = options.ssl_keyfile,
                                       .certificate = options.ssl_certfile,
                                       .client_authorities = options.ssl_ca_certs});
  if (!days) return bad("TLS", days.error().message, "without it serve does not start");
  return facade::judge_certificate(*days);
}

Finding api_keys(const std::string& path) {
  const auto keys = access::read_key_file(path);
  if (!keys) return bad("API keys", keys.error().message, "vsurge keys add makes a file");
  Finding out{.subject = "API keys", .found = fmt::format("{} keys", keys->size())};
  struct stat status{};
  if (::stat(path.c_str(), &status) == 0 && (status.st_mode & 077U) != 0) {
    out.verdict = Verdict::kPoor;
    out.found += fmt::format(", the file's mode is {:o}", status.st_mode & 0777U);
    out.advice = "chmod 600: nobody else needs to read it";
  }
  return out;
}

Finding model_of(const std::string& path) {
  const auto told = model::inspect(path);
  if (!told) return bad("model", told.error().message, "see README.md for what can be served");
  return {.subject = "model", .found = path + " is in order"};
}

}  // namespace

std::vector<Finding> diagnose(const DoctorOptions& options) {
  constexpr const char* kHugePages = "/sys/kernel/mm/transparent_hugepage/enabled";
  constexpr const char* kClock = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
  std::vector<Finding> out = {
      facade::judge_cpu(kernels::best_level()),
      facade::judge_cores(base::ThreadPool::allowed_cpus(),
                          static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN))),
      facade::judge_memory(base::memory_allowed_bytes(), base::memory_available_bytes()),
      facade::judge_huge_pages(first_line(kHugePages)),
      open_files(),
      facade::judge_clock(first_line(kClock)),
  };
  if (!options.ssl_keyfile.empty() || !options.ssl_certfile.empty()) out.push_back(tls(options));
  if (!options.api_key_file.empty()) out.push_back(api_keys(options.api_key_file));
  if (!options.model.empty()) out.push_back(model_of(options.model));
  return out;
}

}  // namespace vsurge
