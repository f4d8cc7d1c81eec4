#include "model/checkpoint.h"

#include <algorithm>
#include <set>
#include <system_error>
#include <tuple>
#include <utility>

#include "base/escape.h"
#include "base/limits.h"
#include "base/log.h"
#include "model/packed_source.h"
#include "model/safetensors.h"

namespace vsurge::model {
namespace {

namespace fs = std::filesystem;
using base::ErrorCode;
using base::fail;

constexpr const char* kSingle = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";

std::string printable(std::string_view text) {
  return base::shorten(base::escape_for_line(text), 100);
}

bool contains(const fs::path& folder, const fs::path& file) {
  return std::ranges::mismatch(folder, file).in1 == folder.end();
}

bool present(const fs::path& path) {
  std::error_code error;
  return fs::symlink_status(path, error).type() != fs::file_type::not_found;
}

// A file of the folder by its plain name. A link may lead elsewhere in the folder, or, in a cache
// of Hugging Face's hub (models--*/snapshots/<revision>), to its blobs; nowhere else.
bool is_plain(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.size() <= 255 &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
}

base::Result<fs::path> file_of(const fs::path& folder, const std::string& name) {
  const std::size_t slash = name.find('/');  // one is for a folder in the folder
  const bool plain = slash == std::string::npos
                         ? is_plain(name)
                         : is_plain(std::string_view(name).substr(0, slash)) &&
                               is_plain(std::string_view(name).substr(slash + 1));
  if (!plain) {
    return fail(ErrorCode::kBadModel, "{}: expected the plain name of a file, found {}",
                folder.string(), printable(name));
  }
  const fs::path path = folder / name;
  std::error_code error;
  fs::path real = fs::canonical(path, error);
  if (error) {
    return fail(ErrorCode::kBadModel, "{}: cannot open: {}", path.string(), error.message());
  }
  const fs::path home = fs::canonical(folder, error);
  if (error) {
    return fail(ErrorCode::kBadModel, "{}: cannot open: {}", folder.string(), error.message());
  }
  const bool in_hub = home.parent_path().filename() == "snapshots" &&
                      contains(home.parent_path().parent_path() / "blobs", real);
  if (!contains(home, real) && !in_hub) {
    return fail(ErrorCode::kBadModel, "{}: expected a file inside the folder, found a link to {}",
                path.string(), real.string());
  }
  return real;
}

}  // namespace

const TensorInfo* Checkpoint::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &tensors_[found->second];
}

std::span<const std::byte> Checkpoint::bytes(const TensorInfo& tensor) const {
  const auto all = gguf_ ? gguf_->bytes() : files_[tensor.file].mapping.bytes();
  return all.subspan(tensor.offset, tensor.size);
}

void Checkpoint::release(const TensorInfo& tensor) const {
  const auto& mapping = gguf_ ? gguf_->mapping() : files_[tensor.file].mapping;
  mapping.release(tensor.offset, tensor.size);
}

const std::string& Checkpoint::file_name(const TensorInfo& tensor) const {
  return gguf_ ? gguf_->name() : files_[tensor.file].name;
}

base::Result<std::optional<std::string>> Checkpoint::side_file(const std::string& name) const {
  if (!config_ || !present(path_ / name)) return std::nullopt;
  const fs::path path = VSURGE_TRY(file_of(path_, name));
  return VSURGE_TRY(base::read_text_file(path, base::CheckpointLimits{}.config_bytes_max));
}

base::Status Checkpoint::add_safetensors(const std::string& name) {
  const fs::path path = VSURGE_TRY(file_of(path_, name));
  base::MappedFile mapping = VSURGE_TRY(base::MappedFile::open(path));
  File file{name, std::move(mapping)};
  auto tensors = VSURGE_TRY(parse_safetensors((path_ / name).string(), file.mapping.bytes()));
  if (tensors_.size() + tensors.size() > base::CheckpointLimits{}.tensors_max) {
    return fail(ErrorCode::kBadModel, "{}: expected at most {} tensors in all, found more",
                path_.string(), base::CheckpointLimits{}.tensors_max);
  }
  for (TensorInfo& tensor : tensors) {
    tensor.file = files_.size();
    tensors_.push_back(std::move(tensor));
  }
  files_.push_back(std::move(file));
  return {};
}

