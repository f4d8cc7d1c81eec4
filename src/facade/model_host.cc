#include "facade/model_host.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/escape.h"
#include "facade/auto_model_state.h"
#include "facade/memory_plan.h"
#include "facade/served_model.h"

namespace vsurge::facade {
namespace {

namespace fs = std::filesystem;
using base::ErrorCode;
using base::fail;
using base::fail_param;

std::string shown(const std::string& text) {
  return base::shorten(base::escape_for_line(text), 80);
}

// What the public functions throw, as a value.
base::Error error_of(const Error& error) {
  ErrorCode code = ErrorCode::kInternal;
  if (error.kind() == ErrorKind::kUsage) code = ErrorCode::kInvalidRequest;
  if (error.kind() == ErrorKind::kBadModel) code = ErrorCode::kBadModel;
  if (error.kind() == ErrorKind::kEnvironment) code = ErrorCode::kEnvironment;
  return {code, error.what(), code == ErrorCode::kInvalidRequest ? "path" : ""};
}

bool is_inside(const fs::path& folder, const fs::path& path) {
  const auto [end, rest] = std::ranges::mismatch(folder, path);
  return end == folder.end() && rest != path.end();
}

}  // namespace

base::Result<std::string> path_inside(const std::string& folder, const std::string& path) {
  std::error_code error;
  const fs::path root = fs::canonical(folder, error);
  if (error) return fail(ErrorCode::kEnvironment, "{}: {}", shown(folder), error.message());
  // A path that begins at the root stays as it is. Links are followed before we look.
  const fs::path found = fs::canonical(root / path, error);
  if (error || !is_inside(root, found)) {
    return fail_param(ErrorCode::kInvalidRequest, "path",
                      "There is no model '{}' in the server's model folder.", shown(path));
  }
  return found.string();
}

ModelHost::ModelHost(const ApiServerOptions& options)
    : options_(options), spare_bytes_(options.runtime_models.kv_cache_bytes) {}

base::Status ModelHost::add(std::vector<std::string> names, std::shared_ptr<vSurge::State> surge) {
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string& name = names[i];
    const bool twice = std::ranges::count(names, name) > 1;
    const bool taken = std::ranges::any_of(models_, [&](const HostedModel& model) {
      return std::ranges::find(model.names, name) != model.names.end();
    });
    if (twice || taken) {
      return fail(ErrorCode::kUsage, "model names: '{}' is there twice", shown(name));
    }
  }
  shares_[names.front()] = surge->pages * surge->page_bytes;
  models_.push_back({std::move(names), std::move(surge)});
  return {};
}

std::vector<HostedModel> ModelHost::models() const {
  const std::lock_guard lock(mutex_);
  return models_;
}

base::Status ModelHost::check(const api::ModelWish& wish) {
  const std::string& folder = options_.runtime_models.folder;
  if (folder.empty()) {
    return fail(
        ErrorCode::kUnsupportedValue,
        "This server loads no models while it runs: it was started without a model folder.");
  }
  VSURGE_TRY(path_inside(folder, wish.path.empty() ? wish.names.front() : wish.path));
  return {};
}

// The places that stay free count 1 each.
base::Result<std::int64_t> ModelHost::take_share(double weight) {
  const std::lock_guard lock(mutex_);
  const int most = options_.runtime_models.models_max;
  const int places = most - static_cast<int>(models_.size()) - coming_;
  if (places <= 0) {
    return fail(ErrorCode::kConflict,
                "This server may have {} models at once, and has them: unload one first.", most);
  }
  std::vector<double> weights(static_cast<std::size_t>(places), 1.0);
  weights.front() = weight;
  const std::int64_t share = divide_bytes(spare_bytes_, weights).front();
  spare_bytes_ -= share;
  ++coming_;
  return share;
}

void ModelHost::give_back_share(std::int64_t bytes) {
  const std::lock_guard lock(mutex_);
  spare_bytes_ += bytes;
  --coming_;
}

base::Result<std::shared_ptr<vSurge::State>> ModelHost::make(const api::ModelWish& wish,
                                                             const std::string& path,
                                                             std::int64_t share) const {
  try {
    SurgeOptions surge = options_.runtime_models.surge;
    const auto processor = AutoTokenizer::from_pretrained(path);
    const auto model =
        AutoModelForCausalLM::from_pretrained(path, options_.runtime_models.pretrained);
    surge.vsurge_name = wish.names.front();
    surge.kv_cache_memory_bytes = std::max<std::int64_t>(1, share);  // 0 would be the default
    const int longest = model.state()->context_max;
    if (surge.max_length) surge.max_length = std::min(*surge.max_length, longest);
    if (wish.max_length) surge.max_length = wish.max_length;
    if (surge.max_prefill_length) {
      surge.max_prefill_length =
          std::min(*surge.max_prefill_length, surge.max_length.value_or(longest));
    }
    return vSurge::from_model(model, processor, surge).state();
  } catch (const Error& error) {
    return std::unexpected(error_of(error));
  }
}

base::Result<api::ServedModel> ModelHost::load(const api::ModelWish& wish) {
  const std::string path = VSURGE_TRY(path_inside(
      options_.runtime_models.folder, wish.path.empty() ? wish.names.front() : wish.path));
  const std::lock_guard one_at_a_time(loading_);
  const std::int64_t share = VSURGE_TRY(take_share(wish.memory));
  auto surge = make(wish, path, share);
  if (surge) {
    if (auto started = (*surge)->start(); !started) surge = std::unexpected(started.error());
  }
  if (!surge) {
    give_back_share(share);
    return std::unexpected(std::move(surge).error());
  }
  {
    const std::lock_guard lock(mutex_);
    --coming_;
    shares_[wish.names.front()] = share;
    models_.push_back({wish.names, *surge});
  }
  return served_model(**surge, wish.names, options_);
}

base::Nanoseconds ModelHost::drain_time() const {
  return static_cast<base::Nanoseconds>(options_.drain_timeout_s) * 1'000'000'000;
}

base::Status ModelHost::stop(const std::string& name) {
  std::shared_ptr<vSurge::State> surge;
  for (const HostedModel& model : models()) {
    if (model.names.front() == name) surge = model.surge;
  }
  if (surge == nullptr) return {};
  if (surge->engine->metrics().stuck) {
    return fail(ErrorCode::kEngineUnavailable,
                "The engine of '{}' is stuck in a step and cannot be stopped.", shown(name));
  }
  surge->engine->drain();
  surge->stop();
  return {};
}

void ModelHost::release(const std::string& name) {
  std::shared_ptr<vSurge::State> surge;  // ends outside the lock
  const std::lock_guard lock(mutex_);
  const auto gone = std::ranges::find_if(
      models_, [&](const HostedModel& model) { return model.names.front() == name; });
  if (gone == models_.end()) return;
  surge = std::move(gone->surge);
  models_.erase(gone);
  spare_bytes_ += std::exchange(shares_[name], 0);
  shares_.erase(name);
}

}  // namespace vsurge::facade
