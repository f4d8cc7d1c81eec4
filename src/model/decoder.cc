#include "model/decoder.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace vsurge::model {
namespace {

using tensor::DType;
using tensor::Tensor;

// 0 when any layer sees all.
int widest_window(const DecoderSpec& spec) {
  int widest = 0;
  for (const auto& layer : spec.layers) {
    if (layer.window == 0) return 0;
    widest = std::max(widest, layer.window);
  }
  return widest;
}

ModelInfo describe(const DecoderSpec& spec, const DecoderWeights& weights) {
  return {.family = spec.family,
          .weight_format = weights.format,
          .parameters = weights.parameters,
          .weight_bytes = weights.bytes,
          .mapped_bytes = weights.mapping.bytes().empty() ? 0 : weights.bytes,
          .vocabulary = spec.vocabulary,
          .hidden = spec.hidden,
          .layers = static_cast<int>(spec.layers.size()),
          .heads = spec.heads,
          .kv_heads = spec.kv_heads,
          .head_dim = spec.head_dim,
          .context_max = spec.context_max,
          .window = widest_window(spec),
          .bos_token = spec.generation.bos_token,
          .eos_tokens = spec.generation.eos_tokens,
          .temperature = spec.generation.temperature,
          .top_p = spec.generation.top_p,
          .top_k = spec.generation.top_k,
          .min_p = spec.generation.min_p,
          .repetition_penalty = spec.generation.repetition_penalty,
          .max_new_tokens = spec.generation.max_new_tokens,
          .pooling = spec.pooling,
          .score = weights.score,
          .generates = spec.pooling.needs_head()};
}

// Rows [first, first + count).
Tensor rows_of(const Tensor& t, std::int64_t first, std::int64_t count) {
  return {reinterpret_cast<std::byte*>(t.row<float>(first)), t.dtype, count, t.cols, t.row_stride};
}

const float* data_or_null(const std::vector<float>& values) {
  return values.empty() ? nullptr : values.data();
}

}  // namespace

Decoder::Decoder(DecoderSpec spec, DecoderWeights weights, tensor::Backend& backend)
    : spec_(std::move(spec)),
      weights_(std::move(weights)),
      backend_(backend),
      rope_(spec_.rope),
      info_(describe(spec_, weights_)) {
  CHECK(weights_.layers.size() == spec_.layers.size());
}

// --- memory

tensor::KvShape Decoder::kv_shape(int page_size, int pages, DType kv_dtype) const {
  return {.dtype = kv_dtype,
          .layers = info_.layers,
          .kv_heads = spec_.kv_heads,
          .head_dim = spec_.head_dim,
          .page_size = page_size,
          .pages = pages};
}

tensor::Backend::StepShape Decoder::step_shape(const StepLimits& limits) const {
  return {.tokens_max = limits.tokens_max,
          .sequences_max = limits.sequences_max,
          .context_max = limits.context_max,
          .inputs_max = std::max({spec_.hidden, spec_.heads * spec_.head_dim, spec_.intermediate}),
          .heads = spec_.heads,
          .head_dim = spec_.head_dim,
          .vocabulary = spec_.vocabulary};
}

std::int64_t Decoder::page_bytes(int page_size, DType kv_dtype) const {
  return static_cast<std::int64_t>(kv_shape(page_size, 1, kv_dtype).page_bytes());
}

std::int64_t Decoder::step_bytes(const StepLimits& limits) const {
  return static_cast<std::int64_t>(activation_bytes(spec_, limits) +
                                   backend_.scratch_bytes(step_shape(limits)));
}

void Decoder::copy_page(std::int32_t from, std::int32_t to) {
  backend_.copy_page(kv_, from, to);
}

base::Status Decoder::reserve(const StepLimits& limits) {
  CHECK(limits_.tokens_max == 0, "reserve() is for once");
  VSURGE_TRY(backend_.reserve(step_shape(limits)));
  kv_ =
      VSURGE_TRY(backend_.make_kv_cache(kv_shape(limits.page_size, limits.pages, limits.kv_dtype)));
  activation_memory_ = VSURGE_TRY(backend_.allocate(activation_bytes(spec_, limits)));
  activations_ = place_activations(spec_, limits, activation_memory_.data());
  std::fill_n(activations_.ones.row<float>(0), limits.tokens_max, 1.0f);
  limits_ = limits;
  return {};
}

// --- a step
//
// Where a checkpoint's own integers are served, 8 bits a group for the activations would move the
// answers ten times as far from float as bfloat16 does: outliers leave their neighbours few levels.
// Hence `precise`, everywhere but at the output of attention, which is tame (measured by
// `./dev bench quality`). Weights that were rounded here do not need it (Weight::one_plane).

Activations Decoder::run_layers(const Batch& batch) {
  const Activations a = activations_.head(std::ssize(batch.tokens), std::ssize(batch.logit_rows));
  begin(batch, a);
  for (int layer = 0; layer < info_.layers; ++layer) {
    attend(layer, batch, a);
    feed_forward(layer, a);
  }
  backend_.gather_rows(a.residual, batch.logit_rows, a.last);
  return a;
}

// logits = Head norm(residual), of the wanted rows alone
tensor::LinearSpec Decoder::head_spec() const {
  return {.precise = true, .norm = weights_.output_norm(), .norm_eps = spec_.norm_eps};
}

Tensor Decoder::forward(const Batch& batch) {
  const Activations a = run_layers(batch);
  backend_.linear(a.last, weights_.output(), a.logits, head_spec());
  return a.logits;
}

