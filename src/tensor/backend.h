// Backend: the operations a decoder is made of, on one device.
//
// Owned and called by one thread (the engine's). Shapes are CHECKed in the public functions, the
// private virtual part is the device. Every operation obeys the rule of same bytes: an output row
// depends on its own inputs only, by one fixed chain of operations, whatever the other rows, the
// number of threads, the chunking of a prompt or the pages a sequence happens to own.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/thread_pool.h"
#include "kernels/sample.h"
#include "kernels/types.h"
#include "tensor/tensor.h"
#include "tensor/weight.h"

namespace vsurge::tensor {

// Storage of the KV cache of all layers. Slot s of a sequence's page p holds one token's key and
// value heads. The layout inside a page belongs to the kernels.
struct KvShape {
  DType dtype = DType::kBF16;  // kF32, kBF16, or kI8 with one float scale per token, head and part
  int layers = 0;
  int kv_heads = 0;
  int head_dim = 0;
  int page_size = 0;  // slots of one page: 16, 32, 64 or 128
  int pages = 0;

  // Bytes of one page over all layers, keys and values.
  std::size_t page_bytes() const {
    const std::size_t scale = dtype == DType::kI8 ? sizeof(float) : 0;
    return 2 * static_cast<std::size_t>(layers) * static_cast<std::size_t>(kv_heads) *
           static_cast<std::size_t>(page_size) *
           (static_cast<std::size_t>(head_dim) * kernels::dtype_bytes(dtype) + scale);
  }
};
struct KvCache {
  KvShape shape;
  Buffer storage;
};

// Who attends to what in one step. Plain arrays, valid until the step's last attention call.
struct AttentionBatch {
  std::span<const std::int32_t> sequence_offsets;  // [sequences + 1] first token row of each
  std::span<const std::int32_t> context_lengths;   // [sequences] tokens in the cache after the step
  // page numbers, one sequence after another; -1 where no query of the step sees a key of the page
  std::span<const std::int32_t> pages;
  std::span<const std::int32_t> page_offsets;  // [sequences + 1] into `pages`
};

struct AttentionSpec {
  int layer = 0;
  float scale = 0;    // of q.k
  int window = 0;     // keys a query sees, itself included; 0 = all before it
  float softcap = 0;  // 0 = none
};

// Queries and keys before attention: [optional RMS norm per head,] rotation.
struct RopeSpec {
  const float* q_norm = nullptr;  // [head_dim] or nullptr
  const float* k_norm = nullptr;
  float norm_eps = 0;
  bool interleaved = false;  // pairs (2i, 2i+1) instead of (i, i + rotary_dim / 2)
  int rotary_dim = 0;        // of head_dim; the rest passes unchanged
};

// out = f(x) W^T [+ bias] [added to what out holds]; f is one of
//   nothing    x [tokens, K]
//   norm       x [tokens, K]: x / rms(x) * norm, rms = sqrt(mean of x^2 + norm_eps) in float
//   gate       x [tokens, 2 K], gate first: act(gate) * up
struct LinearSpec {
  const float* bias = nullptr;  // [rows of W]
  bool accumulate = false;
  // Integer weights: activations in 16 bits instead of 8, at twice the multiplications (hardly
  // slower for few rows, which wait for memory). No effect on float weights.
  bool precise = false;
  std::span<const float> norm = {};  // [K]
  float norm_eps = 0;
  std::optional<kernels::Activation> gate = {};
};

// Where the time of steps goes. A linear layer as wide as the vocabulary is the head.
enum class Op : std::uint8_t {
  kEmbed,
  kLinear,
  kHead,
  kRope,
  kAttention,
  kSample,
  kOther,
};
inline constexpr std::size_t kOps = 7;
std::string_view op_name(Op op);

class Backend {
 public:
  virtual ~Backend() = default;

  // Nanoseconds in each operation since the start, by Op; any thread. Told when they have ended.
  std::array<std::int64_t, kOps> op_times() const;

  virtual std::string name() const = 0;  // "cpu/avx512, 2 threads"
  virtual base::ThreadPool& pool() = 0;  // for work beside the ops, between them

