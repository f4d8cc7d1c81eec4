// ModelLoader: brings a model and takes it away again while the service runs; implemented by the
// facade.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/event_router.h"
#include "api/model_options.h"
#include "base/clock.h"
#include "engine/engine.h"
#include "text/auto_tokenizer.h"

namespace vsurge::api {

// A model that can be asked. What it refers to outlives its time in the service.
struct ServedModel {
  ModelOptions options;
  const text::TextAssets& assets;
  engine::Engine& engine;
  EventRouter& router;
};

struct ModelWish {
  std::vector<std::string> names = {};  // the first is shown
  std::string path = {};                // as the client wrote it; empty: its name
  std::optional<int> max_length = {};
  double memory = 1;  // its weight in the division of the memory for KV caches
};

// Two threads may be in it at once.
class ModelLoader {
 public:
  virtual ~ModelLoader() = default;
  // Whether the wish can be granted at all, as far as that can be told at once; any thread.
  virtual base::Status check(const ModelWish& wish) = 0;
  // Returns with an engine that runs. Takes as long as it takes.
  virtual base::Result<ServedModel> load(const ModelWish& wish) = 0;
  // How long running answers get before unload() ends them.
  virtual base::Nanoseconds drain_time() const = 0;
  // Ends what still runs on the engine; the model itself stays until release().
  virtual base::Status stop(const std::string& name) = 0;
  // Nobody uses it any more.
  virtual void release(const std::string& name) = 0;
};

}  // namespace vsurge::api
