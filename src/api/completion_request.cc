#include "api/completion_request.h"

#include <boost/json/array.hpp>

#include "api/field_table.h"
#include "api/json.h"
#include "api/limits.h"
#include "api/reader.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;

constexpr std::string_view kExpected =
    "a string, an array of strings, an array of token ids, or an array of such arrays";

ApiResult<std::vector<engine::TokenId>> read_ids(const json::array& array, const std::string& path,
                                                 int vocabulary) {
  if (array.empty()) return bad_value(path, fmt::format("'{}' must not be empty.", path));
  return read_token_ids(array, path, vocabulary);
}

ApiResult<void> read_prompts(const json::value& prompt, int vocabulary, std::size_t prompts_max,
                             CompletionRequest& out) {
  if (prompt.is_string()) {
    out.prompts.emplace_back(std::string(prompt.get_string()));
    out.paths.emplace_back("prompt");
    return {};
  }
  if (!prompt.is_array()) return wrong_type("prompt", kExpected, type_name(prompt));
  const json::array& array = prompt.get_array();
  if (array.empty()) return bad_value("prompt", "'prompt' must not be empty.");
  if (array[0].is_number()) {
    out.prompts.emplace_back(VSURGE_TRY(read_ids(array, "prompt", vocabulary)));
    out.paths.emplace_back("prompt");
    return {};
  }
  if (array.size() > prompts_max) {
    return bad_value("prompt", fmt::format("'prompt' must have at most {} prompts; found {}.",
                                           prompts_max, array.size()));
  }
  const bool of_strings = array[0].is_string();
  for (std::size_t i = 0; i < array.size(); ++i) {
    std::string path = fmt::format("prompt[{}]", i);
    if (of_strings && array[i].is_string()) {
      out.prompts.emplace_back(std::string(array[i].get_string()));
    } else if (!of_strings && array[i].is_array()) {
      out.prompts.emplace_back(VSURGE_TRY(read_ids(array[i].get_array(), path, vocabulary)));
    } else if (i == 0) {
      return wrong_type(path, "a string, a token id or an array of token ids", type_name(array[i]));
    } else {
      return wrong_type(path, of_strings ? "a string" : "an array of token ids",
                        type_name(array[i]));
    }
    out.paths.push_back(std::move(path));
  }
  return {};
}

// Nothing after the gap is no gap.
ApiResult<void> read_suffix(const ObjectReader& reader, CompletionRequest& out) {
  const auto suffix = VSURGE_TRY(reader.text("suffix"));
  if (!suffix || suffix->empty()) return {};
  out.suffix = *suffix;
  for (const Prompt& prompt : out.prompts) {
    if (!std::holds_alternative<std::string>(prompt)) {
      return bad_value("suffix", "'suffix' needs a 'prompt' that is text, not token ids.");
    }
  }
  // Both speak of the prompt as one text.
  const bool echo = out.generation.echo;
  if (echo || out.generation.prompt_tokens_kept) {
    return bad_value("suffix", fmt::format("'suffix' cannot be used with '{}'.",
                                           echo ? "echo" : "truncate_prompt_tokens"));
  }
  return {};
}

}  // namespace

ApiResult<CompletionRequest> read_completion_request(const json::value& body,
                                                     const RequestContext& context) {
  if (!body.is_object()) {
    return bad_json("invalid_type",
                    fmt::format("The body must be a JSON object; found {}.", type_name(body)));
  }
  const json::object& object = body.get_object();
  CompletionRequest out;
  out.generation = VSURGE_TRY(read_generation_fields(object, Endpoint::kCompletions, context));
  const ObjectReader reader(object, "");
  out.structured = VSURGE_TRY(read_structured_output(reader, Endpoint::kCompletions, context));
  out.add_special_tokens = VSURGE_TRY(read_flag(reader, {"add_special_tokens", kInCompletions}));
  const json::value* prompt = reader.find("prompt");
  if (prompt == nullptr) return missing("prompt");
  VSURGE_TRY(read_prompts(*prompt, context.vocabulary, context.json.prompts_max, out));
  VSURGE_TRY(read_suffix(reader, out));
  const auto choices = static_cast<std::size_t>(out.generation.sampling.n) * out.prompts.size();
  if (choices > kChoicesMax) {
    return bad_value("n", fmt::format("'n' (or 'best_of') choices of each prompt are {} in all; at "
                                      "most {} can be made at once.",
                                      choices, kChoicesMax));
  }
  return out;
}

}  // namespace vsurge::api
