// Runs sequences through a model without the engine: pages, batches, all logits. For tests and
// measuring programs; one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "model/model.h"

namespace vsurge::testing {

struct RunnerOptions {
  std::string isa = {};  // empty = best
  int threads = 2;
  model::WeightChoice weights = model::WeightChoice::kAuto;
  tensor::DType kv_dtype = tensor::DType::kF32;
  int tokens_max = 1024;
  int sequences_max = 8;
  int context_max = 1024;
  int page_size = 16;
};

// The life of one text in the cache.
struct Sequence {
  std::vector<std::int32_t> pages;
  int length = 0;
};

// Some more tokens of a sequence.
struct Part {
  Sequence* sequence;
  std::span<const std::int32_t> tokens;
};

class ModelRunner {
 public:
  static base::Result<ModelRunner> open(const std::filesystem::path& path,
                                        const RunnerOptions& options);

  const model::ModelInfo& info() const { return model_->info(); }
  // One step; logits [tokens of all parts, vocabulary], valid until the next.
  std::span<const float> step(std::span<const Part> parts);
  // Logits of all tokens, given in steps of at most `chunk`, in a fresh sequence.
  std::vector<float> logits(std::span<const std::int32_t> tokens, int chunk);
  // The `count` tokens after `prompt`, each the lowest id among the highest logits.
  std::vector<std::int32_t> greedy(std::span<const std::int32_t> prompt, int count);
  void release(Sequence& sequence);

 private:
  struct Arrays {
    std::vector<std::int32_t> tokens, positions, slots, sequence_offsets, context_lengths, pages,
        page_offsets, logit_rows;
  };
  ModelRunner() = default;
  void reserve_arrays();
  void append(const Part& part);

  RunnerOptions options_;
  std::unique_ptr<tensor::Backend> backend_;
  std::unique_ptr<model::Model> model_;
  std::vector<std::int32_t> free_pages_;
  Arrays arrays_;
};

// Mean over rows of KL(softmax(reference) || softmax(other)), in double; rows of `vocabulary`.
double mean_kl(std::span<const float> reference, std::span<const float> other, int vocabulary);

std::int32_t argmax(std::span<const float> logits);

}  // namespace vsurge::testing
