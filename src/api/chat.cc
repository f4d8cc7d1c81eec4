#include "api/chat.h"

#include <algorithm>
#include <ctime>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "api/completion_form.h"
#include "api/formats/call_grammar.h"
#include "api/formats/detect.h"
#include "api/json.h"
#include "api/schema_end.h"
#include "api/tool_prompt.h"
#include "text/infill.h"

namespace vsurge::api {
namespace {

using base::ErrorCode;

bool mentions(std::string_view source, std::string_view name) {
  return source.find(name) != std::string_view::npos;
}

// Tokens of reasoning, for models that have no other measure of effort.
std::optional<int> budget_of(ReasoningEffort effort) {
  switch (effort) {
    case ReasoningEffort::kNone:
      return 0;
    case ReasoningEffort::kMinimal:
      return 256;
    case ReasoningEffort::kLow:
      return 1024;
    case ReasoningEffort::kMedium:
      return 4096;
    case ReasoningEffort::kHigh:
      return 16'384;
    case ReasoningEffort::kMax:
      break;
  }
  return std::nullopt;
}

// By the template's own variable; else on or off; else by a budget of tokens.
ApiResult<void> apply_effort(const ServiceCore& core, std::string_view source,
                             ChatRequest& request) {
  const ReasoningFields& reasoning = request.reasoning;
  if (!reasoning.effort) return {};
  if (mentions(source, "reasoning_effort")) {
    request.template_kwargs.emplace("reasoning_effort", reasoning.effort_word);
  }
  const bool thinks = *reasoning.effort != ReasoningEffort::kNone;
  request.template_kwargs.emplace("enable_thinking", thinks);
  request.template_kwargs.emplace("thinking", thinks);
  if (mentions(source, "reasoning_effort")) return {};
  const bool known = thinking_tokens(core.assets.tokenizer).has_value();
  if (!known && thinks && !mentions(source, "enable_thinking")) {
    return unsupported(
        reasoning.effort_field,
        fmt::format("'{}' is for models that reason; this one does not.", reasoning.effort_field));
  }
  const bool switched = !thinks && mentions(source, "enable_thinking");
  auto& budget = request.generation.texts.thinking_tokens;
  if (known && !switched && !budget) budget = budget_of(*reasoning.effort);
  return {};
}

// The request's own template, the model's for tools, or the model's.
ApiResult<text::ChatTemplate> choose_template(const ServiceCore& core, const ChatRequest& request,
                                              const std::string& param) {
  if (!request.chat_template.empty()) {
    auto own = text::ChatTemplate::compile(request.chat_template);
    if (!own) return with_param(own.error(), "chat_template");
    return std::move(*own);
  }
  const auto named = core.assets.named_templates.find("tool_use");
  if (!request.tools.json.empty() && named != core.assets.named_templates.end()) {
    return named->second;
  }
  if (core.assets.chat_template) return *core.assets.chat_template;
  return with_param(
      {ErrorCode::kTemplateError, "This model has no chat template; use /v1/completions.", ""},
      param);
}

// Ends the prompt right behind the last message's text, as transformers does.
ApiResult<void> cut_behind(std::string_view last, std::string& prompt) {
  while (!last.empty() && (last.back() == ' ' || last.back() == '\n')) last.remove_suffix(1);
  const std::size_t at = prompt.rfind(last);
  if (at == std::string::npos) {
    return bad_value("continue_final_message",
                     "The chat template changes the last message, so that it cannot be continued.");
  }
  prompt.resize(at + last.size());
  return {};
}

// How the answer is taken apart; nothing where it is not.
std::optional<ReaderOptions> reader_options(const PrepareCall& call, const ChatRequest& request,
                                            std::string_view prompt) {
  const ModelOptions& options = call.core.options;
  ReaderOptions out;
  if (request.tools.any()) {
    out.tools = options.tool_format;
    out.schemas = request.tools.specs;
    out.parallel = request.tools.parallel;
    out.new_id = [&core = call.core, prefix = request.tools.id_prefix] {
      return core.new_id(prefix);
    };
  }
  if (request.reasoning.separate) out.reasoning = options.reasoning_format;
  if (out.reasoning != nullptr) out.reasoning_open = prompt_opens_reasoning(*out.reasoning, prompt);
  if (out.tools == nullptr && out.reasoning == nullptr) return std::nullopt;
  return out;
}

// Where the constraint begins: behind the reasoning, if the model does that.
ReasoningGate gate_of(const ReasoningStart& start, const text::Tokenizer& tokenizer) {
  ReasoningGate gate;
  const auto token = [&](const TextList& texts) {
    return texts.begin() == texts.end() ? engine::TokenId{-1}
                                        : tokenizer.id_of(*texts.begin()).value_or(-1);
  };
  gate.end = token(start.format.closes);
  if (gate.end < 0) return {};
  gate.begin = token(start.format.opens);
  gate.open = start.open;
  return gate;
}

ApiResult<std::shared_ptr<const text::Grammar>> compile_calls(
    const ServiceCore& core, const ChatRequest& request, const PreparedRequest& prepared,
    const std::optional<ReasoningStart>& reasoning) {
  const ToolFields& tools = request.tools;
  const auto& structured = request.structured;
  const std::string& param =
      tools.choice == ToolChoice::kAuto ? std::string("tools") : tools.choice_field;
  // As with other constraints, the answer ends where its calls do.
  const engine::SamplingParams& sampling = request.generation.sampling;
  const char* contrary = sampling.ignore_eos       ? "ignore_eos"
                         : sampling.min_tokens > 0 ? "min_tokens"
                         : sampling.beam.width > 0 ? "use_beam_search"
                                                   : nullptr;
  if (contrary != nullptr) {
    return bad_value(contrary, fmt::format("'{}' does not go with '{}'.", contrary, param));
  }
  if (!prepared.reader || prepared.reader->tools == nullptr || core.grammars == nullptr) {
    return unsupported(param, fmt::format("'{}' cannot be enforced with this model.", param));
  }
  for (std::size_t i = 0; i < tools.specs->size(); ++i) {
    if (const auto part = endless_part((*tools.specs)[i].parameters)) {
      return endless_schema(fmt::format("tools[{}]", i), *part);
    }
  }
  CallGrammarRequest wanted{.format = *prepared.reader->tools,
                            .tools = *tools.specs,
                            .required = tools.choice == ToolChoice::kRequired,
                            .parallel = tools.parallel};
  if (structured && !wanted.required) {
    if (structured->source.kind != text::GrammarSource::Kind::kJsonSchema &&
        structured->source.kind != text::GrammarSource::Kind::kJsonObject) {
      return unsupported(structured->param, "Beside 'tools' an answer can be JSON alone.");
    }
    wanted.answer_schema = structured->source.kind == text::GrammarSource::Kind::kJsonObject
                               ? R"({"type":"object"})"
                               : structured->source.text;
  }
  auto source = call_grammar(wanted, core.assets.tokenizer, core.grammars->factory());
  if (!source) return with_param(source.error(), "tools");
  return compile_grammar(core, *source, "tools", reasoning);
}

// Calls that must come, or fit a schema; else what the request says of its answer. Both hold from
// the end of reasoning on: by a gate where that is one token, else within the grammar.
ApiResult<void> constrain(const ServiceCore& core, const ChatRequest& request,
                          std::string_view prompt, PreparedRequest& out) {
  const ToolFields& tools = request.tools;
  const auto& structured = request.structured;
  const bool calls = tools.constrained() || (tools.any() && structured);
  if (!calls && !structured) return {};
  std::optional<ReasoningStart> in_grammar;
  if (const ReasoningFormat* format = core.options.reasoning_format) {
    const ReasoningStart start{
        .format = *format, .open = prompt_opens_reasoning(*format, prompt), .calls = calls};
    if (marks_are_tokens(start, core.assets.tokenizer)) {
      out.gate = gate_of(start, core.assets.tokenizer);
    } else {
      in_grammar.emplace(start);
    }
  }
  out.grammar = VSURGE_TRY(calls ? compile_calls(core, request, out, in_grammar)
                                 : compile_structured(core, *structured, in_grammar));
  return {};
}

// More of it than an answer can have is of no use.
ApiResult<void> encode_prediction(const ServiceCore& core, std::string_view text,
                                  GenerationFields& out) {
  const auto most = static_cast<std::size_t>(core.options.context_max);
  // A token has a byte or more, nearly always fewer than 16.
  text = text.substr(0, std::min(text.size(), 16 * most));
  while (!text.empty() && find_invalid_utf8(text) != std::string_view::npos) text.remove_suffix(1);
  auto ids = text::encode_continuation(core.assets.tokenizer, text, text::kAnyTokens);
  if (!ids) return with_param(ids.error(), "prediction");
  if (ids->size() > most) ids->resize(most);
  out.prediction = std::move(*ids);
  return {};
}

ApiResult<PreparedRequest> prepare_chat(const PrepareCall& call) {
  const boost::json::value body = VSURGE_TRY(parse_json(call.body, call.core.hub.options.json));
  std::vector<std::string> ignored;
  ChatRequest request = VSURGE_TRY(read_chat_request(body, request_context(call.core, ignored)));
  PreparedRequest out = VSURGE_TRY(prepare_chat_request(call, std::move(request), "messages"));
  out.form = std::make_unique<CompletionForm>(call.core, Endpoint::kChat);
  out.ignored = std::move(ignored);
  return out;
}

}  // namespace

const GenerationEndpoint kChatEndpoint = {"chat", "messages", prepare_chat, error_json};

std::int64_t local_seconds() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  if (localtime_r(&now, &local) == nullptr) return now;
  return now + local.tm_gmtoff;
}

