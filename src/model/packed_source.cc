#include "model/packed_source.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "base/atomic_file.h"
#include "base/limits.h"
#include "model/gguf_parser.h"

namespace vsurge::model {
namespace {

namespace fs = std::filesystem;
using base::ErrorCode;
using base::fail;
using base::Result;

// What is read of a folder beside its weights (and additional_chat_templates/*.jinja).
constexpr std::array<std::string_view, 9> kCompanions = {
    "config.json",           "generation_config.json",  "tokenizer.json",
    "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "chat_template.jinja",   "chat_template.json",      "modules.json"};
constexpr const char* kTemplates = "additional_chat_templates";
constexpr const char* kModuleConfig = "config.json";
constexpr std::size_t kFilesMax = 20'000;

bool is_companion(std::string_view name) {
  return std::ranges::find(kCompanions, name) != kCompanions.end();
}

// "1_Pooling": a module of sentence-transformers that pooling.h reads, with its config.json.
bool is_module(std::string_view name) {
  const std::size_t digits = std::min(name.find_first_not_of("0123456789"), name.size());
  const std::string_view kind = name.substr(digits);
  return digits > 0 && (kind == "_Pooling" || kind == "_LogitScore");
}

bool is_weights(std::string_view name) {
  return name.ends_with(".safetensors") || name == "model.safetensors.index.json";
}

// The names of the folder's files that `wanted` accepts, and its templates', ascending.
template <class Wanted>
std::vector<std::string> files_of(const fs::path& folder, Wanted wanted) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (wanted(name) && entry.is_regular_file(ignored)) names.push_back(name);
    if (is_module(name) && fs::is_regular_file(entry.path() / kModuleConfig, ignored)) {
      names.push_back(name + "/" + kModuleConfig);
    }
    if (names.size() >= kFilesMax) break;
  }
  for (const auto& entry : fs::directory_iterator(folder / kTemplates, ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with(".jinja") || !entry.is_regular_file(ignored)) continue;
    names.push_back(std::string(kTemplates) + "/" + name);
    if (names.size() >= 2 * kFilesMax) break;
  }
  std::ranges::sort(names);
  return names;
}

// The files of a source by name; of a GGUF file, itself.
std::map<std::string, fs::path> source_files(const fs::path& path) {
  std::map<std::string, fs::path> files;
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) {
    files[path.filename().string()] = path;
    return files;
  }
  for (const std::string& name : files_of(
           path, [](std::string_view file) { return is_companion(file) || is_weights(file); })) {
    files[name] = path / name;
  }
  return files;
}

std::map<std::string, std::string> read_stamps(const std::map<std::string, fs::path>& files) {
  std::map<std::string, std::string> stamps;
  for (const auto& [name, path] : files) {
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0) continue;
    stamps[name] = fmt::format("{} {}.{:09} {}", info.st_size, info.st_mtim.tv_sec,
                               info.st_mtim.tv_nsec, info.st_ino);
  }
  return stamps;
}

// Multiplies to 128 bits and folds: every bit of both meets every other.
std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

struct Hash {
  std::uint64_t a = 0x9e3779b97f4a7c15;
  std::uint64_t b = 0xc2b2ae3d27d4eb4f;

  void add(std::uint64_t x, std::uint64_t y) {
    a = mix(a ^ x, 0xbf58476d1ce4e5b9 ^ y);
    b = mix(b ^ y, 0x94d049bb133111eb ^ x) + a;
  }
  void add(std::span<const std::byte> bytes) {
    const std::uint64_t size = bytes.size();
    std::uint64_t words[2];
    for (; bytes.size() >= sizeof words; bytes = bytes.subspan(sizeof words)) {
      std::memcpy(words, bytes.data(), sizeof words);
      add(words[0], words[1]);
    }
    words[0] = words[1] = 0;
    if (!bytes.empty()) std::memcpy(words, bytes.data(), bytes.size());
    add(words[0] + size, words[1]);
  }
};

// In pieces on the pool, then the pieces' hashes in order: independent of the threads.
Result<Hash> hash_of(const fs::path& path, base::ThreadPool& pool) {
  constexpr std::size_t kPiece = std::size_t{4} << 20;
  const base::MappedFile file = VSURGE_TRY(base::MappedFile::open(path));
  const auto bytes = file.bytes();
  std::vector<Hash> pieces((bytes.size() + kPiece - 1) / kPiece);
  pool.parallel_for(static_cast<std::int64_t>(pieces.size()), 1,
                    [&](std::int64_t i, std::int64_t end, int) {
                      for (; i < end; ++i) {
                        const std::size_t at = static_cast<std::size_t>(i) * kPiece;
                        const std::size_t size = std::min(kPiece, bytes.size() - at);
                        pieces[static_cast<std::size_t>(i)].add(bytes.subspan(at, size));
                        file.release(at, size);
                      }
                    });
  Hash all;
  for (const Hash& piece : pieces) all.add(piece.a, piece.b);
  return all;
}

