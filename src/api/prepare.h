// From the bytes of a request to token ids: all that needs no engine. Runs on a text worker.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "api/answer.h"
#include "api/formats/output_reader.h"
#include "api/generation.h"
#include "api/output_constraint.h"
#include "api/prepare_call.h"
#include "api/reasoned_grammar.h"
#include "api/service_core.h"
#include "api/structured_output.h"

namespace vsurge::api {

struct PreparedPrompt {
  std::vector<engine::TokenId> ids;
  Echo echo;                                       // where it was asked for
  std::optional<engine::ThinkingBudget> thinking;  // the same
};

struct PreparedRequest {
  GenerationFields generation;  // sampling is complete but for `thinking`
  std::vector<PreparedPrompt> prompts;
  std::unique_ptr<AnswerForm> form;
  std::optional<ReaderOptions> reader = {};  // how answers are taken apart; absent: they are not
  // What answers must be, and from where on; nullptr: they are free.
  std::shared_ptr<const text::Grammar> grammar = {};
  ReasoningGate gate = {};
  std::vector<std::string> ignored = {};  // fields that nobody knows, where that is a warning
};

// An endpoint whose answer is generated.
struct GenerationEndpoint {
  std::string_view name;          // in the log
  std::string_view prompt_field;  // what a too long prompt is the fault of
  // Parses, checks, renders the template, tokenises, and checks the context's length.
  ApiResult<PreparedRequest> (*prepare)(const PrepareCall& call);
  std::string (*error_json)(const ApiError& error);  // body of an error
};

// What the `prepare` functions share.
std::unexpected<ApiError> client_gone();
std::unexpected<ApiError> with_param(const base::Error& error, std::string param);
// For a schema that has an endless_part().
std::unexpected<ApiError> endless_schema(std::string param, std::string_view part);
ApiResult<void> check_model(const ServiceCore& core, const std::string& model);
// ignored: see RequestContext; used where the server is told to warn only.
RequestContext request_context(const ServiceCore& core, std::vector<std::string>& ignored);
// Ids of a text whose length is checked later; far too long a text is refused here, unless it is
// to be truncated.
struct PromptText {
  std::string_view text;
  bool add_special = false;  // what the tokenizer adds by itself
  bool goes_on = false;      // it stands in the middle of another text
};
ApiResult<std::vector<engine::TokenId>> encode_prompt(const ServiceCore& core,
                                                      const GenerationFields& generation,
                                                      const PromptText& prompt,
                                                      const std::string& param);
// Does what truncate_prompt_tokens says.
void truncate_prompt(const ServiceCore& core, const GenerationFields& generation,
                     std::vector<engine::TokenId>& ids);
// Of a prompt and the answer asked for.
ApiResult<void> check_length(const ServiceCore& core, const GenerationFields& generation,
                             std::size_t prompt_tokens, const std::string& param);
// What the fields say in words becomes tokens.
ApiResult<void> resolve_sampling(const ServiceCore& core, GenerationFields& generation);
ApiResult<PreparedPrompt> prepare_prompt(const ServiceCore& core,
                                         const GenerationFields& generation,
                                         std::vector<engine::TokenId> ids,
                                         std::optional<std::string_view> text);

// Compiled, or found among those that are. reasoning: given where it is a part of the grammar.
ApiResult<std::shared_ptr<const text::Grammar>> compile_grammar(
    const ServiceCore& core, const text::GrammarSource& source, std::string_view param,
    const std::optional<ReasoningStart>& reasoning = std::nullopt);
// The same of what a request says.
ApiResult<std::shared_ptr<const text::Grammar>> compile_structured(
    const ServiceCore& core, const StructuredOutput& wanted,
    const std::optional<ReasoningStart>& reasoning = std::nullopt);

template <class T>
ApiResult<T> as_api(base::Result<T> result) {
  if (!result) return std::unexpected(from_base(result.error()));
  return std::move(*result);
}

}  // namespace vsurge::api