ApiResult<std::string> render_chat(const ServiceCore& core, ChatRequest& request,
                                   const std::string& param) {
  const text::ChatTemplate chat_template = VSURGE_TRY(choose_template(core, request, param));
  const std::string_view source = chat_template.source();
  if (!template_takes_tools(source)) {
    tell_tools_in_words(request);
  } else {
    fit_calls(chat_template, request);
  }
  if (!request.documents_json.empty() && !mentions(source, "documents")) {
    return unsupported("documents", "This model's chat template takes no 'documents'.");
  }
  VSURGE_TRY(apply_effort(core, source, request));
  const std::string context = template_context(request, core.assets.special_tokens);
  auto prompt = chat_template.render(context, local_seconds());
  if (!prompt) return with_param(prompt.error(), param);
  if (request.continued) VSURGE_TRY(cut_behind(*request.continued, *prompt));
  return std::move(*prompt);
}

ApiResult<PreparedRequest> prepare_chat_request(const PrepareCall& call, ChatRequest request,
                                                const std::string& param) {
  const ServiceCore& core = call.core;
  VSURGE_TRY(check_model(core, request.generation.model));
  const std::string prompt = VSURGE_TRY(render_chat(core, request, param));
  if (call.given_up()) return client_gone();
  // The template writes all special tokens itself, unless the client says otherwise.
  std::vector<engine::TokenId> ids = VSURGE_TRY(
      encode_prompt(core, request.generation, {prompt, request.add_special_tokens}, param));
  if (ids.empty()) {
    return bad_value(param, "The chat template makes an empty prompt of these messages.");
  }
  VSURGE_TRY(check_length(core, request.generation, ids.size(), param));
  // The checkpoint's own limit, where the request has none.
  auto& most = request.generation.sampling.max_tokens;
  const auto& by_default = core.options.sampling.max_tokens;
  if (!most && by_default) {
    most = std::min(*by_default, core.options.context_max - static_cast<int>(ids.size()));
  }
  PreparedRequest out;
  out.reader = reader_options(call, request, prompt);
  VSURGE_TRY(constrain(core, request, prompt, out));
  out.generation = std::move(request.generation);
  out.generation.tell_reasoning = request.reasoning.include;
  out.generation.stream_reasoning = request.reasoning.stream;
  out.generation.legacy_functions = request.tools.legacy;
  VSURGE_TRY(resolve_sampling(core, out.generation));
  out.prompts.push_back(
      VSURGE_TRY(prepare_prompt(core, out.generation, std::move(ids), std::nullopt)));
  if (!request.prediction.empty()) {
    VSURGE_TRY(encode_prediction(core, request.prediction, out.generation));
  }
  return out;
}

}  // namespace vsurge::api
