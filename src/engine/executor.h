// Executor: the StepRunner that runs a real model.
#pragma once

#include <cstdint>
#include <vector>

#include "base/side_thread.h"
#include "engine/step_runner.h"
#include "model/model.h"
#include "tensor/backend.h"

namespace vsurge::engine {

// Engine thread. Allocates nothing after construction.
class Executor final : public StepRunner {
 public:
  // The model must have been reserved for `limits`; model and backend must outlive the executor.
  Executor(model::Model& model, tensor::Backend& backend, const model::StepLimits& limits);

  // Copies pages, packs the plan, runs the model, samples. A mask that cannot be made ends its
  // sequence alone.
  void run(const StepPlan& plan, StepResult& result) override;

 private:
  struct MasksJob {
    Executor* executor = nullptr;
    const StepPlan* plan = nullptr;
    StepResult* result = nullptr;

    static void run(void* job);
  };

  void clear();
  void append(const PlannedSequence& planned);
  void point_to(std::span<kernels::TopLogprob> top);
  void divide_constraints(const StepPlan& plan);
  void fill_masks(const StepPlan& plan, StepResult& result);
  void fill_mask(const StepPlan& plan, std::size_t sequence, StepResult& result);
  void ask_constraints(const StepPlan& plan, const tensor::Tensor& logits, StepResult& result);
  void pool(const StepPlan& plan, const tensor::Tensor& logits);

  model::Model& model_;
  tensor::Backend& backend_;
  const model::StepLimits limits_;
  const std::size_t mask_words_;  // of one row

  // The batch; capacity for the largest legal step.
  std::vector<std::int32_t> tokens_;
  std::vector<std::int32_t> positions_;
  std::vector<std::int32_t> slots_;
  std::vector<std::int32_t> sequence_offsets_;
  std::vector<std::int32_t> context_lengths_;
  std::vector<std::int32_t> pages_;
  std::vector<std::int32_t> page_offsets_;
  std::vector<std::int32_t> logit_rows_;
  std::vector<kernels::SampleRow> rows_;
  std::vector<std::uint32_t> masks_;  // [sequences_max, mask_words_]
  std::vector<std::size_t> masked_;   // sequences whose masks are made beside the model
  std::vector<std::size_t> asked_;    // sequences whose constraint is asked about their token
  std::vector<float> state_;          // [hidden] of one token that is pooled
  std::vector<float> pooled_logits_;  // [kPooledLogitsMax]
  MasksJob masks_job_;
  base::SideThread mask_thread_;
};

}  // namespace vsurge::engine
