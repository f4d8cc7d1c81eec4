#include "api/prepare.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <utility>

#include "api/schema_end.h"
#include "text/infill.h"

namespace vsurge::api {

using base::ErrorCode;

namespace {

int prompt_limit(const ServiceCore& core) {
  const int most = core.options.prompt_max;
  return most > 0 ? std::min(most, core.options.context_max) : core.options.context_max;
}

// Only what refers to itself can be endless.
ApiResult<void> check_end(const text::GrammarSource& source, std::string_view param) {
  if (source.kind != text::GrammarSource::Kind::kJsonSchema || !source.text.contains("$ref")) {
    return {};
  }
  boost::system::error_code error;
  const boost::json::value schema = boost::json::parse(source.text, error);
  if (error) return {};  // the compiler's to tell
  const auto part = endless_part(schema);
  if (!part) return {};
  return endless_schema(std::string(param), *part);
}

}  // namespace

std::unexpected<ApiError> endless_schema(std::string param, std::string_view part) {
  return bad_value(std::move(param),
                   fmt::format("Every value of this schema contains {} again and again, so that no "
                               "answer could end; let it be left out somewhere.",
                               in_quotes(part)));
}

std::unexpected<ApiError> client_gone() {
  return std::unexpected(from_base({ErrorCode::kCancelled, "the client has gone", ""}));
}

std::unexpected<ApiError> with_param(const base::Error& error, std::string param) {
  ApiError out = from_base(error);
  out.param = std::move(param);
  return std::unexpected(std::move(out));
}

ApiResult<void> check_model(const ServiceCore& core, const std::string& model) {
  if (core.knows_model(model)) return {};
  return with_param({ErrorCode::kModelNotFound,
                     fmt::format("The model {} does not exist; this server has '{}'.",
                                 in_quotes(model), core.options.model_names.front()),
                     ""},
                    "model");
}

// A text far beyond the limit is not tokenised to its end; one that is a little too long is, so
// that check_length can tell by how much.
ApiResult<std::vector<engine::TokenId>> encode_prompt(const ServiceCore& core,
                                                      const GenerationFields& generation,
                                                      const PromptText& prompt,
                                                      const std::string& param) {
  const int limit = prompt_limit(core);
  const bool whole = generation.prompt_tokens_kept.has_value();
  const std::size_t most = whole ? text::kAnyTokens : 2 * static_cast<std::size_t>(limit);
  const text::Tokenizer& tokenizer = core.assets.tokenizer;
  auto ids = prompt.goes_on ? text::encode_continuation(tokenizer, prompt.text, most)
                            : tokenizer.encode(prompt.text, prompt.add_special, most);
  if (ids) {
    truncate_prompt(core, generation, *ids);
    return std::move(*ids);
  }
  if (ids.error().code != ErrorCode::kContextLengthExceeded) return with_param(ids.error(), param);
  return with_param(
      {ErrorCode::kContextLengthExceeded,
       fmt::format("{} {} tokens; the prompt has more than {}.",
                   limit < core.options.context_max ? "This server takes prompts of at most"
                                                    : "This model's context is",
                   limit, most),
       ""},
      param);
}

void truncate_prompt(const ServiceCore& core, const GenerationFields& generation,
                     std::vector<engine::TokenId>& ids) {
  if (!generation.prompt_tokens_kept) return;
  std::size_t kept = static_cast<std::size_t>(std::max(*generation.prompt_tokens_kept, 0));
  if (kept == 0) {
    const int answer = generation.sampling.max_tokens.value_or(1);
    kept = static_cast<std::size_t>(
        std::max(std::min(prompt_limit(core), core.options.context_max - answer), 1));
  }
  if (ids.size() <= kept) return;
  if (generation.truncation_side == TruncationSide::kLeft) {
    ids.erase(ids.begin(), ids.end() - static_cast<std::ptrdiff_t>(kept));
  } else {
    ids.resize(kept);
  }
}

ApiResult<void> check_length(const ServiceCore& core, const GenerationFields& generation,
                             std::size_t prompt_tokens, const std::string& param) {
  const auto prompt_max = static_cast<std::size_t>(prompt_limit(core));
  if (core.options.prompt_max > 0 && prompt_tokens > prompt_max &&
      core.options.prompt_max < core.options.context_max) {
    return with_param({ErrorCode::kContextLengthExceeded,
                       fmt::format("This server takes prompts of at most {} tokens; the prompt has "
                                   "{}.",
                                   prompt_max, prompt_tokens),
                       ""},
                      param);
  }
  const auto context = static_cast<std::size_t>(core.options.context_max);
  const auto& max_tokens = generation.sampling.max_tokens;
  const std::size_t answer = max_tokens ? static_cast<std::size_t>(*max_tokens) : 1;
  if (prompt_tokens + answer <= context) return {};
  std::string message =
      max_tokens
          ? fmt::format(
                "This model's context is {} tokens; the request needs {}: {} of the "
                "prompt and {} of '{}'.",
                context, prompt_tokens + answer, prompt_tokens, answer, generation.max_tokens_field)
          : fmt::format(
                "This model's context is {} tokens; the prompt has {}, which leaves "
                "no room for an answer.",
                context, prompt_tokens);
  return with_param({ErrorCode::kContextLengthExceeded, std::move(message), ""}, param);
}

RequestContext request_context(const ServiceCore& core, std::vector<std::string>& ignored) {
  return {.sampling = core.options.sampling,
          .json = core.hub.options.json,
          .vocabulary = core.options.vocabulary,
          .speculative_tokens_max = core.options.speculative_tokens_max,
          .trust_chat_template = core.hub.options.trust_chat_template,
          .ignored = core.hub.options.warn_unknown_fields ? &ignored : nullptr};
}

// What the fields say in words becomes tokens.
ApiResult<void> resolve_sampling(const ServiceCore& core, GenerationFields& generation) {
  const auto status = resolve_texts(core.assets.tokenizer, generation.texts, generation.sampling);
  if (!status) return std::unexpected(from_base(status.error()));
  return {};
}

ApiResult<PreparedPrompt> prepare_prompt(const ServiceCore& core,
                                         const GenerationFields& generation,
                                         std::vector<engine::TokenId> ids,
                                         std::optional<std::string_view> text) {
  PreparedPrompt out;
  out.ids = std::move(ids);
  const text::Tokenizer& tokenizer = core.assets.tokenizer;
  if (generation.echo) {
    out.echo = VSURGE_TRY(as_api(make_echo(tokenizer, out.ids, text, generation.skip_special)));
  }
  if (const auto tokens = generation.texts.thinking_tokens) {
    out.thinking = VSURGE_TRY(as_api(thinking_budget(tokenizer, *tokens, out.ids)));
  }
  return out;
}

ApiResult<std::shared_ptr<const text::Grammar>> compile_grammar(
    const ServiceCore& core, const text::GrammarSource& source, std::string_view param,
    const std::optional<ReasoningStart>& reasoning) {
  VSURGE_TRY(check_end(source, param));
  if (core.grammars == nullptr) {
    return unsupported(std::string(param),
                       "Answers cannot be constrained with this model's tokenizer.");
  }
  if (!reasoning) return core.grammars->get(source, param);
  auto whole =
      behind_reasoning(source, *reasoning, core.assets.tokenizer, core.grammars->factory());
  if (!whole) return with_param(whole.error(), std::string(param));
  return core.grammars->get(*whole, param);
}

ApiResult<std::shared_ptr<const text::Grammar>> compile_structured(
    const ServiceCore& core, const StructuredOutput& wanted,
    const std::optional<ReasoningStart>& reasoning) {
  if (wanted.tag == nullptr || core.grammars == nullptr) {
    return compile_grammar(core, wanted.source, wanted.param, reasoning);
  }
  for (const StructuralTag::Tag& tag : wanted.tag->tags) {
    VSURGE_TRY(check_end(tag.content, wanted.param));
  }
  auto source =
      structural_tag_grammar(*wanted.tag, core.assets.tokenizer, core.grammars->factory());
  if (!source) return with_param(source.error(), wanted.param);
  return compile_grammar(core, *source, wanted.param, reasoning);
}

}  // namespace vsurge::api
