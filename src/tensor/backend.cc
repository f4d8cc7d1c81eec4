// The checked half of Backend: what every device may rely on.
#include "tensor/backend.h"

#include <algorithm>
#include <array>
#include <atomic>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "kernels/args.h"

namespace vsurge::tensor {
namespace {

using base::ErrorCode;
using base::fail;

void check_floats(const Tensor& t) {
  CHECK(t.dtype == DType::kF32);
  CHECK(t.rows >= 0 && t.cols > 0 && t.row_stride >= t.cols);
  CHECK(t.rows == 0 || t.data != nullptr);
}

void check_step(const Backend::StepShape& shape) {
  CHECK(shape.tokens_max > 0 && shape.sequences_max > 0 && shape.context_max > 0);
  CHECK(shape.inputs_max > 0 && shape.heads > 0 && shape.head_dim > 0 && shape.vocabulary >= 0);
}

void check_inputs(const Tensor& x, const Weight& w, const LinearSpec& spec) {
  check_floats(x);
  CHECK(spec.norm.empty() || (!spec.gate && std::cmp_equal(spec.norm.size(), w.cols)));
  CHECK(x.cols == (spec.gate ? 2 : 1) * w.cols, "x [{}, {}], w [{}, {}]", x.rows, x.cols, w.rows,
        w.cols);
}

// Commits all of a KV cache, on all threads; says how far it is when it takes long.
base::Status commit_all(const Buffer& buffer, base::ThreadPool& pool) {
  constexpr std::size_t kPiece = std::size_t{16} << 20;
  constexpr std::size_t kSlab = std::size_t{1} << 30;
  constexpr base::Nanoseconds kSecond = 1'000'000'000;
  constexpr double kMiB = 1024.0 * 1024.0;
  const std::int64_t available = base::memory_available_bytes();
  // Asked first: a system that promises more than it has would end the process instead.
  if (static_cast<std::int64_t>(buffer.size()) > available) {
    return fail(ErrorCode::kEnvironment,
                "memory: the KV cache needs {:.0f} MiB, {:.0f} MiB are available",
                static_cast<double>(buffer.size()) / kMiB, static_cast<double>(available) / kMiB);
  }
  const base::SteadyClock clock;
  const base::Nanoseconds start = clock.now();
  base::Nanoseconds said = start;
  for (std::size_t slab = 0; slab < buffer.size(); slab += kSlab) {
    const std::size_t end = std::min(buffer.size(), slab + kSlab);
    const auto pieces = static_cast<std::int64_t>((end - slab + kPiece - 1) / kPiece);
    std::atomic<bool> failed = false;
    pool.parallel_for(pieces, 1, [&](std::int64_t piece, std::int64_t last, int) {
      for (; piece < last; ++piece) {
        const std::size_t at = slab + static_cast<std::size_t>(piece) * kPiece;
        if (!buffer.commit(at, std::min(end, at + kPiece))) failed = true;
      }
    });
    if (failed) {
      return fail(ErrorCode::kEnvironment,
                  "memory: the system refuses the KV cache's {:.0f} MiB at {:.0f} MiB",
                  static_cast<double>(buffer.size()) / kMiB, static_cast<double>(slab) / kMiB);
    }
    if (clock.now() - said > kSecond) {
      said = clock.now();
      base::log_info("KV cache: {:.0f} of {:.0f} MiB committed after {:.1f} s",
                     static_cast<double>(end) / kMiB, static_cast<double>(buffer.size()) / kMiB,
                     static_cast<double>(said - start) * 1e-9);
    }
  }
  return {};
}

}  // namespace

std::string_view op_name(Op op) {
  constexpr std::array<std::string_view, kOps> kNames = {"embedding", "linear",   "head", "rope",
                                                         "attention", "sampling", "other"};
  return kNames.at(static_cast<std::size_t>(op));
}

// Counts the time it lives.
class Backend::Timer {
 public:
  Timer(Backend& backend, Op op) : backend_(backend), op_(op), start_(backend.clock_.now()) {}
  ~Timer() { backend_.count(op_, backend_.clock_.now() - start_); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

 private:
  Backend& backend_;
  Op op_;
  base::Nanoseconds start_;
};

// One thread writes.
void Backend::count(Op op, base::Nanoseconds time) {
  auto& sum = op_times_.at(static_cast<std::size_t>(op));
  sum.store(sum.load(std::memory_order_relaxed) + time, std::memory_order_relaxed);
}

std::array<std::int64_t, kOps> Backend::op_times() const {
  std::array<std::int64_t, kOps> out{};
  for (std::size_t i = 0; i < kOps; ++i) out[i] = op_times_[i].load(std::memory_order_relaxed);
  return out;
}

base::Result<Weight> Backend::pack(const RowSource& source, kernels::WeightFormat format) {
  const std::int64_t rows = source.rows(), cols = source.cols();
  constexpr std::int64_t kSideMax = std::int64_t{1} << 31;
  if (rows < 1 || cols < 1 || rows > kSideMax || cols > kSideMax) {
    return fail(ErrorCode::kBadModel, "matrix: expected 1 to 2^31 rows and columns, found {} x {}",
                rows, cols);
  }
  if (kernels::is_integer(format.kind)) {
    CHECK(kernels::known_group(format.group));
    if (cols % format.group != 0) {
      return fail(ErrorCode::kBadModel, "matrix: expected columns in groups of {}, found {}",
                  format.group, cols);
    }
  } else {
    CHECK(format.group == 0);
    if (format.kind == kernels::WeightKind::kBF16 && cols % 2 != 0) {
      return fail(ErrorCode::kBadModel, "matrix: expected an even number of columns, found {}",
                  cols);
    }
  }
  return do_pack(source, format);
}

base::Result<KvCache> Backend::make_kv_cache(const KvShape& shape) {
  CHECK(shape.dtype == DType::kBF16 || shape.dtype == DType::kF32 || shape.dtype == DType::kI8);
  CHECK(shape.page_size == 16 || shape.page_size == 32 || shape.page_size == 64 ||
        shape.page_size == 128);
  CHECK(shape.layers > 0 && shape.kv_heads > 0 && shape.pages > 0);
  if (shape.head_dim < 8 || shape.head_dim > kernels::kHeadDimMax || shape.head_dim % 8 != 0) {
    return fail(ErrorCode::kBadModel, "head_dim: expected a multiple of 8 up to {}, found {}",
                kernels::kHeadDimMax, shape.head_dim);
  }
  KvCache cache;
  cache.shape = shape;
  cache.storage =
      VSURGE_TRY(Buffer::allocate(shape.page_bytes() * static_cast<std::size_t>(shape.pages)));
  VSURGE_TRY(commit_all(cache.storage, pool()));
  return cache;
}

base::Status Backend::reserve(const StepShape& shape) {
  check_step(shape);
  vocabulary_ = shape.vocabulary;
  return do_reserve(shape);
}

std::size_t Backend::scratch_bytes(const StepShape& shape) const {
  check_step(shape);
  return do_scratch_bytes(shape);
}

void Backend::embed(const Weight& table, std::span<const std::int32_t> tokens, Tensor out) {
  check_floats(out);
  CHECK(out.cols == table.cols && out.rows == static_cast<std::int64_t>(tokens.size()));
  for (const std::int32_t token : tokens) CHECK(token >= 0 && token < table.rows);
  const Timer timer(*this, Op::kEmbed);
  if (out.rows > 0) do_embed(table, tokens, out);
}

void Backend::linear(Tensor x, const Weight& w, Tensor out, const LinearSpec& spec) {
  check_inputs(x, w, spec);
  check_floats(out);
  CHECK(out.cols == w.rows && x.rows == out.rows, "x [{}, {}], w [{}, {}], out [{}, {}]", x.rows,
        x.cols, w.rows, w.cols, out.rows, out.cols);
  const Timer timer(*this, w.rows == vocabulary_ ? Op::kHead : Op::kLinear);
  if (x.rows > 0) do_linear(x, w, out, spec);
}

void Backend::linear_greatest(Tensor x, const Weight& w, const LinearSpec& spec,
                              std::span<kernels::SampleResult> results) {
  check_inputs(x, w, spec);
  CHECK(!spec.accumulate && std::cmp_equal(results.size(), x.rows) && w.rows <= INT32_MAX);
  const Timer timer(*this, w.rows == vocabulary_ ? Op::kHead : Op::kLinear);
  if (x.rows > 0) do_linear_greatest(x, w, spec, results);
}

void Backend::rope_and_store_kv(Tensor qkv, Tensor cosines, Tensor sines, const RopeSpec& spec,
                                std::span<const std::int32_t> slots, KvCache& kv, int layer) {
  const KvShape& shape = kv.shape;
  check_floats(qkv);
  check_floats(cosines);
  check_floats(sines);
  CHECK(layer >= 0 && layer < shape.layers);
  CHECK(qkv.cols % shape.head_dim == 0 && qkv.cols / shape.head_dim > 2 * shape.kv_heads);
  CHECK(spec.rotary_dim > 0 && spec.rotary_dim % 2 == 0 && spec.rotary_dim <= shape.head_dim);
  CHECK(cosines.cols == spec.rotary_dim / 2 && sines.cols == cosines.cols);
  CHECK(cosines.rows == qkv.rows && sines.rows == qkv.rows);
  CHECK(cosines.row_stride == sines.row_stride);
  CHECK(static_cast<std::int64_t>(slots.size()) == qkv.rows);
  for (const std::int32_t slot : slots) CHECK(slot >= 0 && slot / shape.page_size < shape.pages);
  const Timer timer(*this, Op::kRope);
  if (qkv.rows > 0) do_rope_and_store_kv(qkv, cosines, sines, spec, slots, kv, layer);
}

void Backend::copy_page(KvCache& kv, std::int32_t from, std::int32_t to) {
  CHECK(from >= 0 && from < kv.shape.pages && to >= 0 && to < kv.shape.pages && from != to);
  const Timer timer(*this, Op::kOther);
  do_copy_page(kv, from, to);
}

void Backend::plan_attention(const AttentionBatch& batch, const KvShape& shape, int heads) {
  const std::size_t sequences = batch.context_lengths.size();
  CHECK(batch.sequence_offsets.size() == sequences + 1);
  CHECK(batch.page_offsets.size() == sequences + 1);
  CHECK(heads > 0 && heads % shape.kv_heads == 0);
  for (std::size_t i = 0; i < sequences; ++i) {
    const std::int32_t rows = batch.sequence_offsets[i + 1] - batch.sequence_offsets[i];
    const std::int32_t pages = batch.page_offsets[i + 1] - batch.page_offsets[i];
    CHECK(rows >= 0 && rows <= batch.context_lengths[i]);
    CHECK(static_cast<std::int64_t>(pages) * shape.page_size >= batch.context_lengths[i]);
  }
  for (const std::int32_t page : batch.pages) CHECK(page >= -1 && page < shape.pages);
  const Timer timer(*this, Op::kAttention);
  do_plan_attention(batch, shape, heads);
}

void Backend::attention(Tensor q, const KvCache& kv, const AttentionSpec& spec, Tensor out) {
  check_floats(q);
  check_floats(out);
  CHECK(q.rows == out.rows && q.cols == out.cols && q.cols % kv.shape.head_dim == 0);
  CHECK(spec.layer >= 0 && spec.layer < kv.shape.layers && spec.window >= 0);
  const Timer timer(*this, Op::kAttention);
  if (q.rows > 0) do_attention(q, kv, spec, out);
}

void Backend::gather_rows(Tensor x, std::span<const std::int32_t> rows, Tensor out) {
  check_floats(x);
  check_floats(out);
  CHECK(x.cols == out.cols && out.rows == static_cast<std::int64_t>(rows.size()));
  for (const std::int32_t row : rows) CHECK(row >= 0 && row < x.rows);
  const Timer timer(*this, Op::kOther);
  if (out.rows > 0) do_gather_rows(x, rows, out);
}

void Backend::sample(Tensor logits, std::span<const kernels::SampleRow> rows,
                     std::span<kernels::SampleResult> results) {
  check_floats(logits);
  CHECK(logits.rows == static_cast<std::int64_t>(rows.size()) && rows.size() == results.size());
  const Timer timer(*this, Op::kSample);
  if (!rows.empty()) do_sample(logits, rows, results);
}

}  // namespace vsurge::tensor