  // --- memory, before the first step
  base::Result<Buffer> allocate(std::size_t bytes) { return Buffer::allocate(bytes); }
  // Packs in parallel. When format == source.native() and that is an integer format, codes are
  // taken as they are and only scales and minima are rounded, to half precision (exact where the
  // source has them so); otherwise values are rounded to nearest in groups of format.group.
  base::Result<Weight> pack(const RowSource& source, kernels::WeightFormat format);
  // All of it committed; kEnvironment when the machine or a cgroup has not so much left.
  base::Result<KvCache> make_kv_cache(const KvShape& shape);
  // Reserves scratch for steps of up to `tokens_max` rows, `sequences_max` sequences and
  // contexts of `context_max` tokens; a step within these allocates nothing.
  struct StepShape {
    int tokens_max = 0;
    int sequences_max = 0;
    int context_max = 0;
    int inputs_max = 0;  // widest K of any linear
    int heads = 0;
    int head_dim = 0;
    int vocabulary = 0;  // width of the logits that sample() gets
  };
  base::Status reserve(const StepShape& shape);
  // What reserve(shape) takes.
  std::size_t scratch_bytes(const StepShape& shape) const;

  // --- one step; all activations are float, [tokens, width]
  // out [tokens, K] = rows of `table` [vocabulary, K]
  void embed(const Weight& table, std::span<const std::int32_t> tokens, Tensor out);
  // x as LinearSpec says, out [tokens, N]
  void linear(Tensor x, const Weight& w, Tensor out, const LinearSpec& spec = {});
  // What sample() makes of linear() for rows of which wants_greatest(): the logits are not stored.
  void linear_greatest(Tensor x, const Weight& w, const LinearSpec& spec,
                       std::span<kernels::SampleResult> results);
  // Norms and rotates queries and keys of qkv [tokens, (heads + 2 kv_heads) head_dim] in place,
  // then stores keys and values of token t in slot slots[t] (page * page_size + place) of `layer`.
  // cosines, sines: [tokens, rotary_dim / 2], attention factor included.
  void rope_and_store_kv(Tensor qkv, Tensor cosines, Tensor sines, const RopeSpec& spec,
                         std::span<const std::int32_t> slots, KvCache& kv, int layer);
  // Page `to` becomes equal to page `from`, in all layers.
  void copy_page(KvCache& kv, std::int32_t from, std::int32_t to);
  // Divides the attention work of a step; once per step, before attention().
  void plan_attention(const AttentionBatch& batch, const KvShape& shape, int heads);
  // q [tokens, heads * head_dim] (a column view of qkv), out the same shape.
  void attention(Tensor q, const KvCache& kv, const AttentionSpec& spec, Tensor out);
  // out row i = x row rows[i]
  void gather_rows(Tensor x, std::span<const std::int32_t> rows, Tensor out);
  // One token per row of logits [rows, vocabulary] (float); logits may be changed.
  void sample(Tensor logits, std::span<const kernels::SampleRow> rows,
              std::span<kernels::SampleResult> results);

 private:
  class Timer;
  void count(Op op, base::Nanoseconds time);

  std::array<std::atomic<std::int64_t>, kOps> op_times_{};
  base::SteadyClock clock_;
  int vocabulary_ = 0;  // of reserve()

  virtual base::Result<Weight> do_pack(const RowSource& source, kernels::WeightFormat format) = 0;
  virtual base::Status do_reserve(const StepShape& shape) = 0;
  virtual std::size_t do_scratch_bytes(const StepShape& shape) const = 0;
  virtual void do_embed(const Weight& table, std::span<const std::int32_t> tokens, Tensor out) = 0;
  virtual void do_linear(Tensor x, const Weight& w, Tensor out, const LinearSpec& spec) = 0;
  virtual void do_linear_greatest(Tensor x, const Weight& w, const LinearSpec& spec,
                                  std::span<kernels::SampleResult> results) = 0;
  virtual void do_rope_and_store_kv(Tensor qkv, Tensor cosines, Tensor sines, const RopeSpec& spec,
                                    std::span<const std::int32_t> slots, KvCache& kv,
                                    int layer) = 0;
  virtual void do_copy_page(KvCache& kv, std::int32_t from, std::int32_t to) = 0;
  virtual void do_plan_attention(const AttentionBatch& batch, const KvShape& shape, int heads) = 0;
  virtual void do_attention(Tensor q, const KvCache& kv, const AttentionSpec& spec, Tensor out) = 0;
  virtual void do_gather_rows(Tensor x, std::span<const std::int32_t> rows, Tensor out) = 0;
  virtual void do_sample(Tensor logits, std::span<const kernels::SampleRow> rows,
                         std::span<kernels::SampleResult> results) = 0;
};

struct CpuBackendOptions {
  int threads = 0;  // 0 = all that the process may use
  // Empty = the best this CPU has; else scalar, avx2, avx_vnni, avx512_vnni, avx512 or amx (kUsage
  // when unknown or absent).
  std::string isa;
};
base::Result<std::unique_ptr<Backend>> make_cpu_backend(const CpuBackendOptions& options);

}  // namespace vsurge::tensor
