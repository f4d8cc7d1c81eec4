// Several models on one command line: NAME=PATH, and how they share the memory.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "model_options.h"

namespace vsurge::apps {

struct ModelListOptions {
  std::vector<std::string> models = {};  // PATH or NAME=PATH or NAME,ALIAS=PATH
  std::vector<std::string> memory = {};  // NAME=WEIGHT
  std::string folder = {};
  int models_max = 0;
};

void add_model_list_options(OptionSet& set, ModelListOptions& options);

struct ListedModel {
  std::vector<std::string> names = {};  // empty: none was given
  std::string path = {};
  double memory = 1;
};

// What was written; a path that exists is never taken apart. Throws vsurge::Error (kUsage).
std::vector<ListedModel> list_models(const ModelListOptions& options);
// Whether it is one model that stays, as most servers have.
bool is_single(const ModelListOptions& options, const std::vector<ListedModel>& models);

// Loads all and divides the memory; writes the aliases, and what models that come later need, into
// `api`. Throws vsurge::Error.
std::map<std::string, vSurge> load_models(const ModelListOptions& list,
                                          const std::vector<ListedModel>& models,
                                          const ModelOptions& options,
                                          const Environment& environment, ApiServerOptions& api);

}  // namespace vsurge::apps