// The index must name every tensor of every shard, each in the shard where it is.
base::Status Checkpoint::open_shards(const Config& index) {
  const ConfigObject root = index.root();
  const auto map = VSURGE_TRY(required(root, "weight_map", root.object("weight_map")));
  const auto names = map.keys();
  std::set<std::string> shards;
  for (const std::string& name : names) {
    shards.insert(VSURGE_TRY(required(map, name, map.text(name))));
    if (shards.size() > base::CheckpointLimits{}.shards_max) {
      return fail(ErrorCode::kBadModel, "{}: expected at most {} shards, found more", index.file(),
                  base::CheckpointLimits{}.shards_max);
    }
  }
  for (const std::string& shard : shards) VSURGE_TRY(add_safetensors(shard));
  VSURGE_TRY(index_tensors());
  std::int64_t total = 0;
  for (const TensorInfo& tensor : tensors_) {
    const std::string in_index = VSURGE_TRY(map.text(tensor.name)).value_or("nothing");
    total += static_cast<std::int64_t>(tensor.size);
    if (in_index != file_name(tensor)) {
      return fail(ErrorCode::kBadModel, "{}: /weight_map/{}: expected {}, found {}", index.file(),
                  printable(tensor.name), file_name(tensor), printable(in_index));
    }
  }
  for (const std::string& name : names) {
    if (find(name) == nullptr) {
      return fail(ErrorCode::kBadModel, "{}: /weight_map/{}: expected a tensor of {}, found none",
                  index.file(), printable(name), printable(**map.text(name)));
    }
  }
  const auto metadata = VSURGE_TRY(root.object("metadata"));
  const auto claimed = metadata ? VSURGE_TRY(metadata->number("total_size", {})) : std::nullopt;
  if (claimed && static_cast<double>(total) != *claimed) {
    base::log_warning("{}: /metadata/total_size: the tensors have {} bytes, found {}; ignored",
                      index.file(), total, *claimed);
  }
  return {};
}

base::Status Checkpoint::open_configs() {
  const base::CheckpointLimits limits;
  config_ =
      VSURGE_TRY(Config::read(VSURGE_TRY(file_of(path_, "config.json")), limits.config_bytes_max));
  if (present(path_ / "generation_config.json")) {
    generation_ = VSURGE_TRY(Config::read(VSURGE_TRY(file_of(path_, "generation_config.json")),
                                          limits.config_bytes_max));
  }
  return {};
}

base::Status Checkpoint::open_packed() {
  packed_ = VSURGE_TRY(PackedFile::open(VSURGE_TRY(file_of(path_, kPackedName))));
  if (!present(path_ / kMetadataName)) return open_configs();
  gguf_ =
      VSURGE_TRY(GgufFile::open(VSURGE_TRY(file_of(path_, kMetadataName)), GgufFile::Body::kCut));
  tensors_ = gguf_->tensors();
  return index_tensors();
}

base::Status Checkpoint::open_folder() {
  if (present(path_ / kPackedName)) return open_packed();
  VSURGE_TRY(open_configs());
  const base::CheckpointLimits limits;
  const bool single = present(path_ / kSingle), sharded = present(path_ / kIndex);
  if (single) {
    if (sharded) base::log_warning("{}: read; {} beside it is ignored", kSingle, kIndex);
    VSURGE_TRY(add_safetensors(kSingle));
    return index_tensors();
  }
  if (sharded) {
    const Config index = VSURGE_TRY(
        Config::read(VSURGE_TRY(file_of(path_, kIndex)), limits.safetensors_header_bytes_max));
    return open_shards(index);
  }
  return fail(ErrorCode::kBadModel, "{}: expected {} or {}, found neither", path_.string(), kSingle,
              kIndex);
}

base::Status Checkpoint::open_gguf() {
  gguf_ = VSURGE_TRY(GgufFile::open(path_));
  if (!gguf_->unsupported().empty()) {
    return fail(ErrorCode::kBadModel, "{}: {}", gguf_->name(), gguf_->unsupported());
  }
  const auto splits = VSURGE_TRY(gguf_->integer("split.count", {.min = 0}));
  if (splits.value_or(1) > 1) {
    return gguf_->wrong("split.count", "a model in one file (llama-gguf-split --merge joins them)");
  }
  tensors_ = gguf_->tensors();
  return index_tensors();
}

base::Status Checkpoint::index_tensors() {
  std::ranges::sort(tensors_, {}, [](const TensorInfo& tensor) {
    return std::tuple(tensor.file, tensor.offset, tensor.size);
  });
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const auto [place, fresh] = by_name_.emplace(tensors_[i].name, i);
    if (!fresh) {
      return fail(ErrorCode::kBadModel, "{}: tensor {} is in both {} and {}", path_.string(),
                  printable(tensors_[i].name), file_name(tensors_[place->second]),
                  file_name(tensors_[i]));
    }
  }
  return {};
}

base::Result<std::unique_ptr<Checkpoint>> open_checkpoint(const fs::path& path) {
  std::unique_ptr<Checkpoint> checkpoint(new Checkpoint);
  checkpoint->path_ = path;
  std::error_code ignored;
  VSURGE_TRY(fs::is_directory(path, ignored) ? checkpoint->open_folder() : checkpoint->open_gguf());
  return checkpoint;
}

}  // namespace vsurge::model
