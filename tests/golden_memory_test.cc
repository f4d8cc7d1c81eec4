// After reserve() a step allocates nothing: every allocation of the process is counted.
#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <filesystem>
#include <numeric>

#include "golden_runner.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define VSURGE_COUNTS_ALLOCATIONS 0  // the allocator belongs to the sanitizer
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define VSURGE_COUNTS_ALLOCATIONS 0
#endif
#endif
#ifndef VSURGE_COUNTS_ALLOCATIONS
#define VSURGE_COUNTS_ALLOCATIONS 1
#endif

namespace {
std::atomic<bool> counting = false;
std::atomic<int> allocations = 0;
}  // namespace

#if VSURGE_COUNTS_ALLOCATIONS
// glibc's own entry points; operator new comes through malloc.
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

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
}
#endif

namespace vsurge::testing {
namespace {

const std::filesystem::path kFolder =
    std::filesystem::path(VSURGE_SOURCE_DIR) / "tests/golden/mistral";

TEST(Memory, AStepAllocatesNothing) {
  if (!VSURGE_COUNTS_ALLOCATIONS) GTEST_SKIP() << "the sanitizer owns the allocator";
  auto opened = ModelRunner::open(kFolder, {.weights = model::WeightChoice::kI8,
                                            .kv_dtype = tensor::DType::kBF16,
                                            .tokens_max = 300,
                                            .sequences_max = 3});
  ASSERT_TRUE(opened) << opened.error().message;
  ModelRunner& runner = *opened;
  std::vector<std::int32_t> ids(600);
  std::iota(ids.begin(), ids.end(), 0);
  for (auto& id : ids) id %= runner.info().vocabulary;
  Sequence sequences[3];
  for (Sequence& sequence : sequences) sequence.pages.reserve(64);

  counting = true;
  // the very first step, the largest one, and a small one with all sequences
  const Part first[] = {{&sequences[0], std::span(ids).first(300)}};
  runner.step(first);
  const Part second[] = {{&sequences[0], std::span(ids).first(250)},
                         {&sequences[1], std::span(ids).first(49)},
                         {&sequences[2], std::span(ids).first(1)}};
  runner.step(second);
  const Part third[] = {{&sequences[0], std::span(ids).first(1)},
                        {&sequences[1], std::span(ids).first(1)},
                        {&sequences[2], std::span(ids).first(1)}};
  runner.step(third);
  counting = false;
  EXPECT_EQ(allocations, 0);

  counting = true;  // the counter itself works
  delete new Sequence;
  void* volatile kept = std::malloc(100);
  counting = false;
  std::free(kept);
  EXPECT_GE(allocations, 1);
}

}  // namespace
}  // namespace vsurge::testing
