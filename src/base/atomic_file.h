// AtomicFile: a file that appears under its name when it is complete and on the disk, or never.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

#include "base/error.h"

namespace vsurge::base {

// Written under another name (".NAME.part"), which one process at a time may hold, and which a
// later one takes over from one that died. Movable; without commit() the other name goes away.
class AtomicFile {
 public:
  // mode: of a new file, less what the process masks. kEnvironment for what the file system
  // refuses, and when another process writes it.
  static Result<AtomicFile> create(const std::filesystem::path& path, unsigned mode = 0666);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  ~AtomicFile();

  Status write(std::span<const std::byte> bytes);
  Status fill(std::size_t end);  // with zeros up to byte `end`
  std::size_t size() const { return size_; }
  // Syncs, gives the file its name, and syncs the folder.
  Status commit();

 private:
  explicit AtomicFile(std::filesystem::path path);
  Status open(unsigned mode);
  std::unexpected<Error> failed(const char* what) const;

  std::filesystem::path path_;
  std::filesystem::path part_;
  int fd_ = -1;
  std::size_t size_ = 0;
};

}  // namespace vsurge::base
