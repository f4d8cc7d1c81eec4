#include "roofs.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <new>
#include <thread>

namespace vsurge::apps {
namespace {

using Clock = std::chrono::steady_clock;

// Seconds from the start, of all threads at once, to the end of the last.
template <class Work>
double seconds_of(int threads, const Work& work) {
  std::atomic<int> ready = 0;
  std::atomic<bool> go = false;
  std::vector<std::thread> team;
  for (int t = 0; t < threads; ++t) {
    team.emplace_back([&, t] {
      ready.fetch_add(1);
      while (!go.load()) std::this_thread::yield();
      work(t);
    });
  }
  while (ready.load() < threads) std::this_thread::yield();
  const auto start = Clock::now();
  go.store(true);
  for (std::thread& one : team) one.join();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// A loop of instructions on twelve sums that do not depend on each other: more than any core needs
// to keep its units busy. In assembly, so that no compiler flag decides what is measured.
constexpr double kSums = 12;
#define VSURGE_TWELVE(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define VSURGE_VECTOR_LOOP(NAME, INSTRUCTION)                                                      \
  void NAME(std::int64_t times) {                                                                  \
    asm volatile(                                                                                  \
        "vxorps %%xmm14,%%xmm14,%%xmm14\n vxorps %%xmm15,%%xmm15,%%xmm15\n"                        \
        "1:\n" VSURGE_TWELVE(INSTRUCTION) "dec %0\n jnz 1b\n vzeroupper\n"                         \
        : "+r"(times)                                                                              \
        :                                                                                          \
        : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
          "xmm11", "xmm14", "xmm15", "cc");                                                        \
  }
#define VSURGE_FMA_256(i) "vfmadd231ps %%ymm14,%%ymm15,%%ymm" #i "\n"
#define VSURGE_FMA_512(i) "vfmadd231ps %%zmm14,%%zmm15,%%zmm" #i "\n"
#define VSURGE_BF16(i) "vdpbf16ps %%zmm14,%%zmm15,%%zmm" #i "\n"
#define VSURGE_VNNI(i) "vpdpbusd %%zmm14,%%zmm15,%%zmm" #i "\n"
VSURGE_VECTOR_LOOP(loop_fma_256, VSURGE_FMA_256)
VSURGE_VECTOR_LOOP(loop_fma_512, VSURGE_FMA_512)
VSURGE_VECTOR_LOOP(loop_bf16, VSURGE_BF16)
VSURGE_VECTOR_LOOP(loop_vnni, VSURGE_VNNI)

// Palette 1, eight tiles of 16 rows of 64 bytes; six sums, two operands.
struct alignas(64) TileConfig {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
constexpr double kTileSums = 6;
#define VSURGE_TILE_LOOP(NAME, OP)                                                             \
  void NAME(std::int64_t times) {                                                              \
    const TileConfig config;                                                                   \
    asm volatile(                                                                              \
        "ldtilecfg %1\n"                                                                       \
        "tilezero %%tmm0\n tilezero %%tmm1\n tilezero %%tmm2\n tilezero %%tmm3\n"              \
        "tilezero %%tmm4\n tilezero %%tmm5\n tilezero %%tmm6\n tilezero %%tmm7\n"              \
        "1:\n" OP " %%tmm7,%%tmm6,%%tmm0\n" OP " %%tmm7,%%tmm6,%%tmm1\n" OP                    \
        " %%tmm7,%%tmm6,%%tmm2\n" OP " %%tmm7,%%tmm6,%%tmm3\n" OP " %%tmm7,%%tmm6,%%tmm4\n" OP \
        " %%tmm7,%%tmm6,%%tmm5\n"                                                              \
        "dec %0\n jnz 1b\n tilerelease\n"                                                      \
        : "+r"(times)                                                                          \
        : "m"(config)                                                                          \
        : "cc");                                                                               \
  }
VSURGE_TILE_LOOP(loop_tile_bf16, "tdpbf16ps")
VSURGE_TILE_LOOP(loop_tile_int8, "tdpbusd")

// 1e9 operations per second, the best of some rounds, so that another process does
// not count; per_time: operations of one turn of the loop.
double peak(int threads, void (*loop)(std::int64_t), double per_time) {
  std::int64_t times = 1000;
  while (seconds_of(1, [&](int) { loop(times); }) < 0.01) times *= 2;
  double best = 0;
  for (int round = 0; round < 15; ++round) {
    const double seconds = seconds_of(threads, [&](int) { loop(2 * times); });
    best = std::max(best, 2 * per_time * static_cast<double>(times) * threads / seconds / 1e9);
  }
  return best;
}

// Linux gives the large tile state only to a process that asks for it (kernel's documentation of
// ARCH_REQ_XCOMP_PERM; component 18 is the data of the tiles). Threads begun later have it, too.
bool ask_for_tiles() {
  constexpr long kRequestPermission = 0x1023;
  constexpr long kTileData = 18;
  return ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

Roofs measure_roofs(int threads, std::string_view isa) {
  Roofs roofs;
  const bool tiles = isa == "amx";
  const bool bf16 = isa == "avx512" || tiles;
  if (isa == "avx2" || isa == "avx_vnni") {
    roofs.fma_f32 = peak(threads, loop_fma_256, kSums * 8 * 2);
  }
  if (bf16) roofs.vdpbf16ps = peak(threads, loop_bf16, kSums * 32 * 2);
  if (isa == "avx512_vnni" || bf16) {
    roofs.fma_f32 = peak(threads, loop_fma_512, kSums * 16 * 2);
    roofs.vpdpbusd = peak(threads, loop_vnni, kSums * 64 * 2);
  }
  if (tiles && ask_for_tiles()) {
    roofs.amx_bf16 = peak(threads, loop_tile_bf16, kTileSums * 16 * 16 * 32 * 2);
    roofs.amx_int8 = peak(threads, loop_tile_int8, kTileSums * 16 * 16 * 64 * 2);
  }
  return roofs;
}

ReadProbe::ReadProbe(int threads, std::int64_t bytes) {
  constexpr std::size_t kHugePage = std::size_t{2} << 20;
  const auto share = static_cast<std::size_t>(std::max<std::int64_t>(bytes, 1) / threads);
  part_bytes_ = (share / kHugePage + 1) * kHugePage;
  for (int t = 0; t < threads; ++t) {
    void* part = std::aligned_alloc(kHugePage, part_bytes_);
    if (part == nullptr) {
      for (void* made : parts_) std::free(made);
      throw std::bad_alloc();
    }
    ::madvise(part, part_bytes_, MADV_HUGEPAGE);  // as the weights are
    parts_.push_back(part);
  }
  seconds_of(threads, [&](int t) {  // each touches what it will read
    auto* words = static_cast<std::uint64_t*>(parts_[static_cast<std::size_t>(t)]);
    std::fill_n(words, part_bytes_ / sizeof *words, std::uint64_t{1});
  });
}

ReadProbe::~ReadProbe() {
  for (void* part : parts_) std::free(part);
}

double ReadProbe::gb_per_s() {
  using Vector [[gnu::vector_size(64)]] = std::uint64_t;
  constexpr std::size_t kUnrolled = 8;
  constexpr std::size_t kAhead = 4096 / sizeof(Vector);  // what every other round asks for ahead
  std::atomic<std::uint64_t> sink = 0;
  const int threads = static_cast<int>(parts_.size());
  double best = 0;
  for (int round = 0; round < 10; ++round) {
    const double seconds = seconds_of(threads, [&](int t) {
      const auto* data = static_cast<const Vector*>(parts_[static_cast<std::size_t>(t)]);
      Vector sums[kUnrolled]{};
      for (std::size_t i = 0; i < part_bytes_ / sizeof(Vector); i += kUnrolled) {
        for (std::size_t k = 0; k < kUnrolled; ++k) {
          if (round % 2 != 0) __builtin_prefetch(data + i + k + kAhead);
          sums[k] ^= data[i + k];
        }
      }
      std::uint64_t all = 0;
      for (const Vector& sum : sums) all ^= sum[0] ^ sum[7];
      sink.fetch_add(all);
    });
    best = std::max(best, static_cast<double>(part_bytes_) * threads / seconds / 1e9);
  }
  return best;
}

}  // namespace vsurge::apps
