// Bodies of all endpoints that generate: JSON, then every check. What comes out is a request within
// its ranges, or a 400 that is itself sound JSON.
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cmath>
#include <string_view>

#include "api/anthropic_form.h"
#include "api/anthropic_request.h"
#include "api/chat_request.h"
#include "api/completion_request.h"
#include "api/json.h"
#include "api/response_items.h"
#include "api/responses_request.h"
#include "api/tool_prompt.h"
#include "base/error.h"
#include "engine/options.h"

namespace vsurge::api {
namespace {

constexpr int kVocabulary = 1000;

void check_error(const ApiError& error) {
  CHECK(error.status == 400 && !error.code.empty() && !error.message.empty());
  CHECK(find_invalid_utf8(error.message) == std::string_view::npos);
  const auto parsed = parse_json(error_json(error), {});
  CHECK(parsed.has_value() && parsed->get_object().at("error").get_object().size() == 4);
}

void check_tokens(const std::vector<engine::TokenId>& tokens) {
  for (const engine::TokenId token : tokens) CHECK(token >= 0 && token < kVocabulary);
}

// Whatever was taken, the engine takes too, but for what depends on two fields at once.
void check_sampling(const GenerationFields& fields) {
  const engine::SamplingParams& s = fields.sampling;
  check_tokens(s.allowed_token_ids);
  check_tokens(s.suppress_tokens);
  check_tokens(s.stop_token_ids);
  engine::EngineOptions options;
  options.vocabulary = kVocabulary;
  engine::Request request;
  request.prompt = {1};
  request.sampling = s;
  request.sampling.beam = {};
  const auto status = engine::check_request(options, request);
  if (status) return;
  const base::Error& error = status.error();
  CHECK(error.param == "min_tokens" || error.code == base::ErrorCode::kContextLengthExceeded, "{}",
        error.message);
}

void check_choices(const GenerationFields& fields) {
  const engine::SamplingParams& s = fields.sampling;
  CHECK(fields.choices >= 1 && s.n >= fields.choices && s.n <= 128);
  CHECK(s.beam.width == 0 || (s.beam.width >= 2 && s.n == fields.choices));
  CHECK(!fields.stream || (s.n == fields.choices && !fields.prompt_logprobs));
  CHECK(!fields.logprobs || *s.logprobs == *fields.logprobs);
  CHECK(!fields.prompt_logprobs || *s.prompt_logprobs >= *fields.prompt_logprobs);
  CHECK(!fields.prompt_only || fields.echo);
  CHECK(!fields.timeout_seconds || (*fields.timeout_seconds > 0 && *fields.timeout_seconds <= 1e6));
}

void check_generation(const GenerationFields& fields, const base::JsonLimits& limits) {
  const engine::SamplingParams& s = fields.sampling;
  check_sampling(fields);
  check_choices(fields);
  CHECK(s.temperature >= 0 && s.temperature <= 2);
  CHECK(s.top_p > 0 && s.top_p <= 1);
  CHECK(s.min_p >= 0 && s.min_p <= 1);
  CHECK(s.top_k >= 0);
  CHECK(!s.max_tokens || *s.max_tokens >= 1);
  CHECK(fields.stop.size() <= limits.stop_strings_max);
  for (const std::string& stop : fields.stop) {
    CHECK(!stop.empty() && stop.size() <= limits.stop_string_bytes_max);
  }
  CHECK(fields.stream || (!fields.include_usage && !fields.continuous_usage));
}

RequestContext context_of(const base::JsonLimits& limits) {
  return {.sampling = {}, .json = limits, .vocabulary = kVocabulary, .speculative_tokens_max = 4};
}

// What a template gets of it is JSON, with tools and without.
void check_context(ChatRequest& request, const base::JsonLimits& limits) {
  // Arguments of tool calls are JSON within JSON.
  base::JsonLimits deeper;
  deeper.depth_max = 3 * limits.depth_max;
  deeper.values_max = 4 * limits.values_max;
  for (int i = 0; i < 2; ++i) {
    const auto context = parse_json(template_context(request, {{"bos_token", "<s>"}}), deeper);
    CHECK(context.has_value(), "{}", context.error().message);
    CHECK(context->get_object().at("messages").is_array());
    tell_tools_in_words(request);
  }
  CHECK(request.tools.json.empty());
}

void check_chat(const boost::json::value& body, const base::JsonLimits& limits) {
  auto request = read_chat_request(body, context_of(limits));
  if (!request) return check_error(request.error());
  check_generation(request->generation, limits);
  check_context(*request, limits);
}

void check_anthropic(const boost::json::value& body, const base::JsonLimits& limits) {
  auto request = read_anthropic_request(body, context_of(limits), false);
  if (!request) {
    check_error(request.error());
    CHECK(parse_json(anthropic_error_json(request.error()), {}).has_value());
    return;
  }
  check_sampling(request->generation);
  check_context(*request, limits);
}

void check_responses(const boost::json::value& body, const base::JsonLimits& limits) {
  auto request = read_responses_request(body, context_of(limits));
  if (!request) return check_error(request.error());
  check_sampling(request->chat.generation);
  auto messages = messages_of_items(request->input, request->instructions);
  if (!messages) return check_error(messages.error());
  request->chat.messages_json = std::move(*messages);
  if (request->chat.messages_json != "[]") check_context(request->chat, limits);
}

void check_completion(const boost::json::value& body, const base::JsonLimits& limits) {
  const auto request = read_completion_request(body, context_of(limits));
  if (!request) return check_error(request.error());
  check_generation(request->generation, limits);
  CHECK(!request->prompts.empty() && request->prompts.size() == request->paths.size());
  for (const Prompt& prompt : request->prompts) {
    const auto* ids = std::get_if<std::vector<engine::TokenId>>(&prompt);
    if (ids == nullptr) continue;
    for (const engine::TokenId id : *ids) CHECK(id >= 0 && id < kVocabulary);
  }
}

}  // namespace
}  // namespace vsurge::api

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vsurge;
  const base::JsonLimits limits;
  const auto body =
      api::parse_json(std::string_view(reinterpret_cast<const char*>(data), size), limits);
  if (!body) {
    api::check_error(body.error());
    return 0;
  }
  api::check_chat(*body, limits);
  api::check_completion(*body, limits);
  api::check_anthropic(*body, limits);
  api::check_responses(*body, limits);
  return 0;
}
