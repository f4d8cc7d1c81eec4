#include "api/admin.h"

#include <algorithm>
#include <optional>
#include <span>
#include <vector>

#include "api/info.h"
#include "api/json.h"
#include "api/limits.h"
#include "api/model_choice.h"

namespace vsurge::api {
namespace {

// Sums of the models.
std::string engines_json(std::string_view status, std::span<const ModelEntry> models) {
  engine::EngineMetrics all;
  bool paused = true;
  bool draining = true;
  for (const ModelEntry& model : models) {
    const engine::EngineMetrics metrics = model.core->engine.metrics();
    paused = paused && metrics.paused;
    draining = draining && model.core->draining.load(std::memory_order_relaxed);
    all.requests_running += metrics.requests_running;
    all.requests_waiting += metrics.requests_waiting;
    all.pages_used += metrics.pages_used;
    all.pages_total += metrics.pages_total;
    all.pages_cached += metrics.pages_cached;
  }
  std::string out = fmt::format(
      R"({{"status":"{}","paused":{},"draining":{},"running":{},"waiting":{},)"
      R"("pages_used":{},"pages_total":{},"pages_cached":{})",
      status, !models.empty() && paused, !models.empty() && draining, all.requests_running,
      all.requests_waiting, all.pages_used, all.pages_total, all.pages_cached);
  if (models.size() > 1) {
    out += R"(,"models":{)";
    for (const ModelEntry& model : models) {
      if (&model != &models.front()) out += ',';
      append_json_string(out, model.names.front());
      out += ':';
      out += engines_json(status_word(model), {&model, 1});
    }
    out += '}';
  }
  return out + "}";
}

void act(ServiceCore& core, Target target) {
  switch (target) {
    case Target::kEnginePause:
      core.engine.pause_soon();
      break;
    case Target::kEngineDrain:
      core.draining.store(true);
      break;
    case Target::kEngineResume:
      core.draining.store(false);
      core.engine.resume();
      break;
    case Target::kCacheReset:
      core.engine.clear_prefix_cache();
      break;
    default:
      break;
  }
}

std::optional<unsigned> hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
  return std::nullopt;
}

// %XX and '+'; what is no such thing stands for itself.
std::string decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto high = i + 2 < text.size() ? hex_digit(text[i + 1]) : std::nullopt;
    const auto low = i + 2 < text.size() ? hex_digit(text[i + 2]) : std::nullopt;
    if (text[i] == '%' && high && low) {
      out += static_cast<char>(*high * 16 + *low);
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

// Of a query such as "a=1&model=x".
std::string model_of_query(std::string_view query) {
  constexpr std::string_view kName = "model=";
  while (!query.empty()) {
    const std::string_view part = query.substr(0, query.find('&'));
    if (part.starts_with(kName)) return decoded(part.substr(kName.size()));
    query.remove_prefix(std::min(query.size(), part.size() + 1));
  }
  return {};
}

}  // namespace

ApiResult<std::string> model_asked_for(const HttpRequest& request) {
  std::string name = model_of_query(request.query);
  if (!name.empty() || request.body.empty() || request.method == "GET") return name;
  if (request.body.size() > kAdminBodyBytesMax) {
    return bad_value("", fmt::format("The body must have at most {} bytes.", kAdminBodyBytesMax));
  }
  NamedModel named = find_named_model(request.body);
  if (named.kind != NamedModel::Kind::kUnknown) return std::move(named.name);
  return bad_value("model", R"(The body must be a JSON object such as {"model": "name"}.)");
}

ApiResult<std::string> answer_admin(const ServiceHub& hub, Target target,
                                    const HttpRequest& request) {
  const std::string name = VSURGE_TRY(model_asked_for(request));
  const auto all = hub.models.list();
  std::vector<ModelEntry> models;
  for (const ModelEntry& model : *all) {
    if (model.core != nullptr && (name.empty() || model.has(name))) models.push_back(model);
  }
  if (models.empty() && !name.empty()) {
    return std::unexpected(
        from_base({base::ErrorCode::kModelNotFound,
                   fmt::format("The model {} does not exist; this server has {}.", in_quotes(name),
                               names_in_quotes(*all)),
                   "model"}));
  }
  for (const ModelEntry& model : models) act(*model.core, target);
  return engines_json(name.empty() ? status_word(hub) : status_word(models.front()), models);
}

}  // namespace vsurge::api
