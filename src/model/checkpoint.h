// Checkpoint: the tensors of a model on disk by name, whatever the files are.
//
// Three kinds: a folder in Hugging Face's form (config.json, and model.safetensors or else the
// shards of model.safetensors.index.json), a GGUF file, and a packed folder (packed_folder.h). All
// bounds are checked when it is opened; tensors are views into mapped files. A packed folder has
// weights instead of tensors, and the metadata of the kind it was made from.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/mapped_file.h"
#include "model/config.h"
#include "model/gguf.h"
#include "model/packed_file.h"
#include "model/tensor_info.h"

namespace vsurge::model {

// Owns the mappings; neither copied nor moved. Immutable once open, any thread may read.
class Checkpoint {
 public:
  Checkpoint(const Checkpoint&) = delete;
  Checkpoint& operator=(const Checkpoint&) = delete;

  const std::filesystem::path& path() const { return path_; }
  // Ascending by file and offset.
  std::span<const TensorInfo> tensors() const { return tensors_; }
  // Nothing when there is no such tensor.
  const TensorInfo* find(std::string_view name) const;
  std::span<const std::byte> bytes(const TensorInfo& tensor) const;
  // Tells the system that the tensor will not be read again soon.
  void release(const TensorInfo& tensor) const;
  // For messages: "model-00001-of-00002.safetensors".
  const std::string& file_name(const TensorInfo& tensor) const;

  // Of a packed folder; nullptr for others.
  const PackedFile* packed() const { return packed_ ? &*packed_ : nullptr; }
  // packed() must be there; it is empty afterwards.
  PackedFile take_packed() { return std::move(*packed_); }

  // config.json of a folder, or the GGUF file: exactly one of the two is there.
  const Config* config() const { return config_ ? &*config_ : nullptr; }
  const GgufFile* gguf() const { return gguf_ ? &*gguf_ : nullptr; }
  // generation_config.json, where there is one.
  const Config* generation_config() const { return generation_ ? &*generation_ : nullptr; }
  // The text of another file of the folder, or of a folder in it ("1_Pooling/config.json"); nothing
  // when it is not there, or the checkpoint is a GGUF file.
  base::Result<std::optional<std::string>> side_file(const std::string& name) const;

 private:
  friend base::Result<std::unique_ptr<Checkpoint>> open_checkpoint(const std::filesystem::path&);
  Checkpoint() = default;
  base::Status open_folder();
  base::Status open_configs();
  base::Status open_packed();
  base::Status open_shards(const Config& index);
  base::Status add_safetensors(const std::string& name);
  base::Status open_gguf();
  base::Status index_tensors();

  struct File {
    std::string name;
    base::MappedFile mapping;
  };
  std::filesystem::path path_;
  std::vector<File> files_;  // of a folder
  std::vector<TensorInfo> tensors_;
  std::unordered_map<std::string_view, std::size_t> by_name_;  // views of tensors_
  std::optional<Config> config_;
  std::optional<Config> generation_;
  std::optional<GgufFile> gguf_;
  std::optional<PackedFile> packed_;
};

// `path`: a folder or a GGUF file. kBadModel names file, place, expected and found.
base::Result<std::unique_ptr<Checkpoint>> open_checkpoint(const std::filesystem::path& path);

}  // namespace vsurge::model
