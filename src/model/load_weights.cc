// From the tensors of a checkpoint to packed weights.
#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/escape.h"
#include "model/balance.h"
#include "model/load_rows.h"
#include "model/weights.h"

namespace vsurge::model {
namespace {

using base::ErrorCode;
using base::fail;
using base::Result;
using kernels::WeightFormat;
using kernels::WeightKind;

enum class Part : std::uint8_t { kLayers, kEmbedding, kHead };

// The widest group that divides the columns, or 0.
int widest_group(std::int64_t cols, int most) {
  for (int group = most; group >= 32; group /= 2) {
    if (cols % group == 0) return group;
  }
  return 0;
}

// What a matrix is kept in. Integer formats of the checkpoint stay as they are wherever they are at
// most as wide as what was asked for; columns that no group divides give bfloat16. Groups were
// chosen by `./dev bench quality` (docs/PERFORMANCE.md).
WeightFormat chosen_format(const tensor::RowSource& source, const LoadOptions& options, Part part) {
  constexpr WeightFormat kBFloat{WeightKind::kBF16, 0};
  const WeightFormat native = source.native();
  const bool integer = kernels::is_integer(native.kind);
  const bool own = part == Part::kHead && options.head && options.weights != WeightChoice::kF32;
  const WeightChoice choice = own ? *options.head : options.weights;
  const auto rounded = [&](WeightKind kind, int most) {
    const int group = widest_group(source.cols(), most);
    return group == 0 ? kBFloat : WeightFormat{kind, group, true};
  };
  if (choice == WeightChoice::kF32) return {WeightKind::kF32, 0};
  if (choice == WeightChoice::kBF16) return kBFloat;
  // Rows of the embedding are read one at a time: rounding them would save no time.
  if (choice == WeightChoice::kAuto || part == Part::kEmbedding) return integer ? native : kBFloat;
  const bool narrow = native.kind == WeightKind::kI4 || native.kind == WeightKind::kI4Min;
  // The head costs quality most: 8 bits.
  if (choice == WeightChoice::kI8 || (part == Part::kHead && !own)) {
    return integer ? native : rounded(WeightKind::kI8, 256);
  }
  if (narrow) return native;
  return rounded(choice == WeightChoice::kNF4 ? WeightKind::kNF4 : WeightKind::kI4, 64);
}

// "*" in front stands for any text.
bool matches(std::string_view pattern, std::string_view name) {
  return pattern.starts_with('*') ? name.ends_with(pattern.substr(1)) : pattern == name;
}

std::string layer_name(const std::string& pattern, std::size_t layer) {
  std::string name = pattern;
  if (const auto place = name.find("{}"); place != std::string::npos) {
    name.replace(place, 2, std::to_string(layer));
  }
  return name;
}

// One pass over a checkpoint. Where its floats become int8 there are two: the first to measure what
// the matrices meet (balance.h), without a head; the second with these sizes.
class Loader {
 public:
  Loader(const Checkpoint& checkpoint, const DecoderSpec& spec, tensor::Backend& backend,
         const LoadOptions& options)
      : checkpoint_(checkpoint), spec_(spec), backend_(backend), options_(options) {}
  Loader(Loader&&) = delete;

  // Whether any matrix gets a format that wants its channels balanced.
  bool wants_balance();
  void without_head() { with_head_ = false; }
  void set_sizes(const InputSizes& sizes) { sizes_ = &sizes; }

  Result<DecoderWeights> load();

 private:
  // What the columns and rows of a matrix are multiplied with; empty: nothing.
  struct Factors {
    std::vector<float> columns;
    std::vector<float> rows;
  };

  // Rows of the stacked tensors `names`, and which of them are q and k.
  struct Stack {
    std::vector<std::string> names;
    std::vector<std::int64_t> rows;  // of each, when there is one tensor for each
    std::int64_t cols = 0;
    bool attention = false;  // rows are heads: may have to be put back in order
    Part part = Part::kLayers;
  };

