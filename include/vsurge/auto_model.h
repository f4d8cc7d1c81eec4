// AutoModelForCausalLM: a checkpoint, checked, packed for this machine and ready to be served.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vsurge/error.h"

namespace vsurge {

// Number type of weights and arithmetic. AUTO: as the checkpoint has it (quantised weights stay
// quantised, floats are served in bfloat16).
enum class Dtype { AUTO, FLOAT32, BFLOAT16, FLOAT16 };

// How weights are quantised while loading. NONE: not at all (what the checkpoint has quantised
// stays so under Dtype::AUTO, and where it is no wider than what is asked for). A8BIT: int8 with
// scale and minimum for 256 values along the input, 128 behind a gate; INT4: 4 bits with scale and
// minimum for 32; NF4: sixteen quantiles of the normal distribution, a scale for 32. Norms and the
// embedding stay as they are, the head has 8 bits unless head_quantization_method says otherwise.
enum class EasyDeLQuantizationMethods { NONE, NF4, A8BIT, INT4 };

// Training only; anything but NONE is refused.
enum class EasyDeLGradientCheckPointers { NONE, EVERYTHING_SAVEABLE, NOTHING_SAVEABLE };

// There is one mechanism here, attention over ragged pages; AUTO and the two names of it are
// accepted, the others are refused.
enum class AttentionMechanisms {
  AUTO,
  RAGGED_PAGE_ATTENTION,
  PAGED_ATTENTION,
  VANILLA,
  FLASH_ATTN2,
  SDPA,
};

// Arithmetic of matrix products. DEFAULT: that of dtype. HIGH and HIGHEST ask for float32 and need
// Dtype::FLOAT32.
enum class Precision { DEFAULT, HIGH, HIGHEST };

// Which mesh axis splits what. With one device every valid map is the same; names that are not
// axes (dp, fsdp, ep, tp, sp) are refused.
struct PartitionAxis {
  std::vector<std::string> batch_axis = {"fsdp", "dp"};
  std::string sequence_axis = "sp";
  std::string query_sequence_axis = "sp";
  std::string head_axis = "tp";
  std::string key_sequence_axis = "sp";
  std::string hidden_state_axis = "tp";
  std::string mlp_intermediate_axis = "tp";
  std::string vocab_axis = "tp";
  std::string expert_axis = "ep";
};

struct EasyDeLBaseConfigDict {
  // Positions the rotary tables and the mask are made for; the smaller is the longest context
  // (prompt plus answer). Absent: what the checkpoint says. More than that is refused.
  std::optional<int> freq_max_position_embeddings = {};
  std::optional<int> mask_max_position_embeddings = {};
  // NONE or A8BIT: keys and values as int8, one scale per token and head.
  EasyDeLQuantizationMethods kv_cache_quantization_method = EasyDeLQuantizationMethods::NONE;
  EasyDeLGradientCheckPointers gradient_checkpointing = EasyDeLGradientCheckPointers::NONE;
  AttentionMechanisms attn_mechanism = AttentionMechanisms::AUTO;
  Dtype kvdtype = Dtype::AUTO;  // of the KV cache: BFLOAT16, FLOAT32, or AUTO = that of dtype
};

struct PretrainedOptions {
  bool auto_shard_model = true;
  // Sizes of the axes dp, fsdp, ep, tp, sp; one -1 takes the devices that are left. The product
  // must be the number of devices, which is 1.
  std::array<int, 5> sharding_axis_dims = {1, 1, 1, -1, 1};
  EasyDeLBaseConfigDict config_kwargs = {};
  EasyDeLQuantizationMethods quantization_method = EasyDeLQuantizationMethods::NONE;
  // Of the matrix that makes logits, where it is not to be as quantization_method has it. NONE: as
  // the checkpoint has it.
  std::optional<EasyDeLQuantizationMethods> head_quantization_method = {};
  Dtype param_dtype = Dtype::AUTO;  // of stored weights
  Dtype dtype = Dtype::AUTO;        // of arithmetic
  PartitionAxis partition_axis = {};
  Precision precision = Precision::DEFAULT;

  // --- beyond the original
  int threads = 0;       // compute threads; 0 = every CPU this process may use
  std::string isa = {};  // scalar, avx2, avx_vnni, avx512_vnni, avx512, amx; empty = the best
  // Called while loading, with bytes done and in all. Absent: a progress bar on a terminal, log
  // lines otherwise, when verbose.
  std::function<void(std::int64_t done, std::int64_t total)> progress = {};
  bool verbose = true;
};

// A loaded model; copies share it. Without from_pretrained() it is empty: info() and
// vSurge::from_model() throw.
class AutoModelForCausalLM {
 public:
  // A Hugging Face folder, a .gguf file or a folder of quantize_checkpoint(), whose formats the
  // options must not contradict. Nothing is downloaded and no code of it is run.
  static AutoModelForCausalLM from_pretrained(const std::string& pretrained_model_name_or_path,
                                              const PretrainedOptions& options = {});

  struct Info {
    std::string family;         // "llama", "qwen3", ...
    std::string weight_format;  // for people
    std::string isa;            // "avx512"
    int threads = 0;
    std::int64_t parameters = 0;
    std::int64_t weight_bytes = 0;
    int layers = 0;
    int vocab_size = 0;
    int max_length = 0;  // longest context
  };
  Info info() const;

  struct State;
  const std::shared_ptr<State>& state() const { return state_; }

 private:
  std::shared_ptr<State> state_;
};

// Packs a checkpoint once and for all: `folder` can be loaded like the checkpoint, by mapping one
// file. Formats as from_pretrained() would choose them with `options`. The folder is made, or is
// empty, or was made by this and is replaced. It remembers its source: where that is still there
// and has changed, or this library has another layout, from_pretrained() packs it anew.
void quantize_checkpoint(const std::string& pretrained_model_name_or_path,
                         const std::string& folder, const PretrainedOptions& options = {});

// What a checkpoint is, its sizes and what it would need, as text for people; reads headers only.
std::string inspect_checkpoint(const std::string& path);

}  // namespace vsurge
