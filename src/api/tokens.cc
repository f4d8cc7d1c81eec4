#include "api/tokens.h"

#include <array>
#include <boost/json/array.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "api/chat.h"
#include "api/json.h"
#include "api/limits.h"
#include "api/reader.h"
#include "api/token_texts.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;
using base::ErrorCode;

constexpr std::size_t kTokensMax = 1U << 20U;  // of one answer

// The chat ones are read as the chat endpoint reads them.
constexpr auto kTokenizeFields = std::to_array<PlainField>({
    {"model", {}, shape::name(kIdBytesMax)},
    {"prompt", {}, shape::text()},
    {"content", {}, shape::text()},
    {"messages"},
    {"add_special_tokens", {}, shape::flag("")},
    {"add_special", {}, shape::flag("")},
    {"parse_special", "[true]"},
    {"return_token_strs", {}, shape::flag()},
    {"with_pieces", {}, shape::flag()},
    {"add_generation_prompt", {}, shape::flag("true")},
    {"continue_final_message", {}, shape::flag()},
    {"chat_template", {}, shape::text()},
    {"chat_template_kwargs"},
    {"tools"},
    {"mm_processor_kwargs", "[{}]"},
});
constexpr auto kChatFields =
    std::to_array<std::string_view>({"model", "messages", "continue_final_message", "chat_template",
                                     "chat_template_kwargs", "tools"});
constexpr auto kDetokenizeFields = std::to_array<PlainField>(
    {{"model", {}, shape::name(kIdBytesMax)}, {"tokens", {}, shape::token_ids(kTokensMax)}});

// The prompt that the template makes of a chat request.
ApiResult<std::string> render(const ServiceCore& core, json::object chat) {
  if (chat.find("model") == chat.end()) chat["model"] = core.options.model_names.front();
  std::vector<std::string> ignored;
  const json::value value = std::move(chat);
  ChatRequest request = VSURGE_TRY(read_chat_request(value, request_context(core, ignored)));
  return render_chat(core, request, "messages");
}

struct Tokens {
  std::vector<text::TokenId> ids;
  bool with_strings = false;  // vLLM's token_strs
  bool with_pieces = false;   // llama-server's
  bool plain = false;         // the answer is llama-server's
};

// Two names of one switch.
ApiResult<bool> either(const ObjectReader& body, std::string_view a, std::string_view b,
                       bool otherwise) {
  const bool first = VSURGE_TRY(body.boolean(a, otherwise));
  const bool second = VSURGE_TRY(body.boolean(b, otherwise));
  if (body.find(a) != nullptr && body.find(b) != nullptr && first != second) {
    return bad_value(std::string(a),
                     fmt::format("'{}' and '{}' mean the same and differ; send one.", a, b));
  }
  return body.find(a) != nullptr ? first : second;
}

// Exactly one of the three names the text.
ApiResult<std::string_view> source_of(const ObjectReader& body) {
  std::string_view found;
  for (const std::string_view name : {"prompt", "content", "messages"}) {
    if (body.find(name) == nullptr) continue;
    if (!found.empty()) {
      return bad_value(std::string(name),
                       fmt::format("'{}' and '{}' are two texts; send one.", found, name));
    }
    found = name;
  }
  if (found.empty()) return missing("prompt");
  return found;
}

ApiResult<void> check_no_chat_fields(const ObjectReader& body, std::string_view source) {
  for (const std::string_view name : {"add_generation_prompt", "continue_final_message",
                                      "chat_template", "chat_template_kwargs", "tools"}) {
    if (body.find(name) == nullptr) continue;
    return bad_value(std::string(name),
                     fmt::format("'{}' goes with 'messages', not with '{}'.", name, source));
  }
  return {};
}

ApiResult<std::string> text_of(const ServiceCore& core, const json::object& object,
                               std::string_view source) {
  const ObjectReader body(object, "");
  if (source != "messages") {
    VSURGE_TRY(check_no_chat_fields(body, source));
    const auto text = VSURGE_TRY(body.text(source));
    return std::string(*text);
  }
  json::object chat;
  for (const std::string_view name : kChatFields) {
    if (const auto* value = body.find(name)) chat.emplace(name, *value);
  }
  if (const auto* value = body.find("add_generation_prompt")) {
    chat.emplace("add_generation_prompt", *value);
  }
  return render(core, std::move(chat));
}

