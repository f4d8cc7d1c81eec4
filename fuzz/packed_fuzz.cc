// weights.vsurge from its first byte to the weights of a decoder.
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "model/packed_folder.h"

namespace {

namespace model = vsurge::model;

// Bytes that the sections have are read, so that a sanitizer sees those outside.
std::size_t sum_of(const vsurge::tensor::Buffer& buffer) {
  std::size_t sum = 0;
  for (std::size_t i = 0; i < buffer.size(); ++i) sum += static_cast<std::size_t>(buffer.data()[i]);
  return sum;
}

model::DecoderSpec tiny_spec() {
  model::DecoderSpec spec;
  spec.family = "llama";
  spec.vocabulary = 20;
  spec.hidden = 64;
  spec.intermediate = 32;
  spec.heads = 4;
  spec.kv_heads = 2;
  spec.head_dim = 16;
  spec.tied_head = true;
  spec.layers.resize(1);
  return spec;
}

}  // namespace

// The input is a header, then the data: they are put where a file has them.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::uint64_t length = 0;
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  std::vector<std::byte> file(bytes, bytes + size);
  if (size >= 16 && std::memcmp(data, model::kPackedMagic.data(), 8) == 0) {
    std::memcpy(&length, data + 8, 8);
    if (length < size - 16) {
      file.resize(model::kPackedDataUnit + size - 16 - length);
      std::memset(file.data() + 16 + length, 0, model::kPackedDataUnit - 16 - length);
      std::memcpy(file.data() + model::kPackedDataUnit, data + 16 + length, size - 16 - length);
    }
  }
  auto packed = model::PackedFile::parse("fuzz", file);
  if (!packed) {
    CHECK(!packed.error().message.empty());
    return 0;
  }
  const auto weights = model::packed_weights(std::move(*packed), tiny_spec());
  if (!weights) {
    CHECK(!weights.error().message.empty());
    return 0;
  }
  for (const auto* weight : {&weights->embedding, &weights->layers[0].qkv, &weights->layers[0].o,
                             &weights->layers[0].gate_up, &weights->layers[0].down}) {
    static_cast<void>(sum_of(weight->values) + sum_of(weight->scales) + sum_of(weight->minima));
  }
  return 0;
}