  base::Status check_names() const;
  base::Status load_layer(std::size_t index, LayerWeights& layer);
  base::Status load_mlp(std::size_t index, const InputSizes::Layer& sizes, LayerWeights& layer);
  base::Status load_head(DecoderWeights& weights);
  Result<const TensorInfo*> take(const std::string& name, const std::vector<std::int64_t>& shape);
  // The rows of a stack, one source for all.
  Result<RowSourcePtr> rows(const Stack& stack);
  Result<WeightFormat> format_of(const Stack& stack);
  Result<tensor::Weight> matrix(const Stack& stack, Factors factors = {});
  // How the columns of a stack are balanced whose inputs are the sizes measured, times `norm` where
  // there is one; it becomes what goes with them. None where nothing was measured or is rounded.
  Result<Factors> balanced(const Stack& stack, std::vector<float> sizes,
                           std::vector<float>* norm = nullptr);
  Result<std::vector<float>> vector(const std::string& name, std::int64_t size);
  Result<std::vector<float>> biases(const Stack& stack);
  Result<std::vector<float>> score();
  void leave_head();
  void done(const std::vector<const TensorInfo*>& tensors);
  Stack qkv(std::size_t index) const;
  Stack gate_up(std::size_t index) const;
  Stack down(std::size_t index) const;
  Stack embedding() const;
  Stack head() const;
  // The tensor holds all of the stack's rows, or the i-th part.
  static std::int64_t rows_of(const Stack& stack, std::size_t i);
  bool interleaved(const Stack& stack, std::size_t i) const;

