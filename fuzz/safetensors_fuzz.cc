// Headers of safetensors files: whatever is accepted must lie inside the file.
#include <cstdint>
#include <span>

#include "base/error.h"
#include "model/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto tensors = vsurge::model::parse_safetensors(
      "fuzz.safetensors", {reinterpret_cast<const std::byte*>(data), size});
  if (!tensors) return 0;
  std::size_t sum = 0;
  for (const auto& tensor : *tensors) {
    CHECK(tensor.offset <= size && tensor.size <= size - tensor.offset);
    sum += tensor.size;
  }
  CHECK(sum <= size);
  return 0;
}
