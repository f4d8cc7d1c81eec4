#include "base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "base/core_swap.h"
#include "base/error.h"

namespace vsurge::base {
namespace {

constexpr std::chrono::microseconds kSpin{50};
constexpr int kPausesPerLook = 16;
constexpr int kPausesBeforeClock = 64;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Polls done() for kSpin; true when it came true.
template <class Done>
bool spin_until(Done&& done) {
  for (int i = 0; i < kPausesBeforeClock; ++i) {
    if (done()) return true;
    pause();
  }
  const auto end = std::chrono::steady_clock::now() + kSpin;
  while (std::chrono::steady_clock::now() < end) {
    for (int i = 0; i < kPausesPerLook; ++i) {
      if (done()) return true;
      pause();
    }
  }
  return done();
}

}  // namespace

// A region is open while `gate` lacks the closed bit. A worker enters by adding one to the gate; if
// it finds the gate closed it leaves at once. So the caller, after closing, waits only for workers
// that are inside, never for one that has not woken up yet.
struct ThreadPool::State {
  static constexpr std::uint32_t kClosed = 1u << 31;

  alignas(64) std::atomic<std::uint32_t> epoch{0};  // one more per region; what workers wait on
  std::atomic<int> sleepers{0};
  std::atomic<bool> stopping{false};
  alignas(64) std::atomic<std::uint32_t> gate{kClosed};
  std::atomic<bool> caller_sleeps{false};
  // What is left of a worker's part of the region. Who has done its own part takes from others.
  struct alignas(64) Part {
    std::atomic<std::int64_t> next{0};
    std::int64_t end = 0;
  };
  std::vector<Part> parts;
  std::vector<CoreSeat> seats;  // by worker
  // The region; written by the caller while the gate is closed and nobody is inside.
  alignas(64) std::int64_t grain = 1;
  Region region = nullptr;
  void* context = nullptr;

  int size = 1;
  std::thread::id caller;  // who ran the last region
  std::vector<std::thread> threads;

  // Parts are whole chunks, one behind the other.
  void divide(std::int64_t count) {
    const std::int64_t chunks = (count + grain - 1) / grain;
    for (std::int64_t i = 0; i < size; ++i) {
      Part& part = parts[static_cast<std::size_t>(i)];
      part.next.store(i * chunks / size * grain, std::memory_order_relaxed);
      part.end = std::min(count, (i + 1) * chunks / size * grain);
    }
  }

  void run_part(Part& part, int worker) {
    for (;;) {
      const std::int64_t begin = part.next.fetch_add(grain, std::memory_order_relaxed);
      if (begin >= part.end) return;
      region(context, begin, std::min(part.end, begin + grain), worker);
    }
  }

  void run_chunks(int worker) {
    for (int i = 0; i < size; ++i) {
      run_part(parts[static_cast<std::size_t>((worker + i) % size)], worker);
    }
  }

  void leave() {
    const std::uint32_t before = gate.fetch_sub(1);
    if (before == kClosed + 1 && caller_sleeps.load()) gate.notify_one();
  }

  // The caller has no core in the middle of a region, and this worker has nothing to do.
  void change_places_with_caller(CoreSeat& seat) {
    CoreSeat& first = seats.front();
    if (first.busy() && first.stands_still() && first.busy() && first.bring_here()) {
      seat.leave_core();
    }
  }

  // Workers that have no core in the middle of a chunk get that of the caller, who will sleep.
  void make_room_for_workers() {
    for (std::size_t i = 1; i < seats.size(); ++i) {
      CoreSeat& seat = seats[i];
      if (seat.busy() && seat.stands_still() && seat.busy()) seat.bring_here_for_a_while();
    }
  }

  void wait_for_region(std::uint32_t seen, CoreSeat& seat) {
    const auto changed = [&] { return epoch.load(std::memory_order_acquire) != seen; };
    if (spin_until(changed)) return;
    change_places_with_caller(seat);
    sleepers.fetch_add(1);
    epoch.wait(seen);
    sleepers.fetch_sub(1);
  }

  void work(int worker) {
    CoreSeat& seat = seats[static_cast<std::size_t>(worker)];
    seat.take();
    std::uint32_t seen = 0;
    for (;;) {
      wait_for_region(seen, seat);
      seen = epoch.load(std::memory_order_acquire);
      if (stopping.load()) return;
      if ((gate.fetch_add(1) & kClosed) == 0) {
        seat.set_busy(true);
        run_chunks(worker);
        seat.set_busy(false);
      }
      leave();
      seat.leave_if_brought();
    }
  }

  void wake() {
    epoch.fetch_add(1);
    if (sleepers.load() > 0) epoch.notify_all();
  }

