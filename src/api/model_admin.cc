#include "api/model_admin.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <exception>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "api/info.h"
#include "api/json.h"
#include "api/limits.h"
#include "api/model_choice.h"
#include "api/reader.h"
#include "base/log.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;
using base::ErrorCode;

constexpr int kJobsAtOnce = 2;
constexpr std::size_t kJobsWaitingMax = 16;
constexpr auto kLookEvery = std::chrono::milliseconds(2);
constexpr std::int64_t kContextMax = 1 << 24;
constexpr double kWeightMax = 1e6;

constexpr auto kLoadFields = std::to_array<PlainField>({
    {"model", {}, shape::name(kIdBytesMax)},
    {"name", {}, shape::name(kIdBytesMax)},
    {"path", {}, shape::text()},
    {"aliases", {}, shape::texts(kModelAliasesMax, kIdBytesMax)},
    {"max_length", {}, shape::integer(1, kContextMax)},
    {"max_model_len", {}, shape::integer(1, kContextMax)},
    {"memory", {}, shape::number_above(0, kWeightMax, "1")},
    {"wait", {}, shape::flag("true")},
});
constexpr auto kUnloadFields = std::to_array<PlainField>({{"model", {}, shape::name(kIdBytesMax)},
                                                          {"name", {}, shape::name(kIdBytesMax)},
                                                          {"wait", {}, shape::flag("true")}});

// Two names of one member.
ApiResult<std::string> read_name(const ObjectReader& body) {
  const auto model = VSURGE_TRY(body.name("model", kIdBytesMax));
  const auto name = VSURGE_TRY(body.name("name", kIdBytesMax));
  if (model && name && *model != *name) {
    return bad_value("name", "'model' and 'name' mean the same and differ; send one.");
  }
  const std::string& found = model ? *model : name.value_or("");
  if (found.empty()) return missing("model");
  return found;
}

ApiResult<std::optional<int>> read_length(const ObjectReader& body) {
  auto length = VSURGE_TRY(body.integer("max_length", 1, kContextMax));
  if (!length) length = VSURGE_TRY(body.integer("max_model_len", 1, kContextMax));
  if (!length) return std::nullopt;
  return static_cast<int>(*length);
}

ApiResult<ModelWish> read_wish(const json::object& object) {
  VSURGE_TRY(check_plain_fields(object, kLoadFields));
  const ObjectReader body(object, "");
  ModelWish wish;
  wish.names.push_back(VSURGE_TRY(read_name(body)));
  const auto aliases =
      VSURGE_TRY(body.texts("aliases", {.count = kModelAliasesMax, .bytes = kIdBytesMax}));
  for (const std::string& alias : aliases.value_or(std::vector<std::string>())) {
    if (alias.empty()) return bad_value("aliases", "'aliases' must not hold an empty name.");
    wish.names.push_back(alias);
  }
  const std::set<std::string> different(wish.names.begin(), wish.names.end());
  if (different.size() < wish.names.size()) {
    return bad_value("aliases", "'aliases' must be different from each other and from the name.");
  }
  const auto path = VSURGE_TRY(body.text("path"));
  if (path) wish.path = *path;
  if (wish.path.contains('\0')) return bad_value("path", "'path' must not hold a NUL.");
  wish.max_length = VSURGE_TRY(read_length(body));
  const auto memory =
      VSURGE_TRY(body.number("memory", {.low = 0, .high = kWeightMax, .low_open = true}));
  if (memory) wish.memory = *memory;
  return wish;
}

ApiResult<json::value> parse(const ServiceHub& hub, const std::string& body) {
  if (body.size() > kAdminBodyBytesMax) {
    return bad_value("", fmt::format("The body must have at most {} bytes.", kAdminBodyBytesMax));
  }
  return parse_object(hub, body);
}

// An admin's mistake, too, is a client's.
ApiError error_of_job(const base::Error& error) {
  ApiError out = from_base(error);
  if (error.code == ErrorCode::kBadModel) {
    out.status = 400;
    out.type = "invalid_request_error";
  }
  return out;
}

ApiError shutting_down() {
  return from_base({ErrorCode::kShuttingDown, "The server is shutting down.", ""});
}