  const Checkpoint& checkpoint_;
  const DecoderSpec& spec_;
  tensor::Backend& backend_;
  const LoadOptions& options_;
  const InputSizes* sizes_ = nullptr;
  bool with_head_ = true;
  std::int64_t bytes_done_ = 0;
  std::int64_t bytes_total_ = 0;
  std::int64_t parameters_ = 0;
  std::set<const TensorInfo*> taken_;
  std::set<const TensorInfo*> done_;
};

Result<const TensorInfo*> Loader::take(const std::string& name,
                                       const std::vector<std::int64_t>& shape) {
  const TensorInfo* tensor = checkpoint_.find(name);
  if (tensor == nullptr) {
    return fail(ErrorCode::kBadModel, "{}: tensor {}: expected {}, found no tensor of this name",
                checkpoint_.path().string(), name, shape_text(shape));
  }
  if (tensor->shape != shape) {
    return fail(ErrorCode::kBadModel, "{}: tensor {}: expected {}, found {}",
                checkpoint_.file_name(*tensor), name, shape_text(shape), shape_text(tensor->shape));
  }
  taken_.insert(tensor);
  return tensor;
}

void Loader::done(const std::vector<const TensorInfo*>& tensors) {
  for (const TensorInfo* tensor : tensors) {
    checkpoint_.release(*tensor);
    if (!done_.insert(tensor).second) continue;
    bytes_done_ += static_cast<std::int64_t>(tensor->size);
    parameters_ += tensor->elements();
  }
  if (options_.progress) options_.progress(bytes_done_, bytes_total_);
}

std::int64_t Loader::rows_of(const Stack& stack, std::size_t i) {
  if (stack.names.size() == stack.rows.size()) return stack.rows[i];
  std::int64_t sum = 0;
  for (const std::int64_t rows : stack.rows) sum += rows;
  return sum;
}

bool Loader::interleaved(const Stack& stack, std::size_t i) const {
  return stack.attention && spec_.qk_rows_interleaved && stack.names.size() == 3 && i < 2;
}

Result<RowSourcePtr> Loader::rows(const Stack& stack) {
  std::vector<RowSourcePtr> sources;
  for (std::size_t i = 0; i < stack.names.size(); ++i) {
    const std::int64_t rows = rows_of(stack, i);
    const TensorInfo* tensor = VSURGE_TRY(take(stack.names[i] + ".weight", {rows, stack.cols}));
    auto source = tensor_rows(tensor->type, checkpoint_.bytes(*tensor), rows, stack.cols);
    if (interleaved(stack, i)) source = halves_apart(std::move(source), spec_.head_dim);
    sources.push_back(std::move(source));
  }
  return stacked(std::move(sources));
}

Result<WeightFormat> Loader::format_of(const Stack& stack) {
  const RowSourcePtr source = VSURGE_TRY(rows(stack));
  return chosen_format(*source, options_, stack.part);
}

Result<Loader::Factors> Loader::balanced(const Stack& stack, std::vector<float> sizes,
                                         std::vector<float>* norm) {
  const RowSourcePtr source = VSURGE_TRY(rows(stack));
  if (sizes.empty() || !chosen_format(*source, options_, stack.part).rotated) return Factors{};
  if (norm != nullptr) {
    for (std::size_t i = 0; i < sizes.size(); ++i) sizes[i] *= std::abs((*norm)[i]);
  }
  Factors factors{.columns = balance(sizes, *source), .rows = {}};
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (norm != nullptr) (*norm)[i] *= factors.columns[i];
    factors.columns[i] = 1 / factors.columns[i];
  }
  return factors;
}

Result<tensor::Weight> Loader::matrix(const Stack& stack, Factors factors) {
  RowSourcePtr source = VSURGE_TRY(rows(stack));
  const WeightFormat format = chosen_format(*source, options_, stack.part);
  const bool one_plane = !factors.columns.empty();
  if (one_plane || !factors.rows.empty()) {
    source = scaled(std::move(source), std::move(factors.columns), std::move(factors.rows));
  }
  auto weight = backend_.pack(*source, format);
  if (!weight) {
    return fail(weight.error().code, "{}: tensor {}.weight: {}", checkpoint_.path().string(),
                stack.names[0], weight.error().message);
  }
  if (one_plane) weight->one_plane = true;
  std::vector<const TensorInfo*> tensors;
  for (const std::string& name : stack.names) tensors.push_back(checkpoint_.find(name + ".weight"));
  done(tensors);
  return weight;
}

Result<std::vector<float>> Loader::vector(const std::string& name, std::int64_t size) {
  const TensorInfo* tensor = VSURGE_TRY(take(name, {size}));
  std::vector<float> values(static_cast<std::size_t>(size));
  tensor_rows(tensor->type, checkpoint_.bytes(*tensor), 1, size)->read_floats(0, values.data());
  done({tensor});
  return values;
}

Result<std::vector<float>> Loader::biases(const Stack& stack) {
  std::vector<float> all;
  for (std::size_t i = 0; i < stack.names.size(); ++i) {
    const std::int64_t rows = rows_of(stack, i);
    const auto part = VSURGE_TRY(vector(stack.names[i] + ".bias", rows));
    for (std::int64_t row = 0; row < rows; ++row) {
      const std::int64_t from = interleaved(stack, i) ? interleaved_row(row, spec_.head_dim) : row;
      all.push_back(part[static_cast<std::size_t>(from)]);
    }
  }
  return all;
}

Loader::Stack Loader::qkv(std::size_t index) const {
  const std::int64_t head_dim = spec_.head_dim;
  Stack stack{
      .names = {},
      .rows = {spec_.heads * head_dim, spec_.kv_heads * head_dim, spec_.kv_heads * head_dim},
      .cols = spec_.hidden,
      .attention = true};
  for (const std::string& name : spec_.names.qkv) stack.names.push_back(layer_name(name, index));
  return stack;
}

Loader::Stack Loader::gate_up(std::size_t index) const {
  const std::int64_t inner = spec_.intermediate;
  Stack stack{.names = {}, .rows = {inner, inner}, .cols = spec_.hidden};
  for (const std::string& name : spec_.names.gate_up) {
    stack.names.push_back(layer_name(name, index));
  }
  return stack;
}

Loader::Stack Loader::down(std::size_t index) const {
  return {.names = {layer_name(spec_.names.down, index)},
          .rows = {spec_.hidden},
          .cols = spec_.intermediate};
}

Loader::Stack Loader::embedding() const {
  return {.names = {spec_.names.embedding},
          .rows = {spec_.vocabulary},
          .cols = spec_.hidden,
          .part = Part::kEmbedding};
}

Loader::Stack Loader::head() const {
  Stack stack = embedding();
  stack.part = Part::kHead;
  if (!spec_.tied_head) stack.names = {spec_.names.head};
  return stack;
}

bool Loader::wants_balance() {
  std::vector<Stack> stacks{qkv(0), gate_up(0), down(0)};
  if (spec_.pooling.needs_head()) stacks.push_back(head());
  return std::ranges::any_of(stacks, [&](const Stack& stack) {
    const auto format = format_of(stack);
    return format && format->rotated;  // what is wrong with a tensor is told when it is loaded
  });
}

base::Status Loader::load_layer(std::size_t index, LayerWeights& layer) {
  const TensorNames& names = spec_.names;
  const auto at = [&](const std::string& pattern) { return layer_name(pattern, index); };
  const std::int64_t hidden = spec_.hidden;
  const InputSizes::Layer sizes = sizes_ != nullptr ? sizes_->layers[index] : InputSizes::Layer{};
  layer.attention_norm = VSURGE_TRY(vector(at(names.attention_norm) + ".weight", hidden));
  const Stack qkv_stack = qkv(index);
  Factors factors = VSURGE_TRY(balanced(qkv_stack, sizes.attention, &layer.attention_norm));
  layer.qkv = VSURGE_TRY(matrix(qkv_stack, std::move(factors)));
  if (spec_.qkv_bias) layer.qkv_bias = VSURGE_TRY(biases(qkv_stack));
  if (spec_.qk_norm) {
    layer.q_norm = VSURGE_TRY(vector(at(names.q_norm) + ".weight", spec_.head_dim));
    layer.k_norm = VSURGE_TRY(vector(at(names.k_norm) + ".weight", spec_.head_dim));
  }
  const Stack o{.names = {at(names.o)},
                .rows = {hidden},
                .cols = static_cast<std::int64_t>(spec_.heads) * spec_.head_dim};
  layer.o = VSURGE_TRY(matrix(o));
  if (spec_.o_bias) layer.o_bias = VSURGE_TRY(biases(o));
  layer.mlp_norm = VSURGE_TRY(vector(at(names.mlp_norm) + ".weight", hidden));
  return load_mlp(index, sizes, layer);
}

base::Status Loader::load_mlp(std::size_t index, const InputSizes::Layer& sizes,
                              LayerWeights& layer) {
  const auto intermediate = static_cast<std::size_t>(spec_.intermediate);
  const Stack gate_up_stack = gate_up(index), down_stack = down(index);
  Factors factors = VSURGE_TRY(balanced(gate_up_stack, sizes.mlp, &layer.mlp_norm));
  // What `down` is balanced with are rows of `up`, which integers of the checkpoint cannot take.
  Factors of_down;
  if (!kernels::is_integer(VSURGE_TRY(rows(gate_up_stack))->native().kind)) {
    of_down = VSURGE_TRY(balanced(down_stack, sizes.down));
  }
  if (!of_down.columns.empty()) {
    factors.rows.assign(2 * intermediate, 1.0F);
    for (std::size_t i = 0; i < intermediate; ++i) {
      factors.rows[intermediate + i] = 1 / of_down.columns[i];
    }
  }
  if (spec_.mlp_bias) {
    layer.gate_up_bias = VSURGE_TRY(biases(gate_up_stack));
    for (std::size_t i = 0; i < factors.rows.size(); ++i) layer.gate_up_bias[i] *= factors.rows[i];
  }
  layer.gate_up = VSURGE_TRY(matrix(gate_up_stack, std::move(factors)));
  layer.down = VSURGE_TRY(matrix(down_stack, std::move(of_down)));
  if (spec_.mlp_bias) layer.down_bias = VSURGE_TRY(biases(down_stack));
  return {};
}

Result<std::vector<float>> Loader::score() {
  const std::int64_t labels = spec_.pooling.labels, hidden = spec_.hidden;
  const std::string name = spec_.names.score + ".weight";
  const TensorInfo* tensor = VSURGE_TRY(take(name, {labels, hidden}));
  std::vector<float> values(static_cast<std::size_t>(labels * hidden));
  const auto rows = tensor_rows(tensor->type, checkpoint_.bytes(*tensor), labels, hidden);
  for (std::int64_t row = 0; row < labels; ++row) {
    rows->read_floats(row, values.data() + row * hidden);
  }
  done({tensor});
  return values;
}

// Nobody asks for logits: a head that is there all the same is not read.
void Loader::leave_head() {
  if (const TensorInfo* tensor = checkpoint_.find(spec_.names.head + ".weight")) {
    taken_.insert(tensor);
    checkpoint_.release(*tensor);
  }
}

// Every tensor must have been read, or be known to hold nothing.
base::Status Loader::check_names() const {
  std::string first;
  std::size_t count = 0;
  for (const TensorInfo& tensor : checkpoint_.tensors()) {
    if (taken_.contains(&tensor)) continue;
    const bool ignored = std::ranges::any_of(
        spec_.ignored_tensors, [&](const std::string& p) { return matches(p, tensor.name); });
    if (ignored) continue;
    if (count++ == 0) first = base::shorten(base::escape_for_line(tensor.name), 100);
  }
  if (count == 0) return {};
  return fail(ErrorCode::kBadModel,
              "{}: tensor {}: expected no such tensor in family {} ({} of {} tensors would not be "
              "read)",
              checkpoint_.path().string(), first, spec_.family, count,
              checkpoint_.tensors().size());
}

std::int64_t weight_bytes(const DecoderWeights& weights) {
  std::size_t bytes = weights.embedding.bytes() + weights.head.bytes();
  std::size_t floats = weights.final_norm.size() + weights.head_norm.size() + weights.score.size();
  for (const LayerWeights& layer : weights.layers) {
    bytes += layer.qkv.bytes() + layer.o.bytes() + layer.gate_up.bytes() + layer.down.bytes();
    floats += layer.attention_norm.size() + layer.qkv_bias.size() + layer.q_norm.size() +
              layer.k_norm.size() + layer.o_bias.size() + layer.mlp_norm.size() +
              layer.gate_up_bias.size() + layer.down_bias.size();
  }
  return static_cast<std::int64_t>(bytes + floats * sizeof(float));
}

// Formats of the layers' matrices, the one with most bytes first.
std::string formats_text(const DecoderWeights& weights) {
  std::vector<std::pair<std::string, std::size_t>> formats;
  const auto count = [&](const tensor::Weight& weight) {
    const std::string name = format_name(weight.format);
    const auto place =
        std::ranges::find(formats, name, &std::pair<std::string, std::size_t>::first);
    if (place == formats.end()) {
      formats.emplace_back(name, weight.bytes());
    } else {
      place->second += weight.bytes();
    }
  };
  for (const LayerWeights& layer : weights.layers) {
    for (const auto* weight : {&layer.qkv, &layer.o, &layer.gate_up, &layer.down}) count(*weight);
  }
  std::ranges::sort(formats, std::ranges::greater{}, [](const auto& f) { return f.second; });
  std::string text;
  for (const auto& [name, bytes] : formats) text += (text.empty() ? "" : ", ") + name;
  return text;
}

// With the final norm, which its balance is multiplied into.
base::Status Loader::load_head(DecoderWeights& weights) {
  if (!with_head_ || !spec_.pooling.needs_head()) {
    leave_head();
    return {};
  }
  const Stack stack = head();
  // A tied head is the embedding, or the same tensor in a format of its own.
  if (spec_.tied_head && VSURGE_TRY(format_of(stack)) == weights.embedding.format) return {};
  weights.head_norm = weights.final_norm;
  Factors factors = VSURGE_TRY(
      balanced(stack, sizes_ != nullptr ? sizes_->head : std::vector<float>(), &weights.head_norm));
  if (factors.columns.empty()) weights.head_norm.clear();
  weights.head = VSURGE_TRY(matrix(stack, std::move(factors)));
  return {};
}

Result<DecoderWeights> Loader::load() {
  CHECK(checkpoint_.packed() == nullptr);
  for (const TensorInfo& tensor : checkpoint_.tensors()) {
    bytes_total_ += static_cast<std::int64_t>(tensor.size);
  }
  if (options_.progress) options_.progress(0, bytes_total_);
  DecoderWeights weights;
  // The largest first: its pages are given back before the others count.
  weights.embedding = VSURGE_TRY(matrix(embedding()));
  weights.final_norm = VSURGE_TRY(vector(spec_.names.final_norm + ".weight", spec_.hidden));
  VSURGE_TRY(load_head(weights));
  if (spec_.pooling.labels > 0) weights.score = VSURGE_TRY(score());
  for (std::size_t i = 0; i < spec_.layers.size(); ++i) {
    VSURGE_TRY(load_layer(i, weights.layers.emplace_back()));
  }
  VSURGE_TRY(check_names());
  if (options_.progress) options_.progress(bytes_total_, bytes_total_);
  weights.parameters = parameters_;
  weights.bytes = weight_bytes(weights);
  weights.format = formats_text(weights);
  return weights;
}

}  // namespace

