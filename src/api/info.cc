#include "api/info.h"

#include <fmt/chrono.h>

#include <utility>

#include "api/json.h"

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

}  // namespace

std::string model_json(const ServiceCore& core, std::string_view name) {
  std::string out = "{";
  append_member(out, "id", name);
  out += R"(,"object":"model",)";
  append_member(out, "created", core.created);
  // Anthropic's names of the same, beside OpenAI's.
  out += R"(,"type":"model",)";
  append_member(out, "display_name", name);
  out += fmt::format(R"(,"created_at":"{:%Y-%m-%dT%H:%M:%SZ}")", fmt::gmtime(core.created));
  out += R"(,"owned_by":"vsurge",)";
  append_member(out, "max_model_len", core.options.context_max);
  out += R"(,"metadata":{)";
  append_member(out, "name", name);
  out += R"(,"type":"vsurge",)";
  append_member(out, "architecture", core.options.family);
  out += R"(,"supports_chat":)";
  const PooledKind kind = core.options.pooled.kind;
  const bool embeds = kind == PooledKind::kEmbedding;
  const bool classifies = kind == PooledKind::kClassifier;
  const bool chats = core.assets.chat_template && !embeds && !classifies;
  out += chats ? "true" : "false";
  if (embeds) out += fmt::format(R"(,"embedding_length":{})", core.options.pooled.hidden);
  out += R"(,"supports_embeddings":)";
  out += embeds ? "true" : "false";
  out += R"(,"supports_rerank":)";
  out += kind == PooledKind::kTokenLogits || (classifies && core.options.pooled.labels == 1)
             ? "true"
             : "false";
  out += R"(,"supports_function_calling":)";
  out += chats && core.options.tool_format != nullptr ? "true}}" : "false}}";
  return out;
}

std::string models_json(const ServiceCore& core) {
  std::string out = R"({"object":"list","data":[)";
  char separator = 0;
  for (const std::string& name : core.options.model_names) {
    if (separator != 0) out += separator;
    separator = ',';
    out += model_json(core, name);
  }
  out += "],";
  append_member(out, "total", static_cast<std::int64_t>(core.options.model_names.size()));
  out += ',';
  append_member(out, "first_id", core.options.model_names.front());
  out += ',';
  append_member(out, "last_id", core.options.model_names.back());
  out += R"(,"has_more":false)";
  out += '}';
  return out;
}

std::string_view status_word(const ServiceCore& core) {
  if (core.shutting_down.load(std::memory_order_relaxed)) return "shutting_down";
  if (core.loading.load(std::memory_order_relaxed)) return "loading";
  const engine::EngineMetrics metrics = core.engine.metrics();
  if (metrics.failed) return "error";
  if (metrics.stuck) return "stuck";
  if (core.draining.load(std::memory_order_relaxed)) return "draining";
  return metrics.paused ? "paused" : "ready";
}

bool is_healthy(const ServiceCore& core) {
  return status_word(core) == "ready";
}

std::string ready_json(const ServiceCore& core) {
  std::string out = "{";
  append_member(out, "status", status_word(core));
  out += '}';
  return out;
}

std::string health_json(const ServiceCore& core) {
  const std::string_view status = status_word(core);
  if (status == "shutting_down" || status == "loading") return ready_json(core);
  const engine::EngineMetrics metrics = core.engine.metrics();
  std::string out = "{";
  append_member(out, "status", status);
  out += ',';
  append_member(out, "timestamp", base::unix_seconds());
  out += fmt::format(R"(,"uptime_seconds":{:.3f},"models":{{)",
                     static_cast<double>(core.clock.now() - core.started) * 1e-9);
  append_json_string(out, core.options.model_names.front());
  out += R"(:{"loaded":true,"type":"vsurge",)";
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
  out += fmt::format(R"(,"step_age_seconds":{:.3f})", metrics.step_age_seconds);
  out += "}},";
  append_member(out, "active_requests", core.active_requests.load(std::memory_order_relaxed));
  out += '}';
  return out;
}

std::string version_json(const ServiceCore& core) {
  std::string out = "{";
  append_member(out, "version", core.options.version);
  out += '}';
  return out;
}

}  // namespace vsurge::api
