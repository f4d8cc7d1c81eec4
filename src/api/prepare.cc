#include "api/prepare.h"

#include <algorithm>
#include <ctime>
#include <optional>
#include <utility>

#include "api/chat_request.h"
#include "api/completion_request.h"
#include "api/json.h"

namespace vsurge::api {
namespace {

using base::ErrorCode;

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

// Seconds since 1970 as a local clock on the wall counts them.
std::int64_t local_seconds() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  if (localtime_r(&now, &local) == nullptr) return now;
  return now + local.tm_gmtoff;
}

int prompt_limit(const ServiceCore& core) {
  const int most = core.options.prompt_max;
  return most > 0 ? std::min(most, core.options.context_max) : core.options.context_max;
}

// A text far beyond the limit is not tokenised to its end; one that is a little too long is, so
// that check_length can tell by how much.
ApiResult<std::vector<engine::TokenId>> encode(const ServiceCore& core, std::string_view text,
                                               bool add_special, const std::string& param) {
  const int limit = prompt_limit(core);
  const std::size_t most = 2 * static_cast<std::size_t>(limit);
  auto ids = core.assets.tokenizer.encode(text, add_special, most);
  if (ids) return std::move(*ids);
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

RequestContext request_context(const ServiceCore& core) {
  return {.sampling = core.options.sampling,
          .json = core.options.json,
          .vocabulary = core.options.vocabulary,
          .speculative_tokens_max = core.options.speculative_tokens_max};
}

template <class T>
ApiResult<T> as_api(base::Result<T> result) {
  if (!result) return std::unexpected(from_base(result.error()));
  return std::move(*result);
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

ApiResult<PreparedRequest> prepare_chat(const ServiceCore& core, const boost::json::value& body,
                                        const std::atomic<bool>& gone) {
  ChatRequest request = VSURGE_TRY(read_chat_request(body, request_context(core)));
  VSURGE_TRY(check_model(core, request.generation.model));
  if (!core.assets.chat_template) {
    return with_param(
        {ErrorCode::kTemplateError, "This model has no chat template; use /v1/completions.", ""},
        "messages");
  }
  const std::string context = template_context(request, core.assets.special_tokens);
  auto prompt = core.assets.chat_template->render(context, local_seconds());
  if (!prompt) return with_param(prompt.error(), "messages");
  if (gone.load(std::memory_order_relaxed)) return client_gone();
  // The template writes all special tokens itself.
  std::vector<engine::TokenId> ids = VSURGE_TRY(encode(core, *prompt, false, "messages"));
  if (ids.empty()) {
    return bad_value("messages", "The chat template makes an empty prompt of these messages.");
  }
  VSURGE_TRY(check_length(core, request.generation, ids.size(), "messages"));
  PreparedRequest out{std::move(request.generation), {}};
  VSURGE_TRY(resolve_sampling(core, out.generation));
  out.prompts.push_back(
      VSURGE_TRY(prepare_prompt(core, out.generation, std::move(ids), std::nullopt)));
  return out;
}

ApiResult<PreparedRequest> prepare_completion(const ServiceCore& core,
                                              const boost::json::value& body,
                                              const std::atomic<bool>& gone) {
  CompletionRequest request = VSURGE_TRY(read_completion_request(body, request_context(core)));
  VSURGE_TRY(check_model(core, request.generation.model));
  PreparedRequest out{std::move(request.generation), {}};
  VSURGE_TRY(resolve_sampling(core, out.generation));
  std::size_t longest = 0;
  for (std::size_t i = 0; i < request.prompts.size(); ++i) {
    if (gone.load(std::memory_order_relaxed)) return client_gone();
    Prompt& prompt = request.prompts[i];
    const auto* text = std::get_if<std::string>(&prompt);
    std::vector<engine::TokenId> ids;
    if (text != nullptr) {
      ids = VSURGE_TRY(encode(core, *text, true, request.paths[i]));
    } else {
      ids = std::move(std::get<std::vector<engine::TokenId>>(prompt));
    }
    const std::size_t tokens = ids.size();
    if (tokens == 0) {
      return bad_value(request.paths[i],
                       fmt::format("'{}' has no tokens, and this model's tokenizer adds none.",
                                   request.paths[i]));
    }
    VSURGE_TRY(check_length(core, out.generation, tokens, request.paths[i]));
    longest = std::max(longest, tokens);
    const auto written = text != nullptr ? std::optional<std::string_view>(*text) : std::nullopt;
    out.prompts.push_back(
        VSURGE_TRY(prepare_prompt(core, out.generation, std::move(ids), written)));
  }
  if (!out.generation.sampling.max_tokens) {
    out.generation.sampling.max_tokens =
        std::min(kCompletionTokensDefault, core.options.context_max - static_cast<int>(longest));
  }
  return out;
}

}  // namespace

ApiResult<PreparedRequest> prepare_request(const ServiceCore& core, Endpoint endpoint,
                                           std::string_view body, const std::atomic<bool>& gone) {
  if (gone.load(std::memory_order_relaxed)) return client_gone();
  const boost::json::value json = VSURGE_TRY(parse_json(body, core.options.json));
  return endpoint == Endpoint::kChat ? prepare_chat(core, json, gone)
                                     : prepare_completion(core, json, gone);
}

}  // namespace vsurge::api
