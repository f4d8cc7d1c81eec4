#include "api/completions.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "api/completion_form.h"
#include "api/completion_request.h"
#include "api/json.h"

namespace vsurge::api {
namespace {

ApiResult<PreparedRequest> prepare_completion(const PrepareCall& call) {
  ServiceCore& core = call.core;
  const boost::json::value body = VSURGE_TRY(parse_json(call.body, core.options.json));
  PreparedRequest out;
  CompletionRequest request =
      VSURGE_TRY(read_completion_request(body, request_context(core, out.ignored)));
  VSURGE_TRY(check_model(core, request.generation.model));
  out.generation = std::move(request.generation);
  VSURGE_TRY(resolve_sampling(core, out.generation));
  std::size_t longest = 0;
  for (std::size_t i = 0; i < request.prompts.size(); ++i) {
    if (call.given_up()) return client_gone();
    Prompt& prompt = request.prompts[i];
    const auto* text = std::get_if<std::string>(&prompt);
    std::vector<engine::TokenId> ids;
    if (text != nullptr) {
      ids = VSURGE_TRY(encode_prompt(core, out.generation, {*text, request.add_special_tokens},
                                     request.paths[i]));
    } else {
      ids = std::move(std::get<std::vector<engine::TokenId>>(prompt));
      truncate_prompt(core, out.generation, ids);
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
  if (request.structured) {
    out.grammar =
        VSURGE_TRY(compile_grammar(core, request.structured->source, request.structured->param));
  }
  if (!out.generation.sampling.max_tokens) {
    out.generation.sampling.max_tokens =
        std::min(kCompletionTokensDefault, core.options.context_max - static_cast<int>(longest));
  }
  out.form = std::make_unique<CompletionForm>(core, Endpoint::kCompletions);
  return out;
}

}  // namespace

const GenerationEndpoint kCompletionsEndpoint = {"completion", "prompt", prepare_completion,
                                                 error_json};

}  // namespace vsurge::api
