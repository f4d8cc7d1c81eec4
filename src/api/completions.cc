#include "api/completions.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "api/completion_form.h"
#include "api/completion_request.h"
#include "api/json.h"
#include "text/infill.h"

namespace vsurge::api {
namespace {

struct GapTexts {
  const text::InfillTokens& tokens;
  std::string_view before;
  std::string_view behind;
  bool add_special = false;
};

ApiResult<std::vector<engine::TokenId>> encode_gap(const ServiceCore& core,
                                                   const GenerationFields& generation,
                                                   const GapTexts& texts, const std::string& path) {
  std::vector<engine::TokenId> ids;
  if (texts.add_special) {
    ids = VSURGE_TRY(encode_prompt(core, generation, {"", true}, path));
    // What the tokenizer adds at the end of a text has no place before a gap.
    const bool begins = !ids.empty() && ids.front() == core.assets.bos;
    ids.resize(begins ? 1 : 0);
  }
  const auto before = VSURGE_TRY(encode_prompt(core, generation, {texts.before}, path));
  const auto behind = VSURGE_TRY(
      encode_prompt(core, generation, {.text = texts.behind, .goes_on = true}, "suffix"));
  text::append_infill(ids, texts.tokens, {before, behind});
  return ids;
}

// Ends of a gap that the engine does not know yet.
void add_infill_ends(const ServiceCore& core, const text::InfillTokens& tokens,
                     engine::SamplingParams& sampling) {
  if (sampling.ignore_eos) return;
  auto& stops = sampling.stop_token_ids;
  for (const engine::TokenId id : tokens.ends) {
    const auto has = [id](const auto& ids) { return std::ranges::find(ids, id) != ids.end(); };
    if (!has(core.options.end_tokens) && !has(stops)) stops.push_back(id);
  }
}

ApiResult<PreparedRequest> prepare_completion(const PrepareCall& call) {
  ServiceCore& core = call.core;
  const boost::json::value body = VSURGE_TRY(parse_json(call.body, core.hub.options.json));
  PreparedRequest out;
  CompletionRequest request =
      VSURGE_TRY(read_completion_request(body, request_context(core, out.ignored)));
  VSURGE_TRY(check_model(core, request.generation.model));
  out.generation = std::move(request.generation);
  VSURGE_TRY(resolve_sampling(core, out.generation));
  std::optional<text::InfillTokens> infill;
  if (!request.suffix.empty()) {
    infill = core.assets.infill;
    if (!infill) {
      return unsupported("suffix", "This model's tokenizer has no tokens for infilling.");
    }
    add_infill_ends(core, *infill, out.generation.sampling);
  }
  std::size_t longest = 0;
  for (std::size_t i = 0; i < request.prompts.size(); ++i) {
    if (call.given_up()) return client_gone();
    Prompt& prompt = request.prompts[i];
    const auto* text = std::get_if<std::string>(&prompt);
    std::vector<engine::TokenId> ids;
    if (infill) {
      const GapTexts texts = {*infill, *text, request.suffix, request.add_special_tokens};
      ids = VSURGE_TRY(encode_gap(core, out.generation, texts, request.paths[i]));
    } else if (text != nullptr) {
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
    out.grammar = VSURGE_TRY(compile_structured(core, *request.structured));
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
