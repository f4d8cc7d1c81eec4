#include "tensor/cpu_backend.h"

#include <algorithm>
#include <cstring>

#include "tensor/pack.h"

namespace vsurge::tensor {
namespace {

using kernels::IsaLevel;
using kernels::kPanelRows;

kernels::PackedMatrix view_of(const Weight& w) {
  kernels::PackedMatrix m{};
  m.kind = w.format.kind;
  m.group = w.format.group;
  m.rotated = w.format.rotated;
  m.rows = w.rows;
  m.cols = w.cols;
  m.values = reinterpret_cast<const std::uint8_t*>(w.values.data());
  m.scales = reinterpret_cast<const std::uint16_t*>(w.scales.data());
  m.minima = reinterpret_cast<const std::uint16_t*>(w.minima.data());
  return m;
}

kernels::KvLayer layer_of(const KvCache& kv, int layer) {
  const KvShape& s = kv.shape;
  kernels::KvLayer out{};
  out.dtype = s.dtype;
  out.kv_heads = s.kv_heads;
  out.head_dim = s.head_dim;
  out.page_size = s.page_size;
  out.page_stride = static_cast<std::int64_t>(s.page_bytes() / static_cast<std::size_t>(s.layers));
  out.base = reinterpret_cast<std::uint8_t*>(kv.storage.data()) +
             static_cast<std::int64_t>(layer) * s.pages * out.page_stride;
  return out;
}

std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

// Below this many multiplications waking other threads costs more than it saves.
constexpr std::int64_t kSerialWork = 1 << 16;
constexpr std::int64_t kSerialValues = 1 << 9;
// Columns of activations are divided between threads in whole groups.
constexpr std::int64_t kStripUnit = 256;
constexpr std::int64_t kGroupMin = 16;
constexpr std::int64_t kPlanesMax = 2;
// With so many rows for each thread, threads take rows of a product and not panels: what a thread
// made of a row it reads again itself, where lines between cores are dearer than weights read twice
// out of the last cache.
constexpr std::int64_t kRowsApart = 64;
// Results of many rows that are larger than this leave no room for anything else in the second
// cache, and wait for lines of memory that nobody needs.
constexpr std::int64_t kPastCachesBytes = 1 << 20;
// Logits that are read at once and not kept: so many rows by so many panels, which fit into the
// second cache beside the panels; the stride keeps rows out of each other's sets of the first.
constexpr std::int64_t kTileRows = 64;
constexpr std::int64_t kTilePanels = 64;
constexpr std::int64_t kTileStride = kTilePanels * kPanelRows + 16;
constexpr std::size_t kTileBytes =
    kTileRows * (kTileStride * sizeof(float) + sizeof(kernels::Greatest));
// What activation_stride() adds to a row of a plane, at most.
constexpr std::int64_t kStrideSlack = 128;
// Split attention tiles of so many full-length sequences may be in flight at once.
constexpr std::int64_t kSplitSequences = 8;

bool goes_past_caches(const Tensor& out, const LinearSpec& spec) {
  const std::int64_t stride = out.row_stride * static_cast<std::int64_t>(sizeof(float));
  const bool aligned = reinterpret_cast<std::uintptr_t>(out.data) % 64 == 0 && stride % 64 == 0;
  return aligned && !spec.accumulate && out.rows * stride >= kPastCachesBytes;
}

// Rows [first, first + count) of a product.
kernels::LinearArgs rows_of(const kernels::LinearArgs& args, std::int64_t first,
                            std::int64_t count) {
  kernels::LinearArgs part = args;
  const std::int64_t groups = args.x.group != 0 ? args.x.cols / args.x.group : 0;
  part.x.rows = count;
  part.x.values += first * args.x.planes * args.x.stride;
  if (groups != 0) {
    part.x.starts += first * groups;
    part.x.sums += first * groups;
    part.x.scales += first * groups;
  }
  if (args.out != nullptr) part.out += first * args.out_stride;
  return part;
}

}  // namespace

CpuBackend::CpuBackend(IsaLevel level, int threads)
    : kernels_(kernels::table(level)), pool_(threads) {}

std::string CpuBackend::name() const {
  return fmt::format("cpu/{}, {} thread{}", kernels_.name, pool_.size(),
                     pool_.size() == 1 ? "" : "s");
}

base::Result<Weight> CpuBackend::do_pack(const RowSource& source, kernels::WeightFormat format) {
  return pack_weight(pool_, source, format);
}

CpuBackend::ScratchSizes CpuBackend::scratch_sizes(const StepShape& shape) const {
  const auto threads = static_cast<std::size_t>(pool_.size());
  const std::size_t inputs =
      static_cast<std::size_t>(shape.tokens_max) * static_cast<std::size_t>(shape.inputs_max);
  const std::int64_t chunks = ceil_div(shape.context_max, kernels::kAttentionChunk);
  const std::int64_t partials = std::min<std::int64_t>(shape.sequences_max, kSplitSequences) *
                                shape.heads * chunks * kernels::partial_floats(shape.head_dim);
  const std::int64_t lines = std::max(kernels::kAttentionLinesMax, shape.heads);
  const std::int64_t attention = kernels::attend_scratch_floats(lines, shape.head_dim);
  ScratchSizes sizes{};
  sizes.values = inputs * sizeof(float) +
                 static_cast<std::size_t>(shape.tokens_max) * kPlanesMax * kStrideSlack;
  sizes.rows = static_cast<std::size_t>(shape.inputs_max) * threads * sizeof(float);
  sizes.groups = inputs / kGroupMin * 3 * sizeof(float);
  sizes.partials = static_cast<std::size_t>(partials) * sizeof(float);
  sizes.attention = threads * static_cast<std::size_t>(attention) * sizeof(float);
  sizes.sampling =
      threads * std::max(kTileBytes,
                         sizeof(std::uint64_t) *
                             kernels::sample_scratch(static_cast<std::int32_t>(shape.vocabulary)));
  return sizes;
}

std::size_t CpuBackend::do_scratch_bytes(const StepShape& shape) const {
  const ScratchSizes s = scratch_sizes(shape);
  return s.values + s.rows + s.groups + s.partials + s.attention + s.sampling;
}

base::Status CpuBackend::do_reserve(const StepShape& shape) {
  const ScratchSizes sizes = scratch_sizes(shape);
  values_ = VSURGE_TRY(Buffer::allocate(sizes.values));
  rows_ = VSURGE_TRY(Buffer::allocate(sizes.rows));
  groups_ = VSURGE_TRY(Buffer::allocate(sizes.groups));
  partials_ = VSURGE_TRY(Buffer::allocate(sizes.partials));
  attention_ = VSURGE_TRY(Buffer::allocate(sizes.attention));
  sampling_ = VSURGE_TRY(Buffer::allocate(sizes.sampling));
  plan_.reserve(shape, static_cast<std::int64_t>(sizes.partials / sizeof(float)), pool_.size());
  return {};
}

// Scratch that reserve() did not foresee (tests, tools).
void CpuBackend::need(Buffer& buffer, std::size_t bytes) {
  if (buffer.size() >= bytes) return;
  auto bigger = Buffer::allocate(bytes);
  CHECK(bigger.has_value(), "{}", bigger.error().message);
  buffer = std::move(*bigger);
}

template <class F>
void CpuBackend::for_rows(std::int64_t rows, F&& fn) {
  const std::int64_t grain = std::max<std::int64_t>(1, ceil_div(rows, pool_.size() * 4));
  pool_.parallel_for(rows, grain,
                     [&](std::int64_t begin, std::int64_t end, int) { fn(begin, end); });
}

void CpuBackend::do_embed(const Weight& table, std::span<const std::int32_t> tokens, Tensor out) {
  kernels::EmbedArgs args{};
  args.table = view_of(table);
  args.tokens = tokens.data();
  args.out = out.row<float>(0);
  args.out_stride = out.row_stride;
  for_rows(out.rows, [&](std::int64_t begin, std::int64_t end) {
    kernels::EmbedArgs part = args;
    part.row_begin = begin;
    part.row_end = end;
    kernels_.embed(part);
  });
}

kernels::Activations CpuBackend::prepare(const Tensor& x, const Weight& w, const LinearSpec& spec) {
  const bool integer = kernels::is_integer(w.format.kind);
  kernels::PrepareArgs args{};
  args.x = x.row<float>(0);
  args.x_stride = x.row_stride;
  args.kind = w.format.kind;
  args.rotated = w.format.rotated;
  args.to.rows = x.rows;
  args.to.planes = spec.precise && integer && !w.one_plane ? 2 : 1;
  args.to.cols = w.cols;
  args.to.group = w.format.group;
  args.to.stride = kernels::activation_stride(args.kind, w.cols);
  need(values_, static_cast<std::size_t>(x.rows * args.to.planes * args.to.stride));
  args.to.values = reinterpret_cast<std::uint8_t*>(values_.data());
  if (integer) {
    const auto groups = static_cast<std::size_t>(x.rows * (w.cols / w.format.group));
    need(groups_, groups * 3 * sizeof(float));
    args.to.starts = reinterpret_cast<std::int32_t*>(groups_.data());
    args.to.sums = reinterpret_cast<float*>(groups_.data()) + groups;
    args.to.scales = args.to.sums + groups;
  }
  args.norm = spec.norm.empty() ? nullptr : spec.norm.data();
  args.norm_eps = spec.norm_eps;
  args.gated = spec.gate.has_value();
  args.gate = spec.gate.value_or(kernels::Activation::kSilu);
  need(rows_, static_cast<std::size_t>(w.cols * pool_.size()) * sizeof(float));
  // Fewer rows than threads are divided by columns.
  const std::int64_t threads = pool_.size();
  const std::int64_t share = x.rows >= threads ? w.cols : ceil_div(w.cols, threads);
  const std::int64_t strip = ceil_div(share, kStripUnit) * kStripUnit;
  const std::int64_t strips = ceil_div(w.cols, strip), units = x.rows * strips;
  const bool serial = x.rows * w.cols <= kSerialValues;
  const std::int64_t grain = std::max<std::int64_t>(1, units / (threads * 4));
  pool_.parallel_for(units, serial ? units : grain,
                     [&](std::int64_t begin, std::int64_t end, int worker) {
                       kernels::PrepareArgs part = args;
                       part.scratch = reinterpret_cast<float*>(rows_.data()) + worker * w.cols;
                       for (std::int64_t i = begin; i < end; ++i) {
                         part.row_begin = i / strips;
                         part.row_end = part.row_begin + 1;
                         part.col_begin = i % strips * strip;
                         part.col_end = std::min(w.cols, part.col_begin + strip);
                         kernels_.prepare(part);
                       }
                     });
  return args.to;
}

// Panels that a thread takes; pairs of them share their activations.
std::int64_t CpuBackend::panels_at_once(const kernels::LinearArgs& args) const {
  const std::int64_t panels = ceil_div(args.weights.rows, kPanelRows);
  if (args.x.rows * args.x.cols * args.weights.rows <= kSerialWork) return panels;
  return std::max<std::int64_t>(2, panels / (pool_.size() * 8) / 2 * 2);
}

void CpuBackend::do_linear(Tensor x, const Weight& w, Tensor out, const LinearSpec& spec) {
  kernels::LinearArgs args{};
  args.weights = view_of(w);
  args.x = prepare(x, w, spec);
  args.out = out.row<float>(0);
  args.out_stride = out.row_stride;
  args.bias = spec.bias;
  args.accumulate = spec.accumulate;
  args.past_caches = goes_past_caches(out, spec);
  const std::int64_t panels = ceil_div(w.rows, kPanelRows);
  const std::int64_t grain = panels_at_once(args);
  if (pool_.size() > 1 && x.rows >= pool_.size() * kRowsApart) return linear_by_rows(args, grain);
  pool_.parallel_for(panels, grain, [&](std::int64_t begin, std::int64_t end, int) {
    kernels::LinearArgs part = args;
    part.panel_begin = begin;
    part.panel_end = end;
    part.panel_limit = panels;
    kernels_.linear(part);
    if (part.past_caches) kernels::store_fence();
  });
}

// Each thread begins with a part of the rows, by `grain` panels at a time.
void CpuBackend::linear_by_rows(const kernels::LinearArgs& args, std::int64_t grain) {
  const kernels::Activations& x = args.x;
  const std::int64_t parts = pool_.size(), panels = ceil_div(args.weights.rows, kPanelRows);
  const std::int64_t chunks = ceil_div(panels, grain);
  pool_.parallel_for(parts * chunks, 1, [&](std::int64_t begin, std::int64_t end, int) {
    for (; begin < end; ++begin) {
      const std::int64_t part = begin / chunks, panel = begin % chunks * grain;
      const std::int64_t row = x.rows * part / parts;
      kernels::LinearArgs one = rows_of(args, row, x.rows * (part + 1) / parts - row);
      one.panel_begin = panel;
      one.panel_end = std::min(panels, panel + grain);
      one.panel_limit = panels;
      kernels_.linear(one);
      if (one.past_caches) kernels::store_fence();
    }
  });
}

void CpuBackend::do_linear_greatest(Tensor x, const Weight& w, const LinearSpec& spec,
                                    std::span<kernels::SampleResult> results) {
  kernels::LinearArgs args{};
  args.weights = view_of(w);
  args.x = prepare(x, w, spec);
  args.bias = spec.bias;
  args.out_stride = kTileStride;
  args.panel_limit = ceil_div(w.rows, kPanelRows);
  need(sampling_, kTileBytes * static_cast<std::size_t>(pool_.size()));
  for (std::int64_t row = 0; row < x.rows; row += kTileRows) {
    const std::int64_t rows = std::min(x.rows - row, kTileRows);
    greatest_of(rows_of(args, row, rows),
                results.subspan(static_cast<std::size_t>(row), static_cast<std::size_t>(rows)));
  }
}

// Of up to kTileRows rows: each thread keeps the greatest of the panels that it takes.
void CpuBackend::greatest_of(const kernels::LinearArgs& args,
                             std::span<kernels::SampleResult> results) {
  const auto tile = [&](int worker) {
    return reinterpret_cast<float*>(sampling_.data() + kTileBytes * static_cast<unsigned>(worker));
  };
  const auto bests = [&](int worker) {
    auto* begin = reinterpret_cast<kernels::Greatest*>(tile(worker) + kTileRows * kTileStride);
    return std::span(begin, results.size());
  };
  for (int worker = 0; worker < pool_.size(); ++worker) {
    std::ranges::fill(bests(worker), kernels::Greatest{});
  }
  const std::int64_t grain = panels_at_once(args);
  pool_.parallel_for(
      args.panel_limit, grain, [&](std::int64_t begin, std::int64_t end, int worker) {
        for (; begin < end; begin += kTilePanels) {
          kernels::LinearArgs part = args;
          part.out = tile(worker);
          part.out_panel = part.panel_begin = begin;
          part.panel_end = std::min(end, begin + kTilePanels);
          kernels_.linear(part);
          const std::int64_t first = begin * kPanelRows;
          const std::int64_t last = std::min(args.weights.rows, part.panel_end * kPanelRows);
          kernels_.greatest({.logits = part.out,
                             .stride = kTileStride,
                             .rows = args.x.rows,
                             .count = last - first,
                             .first = static_cast<std::int32_t>(first),
                             .best = bests(worker).data()});
        }
      });
  for (std::size_t row = 0; row < results.size(); ++row) {
    kernels::Greatest best;
    bool finite = true;
    for (int worker = 0; worker < pool_.size(); ++worker) {
      const kernels::Greatest& one = bests(worker)[row];
      finite = finite && one.finite;
      if (comes_before(one, best)) best = one;
    }
    results[row] = finite ? kernels::SampleResult{best.token, kernels::SampleStatus::kOk}
                          : kernels::SampleResult{-1, kernels::SampleStatus::kNotFinite};
  }
}

void CpuBackend::do_rope_and_store_kv(Tensor qkv, Tensor cosines, Tensor sines,
                                      const RopeSpec& spec, std::span<const std::int32_t> slots,
                                      KvCache& kv, int layer) {
  kernels::RopeStoreArgs args{};
  args.qkv = qkv.row<float>(0);
  args.qkv_stride = qkv.row_stride;
  args.heads = static_cast<std::int32_t>(qkv.cols / kv.shape.head_dim) - 2 * kv.shape.kv_heads;
  args.cosines = cosines.row<float>(0);
  args.sines = sines.row<float>(0);
  args.angle_stride = cosines.row_stride;
  args.rotary_dim = spec.rotary_dim;
  args.interleaved = spec.interleaved;
  args.q_norm = spec.q_norm;
  args.k_norm = spec.k_norm;
  args.norm_eps = spec.norm_eps;
  args.slots = slots.data();
  args.kv = layer_of(kv, layer);
  for_rows(qkv.rows, [&](std::int64_t begin, std::int64_t end) {
    kernels::RopeStoreArgs part = args;
    part.token_begin = begin;
    part.token_end = end;
    kernels_.rope_store(part);
  });
}

void CpuBackend::do_copy_page(KvCache& kv, std::int32_t from, std::int32_t to) {
  for (int layer = 0; layer < kv.shape.layers; ++layer) {
    const kernels::KvLayer one = layer_of(kv, layer);
    std::memcpy(one.base + to * one.page_stride, one.base + from * one.page_stride,
                static_cast<std::size_t>(one.page_stride));
  }
}

void CpuBackend::do_plan_attention(const AttentionBatch& batch, const KvShape& shape, int heads) {
  plan_.build(batch, shape, heads, pool_.size());
}

void CpuBackend::do_attention(Tensor q, const KvCache& kv, const AttentionSpec& spec, Tensor out) {
  const std::int32_t dim = kv.shape.head_dim;
  const std::int32_t group = plan_.heads() / kv.shape.kv_heads;
  CHECK(q.cols == static_cast<std::int64_t>(plan_.heads()) * dim);
  CHECK(q.rows == plan_.batch().sequence_offsets.back());
  const std::int64_t scratch_floats =
      kernels::attend_scratch_floats(std::max(kernels::kAttentionLinesMax, group), dim);
  need(attention_, static_cast<std::size_t>(scratch_floats * pool_.size()) * sizeof(float));
  auto* scratch = reinterpret_cast<float*>(attention_.data());
  auto* partials = reinterpret_cast<float*>(partials_.data());
  const kernels::KvLayer layer = layer_of(kv, spec.layer);
  const AttentionBatch& batch = plan_.batch();
  const auto attend = [&](const AttentionUnit& unit, int worker) {
    const std::int64_t column = static_cast<std::int64_t>(unit.kv_head) * group * dim;
    kernels::AttendArgs args{};
    args.q = q.row<float>(unit.row) + column;
    args.q_stride = q.row_stride;
    args.out = out.row<float>(unit.row) + column;
    args.out_stride = out.row_stride;
    args.tokens = unit.tokens;
    args.heads_per_kv = group;
    args.first_position = unit.position;
    args.window = spec.window;
    args.scale = spec.scale;
    args.softcap = spec.softcap;
    args.kv = layer;
    args.kv_head = unit.kv_head;
    args.pages = batch.pages.data() + batch.page_offsets[static_cast<std::size_t>(unit.sequence)];
    args.chunk_begin = unit.chunk_begin;
    args.chunk_end = unit.chunk_end;
    args.partials = unit.partials < 0 ? nullptr : partials + unit.partials;
    args.scratch = scratch + worker * scratch_floats;
    kernels_.attend(args);
  };
  const auto& units = plan_.units();
  pool_.parallel_for(static_cast<std::int64_t>(units.size()), 1,
                     [&](std::int64_t begin, std::int64_t end, int worker) {
                       for (; begin < end; ++begin) {
                         attend(units[static_cast<std::size_t>(begin)], worker);
                       }
                     });
  const auto& merges = plan_.merges();
  pool_.parallel_for(static_cast<std::int64_t>(merges.size()), 1,
                     [&](std::int64_t begin, std::int64_t end, int worker) {
                       for (; begin < end; ++begin) {
                         const AttentionUnit& unit = merges[static_cast<std::size_t>(begin)];
                         kernels::MergeArgs args{};
                         args.partials = partials + unit.partials;
                         args.chunks = unit.chunk_end;
                         args.tokens = unit.tokens;
                         args.heads_per_kv = group;
                         args.head_dim = dim;
                         args.out = out.row<float>(unit.row) +
                                    static_cast<std::int64_t>(unit.kv_head) * group * dim;
                         args.out_stride = out.row_stride;
                         args.scratch = scratch + worker * scratch_floats;
                         kernels_.merge(args);
                       }
                     });
}

void CpuBackend::do_gather_rows(Tensor x, std::span<const std::int32_t> rows, Tensor out) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::memcpy(out.row<float>(static_cast<std::int64_t>(i)), x.row<float>(rows[i]),
                static_cast<std::size_t>(x.cols) * sizeof(float));
  }
}

