#include "model/packed_folder.h"

#include <system_error>
#include <utility>

#include "base/log.h"
#include "model/packed_source.h"

namespace vsurge::model {
namespace {

namespace fs = std::filesystem;
using base::ErrorCode;
using base::fail;
using base::Result;

// What a user types to make the folder again.
std::string command_of(const PackedInfo& info, const fs::path& folder) {
  std::string text =
      fmt::format("vsurge quantize {} --format {}", info.source.path, choice_name(info.weights));
  if (info.head) text += fmt::format(" --head-quantization {}", choice_name(*info.head));
  return text + fmt::format(" -o {}", folder.string());
}

base::Status check_options(const PackedFile& file, const LoadOptions& options) {
  const PackedInfo& info = file.info();
  const auto differs = [](WeightChoice asked, WeightChoice made) {
    return asked != WeightChoice::kAuto && asked != made;
  };
  if (differs(options.weights, info.weights)) {
    return fail(ErrorCode::kUsage,
                "{}: expected weights as they were packed ({}), found {}: leave "
                "the option out, or serve {}",
                file.name(), choice_name(info.weights), choice_name(options.weights),
                info.source.path);
  }
  if (options.head && options.head != info.head) {
    return fail(ErrorCode::kUsage,
                "{}: expected the head as it was packed ({}), found {}: leave "
                "the option out, or serve {}",
                file.name(), info.head ? choice_name(*info.head) : "by default",
                choice_name(*options.head), info.source.path);
  }
  return {};
}

// A folder that may become a packed one: new, empty, or holding nothing but parts of one.
base::Status make_folder(const fs::path& source, const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    return fail(ErrorCode::kEnvironment, "{}: cannot make the folder: {}", folder.string(),
                error.message());
  }
  if (fs::equivalent(source, folder, error)) {
    return fail(ErrorCode::kUsage, "{}: expected another folder than the source", folder.string());
  }
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (is_packed_part(name)) continue;
    return fail(ErrorCode::kUsage,
                "{}: expected a new, an empty or a packed folder, found {} in it", folder.string(),
                name);
  }
  return {};
}

Result<PackedModel> pack(const Checkpoint& checkpoint, tensor::Backend& backend,
                         const LoadOptions& options) {
  PackedModel model;
  model.spec = VSURGE_TRY(read_spec(checkpoint));
  model.weights = VSURGE_TRY(load_weights(checkpoint, model.spec, backend, options));
  return model;
}

// The copies first: with the last file the folder is complete.
base::Status write_folder(const Checkpoint& checkpoint, const fs::path& folder,
                          const DecoderWeights& weights, PackedInfo info, bool& changed) {
  VSURGE_TRY(copy_companions(checkpoint, folder, changed));
  return write_packed_file(folder / kPackedName, weights, std::move(info));
}

Result<PackedModel> repack(const fs::path& folder, const PackedInfo& old, tensor::Backend& backend,
                           const LoadOptions& asked) {
  const auto checkpoint = VSURGE_TRY(open_checkpoint(old.source.path));
  if (checkpoint->packed() != nullptr) {
    return fail(ErrorCode::kBadModel, "{}: expected a checkpoint, found a packed folder",
                old.source.path);
  }
  LoadOptions options = asked;
  options.weights = old.weights;
  options.head = old.head;
  PackedInfo info;
  info.weights = old.weights;
  info.head = old.head;
  info.source = VSURGE_TRY(read_source(old.source.path, backend.pool()));
  PackedModel model = VSURGE_TRY(pack(*checkpoint, backend, options));
  bool changed = false;
  const auto written = write_folder(*checkpoint, folder, model.weights, std::move(info), changed);
  if (!written) {
    base::log_warning("{}; served from memory, and packed again at the next start",
                      written.error().message);
  } else if (changed) {
    return fail(ErrorCode::kEnvironment,
                "{}: packed anew, and its configuration or tokenizer "
                "changed as well: start again",
                folder.string());
  }
  return model;
}

// Why the folder cannot be used as it is; empty when it can.
Result<std::string> fault_of(const PackedFile& file, tensor::Backend& backend) {
  const PackedInfo& info = file.info();
  const SourceState state = VSURGE_TRY(compare_source(info.source, backend.pool()));
  if (state == SourceState::kTouched) {
    base::log_info("{}: {} was touched; its content is the same", file.name(), info.source.path);
  }
  if (file.outdated()) {
    const std::string text = fmt::format(
        "layout {} of its weights is not {}, which this program "
        "has",
        info.layout, kernels::kWeightLayoutVersion);
    if (state != SourceState::kGone) return text;
    return fail(ErrorCode::kBadModel, "{}: {}; with {} back in its place run: {}", file.name(),
                text, info.source.path, command_of(info, fs::path(file.name()).parent_path()));
  }
  if (state == SourceState::kChanged) return fmt::format("{} has changed", info.source.path);
  return std::string();
}

}  // namespace

base::Status write_packed_folder(const fs::path& source, const fs::path& folder,
                                 tensor::Backend& backend, const LoadOptions& options) {
  const auto checkpoint = VSURGE_TRY(open_checkpoint(source));
  if (checkpoint->packed() != nullptr) {
    return fail(ErrorCode::kUsage,
                "{}: expected a checkpoint, found a packed folder; its source "
                "is {}",
                source.string(), checkpoint->packed()->info().source.path);
  }
  VSURGE_TRY(make_folder(source, folder));
  PackedInfo info;
  info.weights = options.weights;
  info.head = options.head;
  info.source = VSURGE_TRY(read_source(source, backend.pool()));
  const PackedModel model = VSURGE_TRY(pack(*checkpoint, backend, options));
  bool changed = false;
  return write_folder(*checkpoint, folder, model.weights, std::move(info), changed);
}

Result<PackedModel> load_packed(std::unique_ptr<Checkpoint> checkpoint, tensor::Backend& backend,
                                const LoadOptions& options) {
  const PackedFile& file = *checkpoint->packed();
  VSURGE_TRY(check_options(file, options));
  const std::string fault = VSURGE_TRY(fault_of(file, backend));
  if (!fault.empty()) {
    base::log_warning("{}: {}; it is packed anew", file.name(), fault);
    return repack(checkpoint->path(), file.info(), backend, options);
  }
  PackedModel model;
  model.spec = VSURGE_TRY(read_spec(*checkpoint));
  VSURGE_TRY(file.populate(backend.pool(), options.progress));
  PackedFile taken = checkpoint->take_packed();
  model.weights = VSURGE_TRY(packed_weights(std::move(taken), model.spec));
  return model;
}

}  // namespace vsurge::model