std::string format_name(WeightFormat format) {
  switch (format.kind) {
    case WeightKind::kF32:
      return "float32";
    case WeightKind::kBF16:
      return "bfloat16";
    case WeightKind::kI8:
      return fmt::format("int8 g{}", format.group);
    case WeightKind::kI8Min:
      return fmt::format("int8 g{} with minimum", format.group);
    case WeightKind::kI4:
      return fmt::format("int4 g{}", format.group);
    case WeightKind::kI4Min:
      return fmt::format("int4 g{} with minimum", format.group);
    case WeightKind::kNF4:
      return fmt::format("nf4 g{}", format.group);
  }
  return "";
}

Result<DecoderWeights> load_weights(const Checkpoint& checkpoint, const DecoderSpec& spec,
                                    tensor::Backend& backend, const LoadOptions& options) {
  Loader loader(checkpoint, spec, backend, options);
  if (!loader.wants_balance()) return loader.load();
  const auto half = [&](std::int64_t before) {
    return [&, before](std::int64_t done, std::int64_t total) {
      if (options.progress) options.progress(before * total + done, 2 * total);
    };
  };
  LoadOptions first = options;
  first.weights = WeightChoice::kI8;  // the quickest to pack, and near enough
  first.progress = half(0);
  Loader measuring(checkpoint, spec, backend, first);
  measuring.without_head();
  DecoderWeights weights = VSURGE_TRY(measuring.load());
  const InputSizes sizes = VSURGE_TRY(measure_inputs(spec, std::move(weights), backend));
  LoadOptions second = options;
  second.progress = half(1);
  Loader balancing(checkpoint, spec, backend, second);
  balancing.set_sizes(sizes);
  return balancing.load();
}

}  // namespace vsurge::model
