#include "api/model_set.h"

#include <algorithm>
#include <utility>

#include "base/escape.h"

namespace vsurge::api {
namespace {

using base::ErrorCode;

std::string shown(std::string_view name) {
  return base::shorten(base::escape_for_line(name), 80);
}

}  // namespace

std::string_view state_name(ModelState state) {
  switch (state) {
    case ModelState::kLoading:
      return "loading";
    case ModelState::kReady:
      return "ready";
    case ModelState::kUnloading:
      break;
  }
  return "unloading";
}

bool ModelEntry::has(std::string_view name) const {
  return std::ranges::find(names, name) != names.end();
}

ModelSet::ModelSet() : list_(std::make_shared<const List>()) {}

std::shared_ptr<const ModelSet::List> ModelSet::list() const {
  const std::lock_guard lock(mutex_);
  return list_;
}

ModelSet::List::iterator ModelSet::find(List& list, std::string_view name) {
  return std::ranges::find_if(list, [&](const ModelEntry& entry) { return entry.has(name); });
}

base::Status ModelSet::begin_load(std::vector<std::string> names) {
  CHECK(!names.empty());
  const std::lock_guard lock(mutex_);
  List list = *list_;
  for (const std::string& name : names) {
    const auto taken = find(list, name);
    if (taken == list.end()) continue;
    return base::fail_param(ErrorCode::kConflict, "model",
                            "The name '{}' is that of a model that is {}.", shown(name),
                            state_name(taken->state));
  }
  list.push_back({.names = std::move(names), .state = ModelState::kLoading, .core = nullptr});
  list_ = std::make_shared<const List>(std::move(list));
  return {};
}

void ModelSet::end_load(std::string_view name, std::shared_ptr<ServiceCore> core) {
  const std::lock_guard lock(mutex_);
  List list = *list_;
  const auto entry = find(list, name);
  CHECK(entry != list.end() && entry->state == ModelState::kLoading);
  if (core == nullptr) {
    list.erase(entry);
  } else {
    entry->core = std::move(core);
    entry->state = ModelState::kReady;
  }
  list_ = std::make_shared<const List>(std::move(list));
}

base::Result<std::shared_ptr<ServiceCore>> ModelSet::begin_unload(std::string_view name) {
  const std::lock_guard lock(mutex_);
  List list = *list_;
  const auto entry = find(list, name);
  if (entry == list.end()) {
    return base::fail_param(ErrorCode::kModelNotFound, "model", "The model '{}' does not exist.",
                            shown(name));
  }
  if (entry->state != ModelState::kReady) {
    return base::fail_param(ErrorCode::kConflict, "model", "The model '{}' is {}.", shown(name),
                            state_name(entry->state));
  }
  entry->state = ModelState::kUnloading;
  auto core = entry->core;
  list_ = std::make_shared<const List>(std::move(list));
  return core;
}

void ModelSet::drop_core(std::string_view name) {
  const std::lock_guard lock(mutex_);
  List list = *list_;
  const auto entry = find(list, name);
  CHECK(entry != list.end() && entry->state == ModelState::kUnloading);
  entry->core.reset();
  list_ = std::make_shared<const List>(std::move(list));
}

void ModelSet::end_unload(std::string_view name, bool stays) {
  const std::lock_guard lock(mutex_);
  List list = *list_;
  const auto entry = find(list, name);
  CHECK(entry != list.end() && entry->state == ModelState::kUnloading);
  if (stays) {
    entry->state = ModelState::kReady;
  } else {
    list.erase(entry);
  }
  list_ = std::make_shared<const List>(std::move(list));
}

}  // namespace vsurge::api
