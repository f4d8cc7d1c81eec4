// Headers of packed files, over data of one size: every view that they give must lie inside.
#include <cstdint>
#include <cstring>
#include <span>

#include "base/error.h"
#include "model/packed_file.h"
#include "tensor/tensor.h"

namespace {

using vsurge::model::kPackedDataUnit;
using vsurge::model::kPackedMagic;
using vsurge::model::kPackedTail;

constexpr std::size_t kData = 64 << 10;
constexpr std::size_t kSize = kPackedDataUnit + kData + kPackedTail;  // "bytes" of the header

void check_inside(const vsurge::tensor::Buffer& view, const std::byte* begin) {
  if (view.size() == 0) return;
  CHECK(view.data() >= begin + kPackedDataUnit);
  CHECK(view.data() + view.size() <= begin + kPackedDataUnit + kData);
  CHECK(reinterpret_cast<std::uintptr_t>(view.data()) % 64 == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static auto memory = vsurge::tensor::Buffer::allocate(kSize);
  CHECK(memory.has_value());
  const std::uint64_t length = size;
  if (size > (1 << 20)) return 0;
  std::byte* file = memory->data();
  std::memcpy(file, kPackedMagic.data(), kPackedMagic.size());
  std::memcpy(file + kPackedMagic.size(), &length, sizeof length);
  std::memcpy(file + kPackedMagic.size() + sizeof length, data, size);
  const auto packed =
      vsurge::model::PackedFile::parse("fuzz", std::span<const std::byte>(file, kSize));
  if (!packed || packed->outdated()) return 0;
  if (const auto m = packed->matrix("m", 16, 64)) {
    for (const auto* part : {&m->values, &m->scales, &m->minima}) check_inside(*part, file);
  }
  if (const auto v = packed->vector("v", 16)) CHECK(v->size() == 16);
  CHECK(packed->weight_bytes() >= 0);
  return 0;
}
