// Memory of the backend: pages of the KV cache are there before they are used, plans fit what was
// reserved for them.
#include <sys/mman.h>

#include <algorithm>

#include "base/memory.h"
#include "tensor/attention_plan.h"
#include "tests/op_testing.h"

namespace vsurge::tensor {
namespace {

TEST(KvMemory, IsCommittedWhenItIsMade) {
  CpuBackend backend(kernels::best_level(), 2);
  const KvShape shape{DType::kBF16, 5, 3, 64, 16, 1111};
  const auto cache = backend.make_kv_cache(shape);
  ASSERT_TRUE(cache) << cache.error().message;
  const std::size_t pages = (cache->storage.size() + 4095) / 4096;
  std::vector<unsigned char> resident(pages);
  ASSERT_EQ(::mincore(cache->storage.data(), cache->storage.size(), resident.data()), 0);
  EXPECT_EQ(std::count_if(resident.begin(), resident.end(), [](auto r) { return (r & 1) == 0; }),
            0);
  // The check can fail: fresh memory is not there.
  const auto fresh = Buffer::allocate(64 * 4096);
  ASSERT_EQ(::mincore(fresh->data(), fresh->size(), resident.data()), 0);
  EXPECT_EQ(resident[40] & 1, 0);
  ASSERT_TRUE(fresh->commit(40 * 4096, 41 * 4096));
  ASSERT_EQ(::mincore(fresh->data(), fresh->size(), resident.data()), 0);
  EXPECT_EQ(resident[40] & 1, 1);
}

TEST(KvMemory, MoreThanThereIsIsAnError) {
  CpuBackend backend(kernels::best_level(), 1);
  KvShape shape{DType::kF32, 64, 16, 256, 128, 0};
  const std::size_t page = shape.page_bytes();
  shape.pages =
      static_cast<int>(static_cast<std::size_t>(base::memory_available_bytes()) / page * 5 / 4 + 1);
  const auto cache = backend.make_kv_cache(shape);
  ASSERT_FALSE(cache.has_value());
  EXPECT_EQ(cache.error().code, base::ErrorCode::kEnvironment);
  EXPECT_NE(cache.error().message.find("available"), std::string::npos);
}

TEST(KvMemory, CopiesOnePageOfAllLayers) {
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kI8}) {
    CpuBackend backend(kernels::best_level(), 1);
    const KvShape shape{dtype, 3, 2, 8, 16, 6};
    auto cache = backend.make_kv_cache(shape);
    ASSERT_TRUE(cache) << cache.error().message;
    const std::size_t page = shape.page_bytes() / 3;  // of one layer
    std::byte* bytes = cache->storage.data();
    for (std::size_t i = 0; i < 18 * page; ++i) bytes[i] = static_cast<std::byte>(i * 31 / page);
    std::vector<std::byte> expected(bytes, bytes + 18 * page);
    for (std::size_t layer = 0; layer < 3; ++layer) {
      const auto from = expected.begin() + static_cast<std::ptrdiff_t>((6 * layer + 4) * page);
      std::copy_n(from, page,
                  expected.begin() + static_cast<std::ptrdiff_t>((6 * layer + 1) * page));
    }
    backend.copy_page(*cache, 4, 1);
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), bytes));
  }
}

TEST(AttentionPlan, FitsItsReserveOnManyThreads) {
  for (const int threads : {1, 2, 7, 64, 1024}) {
    for (const int sequences : {1, 3}) {
      Backend::StepShape shape{};
      shape.tokens_max = sequences;
      shape.sequences_max = sequences;
      shape.context_max = 100'000;
      shape.heads = 2;
      shape.head_dim = 8;
      AttentionPlan plan;
      plan.reserve(shape, std::int64_t{1} << 40, threads);
      const std::size_t units = plan.units().capacity(), merges = plan.merges().capacity();
      for (const int context : {300, 2000, 100'000}) {
        std::vector<std::int32_t> offsets{0}, lengths, pages, page_offsets{0};
        for (int i = 0; i < sequences; ++i) {
          offsets.push_back(i + 1);
          lengths.push_back(context);
          page_offsets.push_back(0);
        }
        const KvShape kv{DType::kF32, 1, 2, 8, 16, 1};
        plan.build({offsets, lengths, pages, page_offsets}, kv, 2, threads);
        EXPECT_EQ(plan.units().capacity(), units) << threads << " " << context;
        EXPECT_EQ(plan.merges().capacity(), merges);
      }
    }
  }
}

}  // namespace
}  // namespace vsurge::tensor
