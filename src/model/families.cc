#include "model/families.h"

#include <fmt/ranges.h>

#include <array>
#include <string_view>
#include <vector>

#include "model/load_generation.h"
#include "model/weights.h"

namespace vsurge::model {
namespace {

constexpr std::array<Family, 4> kFamilies = {{
    {"llama", "LlamaForCausalLM", "llama", 0, llama_from_config, llama_from_gguf},
    {"mistral", "MistralForCausalLM", "", 0, mistral_from_config, nullptr},
    {"qwen2", "Qwen2ForCausalLM", "qwen2", 0, qwen2_from_config, qwen2_from_gguf},
    {"qwen3", "Qwen3ForCausalLM", "qwen3", 128, qwen3_from_config, qwen3_from_gguf},
}};

template <class Member>
std::string list(Member member) {
  std::vector<std::string_view> names;
  for (const Family& family : kFamilies) {
    if (!(family.*member).empty()) names.push_back(family.*member);
  }
  return fmt::format("one of {}", fmt::join(names, ", "));
}

base::Result<const Family*> by_config(const ConfigObject& config) {
  const auto type = VSURGE_TRY(required(config, "model_type", config.text("model_type")));
  for (const Family& family : kFamilies) {
    if (family.model_type != type) continue;
    // A model of the same body with another head is not this one, but for a classifier's.
    const auto classes =
        VSURGE_TRY(required(config, "architectures", config.texts("architectures")));
    const std::string own(family.architecture);
    const bool classifies = classes == std::vector{own.substr(0, own.find("ForCausalLM")) +
                                                   "ForSequenceClassification"};
    if (classes != std::vector{own} && !classifies) {
      return config.wrong("architectures", fmt::format("[\"{}\"]", family.architecture));
    }
    return &family;
  }
  return config.wrong("model_type", list(&Family::model_type));
}

base::Result<const Family*> by_gguf(const GgufFile& file) {
  constexpr std::string_view kKey = "general.architecture";
  const auto name = VSURGE_TRY(required(file, kKey, file.text(kKey)));
  for (const Family& family : kFamilies) {
    if (!family.gguf.empty() && family.gguf == name) return &family;
  }
  return file.wrong(kKey, list(&Family::gguf));
}

// The last word on RoPE is its own: what is left is a combination of numbers.
base::Status check_rope(const DecoderSpec& spec, const std::string& file) {
  base::Status status = validate(spec.rope);
  if (status) return status;
  return base::fail(status.error().code, "{}: {}", file, status.error().message);
}

constexpr std::string_view kPrefix = "model.";

// Embedding models are often saved without the head's class: names begin without "model.".
bool is_bare(const Checkpoint& checkpoint, const TensorNames& names) {
  const std::string name = names.embedding + ".weight";
  return name.starts_with(kPrefix) && checkpoint.find(name) == nullptr &&
         checkpoint.find(name.substr(kPrefix.size())) != nullptr;
}

void strip_prefix(TensorNames& names) {
  std::vector<std::string*> all = {&names.embedding, &names.final_norm, &names.attention_norm,
                                   &names.q_norm,    &names.k_norm,     &names.o,
                                   &names.mlp_norm,  &names.down};
  for (std::string& name : names.qkv) all.push_back(&name);
  for (std::string& name : names.gate_up) all.push_back(&name);
  for (std::string* name : all) {
    if (name->starts_with(kPrefix)) name->erase(0, kPrefix.size());
  }
}

}  // namespace

std::span<const Family> families() {
  return kFamilies;
}

base::Result<const Family*> family_of(const Checkpoint& checkpoint) {
  if (checkpoint.gguf() != nullptr) return by_gguf(*checkpoint.gguf());
  return by_config(checkpoint.config()->root());
}

base::Result<DecoderSpec> spec_of_config(const Config& config, const Config* generation) {
  const ConfigObject root = config.root();
  const Family& family = *VSURGE_TRY(by_config(root));
  DecoderSpec spec;
  spec.family = family.model_type;
  VSURGE_TRY(read_shared_config(root, family.head_dim, spec));
  VSURGE_TRY(family.from_config(root, spec));
  VSURGE_TRY(check_rope(spec, config.file()));
  spec.generation = VSURGE_TRY(read_generation(root, generation, spec.vocabulary));
  return spec;
}

base::Result<DecoderSpec> read_spec(const Checkpoint& checkpoint) {
  if (checkpoint.gguf() == nullptr) {
    DecoderSpec spec =
        VSURGE_TRY(spec_of_config(*checkpoint.config(), checkpoint.generation_config()));
    spec.pooling = VSURGE_TRY(read_pooling(checkpoint));
    if (is_bare(checkpoint, spec.names)) strip_prefix(spec.names);
    return spec;
  }
  const GgufFile& file = *checkpoint.gguf();
  const Family& family = *VSURGE_TRY(by_gguf(file));
  DecoderSpec spec;
  spec.family = family.model_type;
  VSURGE_TRY(read_shared_gguf(checkpoint, family.gguf, spec));
  VSURGE_TRY(family.from_gguf(checkpoint, spec));
  VSURGE_TRY(check_unread_gguf_keys(file, family.gguf, spec));
  VSURGE_TRY(check_rope(spec, file.name()));
  spec.pooling = VSURGE_TRY(read_pooling_gguf(file, std::string(family.gguf) + "."));
  spec.generation = VSURGE_TRY(read_generation(file, spec.vocabulary));
  return spec;
}

}  // namespace vsurge::model
