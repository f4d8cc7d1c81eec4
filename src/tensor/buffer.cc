#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "tensor/tensor.h"

namespace vsurge::tensor {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

std::size_t round_up(std::size_t n, std::size_t unit) {
  return (n + unit - 1) / unit * unit;
}

}  // namespace

base::Result<Buffer> Buffer::allocate(std::size_t bytes) {
  Buffer buffer;
  if (bytes == 0) return buffer;
  if (bytes > SIZE_MAX / 2) {
    return base::fail(base::ErrorCode::kEnvironment, "memory: cannot allocate {} bytes", bytes);
  }
  // Kernels may read one cache line behind the end; huge pages need their own alignment, so map
  // more and give the ends back.
  const std::size_t size = round_up(bytes + 64, kPage);
  const std::size_t spare = size >= kHugePage ? kHugePage : 0;
  void* mapped = ::mmap(nullptr, size + spare, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) {
    return base::fail(base::ErrorCode::kEnvironment, "memory: cannot allocate {} bytes: {}", bytes,
                      std::strerror(errno));
  }
  auto* begin = static_cast<std::byte*>(mapped);
  if (spare != 0) {
    const auto address = reinterpret_cast<std::uintptr_t>(begin);
    const std::size_t front = round_up(address, kHugePage) - address;
    if (front != 0) ::munmap(begin, front);
    if (front != spare) ::munmap(begin + front + size, spare - front);
    begin += front;
    ::madvise(begin, size, MADV_HUGEPAGE);
  }
  buffer.data_ = begin;
  buffer.size_ = bytes;
  return buffer;
}

base::Status Buffer::commit(std::size_t begin, std::size_t end) const {
  CHECK(begin <= end && end <= size_ && owned_);
  // Whole pages; neighbours may both commit the one they share.
  const std::size_t first = begin / kPage * kPage, last = round_up(end, kPage);
  if (first == last) return {};
#ifdef MADV_POPULATE_WRITE
  if (::madvise(data_ + first, last - first, MADV_POPULATE_WRITE) == 0) return {};
  if (errno != EINVAL) {  // older than Linux 5.14
    return base::fail(base::ErrorCode::kEnvironment, "memory: cannot commit {} bytes: {}",
                      last - first, std::strerror(errno));
  }
#endif
  for (std::size_t at = first; at < last; at += kPage) {
    auto* byte = reinterpret_cast<volatile std::byte*>(data_ + at);
    *byte = *byte;
  }
  return {};
}

Buffer::~Buffer() {
  if (data_ != nullptr && owned_) ::munmap(data_, round_up(size_ + 64, kPage));
}

}  // namespace vsurge::tensor
