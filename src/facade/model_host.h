// ModelHost: the models of a server, those of its start and those that come and go.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "api/model_loader.h"
#include "facade/surge_state.h"
#include "vsurge/api_server.h"

namespace vsurge::facade {

struct HostedModel {
  std::vector<std::string> names;
  std::shared_ptr<vSurge::State> surge;
};

// Any thread.
class ModelHost final : public api::ModelLoader {
 public:
  // The options outlive it.
  explicit ModelHost(const ApiServerOptions& options);

  // Before fire(). kUsage for names that are taken.
  base::Status add(std::vector<std::string> names, std::shared_ptr<vSurge::State> surge);
  std::vector<HostedModel> models() const;

  base::Status check(const api::ModelWish& wish) override;
  base::Result<api::ServedModel> load(const api::ModelWish& wish) override;
  base::Nanoseconds drain_time() const override;
  base::Status stop(const std::string& name) override;
  void release(const std::string& name) override;

 private:
  base::Result<std::int64_t> take_share(double weight);
  void give_back_share(std::int64_t bytes);
  base::Result<std::shared_ptr<vSurge::State>> make(const api::ModelWish& wish,
                                                    const std::string& path,
                                                    std::int64_t share) const;

  const ApiServerOptions& options_;
  std::mutex loading_;  // one load at a time: each may use the machine's cores and memory
  mutable std::mutex mutex_;
  std::vector<HostedModel> models_;             // guarded by mutex_, as what follows
  std::map<std::string, std::int64_t> shares_;  // of KV cache, by the model's first name
  std::int64_t spare_bytes_ = 0;
  int coming_ = 0;  // models that are being loaded
};

// The path of a model inside the folder, where it is; kInvalidRequest for one that is not there or
// leads out of the folder.
base::Result<std::string> path_inside(const std::string& folder, const std::string& path);

}  // namespace vsurge::facade
