#include "model/inspect.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "model/checkpoint.h"
#include "model/weights.h"

namespace vsurge::model {
namespace {

constexpr double kMiB = 1024.0 * 1024.0;
constexpr std::array<const char*, 5> kRopeNames = {"default", "linear", "dynamic", "llama3",
                                                   "yarn"};

std::string size_text(double bytes) {
  if (bytes < 1024 * kMiB) return fmt::format("{:.1f} MiB", bytes / kMiB);
  return fmt::format("{:.2f} GiB", bytes / (1024 * kMiB));
}

std::string count_text(double count) {
  if (count < 1e6) return fmt::format("{:.1f} K", count / 1e3);
  if (count < 1e9) return fmt::format("{:.1f} M", count / 1e6);
  return fmt::format("{:.2f} B", count / 1e9);
}

void line(std::string& text, std::string_view name, const std::string& value) {
  text += fmt::format("{:<16}{}\n", name, value);
}

std::string attention_text(const DecoderSpec& spec) {
  std::string text = fmt::format("{} heads of {}, {} for keys and values", spec.heads,
                                 spec.head_dim, spec.kv_heads);
  if (spec.qk_norm) text += ", norm of q and k";
  if (spec.qkv_bias) text += spec.o_bias ? ", biases" : ", biases of q, k, v";
  const auto sliding = std::ranges::count_if(spec.layers, [](auto& l) { return l.window > 0; });
  if (sliding > 0) {
    const auto first = std::ranges::find_if(spec.layers, [](auto& l) { return l.window > 0; });
    text += fmt::format(", {} of {} layers see {} positions", sliding, spec.layers.size(),
                        first->window);
  }
  return text;
}

std::string rope_text(const RopeConfig& rope) {
  std::string text =
      fmt::format("{}, theta {}", kRopeNames[static_cast<std::size_t>(rope.kind)], rope.theta);
  if (rope.kind != RopeKind::kDefault) text += fmt::format(", factor {}", rope.factor);
  if (!rope.divisors.empty()) text += ", frequencies scaled by the file";
  return text;
}

std::string endings_text(const GenerationDefaults& generation) {
  std::string text = generation.eos_tokens.empty()
                         ? "no token ends a text"
                         : fmt::format("ends at {}", fmt::join(generation.eos_tokens, ", "));
  if (generation.temperature) text += fmt::format(", temperature {}", *generation.temperature);
  if (generation.top_p) text += fmt::format(", top_p {}", *generation.top_p);
  if (generation.top_k) text += fmt::format(", top_k {}", *generation.top_k);
  return text;
}

std::string packed_text(const PackedFile& file) {
  const PackedInfo& info = file.info();
  return fmt::format("packed, layout {}{}, {}, of {}", info.layout,
                     file.outdated() ? " (not this program's)" : "", info.format, info.source.path);
}

std::string pooling_text(const PoolingSpec& pooling) {
  constexpr std::array<const char*, 3> kTokens = {"the last token", "the mean", "the first token"};
  switch (pooling.use) {
    case PooledUse::kNone:
      break;
    case PooledUse::kEmbedding:
      return fmt::format("embeddings of {}{}; no answers",
                         kTokens[static_cast<std::size_t>(pooling.tokens)],
                         pooling.normalize ? ", length 1" : "");
    case PooledUse::kClassifier:
      return fmt::format("a classifier, labels: {}; no answers", pooling.labels);
    case PooledUse::kTokenLogits:
      return "scores by logits";
  }
  return pooling.refused;
}

struct TypeSum {
  std::int64_t tensors = 0;
  std::int64_t values = 0;
  std::size_t bytes = 0;
};

}  // namespace

double packed_bytes(const TensorInfo& tensor) {
  const auto values = static_cast<double>(tensor.elements());
  if (tensor.shape.size() < 2) return values * 4;
  const kernels::WeightFormat native = type_info(tensor.type).native;
  if (!kernels::is_integer(native.kind)) return values * 2;
  const bool minimum = kernels::has_minimum(native.kind);
  const bool four =
      native.kind == kernels::WeightKind::kI4 || native.kind == kernels::WeightKind::kI4Min;
  return values * (four ? 0.5 : 1.0) + values / native.group * (minimum ? 4 : 2);
}

base::Result<std::string> inspect(const std::filesystem::path& path) {
  const auto checkpoint = VSURGE_TRY(open_checkpoint(path));
  const DecoderSpec spec = VSURGE_TRY(read_spec(*checkpoint));
  std::array<TypeSum, kTensorTypes> sums{};
  TypeSum all;
  double packed = 0;
  const PackedFile* from = checkpoint->packed();
  const std::span<const TensorInfo> none;
  for (const TensorInfo& tensor : from == nullptr ? checkpoint->tensors() : none) {
    for (TypeSum* sum : {&sums[static_cast<std::size_t>(tensor.type)], &all}) {
      ++sum->tensors;
      sum->values += tensor.elements();
      sum->bytes += tensor.size;
    }
    packed += packed_bytes(tensor);
  }
  if (from != nullptr) {
    packed = static_cast<double>(from->weight_bytes());
    all.values = from->info().parameters;
    all.bytes = static_cast<std::size_t>(from->weight_bytes());
  }
  std::string text;
  line(text, "path", path.string());
  line(text, "file format",
       from != nullptr ? packed_text(*from)
       : checkpoint->gguf() != nullptr
           ? fmt::format("GGUF version {}", checkpoint->gguf()->version())
           : "Hugging Face, safetensors");
  line(text, "family", spec.family);
  line(text, "parameters", count_text(static_cast<double>(all.values)));
  line(text, "layers",
       fmt::format("{}, hidden {}, intermediate {}", spec.layers.size(), spec.hidden,
                   spec.intermediate));
  line(text, "attention", attention_text(spec));
  line(text, "positions", fmt::format("{}, RoPE {}", spec.context_max, rope_text(spec.rope)));
  line(text, "vocabulary",
       fmt::format("{}, head {}", spec.vocabulary,
                   !spec.pooling.needs_head() ? "not used"
                   : spec.tied_head           ? "tied to the embedding"
                                              : "of its own"));
  line(text, "generation", endings_text(spec.generation));
  if (const std::string pooling = pooling_text(spec.pooling); !pooling.empty()) {
    line(text, "pooling", pooling);
  }
  for (std::size_t i = 0; i < kTensorTypes; ++i) {
    if (sums[i].tensors == 0) continue;
    line(text, fmt::format("  {}", type_info(static_cast<TensorType>(i)).name),
         fmt::format("{} tensors, {} values, {}", sums[i].tensors,
                     count_text(static_cast<double>(sums[i].values)),
                     size_text(static_cast<double>(sums[i].bytes))));
  }
  line(text, "on disk", size_text(static_cast<double>(all.bytes)));
  line(text, "weights need", size_text(packed));
  const double per_token =
      2.0 * 2.0 * static_cast<double>(spec.layers.size()) * spec.kv_heads * spec.head_dim;
  line(text, "KV cache needs",
       fmt::format("{:.0f} bytes a token in bfloat16, {} for {} positions", per_token,
                   size_text(per_token * spec.context_max), spec.context_max));
  return text;
}

}  // namespace vsurge::model
