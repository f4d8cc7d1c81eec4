// Tensor: a view of memory that something else owns. Buffer: the owner.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "base/error.h"
#include "kernels/types.h"

namespace vsurge::tensor {

using kernels::DType;

// Owns (but for view()) zeroed, 64-byte aligned memory (huge pages where the system gives them),
// which the system commits page by page when it is first touched. Movable only.
class Buffer {
 public:
  Buffer() = default;
  // kEnvironment when the system has no such memory.
  static base::Result<Buffer> allocate(std::size_t bytes);
  // A view: of memory, 64-byte aligned, that another owns and keeps for longer, and that can be
  // read for 64 bytes behind its end. Read-only, whatever data() says.
  static Buffer view(std::span<const std::byte> bytes) {
    Buffer buffer;
    buffer.data_ = const_cast<std::byte*>(bytes.data());
    buffer.size_ = bytes.size();
    buffer.owned_ = false;
    return buffer;
  }
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        owned_(other.owned_) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(owned_, other.owned_);
    return *this;
  }
  ~Buffer();

  // Makes the system commit bytes [begin, end) now: later use cannot find it without memory.
  // Contents stay. kEnvironment when it has not so much. Any thread, disjoint ranges.
  base::Status commit(std::size_t begin, std::size_t end) const;

  std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  bool owned_ = true;
};

// A dense row-major view, last dimension contiguous; rows may be further apart than their width.
struct Tensor {
  std::byte* data = nullptr;
  DType dtype = DType::kF32;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t row_stride = 0;  // in elements, >= cols

  static Tensor view(void* data, DType dtype, std::int64_t rows, std::int64_t cols) {
    return {static_cast<std::byte*>(data), dtype, rows, cols, cols};
  }
  template <class T>
  T* row(std::int64_t i) const {
    return reinterpret_cast<T*>(data) + i * row_stride;
  }
  // The first n rows; n <= rows.
  Tensor head(std::int64_t n) const { return {data, dtype, n, cols, row_stride}; }
  // Columns [first, first + n) of every row.
  Tensor columns(std::int64_t first, std::int64_t n) const {
    return {data + first * static_cast<std::int64_t>(kernels::dtype_bytes(dtype)), dtype, rows, n,
            row_stride};
  }
};

}  // namespace vsurge::tensor
