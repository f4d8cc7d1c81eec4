// Decoder: the one decoder-only transformer. What differs between models is data (spec.h).
#pragma once

#include <functional>

#include "model/decoder_memory.h"
#include "model/model.h"
#include "model/rope.h"
#include "model/spec.h"
#include "model/weights.h"

namespace vsurge::model {

// Owned and called by one thread. The residual stream and all activations are float.
class Decoder final : public Model {
 public:
  // `weights` are those of `spec`; `backend` outlives the decoder.
  Decoder(DecoderSpec spec, DecoderWeights weights, tensor::Backend& backend);

  const ModelInfo& info() const override { return info_; }
  std::int64_t page_bytes(int page_size, tensor::DType kv_dtype) const override;
  std::int64_t step_bytes(const StepLimits& limits) const override;
  base::Status reserve(const StepLimits& limits) override;
  void copy_page(std::int32_t from, std::int32_t to) override;
  tensor::Tensor forward(const Batch& batch) override;
  void forward_greatest(const Batch& batch, std::span<kernels::SampleResult> results) override;
  void read_state(std::int32_t token, std::span<float> out) override;

  // What a step feeds to the matrices.
  enum class Input : std::uint8_t {
    kAttention,  // the residual [tokens, hidden] before the norm of attention
    kMlp,        // and of the MLP
    kDown,       // [gate, up], [tokens, 2 intermediate]
    kHead,       // the residual behind the last layer; its layer is the last
  };
  using Observer = std::function<void(Input input, int layer, const tensor::Tensor& x)>;
  // Runs a step as forward() does, up to the head, and shows what comes to each matrix, in order.
  void observe(const Batch& batch, const Observer& see);

 private:
  tensor::KvShape kv_shape(int page_size, int pages, tensor::DType kv_dtype) const;
  tensor::Backend::StepShape step_shape(const StepLimits& limits) const;
  void check(const Batch& batch) const;

  // Parts of forward(), on the rows of one step.
  void begin(const Batch& batch, const Activations& a);
  void rotation_angles(std::span<const std::int32_t> positions, const Activations& a);
  void attend(int layer, const Batch& batch, const Activations& a);
  void rotate_and_store(int layer, const Batch& batch, const Activations& a);
  void feed_forward(int layer, const Activations& a);
  Activations run_layers(const Batch& batch);
  tensor::LinearSpec head_spec() const;

  DecoderSpec spec_;
  DecoderWeights weights_;
  tensor::Backend& backend_;
  Rope rope_;
  ModelInfo info_;

  StepLimits limits_{};
  tensor::Buffer activation_memory_;
  Activations activations_;  // for the largest step
  tensor::KvCache kv_;
};

}  // namespace vsurge::model
