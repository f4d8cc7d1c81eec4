// Model: a checkpoint, packed and ready to run steps.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "model/batch.h"
#include "model/pooling.h"
#include "tensor/backend.h"

namespace vsurge::model {

// Facts about a loaded model.
struct ModelInfo {
  std::string family;         // model_type: "llama", "qwen3", ...
  std::string weight_format;  // of the layers, for people: "int4 g32 with minimum"
  std::int64_t parameters = 0;
  std::int64_t weight_bytes = 0;  // packed
  // Of them, in pages of a file: the system counts them as available, though they are wanted.
  std::int64_t mapped_bytes = 0;
  int vocabulary = 0;  // width of the logits
  int hidden = 0;
  int layers = 0;
  int heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  int context_max = 0;  // max_position_embeddings, scaled as the checkpoint says
  int window = 0;       // keys that a query sees at most in every layer; 0 = all before it
  std::optional<std::int32_t> bos_token;
  std::vector<std::int32_t> eos_tokens;  // of config.json and generation_config.json (or GGUF)
  // generation_config.json, where present
  std::optional<float> temperature;
  std::optional<float> top_p;
  std::optional<int> top_k;
  std::optional<float> min_p;
  std::optional<float> repetition_penalty;
  std::optional<int> max_new_tokens;
  PoolingSpec pooling;
  std::vector<float> score;  // of a classifier: [labels, hidden]
  bool generates = true;     // it has a head that makes logits
};

// How the weights are kept: as the checkpoint has them (integers stay integers, floats become
// bfloat16), or in one given format.
enum class WeightChoice : std::uint8_t { kAuto, kF32, kBF16, kI8, kI4, kNF4 };

// "none", "float32", "bfloat16", "8bit", "int4", "nf4".
std::string_view choice_name(WeightChoice choice);

struct LoadOptions {
  WeightChoice weights = WeightChoice::kAuto;
  // The head's own. Absent: 8 bits where `weights` quantises, else as `weights` says. kAuto: as
  // the checkpoint has it. Not with kF32.
  std::optional<WeightChoice> head = {};
  // Called on the loading thread with bytes done and in all.
  std::function<void(std::int64_t done, std::int64_t total)> progress;
};

// Largest legal step; everything is reserved for it.
struct StepLimits {
  int tokens_max = 0;
  int sequences_max = 0;
  int logit_rows_max = 0;
  int context_max = 0;
  int page_size = 0;
  int pages = 0;
  tensor::DType kv_dtype = tensor::DType::kBF16;
};

// One thread at a time.
class Model {
 public:
  virtual ~Model() = default;
  virtual const ModelInfo& info() const = 0;
  // Bytes of one KV page over all layers.
  virtual std::int64_t page_bytes(int page_size, tensor::DType kv_dtype) const = 0;
  // Bytes of activations and scratch for these limits, KV cache not counted.
  virtual std::int64_t step_bytes(const StepLimits& limits) const = 0;
  // Reserves KV cache and activations; once, before the first forward.
  virtual base::Status reserve(const StepLimits& limits) = 0;
  // Page `to` of the KV cache becomes equal to page `from`, before the next forward.
  virtual void copy_page(std::int32_t from, std::int32_t to) = 0;
  // Runs a step within the reserved limits. Returns float logits [logit_rows, vocabulary], valid
  // until the next call.
  virtual tensor::Tensor forward(const Batch& batch) = 0;
  // The same, when wants_greatest() of all its rows: their tokens, as sample() has them. results:
  // [logit_rows].
  virtual void forward_greatest(const Batch& batch, std::span<kernels::SampleResult> results) = 0;
  // The state of a token (an index into Batch::tokens) of the last batch after the last layer and
  // the final norm: out is [hidden].
  virtual void read_state(std::int32_t token, std::span<float> out) = 0;
};

// `path`: a Hugging Face folder, a .gguf file, or a packed folder (packed_folder.h), whose choices
// `options` must not contradict (kUsage). `backend` must outlive the model.
base::Result<std::unique_ptr<Model>> load_model(const std::filesystem::path& path,
                                                tensor::Backend& backend,
                                                const LoadOptions& options);

}  // namespace vsurge::model
