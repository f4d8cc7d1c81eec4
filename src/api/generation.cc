#include "api/generation.h"

#include <algorithm>
#include <limits>

#include "api/choice_fields.h"
#include "api/json.h"
#include "api/limits.h"
#include "api/reader.h"
#include "api/sampling_fields.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;

constexpr std::int64_t kIntMax = std::numeric_limits<int>::max();

// Both names at once must agree. 0 is an answer without tokens, for the sake of its prompt.
ApiResult<void> read_max_tokens(const ObjectReader& body, GenerationFields& out) {
  const std::int64_t least = out.echo ? 0 : 1;
  const auto old_name = VSURGE_TRY(body.integer("max_tokens", least, kIntMax));
  const auto new_name = VSURGE_TRY(body.integer("max_completion_tokens", 1, kIntMax));
  if (old_name && new_name && *old_name != *new_name) {
    return bad_value("max_tokens",
                     fmt::format("'max_tokens' ({}) and 'max_completion_tokens' ({}) mean the "
                                 "same and differ; send one of them.",
                                 *old_name, *new_name));
  }
  const auto value = new_name ? new_name : old_name;
  out.prompt_only = value == 0;
  if (value) out.sampling.max_tokens = std::max(1, static_cast<int>(*value));
  out.max_tokens_field = new_name ? "max_completion_tokens" : "max_tokens";
  return {};
}

// SGLang's name counts as vLLM's.
ApiResult<void> read_stop(const ObjectReader& body, const base::JsonLimits& limits,
                          GenerationFields& out) {
  auto stops = VSURGE_TRY(body.texts(
      "stop", {.count = limits.stop_strings_max, .bytes = limits.stop_string_bytes_max}));
  if (stops) out.stop = std::move(*stops);
  const bool vllm = VSURGE_TRY(body.boolean("include_stop_str_in_output", false));
  const bool sglang = VSURGE_TRY(body.boolean("no_stop_trim", false));
  out.include_stop = vllm || sglang;
  return {};
}

ApiResult<void> read_stream(const ObjectReader& body, Endpoint endpoint, GenerationFields& out) {
  out.stream = VSURGE_TRY(body.boolean("stream", false));
  const json::value* options = body.find("stream_options");
  if (options == nullptr) return {};
  if (!options->is_object()) {
    return wrong_type("stream_options", "an object", type_name(*options));
  }
  if (!out.stream) {
    return bad_value("stream_options",
                     "'stream_options' is only for requests with 'stream': true.");
  }
  VSURGE_TRY(check_fields(options->get_object(), endpoint, {.prefix = "stream_options."}));
  const ObjectReader reader(options->get_object(), "stream_options");
  out.include_usage = VSURGE_TRY(reader.boolean("include_usage", false));
  out.continuous_usage = VSURGE_TRY(reader.boolean("continuous_usage_stats", false));
  out.obfuscation = VSURGE_TRY(reader.boolean("include_obfuscation", false));
  return {};
}

// OpenAI: up to 16 pairs of strings, keys up to 64 and values up to 512 characters.
ApiResult<void> read_metadata(const ObjectReader& body, GenerationFields& out) {
  const json::value* metadata = body.find("metadata");
  if (metadata == nullptr) return {};
  if (!metadata->is_object()) return wrong_type("metadata", "an object", type_name(*metadata));
  const json::object& object = metadata->get_object();
  if (object.size() > kMetadataPairsMax) {
    return bad_value("metadata", fmt::format("'metadata' must have at most {} pairs; found {}.",
                                             kMetadataPairsMax, object.size()));
  }
  for (const auto& [key, value] : object) {
    const std::string path = fmt::format("metadata.{}", printable_name(key));
    if (!value.is_string()) return wrong_type(path, "a string", type_name(value));
    if (key.size() > kMetadataKeyBytesMax || value.get_string().size() > kMetadataValueBytesMax) {
      return bad_value(path, fmt::format("'metadata' has keys of at most {} bytes and values of at "
                                         "most {}.",
                                         kMetadataKeyBytesMax, kMetadataValueBytesMax));
    }
  }
  append_json(out.metadata_json, *metadata);
  return {};
}

