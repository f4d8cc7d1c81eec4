#include "model_options.h"

#include <array>
#include <charconv>
#include <filesystem>
#include <string_view>
#include <utility>

#include "base/log.h"

namespace vsurge::apps {
namespace {

template <class T>
using Words = std::initializer_list<std::pair<std::string_view, T>>;

// The value a word stands for.
template <class T>
T choose(const char* option, const std::string& word, Words<T> words) {
  std::string known;
  for (const auto& [name, value] : words) {
    if (word == name) return value;
    known += known.empty() ? "" : ", ";
    known += name;
  }
  usage(fmt::format("--{}: expected one of {}, found '{}'", option, known, word));
}

Dtype dtype_of(const char* option, const std::string& word) {
  return choose<Dtype>(option, word,
                       {{"auto", Dtype::AUTO},
                        {"bfloat16", Dtype::BFLOAT16},
                        {"float32", Dtype::FLOAT32},
                        {"float16", Dtype::FLOAT16},
                        {"bf16", Dtype::BFLOAT16},
                        {"fp32", Dtype::FLOAT32},
                        {"half", Dtype::FLOAT16}});
}

EasyDeLQuantizationMethods quantization_of(const char* option, const std::string& word) {
  return choose<EasyDeLQuantizationMethods>(option, word,
                                            {{"none", EasyDeLQuantizationMethods::NONE},
                                             {"a8bit", EasyDeLQuantizationMethods::A8BIT},
                                             {"8bit", EasyDeLQuantizationMethods::A8BIT},
                                             {"int4", EasyDeLQuantizationMethods::INT4},
                                             {"4bit", EasyDeLQuantizationMethods::INT4},
                                             {"nf4", EasyDeLQuantizationMethods::NF4}});
}

std::array<int, 5> axis_dims_of(const std::string& text) {
  std::array<int, 5> dims{};
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  for (std::size_t i = 0; i < dims.size(); ++i) {
    const auto [next, error] = std::from_chars(at, end, dims[i]);
    const bool last = i + 1 == dims.size();
    if (error != std::errc() || (last ? next != end : next == end || *next != ',')) {
      usage(
          fmt::format("--sharding-axis-dims: expected five numbers such as 1,1,1,-1,1, found "
                      "'{}'",
                      text));
    }
    at = next + 1;
  }
  return dims;
}

}  // namespace

void usage(const std::string& message) {
  throw Error(ErrorKind::kUsage, "usage", message);
}

void require(const base::Status& status) {
  if (!status) usage(status.error().message);
}

void add_model_options(OptionSet& set, CLI::App& command, ModelOptions& options) {
  set.add("model", options.model, kModelHelp);
  add_engine_options(set, command, options);
}

void add_engine_options(OptionSet& set, CLI::App& command, ModelOptions& options) {
  command.add_option("--config", options.config, "TOML file with any of these options");
  set.add("--max-length,--max-model-len", options.max_length,
          "longest context, prompt plus answer; default: what the model has");
  set.add("--max-prefill-length", options.max_prefill_length, "longest prompt");
  set.add("--max-concurrent-decodes,--max-num-seqs", options.surge.max_concurrent_decodes,
          "sequences running at once")
      ->capture_default_str();
  set.add("--max-concurrent-prefill", options.surge.max_concurrent_prefill,
          "prompts being read at once")
      ->capture_default_str();
  set.add("--max-num-batched-tokens", options.surge.max_num_batched_tokens, "tokens of one step")
      ->capture_default_str();
  set.add("--page-size,--block-size", options.surge.page_size,
          "tokens of one page of KV cache: 16, 32, 64 or 128")
      ->capture_default_str();
  set.add("--hbm-utilization,--gpu-memory-utilization", options.surge.hbm_utilization,
          "share of the memory this process may use")
      ->capture_default_str();
  set.add("--kv-cache-memory-bytes", options.surge.kv_cache_memory_bytes,
          "of the KV cache, as 6442450944 or 6G; default: 4G or one context, or less if that holds "
          "all sequences")
      ->transform(CLI::AsSizeValue(false));
  set.add("--kv-cache-dtype,--kvdtype", options.kv_cache_dtype, "auto, bfloat16, float32 or int8")
      ->capture_default_str();
  set.add("--target-step-ms", options.surge.target_step_ms,
          "time of a step while prompts are read beside running answers; 0 = twice what it takes "
          "without them")
      ->capture_default_str();
  set.add("--enable-prefix-caching", options.surge.enable_prefix_caching,
          "keep what prompts have in common; on unless --enable-prefix-caching=false");
  set.add("--dtype", options.dtype, "arithmetic: auto, bfloat16 or float32")->capture_default_str();
  set.add("--param-dtype", options.param_dtype, "stored weights: auto, bfloat16 or float32")
      ->capture_default_str();
  set.add("--quantization-method,--quantization", options.quantization_method,
          "of weights while loading: none, 8bit (or a8bit), int4 or nf4")
      ->capture_default_str();
  set.add("--head-quantization,--head-quantization-method", options.head_quantization, kHeadHelp);
  set.add("--attn-mechanism", options.attn_mechanism, "auto or ragged_page_attention")
      ->capture_default_str();
  set.add("--precision", options.precision, "default, high or highest")->capture_default_str();
  set.add("--sharding-axis-dims", options.sharding_axis_dims,
          "sizes of dp,fsdp,ep,tp,sp; their product is the number of devices (1)")
      ->capture_default_str();
  set.add("--freq-max-position-embeddings", options.freq_max_position_embeddings,
          "positions of the rotary tables");
  set.add("--mask-max-position-embeddings", options.mask_max_position_embeddings,
          "positions of the mask");
  set.add("--extra-eos-token-ids", options.surge.extra_eos_token_ids,
          "ids that end an answer, beside the model's: 1,2")
      ->delimiter(',');
  set.add("--vsurge-name", options.surge.vsurge_name, "name of the model in the API");
  set.add("--seed", options.surge.seed, "for requests that bring none")->capture_default_str();
  set.add("--threads", options.threads, "compute threads; 0 = every CPU that is allowed")
      ->capture_default_str();
  set.add("--isa", options.isa,
          "force an instruction set level: scalar, avx2, avx_vnni, avx512_vnni, avx512 or amx");
  set.add("--log-level", options.log_level, "trace, debug, info, warning, error, critical or off")
      ->capture_default_str();
  set.add("--log-format", options.log_format, "text or json")->capture_default_str();
}

PretrainedOptions pretrained_options(const ModelOptions& options) {
  PretrainedOptions result;
  result.dtype = dtype_of("dtype", options.dtype);
  result.param_dtype = dtype_of("param-dtype", options.param_dtype);
  if (options.kv_cache_dtype == "int8") {
    result.config_kwargs.kv_cache_quantization_method = EasyDeLQuantizationMethods::A8BIT;
  } else {
    result.config_kwargs.kvdtype = dtype_of("kv-cache-dtype", options.kv_cache_dtype);
  }
  result.config_kwargs.freq_max_position_embeddings = options.freq_max_position_embeddings;
  result.config_kwargs.mask_max_position_embeddings = options.mask_max_position_embeddings;
  result.config_kwargs.attn_mechanism = choose<AttentionMechanisms>(
      "attn-mechanism", options.attn_mechanism,
      {{"auto", AttentionMechanisms::AUTO},
       {"ragged_page_attention", AttentionMechanisms::RAGGED_PAGE_ATTENTION},
       {"paged_attention", AttentionMechanisms::PAGED_ATTENTION},
       {"vanilla", AttentionMechanisms::VANILLA},
       {"flash_attn2", AttentionMechanisms::FLASH_ATTN2},
       {"sdpa", AttentionMechanisms::SDPA}});
  result.quantization_method = quantization_of("quantization-method", options.quantization_method);
  if (!options.head_quantization.empty()) {
    result.head_quantization_method =
        quantization_of("head-quantization", options.head_quantization);
  }
  result.precision = choose<Precision>("precision", options.precision,
                                       {{"default", Precision::DEFAULT},
                                        {"high", Precision::HIGH},
                                        {"highest", Precision::HIGHEST}});
  result.sharding_axis_dims = axis_dims_of(options.sharding_axis_dims);
  result.threads = options.threads;
  result.isa = options.isa;
  return result;
}

SurgeOptions surge_options(const ModelOptions& options) {
  SurgeOptions result = options.surge;
  result.max_length = options.max_length;
  result.max_prefill_length = options.max_prefill_length;
  return result;
}

void fill_options(OptionSet& set, ModelOptions& options, const Environment& environment) {
  if (options.config.empty()) {
    if (const char* config = environment("VSURGE_CONFIG"); config != nullptr) {
      options.config = config;
    }
  }
  require(set.fill_from(environment, options.config));
}

std::string model_path(const std::string& given, const Environment& environment) {
  if (!given.empty()) return given;
  const char* cache = environment("VSURGE_CACHE");
  const char* home = environment("HOME");
  const std::filesystem::path root =
      cache != nullptr ? std::filesystem::path(cache)
                       : std::filesystem::path(home != nullptr ? home : ".") / ".cache" / "vsurge";
  const auto path = root / "models" / "smollm2-135m-instruct-q4_1.gguf";
  if (!std::filesystem::exists(path)) {
    throw Error(ErrorKind::kBadModel, "bad_model",
                fmt::format("{}: the default model is not there; ./dev setup fetches it, or give "
                            "a Hugging Face folder or a .gguf file",
                            path.string()));
  }
  return path.string();
}

std::string model_name(const std::string& given) {
  if (given.empty()) return "smollm2-135m-instruct";
  std::filesystem::path place = std::filesystem::absolute(given).lexically_normal();
  if (!place.has_filename()) place = place.parent_path();
  return place.extension() == ".gguf" ? place.stem().string() : place.filename().string();
}

void start_logging(const ModelOptions& options) {
  if (options.log_format != "text" && options.log_format != "json") {
    usage(fmt::format("--log-format: expected text or json, found '{}'", options.log_format));
  }
  require(base::init_logging(
      options.log_level,
      options.log_format == "json" ? base::LogFormat::kJson : base::LogFormat::kText,
      options.log_target));
}

vSurge load_surge(const ModelOptions& options, const Environment& environment) {
  start_logging(options);
  const PretrainedOptions pretrained = pretrained_options(options);  // words before files
  const std::string path = model_path(options.model, environment);
  SurgeOptions surge = surge_options(options);
  if (surge.vsurge_name.empty()) surge.vsurge_name = model_name(options.model);
  const auto processor = AutoTokenizer::from_pretrained(path);
  const auto model = AutoModelForCausalLM::from_pretrained(path, pretrained);
  return vSurge::from_model(model, processor, surge);
}

}  // namespace vsurge::apps
