// ModelAdmin: models that come and go while the service runs. Internal to api.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "api/plain_call.h"
#include "base/worker_pool.h"

namespace vsurge::api {

// Of the bodies of the two routes.
std::span<const PlainField> load_fields();
std::span<const PlainField> unload_fields();

class ModelAdmin {
 public:
  // loader: nullptr: no model comes or goes.
  ModelAdmin(std::shared_ptr<ServiceHub> hub, ModelLoader* loader);

  // POST /v1/models/load and /v1/models/unload. Any thread; neither blocks. They answer when it is
  // done, or with "wait": false when it has begun.
  void load(PlainCall call, const std::string& body);
  void unload(PlainCall call, const std::string& body);

 private:
  struct Job;

  // Whether models may come and go, and still do.
  ApiResult<void> check_changes() const;

  const std::shared_ptr<ServiceHub> hub_;
  ModelLoader* const loader_;
  base::WorkerPool workers_;
};

}  // namespace vsurge::api
