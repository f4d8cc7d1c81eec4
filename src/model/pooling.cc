#include "model/pooling.h"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <optional>
#include <utility>

#include "base/escape.h"
#include "base/limits.h"
#include "model/checkpoint.h"
#include "model/json_tree.h"

namespace vsurge::model {
namespace {

namespace json = boost::json;
using base::ErrorCode;
using base::Result;

constexpr const char* kModules = "modules.json";
constexpr std::size_t kModulesMax = 16;

struct Module {
  std::string kind;  // the last part of its class: "Pooling"
  std::string path;  // of its folder; empty for the model's own
};

std::string printable(std::string_view text) {
  return base::shorten(base::escape_for_line(text), 60);
}

std::unexpected<base::Error> wrong(const std::string& what) {
  return base::fail(ErrorCode::kBadModel, "{}: {}", kModules, what);
}

// "sentence_transformers.models.Pooling", or of newer versions with more parts.
Result<Module> module_of(const json::value& value) {
  if (!value.is_object()) return wrong("expected objects, found something else");
  const json::object& object = value.get_object();
  const auto text = [&](const char* key) -> std::optional<std::string> {
    const json::value* found = object.if_contains(key);
    if (found == nullptr || !found->is_string()) return std::nullopt;
    return std::string(found->get_string());
  };
  const auto type = text("type");
  const auto path = text("path");
  if (!type || !path) return wrong("expected a type and a path in each, found one without");
  const std::size_t dot = type->rfind('.');
  return Module{type->substr(dot == std::string::npos ? 0 : dot + 1), *path};
}

Result<std::optional<std::vector<Module>>> read_modules(const Checkpoint& checkpoint) {
  const auto text = VSURGE_TRY(checkpoint.side_file(kModules));
  if (!text) return std::nullopt;
  const json::value list =
      VSURGE_TRY(parse_json(kModules, *text, base::CheckpointLimits{}.config_depth_max));
  if (!list.is_array()) return wrong("expected an array, found something else");
  if (list.get_array().size() > kModulesMax) return wrong("expected at most 16 modules");
  std::vector<Module> modules;
  for (const json::value& value : list.get_array()) {
    modules.push_back(VSURGE_TRY(module_of(value)));
  }
  return modules;
}

// The module's own config.json.
Result<Config> config_of(const Checkpoint& checkpoint, const Module& module) {
  const std::string name = module.path + "/config.json";
  const auto text = VSURGE_TRY(checkpoint.side_file(name));
  if (!text) return wrong(fmt::format("expected {}, found none", printable(name)));
  return Config::parse(name, *text);
}

PoolingSpec refused(std::string why) {
  PoolingSpec spec;
  spec.refused = std::move(why);
  return spec;
}

// Old files have a flag for each mode, newer ones its name.
Result<PoolingSpec> read_pooling_module(const Config& config) {
  struct Mode {
    const char* flag;
    std::string_view name;
    std::optional<PooledTokens> tokens;
  };
  constexpr auto kModes = std::to_array<Mode>({
      {"pooling_mode_cls_token", "cls", PooledTokens::kFirst},
      {"pooling_mode_mean_tokens", "mean", PooledTokens::kMean},
      {"pooling_mode_lasttoken", "lasttoken", PooledTokens::kLast},
      {"pooling_mode_max_tokens", "max", std::nullopt},
      {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", std::nullopt},
      {"pooling_mode_weightedmean_tokens", "weightedmean", std::nullopt},
  });
  const ConfigObject root = config.root();
  const auto named = VSURGE_TRY(root.texts("pooling_mode"));
  const Mode* chosen = nullptr;
  int count = 0;
  for (const Mode& mode : kModes) {
    const bool by_name = named && std::ranges::find(*named, mode.name) != named->end();
    const bool by_flag = !named && VSURGE_TRY(root.boolean(mode.flag)).value_or(false);
    if (!by_name && !by_flag) continue;
    chosen = &mode;
    ++count;
  }
  if (count != 1)
    return refused(fmt::format("{}: {} ways of pooling at once", config.file(), count));
  if (named && named->size() != 1) return refused(config.file() + ": several ways of pooling");
  if (!chosen->tokens) {
    return refused(fmt::format("{}: pooling by {} is not supported", config.file(), chosen->name));
  }
  PoolingSpec spec;
  spec.use = PooledUse::kEmbedding;
  spec.tokens = *chosen->tokens;
  return spec;
}

Result<PoolingSpec> read_logit_score(const Config& config) {
  constexpr IntegerRange kIds = {.min = 0, .max = 1 << 30};
  const ConfigObject root = config.root();
  PoolingSpec spec;
  spec.use = PooledUse::kTokenLogits;
  spec.true_token = static_cast<std::int32_t>(
      VSURGE_TRY(required(root, "true_token_id", root.integer("true_token_id", kIds))));
  spec.false_token =
      static_cast<std::int32_t>(VSURGE_TRY(root.integer("false_token_id", kIds)).value_or(-1));
  return spec;
}

// Transformer, Pooling [, Normalize], or Transformer, LogitScore.
Result<PoolingSpec> of_modules(const Checkpoint& checkpoint, const std::vector<Module>& modules) {
  if (modules.empty() || modules[0].kind != "Transformer" || !modules[0].path.empty()) {
    return refused(std::string(kModules) +
                   ": the first module is not a Transformer of this folder");
  }
  PoolingSpec spec;
  for (std::size_t i = 1; i < modules.size(); ++i) {
    const Module& module = modules[i];
    if (i == 1 && (module.kind == "Pooling" || module.kind == "LogitScore")) {
      const Config config = VSURGE_TRY(config_of(checkpoint, module));
      spec = module.kind == "Pooling" ? VSURGE_TRY(read_pooling_module(config))
                                      : VSURGE_TRY(read_logit_score(config));
      if (!spec.refused.empty()) return spec;
    } else if (module.kind == "Normalize" && spec.use == PooledUse::kEmbedding) {
      spec.normalize = true;
    } else {
      return refused(
          fmt::format("{}: module {} is not supported", kModules, printable(module.kind)));
    }
  }
  return spec;
}

bool is_classifier(const std::vector<std::string>& architectures) {
  return architectures.size() == 1 && architectures[0].ends_with("ForSequenceClassification");
}

// transformers' num_labels, which it writes as the size of id2label; 2 where nothing is said.
Result<int> labels_of(const ConfigObject& config) {
  constexpr std::int64_t kLabelsMax = 4096;
  const auto labels = VSURGE_TRY(config.object("id2label"));
  const auto said = VSURGE_TRY(config.integer("num_labels", {.min = 1, .max = kLabelsMax}));
  if (labels && static_cast<std::int64_t>(labels->keys().size()) > kLabelsMax) {
    return config.wrong("id2label", fmt::format("at most {} labels", kLabelsMax));
  }
  if (labels) return static_cast<int>(labels->keys().size());
  return static_cast<int>(said.value_or(2));
}

Result<PoolingSpec> read_any(const Checkpoint& checkpoint, const ConfigObject& root) {
  const auto classes = VSURGE_TRY(root.texts("architectures")).value_or(std::vector<std::string>());
  if (is_classifier(classes)) {
    PoolingSpec spec;
    spec.use = PooledUse::kClassifier;
    spec.labels = VSURGE_TRY(labels_of(root));
    return spec;
  }
  if (const auto modules = VSURGE_TRY(read_modules(checkpoint))) {
    return of_modules(checkpoint, *modules);
  }
  const auto names = VSURGE_TRY(root.texts("classifier_from_token"));
  if (!names) return PoolingSpec{};
  if (names->size() != 2) return root.wrong("classifier_from_token", "two tokens");
  PoolingSpec spec;
  spec.use = PooledUse::kTokenLogits;
  spec.token_names = *names;
  return spec;
}

}  // namespace

Result<PoolingSpec> read_pooling(const Checkpoint& checkpoint) {
  const ConfigObject root = checkpoint.config()->root();
  PoolingSpec spec = VSURGE_TRY(read_any(checkpoint, root));
  const bool causal = VSURGE_TRY(root.boolean("is_causal")).value_or(true);
  const bool both = VSURGE_TRY(root.boolean("use_bidirectional_attention")).value_or(false);
  if (spec.use != PooledUse::kNone && (!causal || both)) {
    return refused("config.json: attention to both sides is not supported");
  }
  return spec;
}

Result<PoolingSpec> read_pooling_gguf(const GgufFile& file, const std::string& prefix) {
  const std::string key = prefix + "pooling_type";
  const auto type = VSURGE_TRY(file.integer(key, {})).value_or(0);
  constexpr std::array kTokens = {PooledTokens::kMean, PooledTokens::kFirst, PooledTokens::kLast};
  PoolingSpec spec;
  if (type == 0) return spec;
  if (type < 0 || type > std::ssize(kTokens)) return file.wrong(key, "0, 1, 2 or 3");
  spec.use = PooledUse::kEmbedding;
  spec.tokens = kTokens[static_cast<std::size_t>(type - 1)];
  spec.normalize = true;
  return spec;
}

}  // namespace vsurge::model
