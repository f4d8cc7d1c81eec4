// Serves a model over the OpenAI API: the original's example, in C++.
//
//   serve [model] [port]     model: a Hugging Face folder or a .gguf file

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "vsurge/vsurge.h"

namespace ed = vsurge;

int main(int argc, char** argv) try {
  const std::string pretrained_model_name_or_path = argc > 1 ? argv[1] : "Qwen3-8B";

  const auto dtype = ed::Dtype::BFLOAT16;
  const auto param_dtype = ed::Dtype::BFLOAT16;
  const int max_length = 8192;
  const auto partition_axis = ed::PartitionAxis{};
  auto processor = ed::AutoTokenizer::from_pretrained(pretrained_model_name_or_path);
  processor.padding_side = "left";
  processor.pad_token_id = processor.eos_token_id;

  const auto model = ed::AutoModelForCausalLM::from_pretrained(
      pretrained_model_name_or_path,
      {
          .auto_shard_model = true,
          .sharding_axis_dims = {1, 1, 1, -1, 1},
          .config_kwargs =
              {
                  .freq_max_position_embeddings = max_length,
                  .mask_max_position_embeddings = max_length,
                  .kv_cache_quantization_method = ed::EasyDeLQuantizationMethods::NONE,
                  .gradient_checkpointing = ed::EasyDeLGradientCheckPointers::NONE,
                  .attn_mechanism = ed::AttentionMechanisms::RAGGED_PAGE_ATTENTION,
              },
          .quantization_method = ed::EasyDeLQuantizationMethods::NONE,
          .param_dtype = param_dtype,
          .dtype = dtype,
          .partition_axis = partition_axis,
          .precision = ed::Precision::DEFAULT,
      });

  const int max_concurrent_decodes = 64;
  const int max_concurrent_prefill = 1;

  auto surge = ed::vSurge::from_model(model, processor,
                                      {
                                          .max_concurrent_decodes = max_concurrent_decodes,
                                          .max_concurrent_prefill = max_concurrent_prefill,
                                          .seed = 877,
                                      });

  const std::uint16_t port =
      argc > 2 ? static_cast<std::uint16_t>(std::atoi(argv[2])) : std::uint16_t{11556};
  ed::vSurgeApiServer(surge, {.max_workers = max_concurrent_decodes}).fire({.port = port});
  return EXIT_SUCCESS;
} catch (const ed::Error& error) {
  std::fprintf(stderr, "serve: %s\n", error.what());
  return static_cast<int>(error.kind());
}
