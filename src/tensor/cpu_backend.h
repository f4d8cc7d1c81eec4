// The CPU: kernels of one instruction set level over a pool of threads.
#pragma once

#include "kernels/kernels.h"
#include "tensor/attention_plan.h"
#include "tensor/backend.h"

namespace vsurge::tensor {

class CpuBackend final : public Backend {
 public:
  CpuBackend(kernels::IsaLevel level, int threads);

  std::string name() const override;
  base::ThreadPool& pool() override { return pool_; }

 private:
  base::Result<Weight> do_pack(const RowSource& source, kernels::WeightFormat format) override;
  base::Status do_reserve(const StepShape& shape) override;
  std::size_t do_scratch_bytes(const StepShape& shape) const override;
  void do_embed(const Weight& table, std::span<const std::int32_t> tokens, Tensor out) override;
  void do_linear(Tensor x, const Weight& w, Tensor out, const LinearSpec& spec) override;
  void do_linear_greatest(Tensor x, const Weight& w, const LinearSpec& spec,
                          std::span<kernels::SampleResult> results) override;
  void do_rope_and_store_kv(Tensor qkv, Tensor cosines, Tensor sines, const RopeSpec& spec,
                            std::span<const std::int32_t> slots, KvCache& kv, int layer) override;
  void do_copy_page(KvCache& kv, std::int32_t from, std::int32_t to) override;
  void do_plan_attention(const AttentionBatch& batch, const KvShape& shape, int heads) override;
  void do_attention(Tensor q, const KvCache& kv, const AttentionSpec& spec, Tensor out) override;
  void do_gather_rows(Tensor x, std::span<const std::int32_t> rows, Tensor out) override;
  void do_sample(Tensor logits, std::span<const kernels::SampleRow> rows,
                 std::span<kernels::SampleResult> results) override;

  // Bytes of each scratch buffer for a step.
  struct ScratchSizes {
    std::size_t values, rows, groups, partials, attention, sampling;
  };
  ScratchSizes scratch_sizes(const StepShape& shape) const;
  // Activations of x in the form that `w` multiplies, in the reserved scratch.
  std::int64_t panels_at_once(const kernels::LinearArgs& args) const;
  void linear_by_rows(const kernels::LinearArgs& args, std::int64_t grain);
  void greatest_of(const kernels::LinearArgs& args, std::span<kernels::SampleResult> results);
  kernels::Activations prepare(const Tensor& x, const Weight& w, const LinearSpec& spec);
  // Calls fn(begin, end) over rows, on all threads when there are enough of them.
  template <class F>
  void for_rows(std::int64_t rows, F&& fn);
  void need(Buffer& buffer, std::size_t bytes);

  const kernels::KernelTable& kernels_;
  base::ThreadPool pool_;
  AttentionPlan plan_;
  Buffer values_;     // prepared activations
  Buffer rows_;       // of each worker, a row after its norm or gate
  Buffer groups_;     // their starts, sums and scales
  Buffer partials_;   // of split attention tiles
  Buffer attention_;  // scratch of each worker
  Buffer sampling_;   // the same, for sample()
};

}  // namespace vsurge::tensor