ApiResult<Tokens> read_tokenize(const ServiceCore& core, const json::object& object) {
  VSURGE_TRY(check_plain_fields(object, kTokenizeFields));
  VSURGE_TRY(check_named_model(core, object));
  const ObjectReader body(object, "");
  const std::string_view source = VSURGE_TRY(source_of(body));
  Tokens out;
  out.plain = source == "content";
  out.with_strings = VSURGE_TRY(body.boolean("return_token_strs", false));
  out.with_pieces = VSURGE_TRY(body.boolean("with_pieces", false));
  if (out.with_pieces && !out.plain) {
    return bad_value("with_pieces",
                     "'with_pieces' goes with 'content'; else there is "
                     "'return_token_strs'.");
  }
  // As the originals: a prompt has what the tokenizer adds, content and messages have not.
  const bool add_special =
      VSURGE_TRY(either(body, "add_special_tokens", "add_special", source == "prompt"));
  const std::string text = VSURGE_TRY(text_of(core, object, source));
  auto ids = core.assets.tokenizer.encode(text, add_special, kTokensMax);
  if (!ids && ids.error().code == ErrorCode::kContextLengthExceeded) {
    return bad_value(std::string(source),
                     fmt::format("'{}' has more than {} tokens.", source, kTokensMax));
  }
  if (!ids) return with_param(ids.error(), std::string(source));
  out.ids = std::move(*ids);
  return out;
}

// Text where the token's bytes are text by themselves, else the bytes.
void append_piece(std::string& out, const std::string& bytes) {
  if (find_invalid_utf8(bytes) == std::string_view::npos) return append_json_string(out, bytes);
  char separator = '[';
  for (const char byte : bytes) {
    out += separator;
    separator = ',';
    append_integer(out, static_cast<unsigned char>(byte));
  }
  out += ']';
}

void append_ids(std::string& out, const Tokens& tokens, const text::Tokenizer& tokenizer) {
  TokenTexts texts(tokenizer);
  out += '[';
  for (std::size_t i = 0; i < tokens.ids.size(); ++i) {
    if (i > 0) out += ',';
    if (!tokens.with_pieces) {
      append_integer(out, tokens.ids[i]);
      continue;
    }
    out += R"({"id":)";
    append_integer(out, tokens.ids[i]);
    out += R"(,"piece":)";
    append_piece(out, texts.of(tokens.ids[i]).bytes);
    out += '}';
  }
  out += ']';
}

}  // namespace

std::span<const PlainField> tokenize_fields() {
  return kTokenizeFields;
}

std::span<const PlainField> detokenize_fields() {
  return kDetokenizeFields;
}

ApiResult<std::string> tokenize_json(const PrepareCall& call) {
  const ServiceCore& core = call.core;
  const json::value value = VSURGE_TRY(parse_object(core.hub, call.body));
  const Tokens tokens = VSURGE_TRY(read_tokenize(core, value.get_object()));
  const text::Tokenizer& tokenizer = core.assets.tokenizer;
  std::string out = "{";
  if (!tokens.plain) {
    out += fmt::format(R"("count":{},"max_model_len":{},)", tokens.ids.size(),
                       core.options.context_max);
  }
  out += R"("tokens":)";
  append_ids(out, tokens, tokenizer);
  if (tokens.with_strings) {
    out += R"(,"token_strs":)";
    char separator = '[';
    for (const text::TokenId id : tokens.ids) {
      out += separator;
      separator = ',';
      append_json_string(out, tokenizer.token_of(id).value_or(""));
    }
    out += tokens.ids.empty() ? "[]" : "]";
  } else if (!tokens.plain) {
    out += R"(,"token_strs":null)";
  }
  out += '}';
  return out;
}

ApiResult<std::string> detokenize_json(const PrepareCall& call) {
  const ServiceCore& core = call.core;
  const json::value value = VSURGE_TRY(parse_object(core.hub, call.body));
  const json::object& object = value.get_object();
  VSURGE_TRY(check_plain_fields(object, kDetokenizeFields));
  VSURGE_TRY(check_named_model(core, object));
  const auto ids =
      VSURGE_TRY(ObjectReader(object, "").token_ids("tokens", core.options.vocabulary, kTokensMax));
  if (!ids) return missing("tokens");
  auto text = core.assets.tokenizer.decode(*ids, false);
  if (!text) return with_param(text.error(), "tokens");
  std::string out = R"({"prompt":)";
  append_json_string(out, *text);
  out += R"(,"content":)";
  append_json_string(out, *text);
  out += '}';
  return out;
}

ApiResult<std::string> apply_template_json(const PrepareCall& call) {
  ServiceCore& core = call.core;
  json::value value = VSURGE_TRY(parse_object(core.hub, call.body));
  VSURGE_TRY(check_named_model(core, value.get_object()));
  const std::string prompt = VSURGE_TRY(render(core, std::move(value.get_object())));
  std::string out = R"({"prompt":)";
  append_json_string(out, prompt);
  out += '}';
  return out;
}

}  // namespace vsurge::api