void CpuBackend::do_sample(Tensor logits, std::span<const kernels::SampleRow> rows,
                           std::span<kernels::SampleResult> results) {
  const std::size_t scratch = kernels::sample_scratch(static_cast<std::int32_t>(logits.cols));
  need(sampling_, scratch * static_cast<std::size_t>(pool_.size()) * sizeof(std::uint64_t));
  auto* memory = reinterpret_cast<std::uint64_t*>(sampling_.data());
  pool_.parallel_for(logits.rows, 1, [&](std::int64_t begin, std::int64_t end, int worker) {
    for (std::int64_t i = begin; i < end; ++i) {
      results[static_cast<std::size_t>(i)] = kernels_.sample(
          logits.row<float>(i), static_cast<std::int32_t>(logits.cols),
          rows[static_cast<std::size_t>(i)], memory + static_cast<std::size_t>(worker) * scratch);
    }
  });
}

base::Result<std::unique_ptr<Backend>> make_cpu_backend(const CpuBackendOptions& options) {
  IsaLevel level = kernels::best_level();
  if (!options.isa.empty()) {
    const auto* named = std::ranges::find(kernels::kIsaLevels, options.isa, kernels::isa_name);
    if (named == std::end(kernels::kIsaLevels)) {
      return base::fail(
          base::ErrorCode::kUsage,
          "isa: expected scalar, avx2, avx_vnni, avx512_vnni, avx512 or amx, found '{}'",
          options.isa);
    }
    level = *named;
  }
  if (!kernels::supported(level)) {
    return base::fail(base::ErrorCode::kUsage, "isa: this CPU does not have {}", options.isa);
  }
  constexpr int kThreadsMax = 1024;
  const int threads = options.threads == 0 ? base::ThreadPool::allowed_cpus() : options.threads;
  if (threads < 1 || threads > kThreadsMax) {
    return base::fail(base::ErrorCode::kUsage, "threads: expected 1 to {}, found {}", kThreadsMax,
                      threads);
  }
  return std::make_unique<CpuBackend>(level, threads);
}

}  // namespace vsurge::tensor
