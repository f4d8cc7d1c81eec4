#include "model_list.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <set>
#include <string_view>
#include <utility>

namespace vsurge::apps {
namespace {

constexpr double kWeightMax = 1e6;

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (;;) {
    const std::size_t end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

ListedModel parse_model(const std::string& text) {
  std::error_code error;
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || std::filesystem::exists(text, error)) {
    return {.names = {}, .path = text};
  }
  ListedModel model{.names = split(std::string_view(text).substr(0, equals), ','),
                    .path = text.substr(equals + 1)};
  const bool unnamed = std::ranges::find(model.names, "") != model.names.end();
  if (unnamed || model.path.empty()) {
    usage(fmt::format("--model: expected NAME=PATH or NAME,ALIAS=PATH, found '{}'", text));
  }
  return model;
}

double parse_weight(const std::string& text, const std::string& all) {
  double weight = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, weight);
  if (error == std::errc() && rest == end && weight > 0 && weight <= kWeightMax) return weight;
  usage(
      fmt::format("--model-memory: expected NAME=WEIGHT with a weight above 0 and at most {}, "
                  "found '{}'",
                  kWeightMax, all));
}

void set_weights(const std::vector<std::string>& given, std::vector<ListedModel>& models) {
  for (const std::string& text : given) {
    const std::size_t equals = text.rfind('=');
    const std::string name = text.substr(0, equals);
    const double weight =
        parse_weight(equals == std::string::npos ? "" : text.substr(equals + 1), text);
    const auto model = std::ranges::find_if(models, [&](const ListedModel& listed) {
      return listed.names.empty() ? model_name(listed.path) == name
                                  : std::ranges::find(listed.names, name) != listed.names.end();
    });
    if (model == models.end()) {
      usage(fmt::format("--model-memory: there is no model '{}'", name));
    }
    model->memory = weight;
  }
}

void check_names(const std::vector<ListedModel>& models) {
  std::set<std::string> names;
  for (const ListedModel& model : models) {
    const auto own = model.names.empty() ? std::vector{model_name(model.path)} : model.names;
    for (const std::string& name : own) {
      if (!names.insert(name).second) {
        usage(fmt::format("--model: two models have the name '{}'; give NAME=PATH", name));
      }
    }
  }
}

// The models themselves share the places with those that may come.
int models_max(const ModelListOptions& list, std::size_t count) {
  const int now = static_cast<int>(count);
  if (list.models_max == 0) return list.folder.empty() ? now : now + 1;
  if (list.models_max < now) {
    usage(fmt::format("--models-max: expected at least the {} models that are given, found {}", now,
                      list.models_max));
  }
  return list.models_max;
}

}  // namespace

void add_model_list_options(OptionSet& set, ModelListOptions& options) {
  set.add("model,--model", options.models,
          std::string(kModelHelp) + "; several: NAME=PATH, or NAME,ALIAS=PATH, once for each")
      ->type_name("MODEL");
  set.add("--model-memory", options.memory,
          "NAME=WEIGHT: its part of the memory for KV caches, beside 1 for the others");
  set.add("--model-folder", options.folder,
          "admins may load models in it while the server runs; default: none");
  set.add(
      "--models-max", options.models_max,
      "models at once with --model-folder; memory is kept for those that may come; default: one "
      "more than are given");
}

std::vector<ListedModel> list_models(const ModelListOptions& options) {
  std::vector<ListedModel> models;
  for (const std::string& text : options.models) models.push_back(parse_model(text));
  if (models.empty()) models.emplace_back();
  if (models.size() > 1) check_names(models);
  set_weights(options.memory, models);
  if (options.models_max != 0 && options.folder.empty()) {
    usage("--models-max: expected with --model-folder");
  }
  models_max(options, models.size());
  return models;
}

bool is_single(const ModelListOptions& options, const std::vector<ListedModel>& models) {
  return options.folder.empty() && models.size() == 1 && models.front().names.empty();
}

std::map<std::string, vSurge> load_models(const ModelListOptions& list,
                                          const std::vector<ListedModel>& models,
                                          const ModelOptions& options,
                                          const Environment& environment, ApiServerOptions& api) {
  std::vector<std::string> of_one = std::exchange(api.served_model_names, {});
  if (of_one.empty() && !options.surge.vsurge_name.empty()) {
    of_one.push_back(options.surge.vsurge_name);
  }
  if (!of_one.empty() && (models.size() > 1 || !models.front().names.empty())) {
    usage(
        "--served-model-name and --vsurge-name: are for one model without a name; give "
        "NAME,ALIAS=PATH");
  }
  start_logging(options);
  const PretrainedOptions pretrained = pretrained_options(options);
  std::vector<ModelSource> sources;
  for (const ListedModel& model : models) {
    std::vector<std::string> names = model.names.empty() ? of_one : model.names;
    if (names.empty()) names.push_back(model_name(model.path));
    const std::string path = model_path(model.path, environment);
    const auto processor = AutoTokenizer::from_pretrained(path);
    sources.push_back({.name = names.front(),
                       .model = AutoModelForCausalLM::from_pretrained(path, pretrained),
                       .processor = processor,
                       .memory = model.memory});
    api.model_aliases[names.front()] = {names.begin() + 1, names.end()};
  }
  const int most = models_max(list, models.size());
  auto divided =
      divide_memory(sources, surge_options(options), most - static_cast<int>(models.size()));
  api.runtime_models = {.folder = list.folder,
                        .models_max = most,
                        .kv_cache_bytes = divided.spare_bytes,
                        .pretrained = pretrained,
                        .surge = surge_options(options)};
  return std::move(divided.vsurge_map);
}

}  // namespace vsurge::apps
