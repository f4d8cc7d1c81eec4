#include "api/info.h"

#include <fmt/chrono.h>

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "api/json.h"
#include "api/model_choice.h"

namespace vsurge::api {
namespace {

void append_member(std::string& out, std::string_view key, std::string_view text) {
  append_json_string(out, key);
  out += ':';
  append_json_string(out, text);
}

void append_member(std::string& out, std::string_view key, std::int64_t number) {
  append_json_string(out, key);
  out += ':';
  append_integer(out, number);
}

std::string_view engine_word(const ServiceCore& core) {
  const engine::EngineMetrics metrics = core.engine.metrics();
  if (metrics.failed) return "error";
  if (metrics.stuck) return "stuck";
  if (core.draining.load(std::memory_order_relaxed)) return "draining";
  return metrics.paused ? "paused" : "ready";
}

bool is_broken(std::string_view word) {
  return word == "error" || word == "stuck";
}

// And has not ended.
bool has_begun(const ServiceHub& hub) {
  return !hub.shutting_down.load(std::memory_order_relaxed) &&
         !hub.loading.load(std::memory_order_relaxed);
}

bool any_ready(const ServiceHub& hub) {
  if (!has_begun(hub)) return false;
  const auto models = hub.models.list();
  return models->empty() || std::ranges::any_of(*models, [](const ModelEntry& model) {
           return status_word(model) == "ready";
         });
}

std::string status_json(std::string_view word) {
  std::string out = "{";
  append_member(out, "status", word);
  out += '}';
  return out;
}

void append_bool(std::string& out, std::string_view key, bool value) {
  append_json_string(out, key);
  out += value ? ":true" : ":false";
}

// What the model can do.
void append_abilities(std::string& out, const ServiceCore& core) {
  const PooledKind kind = core.options.pooled.kind;
  const bool embeds = kind == PooledKind::kEmbedding;
  const bool classifies = kind == PooledKind::kClassifier;
  const bool chats = core.assets.chat_template && !embeds && !classifies;
  append_bool(out, "supports_chat", chats);
  if (embeds) out += fmt::format(R"(,"embedding_length":{})", core.options.pooled.hidden);
  out += ',';
  append_bool(out, "supports_embeddings", embeds);
  out += ',';
  append_bool(out, "supports_rerank",
              kind == PooledKind::kTokenLogits || (classifies && core.options.pooled.labels == 1));
  out += ',';
  append_bool(out, "supports_function_calling", chats && core.options.tool_format != nullptr);
}

void append_health(std::string& out, const ModelEntry& model) {
  append_json_string(out, model.names.front());
  out += ":{";
  append_bool(out, "loaded", model.core != nullptr);
  out += R"(,"type":"vsurge",)";
  append_member(out, "status", status_word(model));
  if (model.core == nullptr) {
    out += '}';
    return;
  }
  const ServiceCore& core = *model.core;
  const engine::EngineMetrics metrics = core.engine.metrics();
  out += ',';
  append_member(out, "architecture", core.options.family);
  const std::pair<std::string_view, int> numbers[] = {
      {"max_model_len", core.options.context_max}, {"running", metrics.requests_running},
      {"waiting", metrics.requests_waiting},       {"pages_used", metrics.pages_used},
      {"pages_total", metrics.pages_total},
  };
  for (const auto& [key, number] : numbers) {
    out += ',';
    append_member(out, key, number);
  }
  out += ',';
  append_member(out, "steps", static_cast<std::int64_t>(metrics.steps));
  out += fmt::format(R"(,"step_age_seconds":{:.3f}}})", metrics.step_age_seconds);
}

std::string health_json(const ServiceHub& hub, std::string_view status,
                        std::span<const ModelEntry> models) {
  if (!has_begun(hub)) return status_json(status);
  std::string out = "{";
  append_member(out, "status", status);
  out += ',';
  append_member(out, "timestamp", base::unix_seconds());
  out += fmt::format(R"(,"uptime_seconds":{:.3f},"models":{{)",
                     static_cast<double>(hub.clock.now() - hub.started) * 1e-9);
  for (std::size_t i = 0; i < models.size(); ++i) {
    if (i > 0) out += ',';
    append_health(out, models[i]);
  }
  out += "},";
  append_member(out, "active_requests", hub.active_requests.load(std::memory_order_relaxed));
  out += '}';
  return out;
}

}  // namespace

std::string model_json(const ModelEntry& model, std::string_view name) {
  std::string out = "{";
  append_member(out, "id", name);
  out += R"(,"object":"model",)";
  const std::int64_t created = model.core == nullptr ? base::unix_seconds() : model.core->created;
  append_member(out, "created", created);
  // Anthropic's names of the same, beside OpenAI's.
  out += R"(,"type":"model",)";
  append_member(out, "display_name", name);
  out += fmt::format(R"(,"created_at":"{:%Y-%m-%dT%H:%M:%SZ}")", fmt::gmtime(created));
  out += R"(,"owned_by":"vsurge",)";
  if (model.core != nullptr) {
    append_member(out, "max_model_len", model.core->options.context_max);
    out += ',';
  }
  out += R"("metadata":{)";
  append_member(out, "name", name);
  out += R"(,"type":"vsurge",)";
  append_member(out, "state", state_name(model.state));
  if (model.core != nullptr) {
    out += ',';
    append_member(out, "architecture", model.core->options.family);
    out += ',';
    append_abilities(out, *model.core);
  }
  out += "}}";
  return out;
}

std::string models_json(const ServiceHub& hub, const access::ApiKey* key) {
  std::string out = R"({"object":"list","data":[)";
  std::vector<std::string> names;
  const auto models = hub.models.list();
  for (const ModelEntry& model : *models) {
    if (!may_use(key, model)) continue;
    for (const std::string& name : model.names) {
      if (!names.empty()) out += ',';
      out += model_json(model, name);
      names.push_back(name);
    }
  }
  out += "],";
  append_member(out, "total", static_cast<std::int64_t>(names.size()));
  if (names.empty()) return out + R"(,"first_id":null,"last_id":null,"has_more":false})";
  out += ',';
  append_member(out, "first_id", names.front());
  out += ',';
  append_member(out, "last_id", names.back());
  out += R"(,"has_more":false})";
  return out;
}

std::string_view status_word(const ModelEntry& model) {
  return model.state == ModelState::kReady ? engine_word(*model.core) : state_name(model.state);
}

std::string_view status_word(const ServiceHub& hub) {
  if (hub.shutting_down.load(std::memory_order_relaxed)) return "shutting_down";
  if (hub.loading.load(std::memory_order_relaxed)) return "loading";
  const auto models = hub.models.list();
  std::string_view word = models->empty() ? "ready" : status_word(models->front());
  for (const ModelEntry& model : *models) {
    const std::string_view own = status_word(model);
    if (is_broken(own)) return own;
    if (own == "ready") word = own;
  }
  return word;
}

Probe answer_ready(const ServiceHub& hub, const ModelEntry* model) {
  if (model != nullptr && has_begun(hub)) {
    const std::string_view word = status_word(*model);
    return {word == "ready" ? 200 : 503, status_json(word)};
  }
  const bool ready = any_ready(hub);
  return {ready ? 200 : 503, status_json(ready ? "ready" : status_word(hub))};
}

Probe answer_health(const ServiceHub& hub, const ModelEntry* model) {
  if (model != nullptr && has_begun(hub)) {
    const std::string_view word = status_word(*model);
    return {word == "ready" ? 200 : 503, health_json(hub, word, {model, 1})};
  }
  const std::string_view word = status_word(hub);
  return {word == "ready" ? 200 : 503, health_json(hub, word, *hub.models.list())};
}

std::string version_json(const ServiceHub& hub) {
  std::string out = "{";
  append_member(out, "version", hub.options.version);
  out += '}';
  return out;
}

}  // namespace vsurge::api