  void wait_until_empty() {
    const auto empty = [&] { return gate.load(std::memory_order_acquire) == kClosed; };
    if (spin_until(empty)) return;
    // Somebody inside has lost its core, perhaps to us: sleep.
    make_room_for_workers();
    caller_sleeps.store(true);
    for (std::uint32_t now = gate.load(); now != kClosed; now = gate.load()) gate.wait(now);
    caller_sleeps.store(false);
  }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  CHECK(threads >= 1);
  state_->size = threads;
  state_->parts = std::vector<State::Part>(static_cast<std::size_t>(threads));
  state_->seats = std::vector<CoreSeat>(static_cast<std::size_t>(threads));
  state_->threads.reserve(static_cast<std::size_t>(threads - 1));
  for (int i = 1; i < threads; ++i) {
    try {
      state_->threads.emplace_back([state = state_.get(), i] { state->work(i); });
    } catch (const std::system_error&) {  // no more threads to be had: go on with those there are
      state_->size = i;
      break;
    }
  }
}

ThreadPool::~ThreadPool() {
  state_->stopping.store(true);
  state_->wake();
  for (auto& thread : state_->threads) thread.join();
}

int ThreadPool::size() const {
  return state_->size;
}

void ThreadPool::run(std::int64_t count, std::int64_t grain, Region region, void* context) {
  if (count <= 0) return;
  CHECK(grain >= 1);
  if (state_->size == 1 || count <= grain) {
    for (std::int64_t begin = 0; begin < count; begin += grain) {
      region(context, begin, std::min(count, begin + grain), 0);
    }
    return;
  }
  State& s = *state_;
  s.grain = grain;
  s.region = region;
  s.context = context;
  s.divide(count);
  CoreSeat& seat = s.seats.front();
  if (s.caller != std::this_thread::get_id()) {
    s.caller = std::this_thread::get_id();
    seat.take();
  }
  seat.set_busy(true);
  s.gate.fetch_and(~State::kClosed);
  s.wake();
  s.run_chunks(0);
  seat.set_busy(false);
  s.gate.fetch_or(State::kClosed);
  s.wait_until_empty();
}

namespace {

// First line of a small file of the system, or empty.
std::string first_line(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// Quota in CPUs that one cgroup folder sets, if it does.
std::optional<double> quota_of(const std::filesystem::path& folder) {
  double quota = -1, period = 0;
  if (const std::string v2 = first_line(folder / "cpu.max"); !v2.empty()) {
    if (std::sscanf(v2.c_str(), "%lf %lf", &quota, &period) != 2) return std::nullopt;
  } else {
    const std::string q = first_line(folder / "cpu.cfs_quota_us");
    const std::string p = first_line(folder / "cpu.cfs_period_us");
    if (std::sscanf(q.c_str(), "%lf", &quota) != 1 || std::sscanf(p.c_str(), "%lf", &period) != 1) {
      return std::nullopt;
    }
  }
  if (quota <= 0 || period <= 0) return std::nullopt;
  return quota / period;
}

// The tightest quota from a cgroup up to the root of its hierarchy.
std::optional<double> tightest_quota(const std::filesystem::path& root,
                                     const std::filesystem::path& group) {
  std::optional<double> tightest;
  for (std::filesystem::path at = group;; at = at.parent_path()) {
    const auto quota = quota_of(root / at.relative_path());
    if (quota && (!tightest || *quota < *tightest)) tightest = quota;
    if (!at.has_relative_path()) return tightest;
  }
}

// /proc/self/cgroup has lines id:controllers:path; version 2 has no controllers.
std::optional<double> cgroup_quota() {
  std::ifstream file("/proc/self/cgroup");
  std::optional<double> tightest;
  for (std::string line; std::getline(file, line);) {
    const std::size_t a = line.find(':');
    const std::size_t b = a == std::string::npos ? a : line.find(':', a + 1);
    if (b == std::string::npos) continue;
    const std::string controllers = fmt::format(",{},", line.substr(a + 1, b - a - 1));
    const bool v2 = controllers == ",,";
    if (!v2 && controllers.find(",cpu,") == std::string::npos) continue;
    const std::filesystem::path group = line.substr(b + 1);
    for (const char* root : {"/sys/fs/cgroup", "/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct",
                             "/sys/fs/cgroup/unified"}) {
      const auto quota = tightest_quota(root, group);
      if (quota && (!tightest || *quota < *tightest)) tightest = quota;
    }
  }
  return tightest;
}

}  // namespace

int ThreadPool::allowed_cpus() {
  int cpus = static_cast<int>(std::thread::hardware_concurrency());
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) == 0) cpus = CPU_COUNT(&set);
  if (const auto quota = cgroup_quota(); quota && *quota < cpus) {
    cpus = static_cast<int>(*quota);
    if (cpus < *quota) ++cpus;
  }
  return cpus < 1 ? 1 : cpus;
}

}  // namespace vsurge::base