std::string load_json(const ModelEntry& model) {
  return fmt::format(R"({{"success":true,"model":{}}})", model_json(model, model.names.front()));
}

}  // namespace

std::span<const PlainField> load_fields() {
  return kLoadFields;
}
std::span<const PlainField> unload_fields() {
  return kUnloadFields;
}

// Who asked for a load or an unload, as long as that is on its way.
struct ModelAdmin::Client {
  Client(PlainCall asks, bool waits_for_it, bool loads_one)
      : call(std::move(asks)), loads(loads_one), told(!waits_for_it) {}

  // Once, from whatever thread: what becomes of it.
  void tell(ApiResult<std::string> made) const {
    if (told.exchange(true)) return;
    call.responder->post([to = call, made = std::move(made)] {
      if (!made) return send_error(to, made.error());
      to.responder->send(200, {{"Content-Type", "application/json"}}, *made);
    });
  }

  const PlainCall call;
  const bool loads;
  mutable std::atomic<bool> told;
};

// A load or an unload on its way.
struct ModelAdmin::Job {
  std::shared_ptr<ServiceHub> hub;
  ModelLoader& loader;
  std::shared_ptr<const Client> client;

  void load(const ModelWish& wish) const;
  ApiResult<std::string> try_load(const ModelWish& wish) const;
  void unload(const std::string& name, std::shared_ptr<ServiceCore> core) const;
  // Until nobody but `others` and the caller hold the core, or for that long.
  bool wait_until_free(const std::shared_ptr<ServiceCore>& core, long others,
                       base::Nanoseconds longest) const;
};

ApiResult<std::string> ModelAdmin::Job::try_load(const ModelWish& wish) const {
  try {
    auto loaded = loader.load(wish);
    if (!loaded) return std::unexpected(error_of_job(loaded.error()));
    ModelEntry entry{.names = wish.names,
                     .state = ModelState::kReady,
                     .core = std::make_shared<ServiceCore>(*hub, *loaded)};
    std::string told = load_json(entry);
    hub->models.end_load(wish.names.front(), std::move(entry.core));
    return told;
  } catch (const std::exception& error) {  // no memory
    return std::unexpected(
        from_base({ErrorCode::kEnvironment,
                   fmt::format("The model could not be loaded: {}", error.what()), ""}));
  }
}

void ModelAdmin::Job::load(const ModelWish& wish) const {
  const std::string& name = wish.names.front();
  base::log_info("model {}: loading", in_quotes(name));
  auto made = try_load(wish);
  if (!made) {
    loader.release(name);
    hub->models.end_load(name, nullptr);
    base::log_error("model {}: not loaded: {}", in_quotes(name), made.error().message);
  } else {
    base::log_info("model {}: ready", in_quotes(name));
  }
  client->tell(std::move(made));
}

bool ModelAdmin::Job::wait_until_free(const std::shared_ptr<ServiceCore>& core, long others,
                                      base::Nanoseconds longest) const {
  const base::Nanoseconds begun = hub->clock.now();
  while (core.use_count() > others + 1) {
    if (hub->clock.now() - begun > longest) return false;
    std::this_thread::sleep_for(kLookEvery);
  }
  return true;
}

