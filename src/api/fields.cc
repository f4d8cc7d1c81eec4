#include "api/fields.h"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <map>
#include <string>

#include "api/json.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;

constexpr std::string_view kWorks{};
constexpr std::string_view kNullOnly = "[]";

// Names: OpenAI's specification, vLLM's and other servers' extensions, the seed's.
constexpr auto kFields = std::to_array<Field>({
    {"model", kInBoth, kWorks},
    {"messages", kInChat, kWorks},
    {"prompt", kInCompletions, kWorks},
    {"max_tokens", kInBoth, kWorks},
    {"max_completion_tokens", kInChat, kWorks},
    {"temperature", kInBoth, kWorks},
    {"top_p", kInBoth, kWorks},
    {"top_k", kInBoth, kWorks},
    {"min_p", kInBoth, kWorks},
    {"seed", kInBoth, kWorks},
    {"stop", kInBoth, kWorks},
    {"stream", kInBoth, kWorks},
    {"stream_options", kInBoth, kWorks},
    {"stream_options.include_usage", kInBoth, kWorks},
    {"chat_template_kwargs", kInChat, kWorks},
    {"user", kInBoth, kWorks},
    {"n", kInBoth, kWorks},
    {"best_of", kInBoth, kWorks},
    {"frequency_penalty", kInBoth, kWorks},
    {"presence_penalty", kInBoth, kWorks},
    {"repetition_penalty", kInBoth, kWorks},
    {"repeat_penalty", kInBoth, kWorks},
    {"logit_bias", kInBoth, kWorks},
    {"top_n_sigma", kInBoth, kWorks},
    {"typical_p", kInBoth, kWorks},
    {"dry_multiplier", kInBoth, kWorks},
    {"dry_base", kInBoth, kWorks},
    {"dry_allowed_length", kInBoth, kWorks},
    {"dry_penalty_last_n", kInBoth, kWorks},
    {"dry_sequence_breakers", kInBoth, kWorks},
    {"xtc_probability", kInBoth, kWorks},
    {"xtc_threshold", kInBoth, kWorks},
    {"bad_words", kInBoth, kWorks},
    {"allowed_token_ids", kInBoth, kWorks},
    {"suppress_tokens", kInBoth, kWorks},
    {"min_tokens", kInBoth, kWorks},
    {"ignore_eos", kInBoth, kWorks},
    {"stop_token_ids", kInBoth, kWorks},
    {"include_stop_str_in_output", kInBoth, kWorks},
    {"no_stop_trim", kInBoth, kWorks},
    {"logprobs", kInBoth, kWorks},
    {"prompt_logprobs", kInBoth, kWorks},
    {"thinking_token_budget", kInBoth, kWorks},
    {"priority", kInBoth, kWorks},
    {"cache_salt", kInBoth, kWorks},
    {"timeout", kInBoth, kWorks},
    {"skip_special_tokens", kInBoth, kWorks},
    {"speculative_tokens", kInBoth, kWorks},
    {"return_token_ids", kInBoth, kWorks},
    {"return_tokens_as_token_ids", kInBoth, kWorks},
    {"use_beam_search", kInBoth, kWorks},
    {"length_penalty", kInBoth, kWorks},
    {"early_stopping", kInBoth, kWorks},
    {"stream_options.continuous_usage_stats", kInBoth, kWorks},
    {"stream_options.include_obfuscation", kInBoth, kWorks},
    {"top_logprobs", kInChat, kWorks},
    {"echo", kInCompletions, kWorks},
    // OpenAI
    {"echo", kInChat, "[false]"},
    {"suffix", kInCompletions, kWorks},
    {"response_format", kInBoth, kWorks},
    {"tools", kInChat, kWorks},
    {"tool_choice", kInChat, kWorks},
    {"parallel_tool_calls", kInChat, kWorks},
    {"functions", kInChat, kWorks},
    {"function_call", kInChat, kWorks},
    {"reasoning_effort", kInChat, kWorks},
    {"verbosity", kInChat, R"(["medium"])"},
    {"prediction", kInChat, kNullOnly},
    {"modalities", kInChat, R"([["text"]])"},
    {"audio", kInChat, kNullOnly},
    {"web_search_options", kInChat, kNullOnly},
    {"service_tier", kInChat, R"(["auto","default"])"},
    {"store", kInChat, "[false]"},
    {"metadata", kInBoth, kWorks},
    {"moderation", kInChat, kNullOnly},
    {"safety_identifier", kInBoth, kWorks},
    {"prompt_cache_key", kInBoth, kWorks},
    {"prompt_cache_retention", kInChat, kNullOnly},
    {"prompt_cache_options", kInChat, kNullOnly},
    // Extensions
    {"add_generation_prompt", kInChat, kWorks},
    {"add_special_tokens", kInBoth, kWorks},
    {"cache_prompt", kInBoth, kNullOnly},
    {"chat_template", kInChat, kWorks},
    {"continue_final_message", kInChat, kWorks},
    {"documents", kInChat, kWorks},
    {"grammar", kInBoth, kWorks},
    {"guided_choice", kInBoth, kWorks},
    {"guided_decoding_backend", kInBoth, kWorks},
    {"guided_grammar", kInBoth, kWorks},
    {"guided_json", kInBoth, kWorks},
    {"regex", kInBoth, kWorks},
    {"ebnf", kInBoth, kWorks},
    {"guided_regex", kInBoth, kWorks},
    {"guided_whitespace_pattern", kInBoth, kWorks},
    {"include_reasoning", kInChat, kWorks},
    {"json_schema", kInBoth, kWorks},
    {"kv_transfer_params", kInBoth, kNullOnly},
    {"logits_processors", kInBoth, "[[]]"},
    {"logprob_token_ids", kInBoth, kNullOnly},
    {"mirostat", kInBoth, "[0]"},
    {"mm_processor_kwargs", kInChat, "[{}]"},
    {"repetition_detection", kInBoth, kNullOnly},
    {"request_id", kInBoth, kNullOnly},
    {"return_hidden_states", kInBoth, "[false]"},  // SGLang's router says so in every request
    {"return_progress", kInBoth, "[false]"},
    {"return_tokens", kInBoth, "[false]"},
    {"separate_reasoning", kInChat, kWorks},
    {"spaces_between_special_tokens", kInBoth, "[true]"},
    {"stop_regex", kInBoth, kNullOnly},
    {"stream_reasoning", kInChat, kWorks},
    {"structural_tag", kInBoth, kNullOnly},
    {"structured_outputs", kInBoth, kWorks},
    {"t_max_predict_ms", kInBoth, kNullOnly},
    {"timings_per_token", kInBoth, "[false]"},
    {"truncate_prompt_tokens", kInBoth, kWorks},
    {"truncation_side", kInBoth, kWorks},
    {"vllm_xargs", kInBoth, kNullOnly},
    // Responses
    {"model", kInResponses, kWorks},
    {"input", kInResponses, kWorks},
    {"instructions", kInResponses, kWorks},
    {"max_output_tokens", kInResponses, kWorks},
    {"temperature", kInResponses, kWorks},
    {"top_p", kInResponses, kWorks},
    {"top_k", kInResponses, kWorks},
    {"min_p", kInResponses, kWorks},
    {"seed", kInResponses, kWorks},
    {"stop", kInResponses, kWorks},
    {"frequency_penalty", kInResponses, kWorks},
    {"presence_penalty", kInResponses, kWorks},
    {"repetition_penalty", kInResponses, kWorks},
    {"priority", kInResponses, kWorks},
    {"cache_salt", kInResponses, kWorks},
    {"timeout", kInResponses, kWorks},
    {"stream", kInResponses, kWorks},
    {"stream_options", kInResponses, kWorks},
    {"tools", kInResponses, kWorks},
    {"tool_choice", kInResponses, kWorks},
    {"parallel_tool_calls", kInResponses, kWorks},
    {"text", kInResponses, kWorks},
    {"reasoning", kInResponses, kWorks},
    {"previous_response_id", kInResponses, kWorks},
    {"conversation", kInResponses, kWorks},
    {"store", kInResponses, kWorks},
    {"metadata", kInResponses, kWorks},
    {"user", kInResponses, kWorks},
    {"safety_identifier", kInResponses, kWorks},
    {"prompt_cache_key", kInResponses, kWorks},
    {"background", kInResponses, "[false]"},
    {"context_management", kInResponses, kNullOnly},
    {"include", kInResponses, R"([[],["reasoning.encrypted_content"]])"},
    {"max_tool_calls", kInResponses, kNullOnly},
    {"moderation", kInResponses, kNullOnly},
    {"prompt", kInResponses, kNullOnly},
    {"prompt_cache_options", kInResponses, kNullOnly},
    {"prompt_cache_retention", kInResponses, kNullOnly},
    {"service_tier", kInResponses, R"(["auto","default"])"},
    {"top_logprobs", kInResponses, "[0]"},
    {"truncation", kInResponses, R"(["disabled"])"},
    // Anthropic
    {"model", kInMessages, kWorks},
    {"messages", kInMessages, kWorks},
    {"max_tokens", kInMessages, kWorks},
    {"system", kInMessages, kWorks},
    {"temperature", kInMessages, kWorks},
    {"top_p", kInMessages, kWorks},
    {"top_k", kInMessages, kWorks},
    {"stop_sequences", kInMessages, kWorks},
    {"stream", kInMessages, kWorks},
    {"metadata", kInMessages, kWorks},
    {"tools", kInMessages, kWorks},
    {"tool_choice", kInMessages, kWorks},
    {"thinking", kInMessages, kWorks},
    {"service_tier", kInMessages, R"(["auto","standard_only"])"},
    {"cache_control", kInMessages, R"([{"type":"ephemeral"}])"},
    {"container", kInMessages, kNullOnly},
    {"context_management", kInMessages, kNullOnly},
    {"inference_geo", kInMessages, kNullOnly},
    {"mcp_servers", kInMessages, "[[]]"},
    {"output_config", kInMessages, "[{}]"},
    {"output_format", kInMessages, kNullOnly},
});

