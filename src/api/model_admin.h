// ModelAdmin: models that come and go while the service runs. Internal to api.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

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

  // Any thread. Whether something comes or goes.
  bool is_busy() const;
  // After the hub shuts down: who waits for a model that is coming is told that it will not.
  void give_up_loads() const;

 private:
  struct Job;
  struct Client;

  // Of a job that begins.
  std::shared_ptr<Client> enter(PlainCall call, bool waits, bool loads);

  // Whether models may come and go, and still do.
  ApiResult<void> check_changes() const;

  const std::shared_ptr<ServiceHub> hub_;
  ModelLoader* const loader_;
  mutable std::mutex mutex_;
  std::vector<std::weak_ptr<const Client>> clients_;  // guarded by mutex_; their jobs hold them
  base::WorkerPool workers_;
};

}  // namespace vsurge::api