Result<std::string> hash_of(const std::map<std::string, fs::path>& files, base::ThreadPool& pool) {
  Hash all;
  for (const auto& [name, path] : files) {
    const Hash one = VSURGE_TRY(hash_of(path, pool));
    all.add(std::as_bytes(std::span(name)));
    all.add(one.a, one.b);
  }
  return fmt::format("{:016x}{:016x}", all.a, all.b);
}

template <class T>
void append(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

std::string metadata_of(const Checkpoint& checkpoint) {
  constexpr std::size_t kAlign = std::size_t{1} << 20;  // a multiple of every legal alignment
  const auto up = [](std::size_t n) { return (n + kAlign - 1) / kAlign * kAlign; };
  const GgufFile& file = *checkpoint.gguf();
  const TensorInfo* kept = checkpoint.find("rope_freqs.weight");
  std::string out("GGUF");
  append(out, static_cast<std::uint32_t>(file.version()));
  append(out, static_cast<std::uint64_t>(checkpoint.tensors().size()));
  append(out, static_cast<std::uint64_t>(file.entries()));
  out.append(reinterpret_cast<const char*>(file.entry_bytes().data()), file.entry_bytes().size());
  std::size_t next = kept == nullptr ? 0 : up(kept->size);
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    append(out, static_cast<std::uint64_t>(tensor.name.size()));
    out += tensor.name;
    append(out, static_cast<std::uint32_t>(tensor.shape.size()));
    for (std::size_t i = tensor.shape.size(); i-- > 0;) {
      append(out, static_cast<std::uint64_t>(tensor.shape[i]));
    }
    append(out, gguf_number(tensor.type));
    append(out, static_cast<std::uint64_t>(&tensor == kept ? 0 : next));
    if (&tensor != kept) next += up(tensor.size);
  }
  if (kept == nullptr) return out;
  const std::size_t align = static_cast<std::size_t>(
      file.integer("general.alignment", {}).value_or(std::nullopt).value_or(32));
  out.resize((out.size() + align - 1) / align * align);
  const auto bytes = checkpoint.bytes(*kept);
  out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return out;
}

// Writes it unless it is there with these bytes.
base::Status put(const fs::path& path, std::string_view bytes, bool& changed) {
  std::error_code ignored;
  if (fs::exists(path, ignored)) {
    const auto old = base::read_text_file(path, base::TokenizerLimits{}.file_bytes_max);
    if (old && *old == bytes) return {};
    changed = true;
  }
  return write_file(path, bytes);
}

}  // namespace

Result<PackedSource> read_source(const fs::path& path, base::ThreadPool& pool) {
  PackedSource source;
  std::error_code error;
  const fs::path absolute = fs::canonical(path, error);
  if (error) {
    return fail(ErrorCode::kBadModel, "{}: cannot open: {}", path.string(), error.message());
  }
  const auto files = source_files(absolute);
  source.path = absolute.string();
  source.stamps = read_stamps(files);  // first: what changes while it is read is found later
  source.hash = VSURGE_TRY(hash_of(files, pool));
  return source;
}

Result<SourceState> compare_source(const PackedSource& source, base::ThreadPool& pool) {
  const fs::path path(source.path);
  const auto files = source_files(path);
  const auto stamps = read_stamps(files);
  if (stamps == source.stamps) return SourceState::kSame;
  for (const auto& [name, stamp] : source.stamps) {
    if (!stamps.contains(name)) return SourceState::kGone;
  }
  const std::string hash = VSURGE_TRY(hash_of(files, pool));
  return hash == source.hash ? SourceState::kTouched : SourceState::kChanged;
}

bool is_packed_part(std::string_view name) {
  if (name.starts_with('.') && name.ends_with(".part")) {
    name = name.substr(1, name.size() - 6);
  }
  return name == kPackedName || name == kMetadataName || name == kTemplates || is_companion(name) ||
         is_module(name);
}

base::Status write_file(const fs::path& path, std::string_view bytes) {
  base::AtomicFile file = VSURGE_TRY(base::AtomicFile::create(path));
  VSURGE_TRY(file.write(std::as_bytes(std::span(bytes))));
  return file.commit();
}

base::Status copy_companions(const Checkpoint& checkpoint, const fs::path& folder, bool& changed) {
  changed = false;
  if (checkpoint.gguf() != nullptr) {
    return put(folder / kMetadataName, metadata_of(checkpoint), changed);
  }
  const auto names = files_of(checkpoint.path(), is_companion);
  for (const std::string& name : names) {
    const std::string bytes = VSURGE_TRY(
        base::read_text_file(checkpoint.path() / name, base::TokenizerLimits{}.file_bytes_max));
    const fs::path path = folder / name;
    std::error_code error;
    fs::create_directories(path.parent_path(), error);
    if (error) {
      return fail(ErrorCode::kEnvironment, "{}: cannot make the folder: {}",
                  path.parent_path().string(), error.message());
    }
    VSURGE_TRY(put(path, bytes, changed));
  }
  // What the source no longer has.
  for (const std::string& name : files_of(folder, is_companion)) {
    if (std::ranges::find(names, name) != names.end()) continue;
    std::error_code ignored;
    changed = fs::remove(folder / name, ignored) || changed;
  }
  return {};
}

}  // namespace vsurge::model
