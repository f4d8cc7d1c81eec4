// The rows of field_table(), and reading by them: the ranges that requests are held to are those
// that /openapi.json tells.
#pragma once

#include <array>
#include <cstdint>
#include <limits>

#include "api/fields.h"
#include "api/limits.h"
#include "api/reader.h"
#include "base/limits.h"
#include "engine/request.h"

namespace vsurge::api {

namespace table {

inline constexpr std::string_view kWorks{};
inline constexpr std::string_view kNullOnly = "[]";
inline constexpr double kIntMin = std::numeric_limits<int>::min();
inline constexpr double kIntMax = std::numeric_limits<int>::max();
inline constexpr double kTop = engine::kTopLogprobsMax;
inline constexpr base::EngineLimits kEngine{};
inline constexpr base::JsonLimits kJson{};
inline constexpr base::GrammarLimits kGrammar{};
inline constexpr double kChoices = kEngine.choices_max;

// Names: OpenAI's specification, vLLM's and other servers' extensions, the seed's.
inline constexpr auto kFields = std::to_array<Field>({
    {"model", kInAll, kWorks, shape::name(kIdBytesMax)},
    {"messages", kInChat, kWorks},
    {"prompt", kInCompletions, kWorks},
    {"max_tokens", kInChat, kWorks, shape::integer(1, kIntMax)},
    {"max_tokens", kInCompletions, kWorks, shape::integer(0, kIntMax, "16")},
    {"max_completion_tokens", kInChat, kWorks, shape::integer(1, kIntMax)},
    {"temperature", kInAll, kWorks, shape::number(0, 2)},
    {"top_p", kInAll, kWorks, shape::number_above(0, 1)},
    {"top_k", kInOpenAi, kWorks, shape::integer(-1, kIntMax)},
    {"min_p", kInOpenAi, kWorks, shape::number(0, 1)},
    {"seed", kInOpenAi, kWorks},
    {"stop", kInOpenAi, kWorks, shape::texts(kJson.stop_strings_max, kJson.stop_string_bytes_max)},
    {"stop_regex", kInBoth, kWorks, shape::texts(kStopRegexesMax, kStopRegexBytesMax)},
    {"stream", kInAll, kWorks, shape::flag()},
    {"stream_options", kInBoth, kWorks},
    {"stream_options.include_usage", kInBoth, kWorks, shape::flag()},
    {"stream_options.continuous_usage_stats", kInBoth, kWorks, shape::flag()},
    {"stream_options.include_obfuscation", kInBoth | kInResponses, kWorks, shape::flag()},
    {"chat_template_kwargs", kInChat, kWorks},
    {"user", kInOpenAi, kWorks, shape::name(kIdBytesMax)},
    {"n", kInBoth, kWorks, shape::integer(1, kChoices, "1")},
    {"best_of", kInBoth, kWorks, shape::integer(1, kChoices)},
    {"frequency_penalty", kInOpenAi, kWorks, shape::number(-2, 2, "0")},
    {"presence_penalty", kInOpenAi, kWorks, shape::number(-2, 2, "0")},
    {"repetition_penalty", kInOpenAi, kWorks, shape::number_above(0, 10)},
    {"repeat_penalty", kInBoth, kWorks, shape::number_above(0, 10)},
    {"logit_bias", kInBoth, kWorks},
    {"top_n_sigma", kInBoth, kWorks, shape::number(-1, 1000, "-1")},
    {"typical_p", kInBoth, kWorks, shape::number_above(0, 1, "1")},
    {"dry_multiplier", kInBoth, kWorks, shape::number(0, 100, "0")},
    {"dry_base", kInBoth, kWorks, shape::number(1, 10, "1.75")},
    {"dry_allowed_length", kInBoth, kWorks, shape::integer(1, kIntMax, "2")},
    {"dry_penalty_last_n", kInBoth, kWorks, shape::integer(-1, kIntMax, "-1")},
    {"dry_sequence_breakers", kInBoth, kWorks, shape::texts(kDryBreakersMax, kDryBreakerBytesMax)},
    {"xtc_probability", kInBoth, kWorks, shape::number(0, 1, "0")},
    {"xtc_threshold", kInBoth, kWorks, shape::number(0, 0.5, "0.1")},
    {"bad_words", kInBoth, kWorks, shape::texts(kEngine.bad_words_max, kBadWordBytesMax)},
    {"allowed_token_ids", kInBoth, kWorks, shape::token_ids()},
    {"suppress_tokens", kInBoth, kWorks, shape::token_ids()},
    {"min_tokens", kInBoth, kWorks, shape::integer(0, kIntMax, "0")},
    {"ignore_eos", kInBoth, kWorks, shape::flag()},
    {"stop_token_ids", kInBoth, kWorks, shape::token_ids(kEngine.stop_token_ids_max)},
    {"include_stop_str_in_output", kInBoth, kWorks, shape::flag()},
    {"no_stop_trim", kInBoth, kWorks, shape::flag()},
    {"logprobs", kInChat, kWorks, shape::flag()},
    {"logprobs", kInCompletions, kWorks, shape::integer(0, kTop)},
    {"logprob_token_ids", kInBoth, kWorks, shape::token_ids(engine::kLogprobTokenIdsMax)},
    {"prompt_logprobs", kInBoth, kWorks, shape::integer(0, kTop)},
    {"thinking_token_budget", kInBoth, kWorks, shape::integer(0, kIntMax)},
    {"priority", kInOpenAi, kWorks, shape::integer(kIntMin, kIntMax, "0")},
    {"cache_salt", kInOpenAi, kWorks, shape::name(kIdBytesMax)},
    {"timeout", kInOpenAi, kWorks, shape::number_above(0, kTimeoutSecondsMax)},
    {"t_max_predict_ms", kInBoth, kWorks, shape::integer(-1, kPredictMsMax, "-1")},
    {"skip_special_tokens", kInBoth, kWorks, shape::flag("true")},
    {"spaces_between_special_tokens", kInBoth, kWorks, shape::flag("true")},
    {"speculative_tokens", kInBoth, kWorks, shape::integer(0, kEngine.speculative_tokens_max)},
    {"return_token_ids", kInBoth, kWorks, shape::flag()},
    {"return_tokens_as_token_ids", kInBoth, kWorks, shape::flag()},
    {"use_beam_search", kInBoth, kWorks, shape::flag()},
    {"length_penalty", kInBoth, kWorks, shape::number(-10, 10, "1")},
    {"early_stopping", kInBoth, kWorks},
    {"top_logprobs", kInChat | kInResponses, kWorks, shape::integer(0, kTop, "0")},
    {"echo", kInCompletions, kWorks, shape::flag()},
    // OpenAI
    {"echo", kInChat, "[false]"},
    {"suffix", kInCompletions, kWorks, shape::text()},
    {"response_format", kInBoth, kWorks},
    {"tools", kInChat, kWorks},
    {"tool_choice", kInChat, kWorks},
    {"parallel_tool_calls", kInChat | kInResponses, kWorks, shape::flag("true")},
    {"functions", kInChat, kWorks},
    {"function_call", kInChat, kWorks},
    {"reasoning_effort", kInChat, kWorks, shape::word(kEffortWords)},
    {"verbosity", kInChat, R"(["medium"])"},
    {"prediction", kInChat, kWorks},
    {"modalities", kInChat, R"([["text"]])"},
    {"audio", kInChat, kNullOnly},
    {"web_search_options", kInChat, kNullOnly},
    {"service_tier", kInChat | kInResponses, R"(["auto","default"])"},
    {"store", kInChat, "[false]"},
    {"metadata", kInOpenAi, kWorks},
    {"moderation", kInChat | kInResponses, kNullOnly},
    {"safety_identifier", kInOpenAi, kWorks, shape::name(kIdBytesMax)},
    {"prompt_cache_key", kInOpenAi, kWorks, shape::name(kIdBytesMax)},
    {"prompt_cache_retention", kInChat | kInResponses, kWorks,
     shape::word(kRetentionWords, R"("in_memory")")},
    {"prompt_cache_options", kInChat | kInResponses, kNullOnly},
    // Extensions
    {"add_generation_prompt", kInChat, kWorks, shape::flag("true")},
    {"add_special_tokens", kInChat, kWorks, shape::flag()},
    {"add_special_tokens", kInCompletions, kWorks, shape::flag("true")},
    {"cache_prompt", kInBoth, kNullOnly},
    {"chat_template", kInChat, kWorks, shape::text()},
    {"continue_final_message", kInChat, kWorks, shape::flag()},
    {"documents", kInChat, kWorks},
    {"grammar", kInBoth, kWorks, shape::text()},
    {"guided_choice", kInBoth, kWorks},
    {"guided_decoding_backend", kInBoth, kWorks, shape::text()},
    {"guided_grammar", kInBoth, kWorks, shape::text()},
    {"guided_json", kInBoth, kWorks},
    {"regex", kInBoth, kWorks, shape::text()},
    {"ebnf", kInBoth, kWorks, shape::text()},
    {"guided_regex", kInBoth, kWorks, shape::text()},
    {"guided_whitespace_pattern", kInBoth, kWorks, shape::name(kGrammar.whitespace_bytes_max)},
    {"include_reasoning", kInChat, kWorks, shape::flag("true")},
    {"json_schema", kInBoth, kWorks},
    {"kv_transfer_params", kInBoth, kNullOnly},
    {"logits_processors", kInBoth, "[[]]"},
    {"mirostat", kInBoth, "[0]"},
    {"mm_processor_kwargs", kInChat, "[{}]"},
    {"repetition_detection", kInBoth, kNullOnly},
    {"request_id", kInBoth, kNullOnly},
    {"return_hidden_states", kInBoth, "[false]"},  // SGLang's router says so in every request
    {"return_progress", kInBoth, "[false]"},
    {"return_tokens", kInBoth, "[false]"},
    {"separate_reasoning", kInChat, kWorks, shape::flag("true")},
    {"stream_reasoning", kInChat, kWorks, shape::flag("true")},
    {"structural_tag", kInBoth, kWorks},
    {"structured_outputs", kInBoth, kWorks},
    {"timings_per_token", kInBoth, "[false]"},
    {"truncate_prompt_tokens", kInBoth, kWorks, shape::integer(-1, kIntMax)},
    {"truncation_side", kInBoth, kWorks, shape::word("left|right", R"("left")")},
    {"vllm_xargs", kInBoth, kNullOnly},
    // Responses
    {"input", kInResponses, kWorks},
    {"instructions", kInResponses, kWorks, shape::text()},
    {"max_output_tokens", kInResponses, kWorks, shape::integer(1, kIntMax)},
    {"stream_options", kInResponses, kWorks},
    {"tools", kInResponses, kWorks},
    {"tool_choice", kInResponses, kWorks},
    {"text", kInResponses, kWorks},
    {"reasoning", kInResponses, kWorks},
    {"previous_response_id", kInResponses, kWorks, shape::name(kIdBytesMax)},
    {"conversation", kInResponses, kWorks},
    {"store", kInResponses, kWorks, shape::flag("true")},
    {"background", kInResponses, kWorks, shape::flag()},
    {"include", kInResponses, kWorks},
    {"context_management", kInResponses, kNullOnly},
    {"max_tool_calls", kInResponses, kNullOnly},
    {"prompt", kInResponses, kNullOnly},
    {"truncation", kInResponses, R"(["disabled"])"},
    // Anthropic
    {"messages", kInMessages, kWorks},
    {"max_tokens", kInMessages, kWorks, shape::integer(1, kIntMax)},
    {"system", kInMessages, kWorks},
    {"top_k", kInMessages, kWorks, shape::integer(0, kIntMax)},
    {"stop_sequences", kInMessages, kWorks,
     shape::texts(kStopSequencesMax, kJson.stop_string_bytes_max)},
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

// Called while compiling, these are errors.
void several_rows_so_name_the_endpoint();
void no_such_row();

// The row of a field; what is not a constant expression does not compile: a name that no row of
// this kind has, or several rows of different shape and no endpoint that tells them apart.
consteval const Field& row_of(std::string_view name, FieldKind kind, std::uint8_t endpoints) {
  // By index: where null pointers are sanitized, comparing one with nullptr is no constant for
  // g++ 12.
  std::size_t found = kFields.size();
  for (std::size_t i = 0; i < kFields.size(); ++i) {
    const Field& field = kFields[i];
    if (field.name != name || field.shape.kind != kind || !field.works()) continue;
    if ((field.endpoints & endpoints) == 0) continue;
    if (found != kFields.size()) several_rows_so_name_the_endpoint();
    found = i;
  }
  if (found == kFields.size()) no_such_row();
  return kFields[found];
}

template <FieldKind kKind>
struct Row {
  // NOLINTNEXTLINE(google-explicit-constructor): a literal is meant to become the row it names.
  consteval Row(const char* path, std::uint8_t endpoints = kInAll)
      : field(row_of(path, kKind, endpoints)), name(without_path(field.name)) {}

  // "include_usage" of "stream_options.include_usage": what an object's reader calls it.
  static consteval std::string_view without_path(std::string_view path) {
    return path.substr(path.find('.') == std::string_view::npos ? 0 : path.find('.') + 1);
  }

  const Field& field;
  std::string_view name;
};

}  // namespace table

// Members of `body` by their rows; absent where they are not there.
inline ApiResult<bool> read_flag(const ObjectReader& body, table::Row<FieldKind::kFlag> row) {
  return body.boolean(row.name, row.field.shape.otherwise == "true");
}
inline ApiResult<std::optional<std::int64_t>> read_integer(const ObjectReader& body,
                                                           table::Row<FieldKind::kInteger> row) {
  const FieldShape& shape = row.field.shape;
  return body.integer(row.name, static_cast<std::int64_t>(shape.low),
                      static_cast<std::int64_t>(shape.high));
}
inline ApiResult<std::optional<double>> read_number(const ObjectReader& body,
                                                    table::Row<FieldKind::kNumber> row) {
  const FieldShape& shape = row.field.shape;
  return body.number(row.name, {.low = shape.low, .high = shape.high, .low_open = shape.low_open});
}
inline ApiResult<std::optional<std::string>> read_name(const ObjectReader& body,
                                                       table::Row<FieldKind::kName> row) {
  return body.name(row.name, row.field.shape.bytes_max);
}
inline ApiResult<std::optional<std::string_view>> read_word(const ObjectReader& body,
                                                            table::Row<FieldKind::kWord> row) {
  return body.word(row.name, row.field.shape.words);
}
inline ApiResult<std::optional<std::vector<std::string>>> read_texts(
    const ObjectReader& body, table::Row<FieldKind::kTexts> row) {
  const FieldShape& shape = row.field.shape;
  return body.texts(row.name, {.count = shape.count_max, .bytes = shape.bytes_max});
}
// Ids below `vocabulary`.
inline ApiResult<std::optional<std::vector<std::int32_t>>> read_ids(
    const ObjectReader& body, table::Row<FieldKind::kTokenIds> row, int vocabulary) {
  const std::size_t most = row.field.shape.count_max;
  return body.token_ids(row.name, vocabulary,
                        most == 0 ? static_cast<std::size_t>(vocabulary) : most);
}

}  // namespace vsurge::api