void ModelAdmin::Job::unload(const std::string& name, std::shared_ptr<ServiceCore> core) const {
  const std::string shown = in_quotes(name);
  base::log_info("model {}: unloading; its running answers get {} s", shown,
                 loader.drain_time() / 1'000'000'000);
  wait_until_free(core, 1, loader.drain_time());  // the set's
  if (const auto stopped = loader.stop(name); !stopped) {
    hub->models.end_unload(name, true);
    base::log_error("model {}: not unloaded: {}", shown, stopped.error().message);
    return client->tell(std::unexpected(from_base(stopped.error())));
  }
  hub->models.drop_core(name);
  // All its requests have been told; they go as soon as their connections' threads get to it.
  constexpr base::Nanoseconds kLong = 10'000'000'000;
  while (!wait_until_free(core, 0, kLong)) {
    base::log_warning("model {}: still held by {} requests", shown, core.use_count() - 1);
  }
  core.reset();
  loader.release(name);
  hub->models.end_unload(name, false);
  base::log_info("model {}: unloaded", shown);
  std::string told = R"({"success":true,"model":)";
  append_json_string(told, name);
  client->tell(told + "}");
}

ModelAdmin::ModelAdmin(std::shared_ptr<ServiceHub> hub, ModelLoader* loader)
    : hub_(std::move(hub)), loader_(loader), workers_(kJobsAtOnce, kJobsWaitingMax) {}

ApiResult<void> ModelAdmin::check_changes() const {
  if (loader_ == nullptr) return unsupported("", "This server's models do not change.");
  if (!hub_->shutting_down.load(std::memory_order_relaxed)) return {};
  return std::unexpected(shutting_down());
}

std::shared_ptr<ModelAdmin::Client> ModelAdmin::enter(PlainCall call, bool waits, bool loads) {
  auto client = std::make_shared<Client>(std::move(call), waits, loads);
  const std::lock_guard lock(mutex_);
  std::erase_if(clients_, [](const auto& one) { return one.expired(); });
  clients_.push_back(client);
  return client;
}

bool ModelAdmin::is_busy() const {
  const std::lock_guard lock(mutex_);
  return std::ranges::any_of(clients_, [](const auto& one) { return !one.expired(); });
}

void ModelAdmin::give_up_loads() const {
  const std::lock_guard lock(mutex_);
  for (const auto& one : clients_) {
    const auto client = one.lock();
    if (client != nullptr && client->loads) client->tell(std::unexpected(shutting_down()));
  }
}

void ModelAdmin::load(PlainCall call, const std::string& body) {
  const auto begin = [&]() -> ApiResult<std::string> {
    VSURGE_TRY(check_changes());
    const json::value value = VSURGE_TRY(parse(*hub_, body));
    const ModelWish wish = VSURGE_TRY(read_wish(value.get_object()));
    const bool waits = VSURGE_TRY(ObjectReader(value.get_object(), "").boolean("wait", true));
    if (const auto fits = loader_->check(wish); !fits) {
      return std::unexpected(error_of_job(fits.error()));
    }
    if (const auto free = hub_->models.begin_load(wish.names); !free) {
      return std::unexpected(from_base(free.error()));
    }
    const Job job{hub_, *loader_, enter(call, waits, true)};
    if (!workers_.post([job, wish] { job.load(wish); })) {
      hub_->models.end_load(wish.names.front(), nullptr);
      return std::unexpected(
          from_base({ErrorCode::kQueueFull, "Too many models come and go; try again later.", ""}));
    }
    if (waits) return std::string();
    return load_json({.names = wish.names, .state = ModelState::kLoading, .core = nullptr});
  }();
  if (!begin) return send_error(call, begin.error());
  if (!begin->empty()) {
    call.responder->send(202, {{"Content-Type", "application/json"}}, *begin);
  }
}

void ModelAdmin::unload(PlainCall call, const std::string& body) {
  const auto begin = [&]() -> ApiResult<std::string> {
    VSURGE_TRY(check_changes());
    const json::value value = VSURGE_TRY(parse(*hub_, body));
    VSURGE_TRY(check_plain_fields(value.get_object(), kUnloadFields));
    const ObjectReader reader(value.get_object(), "");
    const std::string asked = VSURGE_TRY(read_name(reader));
    const bool waits = VSURGE_TRY(reader.boolean("wait", true));
    auto core = hub_->models.begin_unload(asked);
    if (!core) return std::unexpected(from_base(core.error()));
    const std::string name = (*core)->name();
    const Job job{hub_, *loader_, enter(call, waits, false)};
    // The job alone holds the core.
    auto held = std::make_shared<std::shared_ptr<ServiceCore>>(std::move(*core));
    if (!workers_.post([job, name, held] { job.unload(name, std::move(*held)); })) {
      hub_->models.end_unload(name, true);
      return std::unexpected(
          from_base({ErrorCode::kQueueFull, "Too many models come and go; try again later.", ""}));
    }
    if (waits) return std::string();
    std::string told = R"({"success":true,"model":)";
    append_json_string(told, name);
    return told + R"(,"state":"unloading"})";
  }();
  if (!begin) return send_error(call, begin.error());
  if (!begin->empty()) {
    call.responder->send(202, {{"Content-Type", "application/json"}}, *begin);
  }
}

}  // namespace vsurge::api
