#include "base/atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace vsurge::base {

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
  part_ = path_.parent_path() / ("." + path_.filename().string() + ".part");
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      part_(std::move(other.part_)),
      fd_(std::exchange(other.fd_, -1)),
      size_(other.size_) {}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  ::unlink(part_.c_str());
  ::close(fd_);
}

std::unexpected<Error> AtomicFile::failed(const char* what) const {
  return fail(ErrorCode::kEnvironment, "{}: cannot {}: {}", path_.string(), what,
              std::generic_category().message(errno));
}

Result<AtomicFile> AtomicFile::create(const std::filesystem::path& path, unsigned mode) {
  AtomicFile file(path);
  VSURGE_TRY(file.open(mode));
  return file;
}

Status AtomicFile::open(unsigned mode) {
  const int fd = ::open(part_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, mode);
  if (fd < 0) return failed("write");
  struct stat mine{}, named{};
  // The lock says whether its writer lives; the name, whether it was given away in between.
  const bool ours = ::flock(fd, LOCK_EX | LOCK_NB) == 0 && ::fstat(fd, &mine) == 0 &&
                    ::lstat(part_.c_str(), &named) == 0 && mine.st_ino == named.st_ino &&
                    mine.st_dev == named.st_dev;
  if (!ours) {
    ::close(fd);
    return fail(ErrorCode::kEnvironment, "{}: another process is writing it", path_.string());
  }
  fd_ = fd;
  if (::ftruncate(fd, 0) != 0) return failed("write");
  return {};
}

Status AtomicFile::write(std::span<const std::byte> bytes) {
  constexpr std::size_t kPiece = std::size_t{8} << 20;
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd_, bytes.data(), std::min(bytes.size(), kPiece));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed("write");
    size_ += static_cast<std::size_t>(count);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

Status AtomicFile::fill(std::size_t end) {
  static constexpr std::array<std::byte, 4096> kZeros{};
  while (size_ < end) {
    VSURGE_TRY(write(std::span(kZeros).first(std::min(kZeros.size(), end - size_))));
  }
  return {};
}

Status AtomicFile::commit() {
  if (::fsync(fd_) != 0) return failed("write");
  if (::rename(part_.c_str(), path_.c_str()) != 0) return failed("rename");
  ::close(std::exchange(fd_, -1));
  const auto folder = path_.parent_path();
  const int home =
      ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (home < 0) return {};
  ::fsync(home);  // not every file system can; the name is there in any case
  ::close(home);
  return {};
}

}  // namespace vsurge::base
