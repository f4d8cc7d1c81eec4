// A file mapped read-only into memory. A mapped file must not be shortened by others while it is
// read: the machine answers that with SIGBUS. So configuration is read (read_text_file), and only
// the large files of a checkpoint are mapped.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace vsurge::base {

// Owns the mapping; movable. bytes() may be read from any thread while the object lives.
class MappedFile {
 public:
  // Refuses what is not a regular file (kBadModel, naming errno and path). Files of 2 MiB or more
  // begin at a multiple of 2 MiB.
  static Result<MappedFile> open(const std::filesystem::path& path);

  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }
  // Tells the kernel that [offset, offset + size) will not be read again, so that the pages of a
  // checkpoint which is packed already do not count against the memory of the process.
  void release(std::size_t offset, std::size_t size) const;
  // Asks for huge pages, where the file system and the machine have them; before populate().
  void prefer_huge_pages() const;
  // Reads [offset, offset + size) in, and maps it, now: later use does not wait for the disk.
  // Any thread, disjoint ranges. kEnvironment when it cannot be read.
  Status populate(std::size_t offset, std::size_t size) const;

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// The whole of a small file as text; refuses files over `size_max` bytes.
Result<std::string> read_text_file(const std::filesystem::path& path, std::size_t size_max);

}  // namespace vsurge::base
