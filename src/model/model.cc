#include "model/model.h"

#include "model/checkpoint.h"
#include "model/decoder.h"
#include "model/packed_folder.h"
#include "model/weights.h"

namespace vsurge::model {

base::Result<std::unique_ptr<Model>> load_model(const std::filesystem::path& path,
                                                tensor::Backend& backend,
                                                const LoadOptions& options) {
  auto checkpoint = VSURGE_TRY(open_checkpoint(path));
  if (checkpoint->packed() != nullptr) {
    PackedModel packed = VSURGE_TRY(load_packed(std::move(checkpoint), backend, options));
    return std::make_unique<Decoder>(std::move(packed.spec), std::move(packed.weights), backend);
  }
  DecoderSpec spec = VSURGE_TRY(read_spec(*checkpoint));
  DecoderWeights weights = VSURGE_TRY(load_weights(*checkpoint, spec, backend, options));
  return std::make_unique<Decoder>(std::move(spec), std::move(weights), backend);
}

}  // namespace vsurge::model