// vLLM's: -1 keeps what fits the context.
ApiResult<void> read_prompt_truncation(const ObjectReader& body, GenerationFields& out) {
  const auto kept = VSURGE_TRY(body.integer("truncate_prompt_tokens", -1, kIntMax));
  if (kept == 0) {
    return bad_value("truncate_prompt_tokens", "'truncate_prompt_tokens' must be -1 or above 0.");
  }
  if (kept) out.prompt_tokens_kept = static_cast<int>(*kept);
  const auto side = VSURGE_TRY(body.text("truncation_side"));
  if (!side) return {};
  if (*side != "left" && *side != "right") {
    return bad_value("truncation_side", fmt::format("'truncation_side' must be left or right; "
                                                    "found {}.",
                                                    in_quotes(*side)));
  }
  out.truncation_side = *side == "left" ? TruncationSide::kLeft : TruncationSide::kRight;
  return {};
}

// Whoever shares a prefix of the cache names the same salt and key.
ApiResult<void> read_cache_names(const ObjectReader& body, GenerationFields& out) {
  const auto salt = VSURGE_TRY(body.name("cache_salt", kIdBytesMax));
  if (salt && salt->empty()) return bad_value("cache_salt", "'cache_salt' must not be empty.");
  const auto key = VSURGE_TRY(body.name("prompt_cache_key", kIdBytesMax));
  // NUL cannot stand in either.
  if (salt || key) out.cache_salt = salt.value_or("") + '\0' + key.value_or("");
  return {};
}

ApiResult<void> read_scheduling(const ObjectReader& body, GenerationFields& out) {
  out.user = VSURGE_TRY(body.name("user", kIdBytesMax)).value_or("");
  const auto safety = VSURGE_TRY(body.name("safety_identifier", kIdBytesMax));
  if (safety) out.user = *safety;
  VSURGE_TRY(read_cache_names(body, out));
  VSURGE_TRY(read_metadata(body, out));
  VSURGE_TRY(read_prompt_truncation(body, out));
  const auto priority =
      VSURGE_TRY(body.integer("priority", std::numeric_limits<int>::min(), kIntMax));
  out.priority = static_cast<int>(priority.value_or(0));
  out.timeout_seconds =
      VSURGE_TRY(body.number("timeout", {.low = 0, .high = kTimeoutSecondsMax, .low_open = true}));
  return {};
}

}  // namespace

ApiResult<GenerationFields> read_generation_fields(const json::object& object, Endpoint endpoint,
                                                   const RequestContext& context) {
  const ObjectReader body(object, "");
  GenerationFields out;
  auto model = VSURGE_TRY(body.name("model", kIdBytesMax));
  if (!model) return missing("model");
  out.model = std::move(*model);
  VSURGE_TRY(check_fields(object, endpoint, {.ignored = context.ignored}));
  VSURGE_TRY(read_stream(body, endpoint, out));
  VSURGE_TRY(read_choice_fields(body, endpoint, out));
  // A search for the likeliest answer is not for what makes drawing better.
  const bool search = out.sampling.beam.width > 0;
  VSURGE_TRY(
      read_sampling_fields(body, context, search ? SamplingDefaults{} : context.sampling, out));
  if (search && body.find("speculative_tokens") == nullptr) out.sampling.speculative_tokens = 0;
  VSURGE_TRY(read_max_tokens(body, out));
  VSURGE_TRY(read_stop(body, context.json, out));
  out.skip_special = VSURGE_TRY(body.boolean("skip_special_tokens", true));
  VSURGE_TRY(read_scheduling(body, out));
  return out;
}

}  // namespace vsurge::api
