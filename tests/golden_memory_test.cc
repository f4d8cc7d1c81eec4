// After a rehearsal a step allocates nothing, from the packing of the batch to the sampled token:
// every call of malloc and mmap of the process is counted.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <numeric>

#include "base/test_build.h"
#include "engine/executor.h"
#include "engine/rehearsal.h"
#include "kernels/kernels.h"

namespace {
std::atomic<bool> counting = false;
std::atomic<int> allocations = 0;
}  // namespace

#if !VSURGE_SANITIZED
// glibc's own entry points; operator new comes through malloc.
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

// Their parameters have reserved names in the system's headers.
// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name)
void* malloc(std::size_t size) {
  if (counting) ++allocations;
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
  if (counting) ++allocations;
  return __libc_calloc(count, size);
}
void* realloc(void* memory, std::size_t size) {
  if (counting) ++allocations;
  return __libc_realloc(memory, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  if (counting) ++allocations;
  return __libc_memalign(alignment, size);
}
void* memalign(std::size_t alignment, std::size_t size) {
  if (counting) ++allocations;
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** memory, std::size_t alignment, std::size_t size) {
  if (counting) ++allocations;
  *memory = __libc_memalign(alignment, size);
  return *memory == nullptr ? ENOMEM : 0;
}
// Buffers come from here; malloc's own maps are counted there.
void* mmap(void* at, std::size_t size, int protection, int flags, int file, off_t offset) noexcept {
  if (counting) ++allocations;
  return std::bit_cast<void*>(::syscall(SYS_mmap, at, size, protection, flags, file, offset));
}
void* mmap64(void* at, std::size_t size, int protection, int flags, int file,
             off_t offset) noexcept {
  return mmap(at, size, protection, flags, file, offset);
}
// NOLINTEND(readability-inconsistent-declaration-parameter-name)
}
#endif

namespace vsurge::engine {
namespace {

const std::filesystem::path kFolder =
    std::filesystem::path(VSURGE_SOURCE_DIR) / "tests/golden/mistral";

constexpr model::StepLimits kLimits{.tokens_max = 300,
                                    .sequences_max = 4,
                                    .logit_rows_max = 4,
                                    .context_max = 700,
                                    .page_size = 16,
                                    .pages = 4 * 44,
                                    .kv_dtype = tensor::DType::kBF16};

// Allows every other token.
class HalfOfThem final : public engine::TokenConstraint {
 public:
  base::Status fill_mask(std::span<std::uint32_t> words) override {
    for (std::uint32_t& word : words) word = 0x55555555U;
    return {};
  }
  base::Result<bool> allows(engine::TokenId token) override { return token % 2 == 0; }
  base::Status accept(engine::TokenId) override { return {}; }
};

// Four sequences with all kinds of sampling, each in its own pages.
struct Steps {
  explicit Steps(int vocabulary) : ids(1200), pages(kLimits.pages) {
    std::iota(ids.begin(), ids.end(), 0);
    for (auto& id : ids) id %= vocabulary;
    std::iota(pages.begin(), pages.end(), 0);
    plan.sequences.reserve(4);
    plan.rows.reserve(4);
    result.rows.reserve(4);
    result.sequences.reserve(4);
    result.top.reserve(4 * 20);
  }

  void add(int sequence, int first, int count) {
    engine::PlannedSequence& planned = plan.sequences.emplace_back();
    planned.first = first;
    planned.tokens =
        std::span(ids).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
    planned.pages = std::span<const std::int32_t>(pages).subspan(
        static_cast<std::size_t>(sequence) * 44, static_cast<std::size_t>(first + count + 15) / 16);
    planned.samples = true;
    planned.rows = 1;
    planned.first_row = static_cast<int>(plan.rows.size());
    static constexpr kernels::SampleRow kRows[] = {{0.0F, 1.0F, 0.0F, 0, 1, 2, nullptr},
                                                   {1.0F, 1.0F, 0.0F, 0, 1, 2, nullptr},
                                                   {0.8F, 0.9F, 0.05F, 40, 1, 2, nullptr},
                                                   {1.2F, 0.7F, 0.0F, 0, 1, 2, nullptr}};
    const int logprobs = sequence == 2 ? 20 : -1;
    plan.rows.push_back({.sampling = &kRows[sequence], .position = 2, .logprobs = logprobs});
    plan.alternatives += std::max(0, logprobs);
    if (sequence == 1) planned.constraint = &constraint;
    plan.load.tokens += count;
  }

  void run(engine::Executor& executor) {
    result.reset(plan);
    executor.run(plan, result);
    for (const auto& row : result.rows) {
      sampled += row.status == kernels::SampleStatus::kOk && row.token >= 0 ? 1 : 0;
    }
    plan.sequences.clear();
    plan.rows.clear();
    plan.alternatives = 0;
    plan.load = {};
  }

  std::vector<engine::TokenId> ids;
  std::vector<std::int32_t> pages;
  engine::StepPlan plan;
  engine::StepResult result;
  HalfOfThem constraint;
  int sampled = 0;
};

class StepMemory : public testing::TestWithParam<kernels::IsaLevel> {};

TEST_P(StepMemory, AStepAllocatesNothing) {
  if (VSURGE_SANITIZED) GTEST_SKIP() << "the sanitizer owns the allocator";
  if (!kernels::supported(GetParam())) GTEST_SKIP() << "this CPU does not have this level";
  auto backend = tensor::make_cpu_backend({2, kernels::table(GetParam()).name});
  ASSERT_TRUE(backend) << backend.error().message;
  model::LoadOptions load;
  load.weights = model::WeightChoice::kI8;
  auto model = model::load_model(kFolder, **backend, load);
  ASSERT_TRUE(model) << model.error().message;
  ASSERT_TRUE((*model)->reserve(kLimits));
  engine::Executor executor(**model, **backend, kLimits);
  engine::rehearse_largest_step(executor, kLimits);
  Steps steps((*model)->info().vocabulary);

  allocations = 0;
  counting = true;
  // a large prompt, the largest step there is, a small one with all sequences
  steps.add(3, 0, 300);
  steps.run(executor);
  steps.add(0, 0, 49);
  steps.add(1, 0, 1);
  steps.add(2, 0, 3);
  steps.add(3, 300, 247);
  steps.run(executor);
  const int length[] = {49, 1, 3, 547};
  for (int step = 0; step < 3; ++step) {
    for (int i = 0; i < 4; ++i) steps.add(i, length[i] + step, 1);
    steps.run(executor);
  }
  counting = false;
  EXPECT_EQ(allocations, 0);
  EXPECT_EQ(steps.sampled, 1 + 4 + 3 * 4);
}

INSTANTIATE_TEST_SUITE_P(Levels, StepMemory, testing::ValuesIn(kernels::kIsaLevels));

TEST(StepMemoryCounter, Works) {
  if (VSURGE_SANITIZED) GTEST_SKIP() << "the sanitizer owns the allocator";
  const auto counted = [](auto&& allocate) {
    allocations = 0;
    counting = true;
    allocate();
    counting = false;
    return allocations.load();
  };
  void* volatile kept = nullptr;
  EXPECT_EQ(counted([&] { kept = std::malloc(100); }), 1);
  std::free(kept);
  int* volatile made = nullptr;
  EXPECT_EQ(counted([&] { made = new int; }), 1);
  delete made;
  tensor::Buffer buffer;
  EXPECT_EQ(counted([&] { buffer = std::move(*tensor::Buffer::allocate(100)); }), 1);
}

}  // namespace
}  // namespace vsurge::engine