// Equal as JSON means it: 1 and 1.0 are one number.
bool same(const json::value& a, const json::value& b) {
  if (a.is_number() && b.is_number()) return a.to_number<double>() == b.to_number<double>();
  return a == b;
}

bool is_neutral(const Field& field, const json::value& value) {
  if (value.is_null()) return true;
  const json::value neutral = json::parse(field.neutral_values);  // ours: always JSON
  return std::ranges::any_of(neutral.get_array(),
                             [&](const json::value& each) { return same(each, value); });
}

std::string not_done(const Field& field) {
  const std::string_view values = field.neutral_values;
  if (values == kNullOnly) {
    return fmt::format("'{}' is not supported by this server; leave it out.", field.name);
  }
  return fmt::format(
      "'{}' is not supported by this server with this value; leave it out or send one of {}.",
      field.name, values);
}

}  // namespace

std::span<const Field> field_table() {
  return kFields;
}

ApiResult<void> check_fields(const json::object& body, Endpoint endpoint, const FieldCheck& check) {
  const auto bit = static_cast<std::uint8_t>(endpoint);
  std::string path;
  for (const auto& [key, value] : body) {
    path.assign(check.prefix).append(key.data(), key.size());
    // A dot in a member's name is not a path.
    const bool plain = key.find('.') == std::string_view::npos;
    const auto* field = std::ranges::find_if(kFields, [&](const Field& each) {
      return plain && (each.endpoints & bit) != 0 && each.name == path;
    });
    if (field == kFields.end()) {
      if (check.ignored == nullptr) return unknown_field(printable_name(path));
      check.ignored->push_back(printable_name(path));
      continue;
    }
    if (!field->works() && !is_neutral(*field, value)) {
      return unsupported(path, not_done(*field));
    }
  }
  return {};
}

}  // namespace vsurge::api
