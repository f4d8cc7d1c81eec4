// From weights.vsurge to the weights of a decoder.
#include <string>
#include <utility>
#include <vector>

#include "model/packed_folder.h"

namespace vsurge::model {
namespace {

using base::Result;

class Reader {
 public:
  Reader(const PackedFile& file, const DecoderSpec& spec) : file_(file), spec_(spec) {}

  Result<DecoderWeights> read() {
    DecoderWeights weights;
    const std::int64_t hidden = spec_.hidden, vocabulary = spec_.vocabulary;
    weights.embedding = VSURGE_TRY(matrix("embedding", vocabulary, hidden));
    for (std::size_t i = 0; i < spec_.layers.size(); ++i) {
      VSURGE_TRY(read_layer(fmt::format("layers.{}.", i), weights.layers.emplace_back()));
    }
    weights.final_norm = VSURGE_TRY(vector("final_norm", hidden));
    // A tied head is there when it has a format of its own.
    if ((spec_.pooling.needs_head() && !spec_.tied_head) || file_.has("head")) {
      weights.head = VSURGE_TRY(matrix("head", vocabulary, hidden));
    }
    if (file_.has("head_norm")) weights.head_norm = VSURGE_TRY(vector("head_norm", hidden));
    if (const int labels = spec_.pooling.labels; labels > 0) {
      weights.score = VSURGE_TRY(vector("score", std::int64_t{labels} * hidden));
    }
    if (taken_ != file_.parts()) {
      return base::fail(base::ErrorCode::kBadModel,
                        "{}: expected the {} parts of family {}, found {}", file_.name(), taken_,
                        spec_.family, file_.parts());
    }
    weights.parameters = file_.info().parameters;
    weights.bytes = file_.weight_bytes();
    weights.format = file_.info().format;
    return weights;
  }

 private:
  Result<tensor::Weight> matrix(const std::string& name, std::int64_t rows, std::int64_t cols) {
    ++taken_;
    return file_.matrix(name, rows, cols);
  }
  Result<std::vector<float>> vector(const std::string& name, std::int64_t size) {
    ++taken_;
    return file_.vector(name, size);
  }
  base::Status read_layer(const std::string& at, LayerWeights& layer) {
    const std::int64_t hidden = spec_.hidden, inner = spec_.intermediate, dim = spec_.head_dim;
    const std::int64_t heads = spec_.heads * dim, all = heads + 2 * spec_.kv_heads * dim;
    layer.attention_norm = VSURGE_TRY(vector(at + "attention_norm", hidden));
    layer.qkv = VSURGE_TRY(matrix(at + "qkv", all, hidden));
    if (spec_.qkv_bias) layer.qkv_bias = VSURGE_TRY(vector(at + "qkv_bias", all));
    if (spec_.qk_norm) {
      layer.q_norm = VSURGE_TRY(vector(at + "q_norm", dim));
      layer.k_norm = VSURGE_TRY(vector(at + "k_norm", dim));
    }
    layer.o = VSURGE_TRY(matrix(at + "o", hidden, heads));
    if (spec_.o_bias) layer.o_bias = VSURGE_TRY(vector(at + "o_bias", hidden));
    layer.mlp_norm = VSURGE_TRY(vector(at + "mlp_norm", hidden));
    layer.gate_up = VSURGE_TRY(matrix(at + "gate_up", 2 * inner, hidden));
    if (spec_.mlp_bias) layer.gate_up_bias = VSURGE_TRY(vector(at + "gate_up_bias", 2 * inner));
    layer.down = VSURGE_TRY(matrix(at + "down", hidden, inner));
    if (spec_.mlp_bias) layer.down_bias = VSURGE_TRY(vector(at + "down_bias", hidden));
    return {};
  }

  const PackedFile& file_;
  const DecoderSpec& spec_;
  std::size_t taken_ = 0;
};

}  // namespace

Result<DecoderWeights> packed_weights(PackedFile file, const DecoderSpec& spec) {
  DecoderWeights weights = VSURGE_TRY(Reader(file, spec).read());
  weights.mapping = file.take_mapping();
  return weights;
}

}  // namespace vsurge::model