void Decoder::forward_greatest(const Batch& batch, std::span<kernels::SampleResult> results) {
  const Activations a = run_layers(batch);
  backend_.linear_greatest(a.last, weights_.output(), head_spec(), results);
}

void Decoder::observe(const Batch& batch, const Observer& see) {
  const Activations a = activations_.head(std::ssize(batch.tokens), 0);
  begin(batch, a);
  for (int layer = 0; layer < info_.layers; ++layer) {
    see(Input::kAttention, layer, a.residual);
    attend(layer, batch, a);
    see(Input::kMlp, layer, a.residual);
    feed_forward(layer, a);
    see(Input::kDown, layer, a.gate_up);
  }
  see(Input::kHead, info_.layers - 1, a.residual);
}

void Decoder::begin(const Batch& batch, const Activations& a) {
  check(batch);
  backend_.embed(weights_.embedding, batch.tokens, a.residual);
  rotation_angles(batch.positions, a);
  backend_.plan_attention({.sequence_offsets = batch.sequence_offsets,
                           .context_lengths = batch.context_lengths,
                           .pages = batch.pages,
                           .page_offsets = batch.page_offsets},
                          kv_.shape, spec_.heads);
}

void Decoder::check(const Batch& batch) const {
  const std::size_t tokens = batch.tokens.size();
  CHECK(tokens > 0 && std::cmp_less_equal(tokens, limits_.tokens_max));
  CHECK(batch.positions.size() == tokens && batch.slots.size() == tokens);
  CHECK(std::cmp_less_equal(batch.context_lengths.size(), limits_.sequences_max));
  CHECK(std::cmp_less_equal(batch.logit_rows.size(), limits_.logit_rows_max));
  CHECK(std::ranges::all_of(batch.context_lengths,
                            [&](int length) { return length <= limits_.context_max; }));
}

void Decoder::rotation_angles(std::span<const std::int32_t> positions, const Activations& a) {
  constexpr std::int64_t kGrain = 16;
  backend_.pool().parallel_for(
      std::ssize(positions), kGrain, [&](std::int64_t begin, std::int64_t end, int) {
        const auto place = static_cast<std::size_t>(begin);
        const std::int64_t count = end - begin;
        rope_.angles(positions.subspan(place, static_cast<std::size_t>(count)),
                     rows_of(a.cosines, begin, count), rows_of(a.sines, begin, count));
      });
}

// residual += O attention(rotate(QKV norm(residual)))
void Decoder::attend(int layer, const Batch& batch, const Activations& a) {
  const LayerWeights& w = weights_.layers[static_cast<std::size_t>(layer)];
  const std::int64_t query_width = std::int64_t{spec_.heads} * spec_.head_dim;
  backend_.linear(a.residual, w.qkv, a.qkv,
                  {.bias = data_or_null(w.qkv_bias),
                   .precise = true,
                   .norm = w.attention_norm,
                   .norm_eps = spec_.norm_eps});
  rotate_and_store(layer, batch, a);
  backend_.attention(a.qkv.columns(0, query_width), kv_,
                     {.layer = layer,
                      .scale = spec_.query_scale,
                      .window = spec_.layers[static_cast<std::size_t>(layer)].window,
                      .softcap = spec_.attention_softcap},
                     a.attended);
  backend_.linear(a.attended, w.o, a.residual,
                  {.bias = data_or_null(w.o_bias), .accumulate = true});
}

void Decoder::rotate_and_store(int layer, const Batch& batch, const Activations& a) {
  const LayerWeights& w = weights_.layers[static_cast<std::size_t>(layer)];
  const bool rotated = spec_.layers[static_cast<std::size_t>(layer)].rope;
  backend_.rope_and_store_kv(a.qkv, rotated ? a.cosines : a.ones, rotated ? a.sines : a.zeros,
                             {.q_norm = data_or_null(w.q_norm),
                              .k_norm = data_or_null(w.k_norm),
                              .norm_eps = spec_.norm_eps,
                              .interleaved = spec_.rope_interleaved,
                              .rotary_dim = rotated ? spec_.rope.rotary_dim : 2},
                             batch.slots, kv_, layer);
}

// residual += Down(act(gate) * up), [gate, up] = GateUp norm(residual)
void Decoder::feed_forward(int layer, const Activations& a) {
  const LayerWeights& w = weights_.layers[static_cast<std::size_t>(layer)];
  backend_.linear(a.residual, w.gate_up, a.gate_up,
                  {.bias = data_or_null(w.gate_up_bias),
                   .precise = true,
                   .norm = w.mlp_norm,
                   .norm_eps = spec_.norm_eps});
  backend_.linear(a.gate_up, w.down, a.residual,
                  {.bias = data_or_null(w.down_bias),
                   .accumulate = true,
                   .precise = true,
                   .gate = spec_.activation});
}

// Sums in eight lanes, so that the order is the same everywhere.
void Decoder::read_state(std::int32_t token, std::span<float> out) {
  constexpr std::size_t kLanes = 8;
  const auto width = static_cast<std::size_t>(spec_.hidden);
  CHECK(token >= 0 && token < limits_.tokens_max && out.size() == width);
  const float* state = activations_.residual.row<float>(token);
  double lanes[kLanes] = {};
  for (std::size_t i = 0; i < width; ++i) lanes[i % kLanes] += double{state[i]} * state[i];
  double squares = 0;
  for (const double lane : lanes) squares += lane;
  const auto mean = static_cast<float>(squares / static_cast<double>(width));
  const float scale = 1.0F / std::sqrt(mean + spec_.norm_eps);
  for (std::size_t i = 0; i < width; ++i) out[i] = state[i] * scale * weights_.final_norm[i];
}

}  // namespace vsurge::model
