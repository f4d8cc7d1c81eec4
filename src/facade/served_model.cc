#include "facade/served_model.h"

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "api/formats/detect.h"
#include "base/escape.h"
#include "base/log.h"
#include "facade/auto_model_state.h"
#include "facade/auto_tokenizer_state.h"
#include "vsurge/version.h"

namespace vsurge::facade {
namespace {

using base::ErrorCode;
using base::fail;

// FNV-1a, 64 bits (http://www.isthe.com/chongo/tech/comp/fnv).
std::string fingerprint_of(const vSurge::State& surge) {
  const auto info = surge.model.info();
  const auto& plan = surge.model.state()->plan;
  const std::string facts =
      fmt::format("{}|{}|{}|{}|{}|{}|{}", kVersion, info.family, info.parameters,
                  info.weight_format, info.weight_bytes, info.isa, static_cast<int>(plan.kv_dtype));
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char c : facts) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return fmt::format("fp_{:012x}", hash >> 16);
}

// Of the name itself, or of the one token that a text is.
std::optional<std::int32_t> token_by_name(const text::Tokenizer& tokenizer,
                                          const std::string& name) {
  if (const auto id = tokenizer.id_of(name)) return id;
  const auto ids = tokenizer.encode(name, false, 2);
  if (ids && ids->size() == 1) return ids->front();
  return std::nullopt;
}

void resolve_tokens(const model::ModelInfo& info, const text::Tokenizer& tokenizer,
                    api::PooledOptions& out) {
  const model::PoolingSpec& from = info.pooling;
  out.true_token = from.true_token;
  out.false_token = from.false_token;
  if (!from.token_names.empty()) {
    const auto no = token_by_name(tokenizer, from.token_names[0]);
    const auto yes = token_by_name(tokenizer, from.token_names[1]);
    out.true_token = yes.value_or(-1);
    out.false_token = no.value_or(-1);
    if (!no) out.true_token = -1;
  }
  if (out.true_token >= 0 && out.true_token < info.vocabulary &&
      out.false_token < info.vocabulary) {
    return;
  }
  out.kind = api::PooledKind::kNone;
  out.refused = "the tokens that it answers with are not in the vocabulary";
}

api::PooledOptions pooled_options(const model::ModelInfo& info, const text::Tokenizer& tokenizer) {
  const model::PoolingSpec& from = info.pooling;
  api::PooledOptions out;
  out.hidden = info.hidden;
  out.labels = from.labels;
  out.score = info.score;
  out.normalize = from.normalize;
  out.refused = from.refused;
  switch (from.tokens) {
    case model::PooledTokens::kLast:
      out.states = engine::PooledStates::kLast;
      break;
    case model::PooledTokens::kMean:
      out.states = engine::PooledStates::kMean;
      break;
    case model::PooledTokens::kFirst:
      out.states = engine::PooledStates::kFirst;
      break;
  }
  switch (from.use) {
    case model::PooledUse::kNone:
      break;
    case model::PooledUse::kEmbedding:
      out.kind = api::PooledKind::kEmbedding;
      break;
    case model::PooledUse::kClassifier:
      out.kind = api::PooledKind::kClassifier;
      break;
    case model::PooledUse::kTokenLogits:
      out.kind = api::PooledKind::kTokenLogits;
      resolve_tokens(info, tokenizer, out);
      break;
  }
  return out;
}

constexpr std::string_view kAuto = "auto";

// By name, or as the template and the vocabulary say; a model of no known format gets hermes.
void choose_formats(const text::TextAssets& assets, const ApiServerOptions& options,
                    api::ModelOptions& out) {
  const std::string_view source =
      assets.chat_template ? assets.chat_template->source() : std::string_view();
  const api::DetectedFormats found = api::detect_formats(source, assets.tokenizer);
  if (options.enable_function_calling) {
    out.tool_format = options.tool_parser_name == kAuto
                          ? found.tools
                          : api::find_tool_format(options.tool_parser_name);
    if (out.tool_format == nullptr) out.tool_format = api::find_tool_format("hermes");
  }
  out.reasoning_format = options.reasoning_parser_name == kAuto
                             ? found.reasoning
                             : api::find_reasoning_format(options.reasoning_parser_name);
  base::log_info("model {}: tool calls as {}, reasoning as {}",
                 base::shorten(base::escape_for_line(out.model_names.front()), 80),
                 out.tool_format == nullptr ? "off" : out.tool_format->name,
                 out.reasoning_format == nullptr ? "none" : out.reasoning_format->name);
}

template <class Format>
std::string names_of(std::span<const Format* const> formats) {
  std::string out = "auto";
  for (const Format* format : formats) out.append(", ").append(format->name);
  return out;
}

}  // namespace

base::Status check_formats(const ApiServerOptions& options) {
  const std::string& tools = options.tool_parser_name;
  if (tools != kAuto && api::find_tool_format(tools) == nullptr) {
    return fail(ErrorCode::kUsage, "tool_parser_name: expected one of {}; found '{}'",
                names_of(api::tool_formats()), base::shorten(base::escape_for_line(tools), 80));
  }
  const std::string& reasoning = options.reasoning_parser_name;
  if (reasoning != kAuto && api::find_reasoning_format(reasoning) == nullptr) {
    return fail(ErrorCode::kUsage, "reasoning_parser_name: expected one of {}; found '{}'",
                names_of(api::reasoning_formats()),
                base::shorten(base::escape_for_line(reasoning), 80));
  }
  return {};
}

api::ServedModel served_model(vSurge::State& surge, std::vector<std::string> names,
                              const ApiServerOptions& options) {
  const model::ModelInfo& info = surge.model.state()->model->info();
  const text::TextAssets& assets = surge.processor.state().assets;
  api::ModelOptions result;
  result.model_names = std::move(names);
  result.family = info.family;
  result.fingerprint = fingerprint_of(surge);
  result.context_max = surge.context_max;
  result.prompt_max = surge.prompt_max;
  result.vocabulary = info.vocabulary;
  result.end_tokens = surge.engine_options.eos_tokens;
  result.pooled = pooled_options(info, assets.tokenizer);
  // What the checkpoint's authors recommend, where a request says nothing.
  if (info.temperature) result.sampling.temperature = std::clamp(*info.temperature, 0.0F, 2.0F);
  if (info.top_p) result.sampling.top_p = *info.top_p;
  if (info.top_k) result.sampling.top_k = *info.top_k;
  if (info.min_p) result.sampling.min_p = *info.min_p;
  if (info.repetition_penalty) result.sampling.repetition_penalty = *info.repetition_penalty;
  result.sampling.max_tokens = info.max_new_tokens;
  result.speculative_tokens_max = surge.options.speculative_tokens;
  choose_formats(assets, options, result);
  return {std::move(result), assets, *surge.engine, surge.router};
}

}  // namespace vsurge::facade
