#include "base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <system_error>
#include <utility>

namespace vsurge::base {
namespace {

// Owns an open regular file and closes it on every way out.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

// Of the last failed call; strerror is not safe among threads.
std::string last_error() {
  return std::generic_category().message(errno);
}

struct OpenFile {
  Descriptor descriptor;
  std::size_t size;
};

Result<OpenFile> open_regular(const std::filesystem::path& path) {
  // A NUL would silently cut the name: what is checked must be what is opened.
  if (path.native().find('\0') != std::string::npos) {
    return fail(ErrorCode::kBadModel, "{}: the path holds a NUL byte", path.string());
  }
  // O_NONBLOCK: opening a FIFO must not wait for a writer; fstat refuses it below.
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.get() < 0) {
    return fail(ErrorCode::kBadModel, "{}: cannot open: {}", path.string(), last_error());
  }
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) {
    return fail(ErrorCode::kBadModel, "{}: cannot stat: {}", path.string(), last_error());
  }
  if (!S_ISREG(info.st_mode)) {
    return fail(ErrorCode::kBadModel, "{}: expected a regular file", path.string());
  }
  return OpenFile{std::move(file), static_cast<std::size_t>(info.st_size)};
}

constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kPage = 4096;

// Large files at a multiple of a huge page, which only then can be mapped as such. MAP_FAILED when
// the system refuses.
void* map_aligned(const OpenFile& file) {
  const int fd = file.descriptor.get();
  if (file.size < kHugePage) return ::mmap(nullptr, file.size, PROT_READ, MAP_PRIVATE, fd, 0);
  const std::size_t size = (file.size + kPage - 1) / kPage * kPage;
  void* room = ::mmap(nullptr, size + kHugePage, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (room == MAP_FAILED) return room;
  auto* begin = static_cast<std::byte*>(room);
  const std::size_t front = -reinterpret_cast<std::uintptr_t>(begin) % kHugePage;
  if (front != 0) ::munmap(begin, front);
  if (front != kHugePage) ::munmap(begin + front + size, kHugePage - front);
  void* data = ::mmap(begin + front, file.size, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0);
  if (data == MAP_FAILED) ::munmap(begin + front, size);
  return data;
}

}  // namespace

Result<MappedFile> MappedFile::open(const std::filesystem::path& path) {
  const OpenFile file = VSURGE_TRY(open_regular(path));
  MappedFile mapped;
  if (file.size == 0) return mapped;  // mmap refuses empty ranges
  void* data = map_aligned(file);
  if (data == MAP_FAILED) {
    return fail(ErrorCode::kEnvironment, "{}: cannot map {} bytes: {}", path.string(), file.size,
                last_error());
  }
  mapped.data_ = static_cast<const std::byte*>(data);
  mapped.size_ = file.size;
  return mapped;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  MappedFile taken = std::move(other);  // what this held is unmapped here, not when other dies
  std::swap(data_, taken.data_);
  std::swap(size_, taken.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::release(std::size_t offset, std::size_t size) const {
  if (data_ == nullptr || offset >= size_) return;
  static const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  // Whole pages inside the range only: the others hold bytes that may still be wanted.
  const std::size_t begin = (offset + page - 1) / page * page;
  const std::size_t stop = offset + std::min(size, size_ - offset);
  const std::size_t end = stop == size_ ? stop : stop / page * page;
  if (begin < end) ::madvise(const_cast<std::byte*>(data_) + begin, end - begin, MADV_DONTNEED);
}

void MappedFile::prefer_huge_pages() const {
  if (data_ != nullptr) ::madvise(const_cast<std::byte*>(data_), size_, MADV_HUGEPAGE);
}

Status MappedFile::populate(std::size_t offset, std::size_t size) const {
  if (data_ == nullptr || offset >= size_) return {};
  const std::size_t begin = offset / kPage * kPage;
  const std::size_t end = offset + std::min(size, size_ - offset);
#ifdef MADV_POPULATE_READ
  auto* address = const_cast<std::byte*>(data_) + begin;
  int status = 0;
  do {
    status = ::madvise(address, end - begin, MADV_POPULATE_READ);
  } while (status != 0 && (errno == EINTR || errno == EAGAIN));
  if (status == 0) return {};
  if (errno != EINVAL) {  // older than Linux 5.14
    return fail(ErrorCode::kEnvironment, "cannot read {} bytes at byte {}: {}", end - begin, begin,
                last_error());
  }
#endif
  for (std::size_t at = begin; at < end; at += kPage) {
    static_cast<void>(*reinterpret_cast<const volatile std::byte*>(data_ + at));
  }
  return {};
}

Result<std::string> read_text_file(const std::filesystem::path& path, std::size_t size_max) {
  const OpenFile file = VSURGE_TRY(open_regular(path));
  if (file.size > size_max) {
    return fail(ErrorCode::kBadModel, "{}: expected at most {} bytes, found {}", path.string(),
                size_max, file.size);
  }
  // Read, not mapped: a file that shrinks meanwhile gives a short text instead of a signal.
  std::string text(file.size, '\0');
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t count = ::read(file.descriptor.get(), text.data() + done, text.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      return fail(ErrorCode::kEnvironment, "{}: cannot read: {}", path.string(), last_error());
    }
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  text.resize(done);
  return text;
}

}  // namespace vsurge::base
