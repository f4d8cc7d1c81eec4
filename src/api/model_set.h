// ModelSet: which models the service has, by all their names. Internal to api.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace vsurge::api {

struct ServiceCore;

enum class ModelState : std::uint8_t { kLoading, kReady, kUnloading };
std::string_view state_name(ModelState state);  // "loading"

struct ModelEntry {
  std::vector<std::string> names;  // the first is shown, others are aliases
  ModelState state = ModelState::kLoading;
  std::shared_ptr<ServiceCore> core;  // nullptr before it has come, and once it goes

  bool has(std::string_view name) const;
};

// Any thread. In the order in which they came.
class ModelSet {
 public:
  using List = std::vector<ModelEntry>;

  ModelSet();
  // As things stand; who holds it keeps the cores in it.
  std::shared_ptr<const List> list() const;

  // Takes the names for a model that will come; kConflict where one is taken.
  base::Status begin_load(std::vector<std::string> names);
  // The model has come, or (nullptr) will not.
  void end_load(std::string_view name, std::shared_ptr<ServiceCore> core);
  // Nobody finds it from here on. kModelNotFound, or kConflict while it comes or goes.
  base::Result<std::shared_ptr<ServiceCore>> begin_unload(std::string_view name);
  // Its requests have ended; the name stays taken.
  void drop_core(std::string_view name);
  // It is gone; or, where it could not be unloaded, `stays`.
  void end_unload(std::string_view name, bool stays);

 private:
  static List::iterator find(List& list, std::string_view name);

  mutable std::mutex mutex_;
  std::shared_ptr<const List> list_;  // guarded by mutex_; a list never changes
};

}  // namespace vsurge::api
