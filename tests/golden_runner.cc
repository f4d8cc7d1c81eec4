#include "golden_runner.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace vsurge::testing {

base::Result<ModelRunner> ModelRunner::open(const std::filesystem::path& path,
                                            const RunnerOptions& options) {
  ModelRunner runner;
  runner.options_ = options;
  runner.backend_ =
      VSURGE_TRY(tensor::make_cpu_backend({.threads = options.threads, .isa = options.isa}));
  model::LoadOptions load;
  load.weights = options.weights;
  runner.model_ = VSURGE_TRY(model::load_model(path, *runner.backend_, load));
  const int pages_each = (options.context_max + options.page_size - 1) / options.page_size;
  const model::StepLimits limits{.tokens_max = options.tokens_max,
                                 .sequences_max = options.sequences_max,
                                 .logit_rows_max = options.tokens_max,
                                 .context_max = options.context_max,
                                 .page_size = options.page_size,
                                 .pages = pages_each * options.sequences_max,
                                 .kv_dtype = options.kv_dtype};
  VSURGE_TRY(runner.model_->reserve(limits));
  // An odd order: no sequence may own neighbouring pages by luck.
  runner.free_pages_.resize(static_cast<std::size_t>(limits.pages));
  std::iota(runner.free_pages_.begin(), runner.free_pages_.end(), 0);
  std::ranges::sort(runner.free_pages_, {}, [](int page) { return std::pair(page % 3, -page); });
  runner.reserve_arrays();
  return runner;
}

void ModelRunner::reserve_arrays() {
  const auto tokens = static_cast<std::size_t>(options_.tokens_max);
  const auto sequences = static_cast<std::size_t>(options_.sequences_max);
  for (auto* array : {&arrays_.tokens, &arrays_.positions, &arrays_.slots, &arrays_.logit_rows}) {
    array->reserve(tokens);
  }
  for (auto* array : {&arrays_.sequence_offsets, &arrays_.context_lengths, &arrays_.page_offsets}) {
    array->reserve(sequences + 1);
  }
  arrays_.pages.reserve(free_pages_.size());
}

void ModelRunner::append(const Part& part) {
  Sequence& sequence = *part.sequence;
  for (const std::int32_t token : part.tokens) {
    if (sequence.length % options_.page_size == 0) {
      CHECK(!free_pages_.empty());
      sequence.pages.push_back(free_pages_.back());
      free_pages_.pop_back();
    }
    arrays_.logit_rows.push_back(static_cast<std::int32_t>(arrays_.tokens.size()));
    arrays_.tokens.push_back(token);
    arrays_.positions.push_back(sequence.length);
    arrays_.slots.push_back(sequence.pages.back() * options_.page_size +
                            sequence.length % options_.page_size);
    ++sequence.length;
  }
  arrays_.sequence_offsets.push_back(static_cast<std::int32_t>(arrays_.tokens.size()));
  arrays_.context_lengths.push_back(sequence.length);
  arrays_.pages.insert(arrays_.pages.end(), sequence.pages.begin(), sequence.pages.end());
  arrays_.page_offsets.push_back(static_cast<std::int32_t>(arrays_.pages.size()));
}

std::span<const float> ModelRunner::step(std::span<const Part> parts) {
  for (auto* array : {&arrays_.tokens, &arrays_.positions, &arrays_.slots, &arrays_.logit_rows,
                      &arrays_.context_lengths, &arrays_.pages}) {
    array->clear();
  }
  arrays_.sequence_offsets.assign(1, 0);
  arrays_.page_offsets.assign(1, 0);
  for (const Part& part : parts) append(part);
  const tensor::Tensor logits = model_->forward({.tokens = arrays_.tokens,
                                                 .positions = arrays_.positions,
                                                 .slots = arrays_.slots,
                                                 .sequence_offsets = arrays_.sequence_offsets,
                                                 .context_lengths = arrays_.context_lengths,
                                                 .pages = arrays_.pages,
                                                 .page_offsets = arrays_.page_offsets,
                                                 .logit_rows = arrays_.logit_rows});
  CHECK(logits.rows == static_cast<std::int64_t>(arrays_.tokens.size()));
  CHECK(logits.row_stride == logits.cols && logits.cols == info().vocabulary);
  return {logits.row<float>(0), static_cast<std::size_t>(logits.rows * logits.cols)};
}

std::vector<float> ModelRunner::logits(std::span<const std::int32_t> tokens, int chunk) {
  std::vector<float> all;
  all.reserve(tokens.size() * static_cast<std::size_t>(info().vocabulary));
  Sequence sequence;
  for (std::size_t i = 0; i < tokens.size(); i += static_cast<std::size_t>(chunk)) {
    const Part part{&sequence,
                    tokens.subspan(i, std::min<std::size_t>(static_cast<std::size_t>(chunk),
                                                            tokens.size() - i))};
    const auto rows = step({&part, 1});
    all.insert(all.end(), rows.begin(), rows.end());
  }
  release(sequence);
  return all;
}

std::vector<std::int32_t> ModelRunner::greedy(std::span<const std::int32_t> prompt, int count) {
  std::vector<std::int32_t> tokens;
  Sequence sequence;
  Part part{&sequence, prompt};
  const auto vocabulary = static_cast<std::size_t>(info().vocabulary);
  while (static_cast<int>(tokens.size()) < count) {
    tokens.push_back(argmax(step({&part, 1}).last(vocabulary)));
    part.tokens = std::span(tokens).last(1);
  }
  release(sequence);
  return tokens;
}

void ModelRunner::release(Sequence& sequence) {
  free_pages_.insert(free_pages_.end(), sequence.pages.begin(), sequence.pages.end());
  sequence = {};
}

namespace {

// log softmax of a row, in double
std::vector<double> log_softmax(std::span<const float> row) {
  const double highest = *std::ranges::max_element(row);
  double sum = 0;
  for (const float x : row) sum += std::exp(x - highest);
  std::vector<double> result;
  for (const float x : row) result.push_back(x - highest - std::log(sum));
  return result;
}

}  // namespace

double mean_kl(std::span<const float> reference, std::span<const float> other, int vocabulary) {
  CHECK(reference.size() == other.size() && vocabulary > 0);
  const auto width = static_cast<std::size_t>(vocabulary);
  double sum = 0;
  for (std::size_t i = 0; i < reference.size(); i += width) {
    const auto p = log_softmax(reference.subspan(i, width));
    const auto q = log_softmax(other.subspan(i, width));
    for (std::size_t j = 0; j < width; ++j) sum += std::exp(p[j]) * (p[j] - q[j]);
  }
  return sum / (static_cast<double>(reference.size()) / vocabulary);
}

std::int32_t argmax(std::span<const float> logits) {
  return static_cast<std::int32_t>(std::ranges::max_element(logits) - logits.begin());
}

}  // namespace vsurge::testing
