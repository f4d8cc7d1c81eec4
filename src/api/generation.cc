#include "api/generation.h"

#include <algorithm>

#include "api/choice_fields.h"
#include "api/field_table.h"
#include "api/json.h"
#include "api/limits.h"
#include "api/reader.h"
#include "api/sampling_fields.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;

// Both names at once must agree. 0 is an answer without tokens, for the sake of its prompt.
ApiResult<void> read_max_tokens(const ObjectReader& body, Endpoint endpoint,
                                GenerationFields& out) {
  const auto old_name = endpoint == Endpoint::kCompletions
                            ? VSURGE_TRY(read_integer(body, {"max_tokens", kInCompletions}))
                            : VSURGE_TRY(read_integer(body, {"max_tokens", kInChat}));
  if (old_name == 0 && !out.echo) {
    return bad_value("max_tokens", "'max_tokens' must be at least 1 without 'echo': true.");
  }
  const auto new_name = VSURGE_TRY(read_integer(body, "max_completion_tokens"));
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
ApiResult<void> read_stop(const ObjectReader& body, GenerationFields& out) {
  auto stops = VSURGE_TRY(read_texts(body, "stop"));
  if (stops) out.stop = std::move(*stops);
  const auto regexes = VSURGE_TRY(read_texts(body, "stop_regex"));
  if (regexes && !regexes->empty()) {
    auto compiled = text::StopRegex::compile(*regexes);
    if (!compiled) {
      return bad_value("stop_regex", fmt::format("'stop_regex': {}.", compiled.error().message));
    }
    out.stop_regex = std::move(*compiled);
  }
  const bool vllm = VSURGE_TRY(read_flag(body, "include_stop_str_in_output"));
  const bool sglang = VSURGE_TRY(read_flag(body, "no_stop_trim"));
  out.include_stop = vllm || sglang;
  return {};
}

ApiResult<void> read_stream(const ObjectReader& body, Endpoint endpoint, GenerationFields& out) {
  out.stream = VSURGE_TRY(read_flag(body, "stream"));
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
  out.include_usage = VSURGE_TRY(read_flag(reader, "stream_options.include_usage"));
  out.continuous_usage = VSURGE_TRY(read_flag(reader, "stream_options.continuous_usage_stats"));
  out.obfuscation = VSURGE_TRY(read_flag(reader, "stream_options.include_obfuscation"));
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
  const auto kept = VSURGE_TRY(read_integer(body, "truncate_prompt_tokens"));
  if (kept == 0) {
    return bad_value("truncate_prompt_tokens", "'truncate_prompt_tokens' must be -1 or above 0.");
  }
  if (kept) out.prompt_tokens_kept = static_cast<int>(*kept);
  const auto side = VSURGE_TRY(read_word(body, "truncation_side"));
  if (!side) return {};
  out.truncation_side = *side == "left" ? TruncationSide::kLeft : TruncationSide::kRight;
  return {};
}

// Whoever shares a prefix of the cache names the same salt and key.
ApiResult<void> read_cache_names(const ObjectReader& body, GenerationFields& out) {
  const auto salt = VSURGE_TRY(read_name(body, "cache_salt"));
  if (salt && salt->empty()) return bad_value("cache_salt", "'cache_salt' must not be empty.");
  const auto key = VSURGE_TRY(read_name(body, "prompt_cache_key"));
  // NUL cannot stand in either.
  if (salt || key) out.cache_salt = salt.value_or("") + '\0' + key.value_or("");
  return {};
}

ApiResult<void> read_scheduling(const ObjectReader& body, GenerationFields& out) {
  out.user = VSURGE_TRY(read_name(body, "user")).value_or("");
  const auto safety = VSURGE_TRY(read_name(body, "safety_identifier"));
  if (safety) out.user = *safety;
  VSURGE_TRY(read_cache_names(body, out));
  VSURGE_TRY(read_metadata(body, out));
  VSURGE_TRY(read_prompt_truncation(body, out));
  const auto priority = VSURGE_TRY(read_integer(body, "priority"));
  out.priority = static_cast<int>(priority.value_or(0));
  out.timeout_seconds = VSURGE_TRY(read_number(body, "timeout"));
  out.predict_ms = std::max<std::int64_t>(
      VSURGE_TRY(read_integer(body, "t_max_predict_ms")).value_or(0), 0);  // -1 is any time, too
  VSURGE_TRY(read_word(body, "prompt_cache_retention"));  // how long at most: see the documents
  return {};
}

}  // namespace

ApiResult<GenerationFields> read_generation_fields(const json::object& object, Endpoint endpoint,
                                                   const RequestContext& context) {
  const ObjectReader body(object, "");
  GenerationFields out;
  auto model = VSURGE_TRY(read_name(body, "model"));
  if (!model) return missing("model");
  out.model = std::move(*model);
  VSURGE_TRY(check_fields(object, endpoint, {.ignored = context.ignored}));
  VSURGE_TRY(read_stream(body, endpoint, out));
  VSURGE_TRY(read_choice_fields(body, endpoint, context.vocabulary, out));
  // A search for the likeliest answer is not for what makes drawing better.
  const bool search = out.sampling.beam.width > 0;
  VSURGE_TRY(
      read_sampling_fields(body, context, search ? SamplingDefaults{} : context.sampling, out));
  if (search && body.find("speculative_tokens") == nullptr) out.sampling.speculative_tokens = 0;
  VSURGE_TRY(read_max_tokens(body, endpoint, out));
  VSURGE_TRY(read_stop(body, out));
  out.skip_special = VSURGE_TRY(read_flag(body, "skip_special_tokens"));
  VSURGE_TRY(read_flag(body, "spaces_between_special_tokens"));  // tokenizers here add none
  VSURGE_TRY(read_scheduling(body, out));
  return out;
}

}  // namespace vsurge::api
