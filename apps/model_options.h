// The options that load a model and start an engine, shared by serve, chat and generate.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "options.h"
#include "vsurge/vsurge.h"

namespace vsurge::apps {

struct ModelOptions {
  std::string model;  // folder, .gguf, or empty for the default model
  std::string config;
  std::string dtype = "auto";
  std::string param_dtype = "auto";
  std::string kv_cache_dtype = "auto";
  std::string quantization_method = "none";
  std::string head_quantization;
  std::string attn_mechanism = "auto";
  std::string precision = "default";
  std::string sharding_axis_dims = "1,1,1,-1,1";
  std::string isa;
  int threads = 0;
  std::optional<int> freq_max_position_embeddings;
  std::optional<int> mask_max_position_embeddings;
  std::optional<int> max_length;
  std::optional<int> max_prefill_length;
  SurgeOptions surge;
  std::string log_level = "info";
  std::string log_format = "text";
  base::LogTarget log_target = base::LogTarget::kStderr;
};

// Help of --head-quantization.
inline constexpr const char* kHeadHelp =
    "of the matrix that makes logits: none, 8bit, int4 or nf4; default: 8bit where the layers are "
    "quantised";

// Help of a model on the command line.
inline constexpr const char* kModelHelp =
    "Hugging Face folder, .gguf file or packed folder; nothing = the default model";

// Adds the options; `options` must outlive the command line.
void add_model_options(OptionSet& set, CLI::App& command, ModelOptions& options);
// All but the model itself.
void add_engine_options(OptionSet& set, CLI::App& command, ModelOptions& options);

// Once the command line is parsed: fills the rest from the environment and the TOML file.
void fill_options(OptionSet& set, ModelOptions& options, const Environment& environment);

// Throws vsurge::Error (kUsage) for a word that is not one of an option's.
PretrainedOptions pretrained_options(const ModelOptions& options);
SurgeOptions surge_options(const ModelOptions& options);

// What people call a model: its folder's name, or its file's without the ending; that of the
// default model for an empty path.
std::string model_name(const std::string& given);
// The path to serve: what was given, else the default model where ./dev setup puts it.
std::string model_path(const std::string& given, const Environment& environment);

// Throws vsurge::Error (kUsage) for a format that there is not.
void start_logging(const ModelOptions& options);
// Everything up to an engine that is ready to start. Prints the progress of loading to stderr.
vSurge load_surge(const ModelOptions& options, const Environment& environment);

// Throws vsurge::Error (kUsage).
[[noreturn]] void usage(const std::string& message);
// Throws vsurge::Error (kUsage) with the status's message.
void require(const base::Status& status);

}  // namespace vsurge::apps
