#include "api/structured_output.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "api/json.h"
#include "base/limits.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;
using Kind = text::GrammarSource::Kind;

constexpr base::GrammarLimits kLimits{};

// What is read, and where it came from: the second to come is refused.
struct Found {
  std::optional<StructuredOutput> output;
  std::string field;       // as an error names it
  std::string whitespace;  // for JSON

  ApiResult<void> take(std::string_view name, std::string param, Kind kind, std::string text) {
    if (output) {
      return bad_value(std::string(name),
                       fmt::format("'{}' and '{}' both say what the answer must be; send one of "
                                   "them.",
                                   field, name));
    }
    field = name;
    output = StructuredOutput{{kind, std::move(text), ""}, std::move(param), nullptr};
    return {};
  }
};

// The kind says that the answer is no JSON as a whole.
ApiResult<void> take_tag(std::string_view name, std::string path, const json::value& value,
                         const RequestContext& context, Found& found) {
  auto tag =
      std::make_shared<const StructuralTag>(VSURGE_TRY(read_structural_tag(value, path, context)));
  VSURGE_TRY(found.take(name, std::move(path), Kind::kLark, ""));
  found.output->tag = std::move(tag);
  return {};
}

std::string compact(const json::value& value) {
  std::string text;
  append_json(text, value);
  return text;
}

ApiResult<void> only_members(const json::object& object, std::string_view path,
                             std::initializer_list<std::string_view> known) {
  for (const auto& [key, value] : object) {
    if (std::ranges::find(known, std::string_view(key)) != known.end()) continue;
    return unknown_field(printable_name(fmt::format("{}.{}", path, std::string_view(key))));
  }
  return {};
}

// A schema, or text that holds one.
ApiResult<std::string> read_schema(const json::value& value, const std::string& path,
                                   const RequestContext& context) {
  if (value.is_object() || value.is_bool()) return compact(value);
  if (!value.is_string()) return wrong_type(path, "a JSON schema", type_name(value));
  auto parsed = parse_json(value.get_string(), context.json);
  if (!parsed) {
    parsed.error().param = path;
    return std::unexpected(std::move(parsed).error());
  }
  if (!parsed->is_object() && !parsed->is_bool()) {
    return wrong_type(path, "text with a JSON schema", type_name(*parsed));
  }
  return compact(*parsed);
}

ApiResult<std::string> read_source(const ObjectReader& reader, std::string_view name) {
  const auto text = VSURGE_TRY(reader.text(name));
  if (!text || text->empty()) {
    return bad_value(reader.path_of(name),
                     fmt::format("'{}' must not be empty.", reader.path_of(name)));
  }
  return std::string(*text);
}

ApiResult<std::string> read_choice(const ObjectReader& reader, std::string_view name) {
  const std::string path = reader.path_of(name);
  const json::value* value = reader.find(name);
  if (value == nullptr || !value->is_array()) {
    return wrong_type(path, "an array of strings",
                      value == nullptr ? "nothing" : type_name(*value));
  }
  const auto texts = VSURGE_TRY(
      reader.texts(name, {.count = kLimits.choices_max, .bytes = kLimits.source_bytes_max}));
  if (!texts || texts->empty()) {
    return bad_value(path, fmt::format("'{}' must have at least one string.", path));
  }
  return compact(*value);
}

// llama.cpp writes GBNF, vLLM both it and Lark; only GBNF has "::=".
Kind kind_of_grammar(std::string_view text) {
  return text.find("::=") == std::string_view::npos ? Kind::kLark : Kind::kGbnf;
}

// A pattern that can match blanks of JSON only, in the compiler's syntax; nothing when it is
// another. Digits and commas stand in braces alone.
std::optional<std::string> blanks(std::string_view pattern) {
  std::string out;
  bool braces = false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (braces) {
      if (c == '}') braces = false;
      if (c != '}' && c != ',' && (c < '0' || c > '9')) return std::nullopt;
    } else if (c == '\\') {
      const char next = i + 1 < pattern.size() ? pattern[++i] : '\0';
      if (next == '\0' || !std::string_view("nrts ").contains(next)) return std::nullopt;
      // Not the blanks of Unicode.
      out += next == 's' ? "[ \\t\\r\\n]" : next == ' ' ? " " : fmt::format("\\{}", next);
      continue;
    } else if (c == '{') {
      braces = true;
    } else if (!std::string_view(" \t\r\n[]()|?*+").contains(c)) {
      return std::nullopt;
    }
    out += c;
  }
  if (braces) return std::nullopt;
  return out;
}

ApiResult<void> read_whitespace(const ObjectReader& reader, std::string_view name, Found& found) {
  const auto pattern = VSURGE_TRY(reader.text(name));
  if (!pattern) return {};
  const std::string path = reader.path_of(name);
  if (pattern->size() > kLimits.whitespace_bytes_max) {
    return bad_value(path, fmt::format("'{}' must have at most {} bytes; found {}.", path,
                                       kLimits.whitespace_bytes_max, pattern->size()));
  }
  auto regex = blanks(*pattern);
  if (!regex) {
    return unsupported(path, fmt::format("'{}' must be a regex of spaces, \\n, \\r, \\t, \\s, "
                                         "brackets and repetitions; found {}.",
                                         path, in_quotes(*pattern)));
  }
  found.whitespace = std::move(*regex);
  return {};
}

ApiResult<void> read_json_schema_format(const ObjectReader& format, const RequestContext& context,
                                        Found& found) {
  const json::value* inner = format.find("json_schema");
  const json::value* beside = format.find("schema");
  if (inner == nullptr && beside == nullptr) return missing("response_format.json_schema");
  if (inner != nullptr && beside != nullptr) {
    return bad_value("response_format.schema",
                     "'response_format' has both 'json_schema' and 'schema'; send one of them.");
  }
  if (beside != nullptr) {
    std::string path = "response_format.schema";
    auto schema = VSURGE_TRY(read_schema(*beside, path, context));
    return found.take("response_format", std::move(path), Kind::kJsonSchema, std::move(schema));
  }
  std::string path = "response_format.json_schema";
  if (!inner->is_object()) return wrong_type(path, "an object", type_name(*inner));
  const ObjectReader reader(inner->get_object(), path);
  VSURGE_TRY(only_members(inner->get_object(), path, {"name", "description", "schema", "strict"}));
  VSURGE_TRY(reader.name("name", kLimits.whitespace_bytes_max));
  VSURGE_TRY(reader.text("description"));
  VSURGE_TRY(reader.boolean("strict", true));  // what is sent is always kept to
  path += ".schema";
  const json::value* schema = reader.find("schema");
  if (schema == nullptr) return missing(path);
  auto text = VSURGE_TRY(read_schema(*schema, path, context));
  return found.take("response_format", std::move(path), Kind::kJsonSchema, std::move(text));
}

ApiResult<void> read_response_format(const ObjectReader& body, const RequestContext& context,
                                     Found& found) {
  const json::value* value = body.find("response_format");
  if (value == nullptr) return {};
  if (!value->is_object()) return wrong_type("response_format", "an object", type_name(*value));
  const json::object& object = value->get_object();
  const ObjectReader format(object, "response_format");
  const auto type = VSURGE_TRY(format.text("type"));
  if (!type) return missing("response_format.type");
  if (*type == "structural_tag") {
    return take_tag("response_format", "response_format", *value, context, found);
  }
  VSURGE_TRY(only_members(object, "response_format", {"type", "schema", "json_schema"}));
  const auto misplaced = [&](std::string_view name) -> ApiResult<void> {
    if (format.find(name) == nullptr) return {};
    return bad_value(format.path_of(name), fmt::format("'{}' does not go with the type '{}'.",
                                                       format.path_of(name), *type));
  };
  if (*type == "json_schema") return read_json_schema_format(format, context, found);
  if (*type != "text" && *type != "json_object") {
    return unsupported("response_format.type",
                       fmt::format("'response_format.type' must be 'text', 'json_object', "
                                   "'json_schema' or 'structural_tag'; found {}.",
                                   in_quotes(*type)));
  }
  VSURGE_TRY(misplaced("json_schema"));
  if (*type == "text") return misplaced("schema");
  const json::value* schema = format.find("schema");
  if (schema == nullptr) {
    return found.take("response_format", "response_format", Kind::kJsonObject, "");
  }
  std::string path = "response_format.schema";
  auto text = VSURGE_TRY(read_schema(*schema, path, context));
  return found.take("response_format", std::move(path), Kind::kJsonSchema, std::move(text));
}

// The sources that vLLM has under several names: in structured_outputs, as guided_*, at the top.
struct Names {
  std::string_view json, regex, choice, grammar;  // empty: there is none
};

ApiResult<void> read_sources(const ObjectReader& reader, const Names& names,
                             const RequestContext& context, Found& found) {
  const auto given = [&](std::string_view name) {
    return !name.empty() && reader.find(name) != nullptr;
  };
  if (given(names.json)) {
    const std::string path = reader.path_of(names.json);
    auto text = VSURGE_TRY(read_schema(*reader.find(names.json), path, context));
    VSURGE_TRY(found.take(path, path, Kind::kJsonSchema, std::move(text)));
  }
  if (given(names.regex)) {
    const std::string path = reader.path_of(names.regex);
    auto text = VSURGE_TRY(read_source(reader, names.regex));
    VSURGE_TRY(found.take(path, path, Kind::kRegex, std::move(text)));
  }
  if (given(names.choice)) {
    const std::string path = reader.path_of(names.choice);
    auto text = VSURGE_TRY(read_choice(reader, names.choice));
    VSURGE_TRY(found.take(path, path, Kind::kChoice, std::move(text)));
  }
  if (given(names.grammar)) {
    const std::string path = reader.path_of(names.grammar);
    auto text = VSURGE_TRY(read_source(reader, names.grammar));
    const Kind kind = kind_of_grammar(text);
    VSURGE_TRY(found.take(path, path, kind, std::move(text)));
  }
  return {};
}

ApiResult<void> read_vllm(const ObjectReader& body, const RequestContext& context, Found& found) {
  constexpr std::string_view kField = "structured_outputs";
  const json::value* value = body.find(kField);
  if (value == nullptr) return {};
  if (!value->is_object()) return wrong_type(std::string(kField), "an object", type_name(*value));
  const json::object& object = value->get_object();
  const ObjectReader reader(object, std::string(kField));
  VSURGE_TRY(only_members(
      object, kField,
      {"json", "regex", "choice", "grammar", "json_object", "structural_tag", "whitespace_pattern",
       "disable_any_whitespace", "disable_fallback", "disable_additional_properties"}));
  if (const json::value* tag = reader.find("structural_tag")) {
    const std::string path = reader.path_of("structural_tag");
    VSURGE_TRY(take_tag(path, path, *tag, context, found));
  }
  if (VSURGE_TRY(reader.boolean("disable_additional_properties", false))) {
    return unsupported("structured_outputs.disable_additional_properties",
                       "'structured_outputs.disable_additional_properties' is not supported; write "
                       "\"additionalProperties\": false into the schema.");
  }
  VSURGE_TRY(reader.boolean("disable_fallback", false));  // there is none to disable
  if (!VSURGE_TRY(reader.boolean("disable_any_whitespace", true))) {
    found.whitespace = text::kAnyWhitespace;
  }
  VSURGE_TRY(read_whitespace(reader, "whitespace_pattern", found));
  VSURGE_TRY(read_sources(reader, {"json", "regex", "choice", "grammar"}, context, found));
  if (VSURGE_TRY(reader.boolean("json_object", false))) {
    const std::string path = reader.path_of("json_object");
    VSURGE_TRY(found.take(path, path, Kind::kJsonObject, ""));
  }
  if (!found.output || !found.field.starts_with(kField)) {
    return bad_value(std::string(kField),
                     "'structured_outputs' must have one of 'json', 'regex', 'choice', 'grammar', "
                     "'json_object' and 'structural_tag'.");
  }
  return {};
}

// Fields that would make an answer go on where its grammar has ended.
ApiResult<void> refuse_beside(const ObjectReader& body, const Found& found) {
  if (VSURGE_TRY(body.boolean("ignore_eos", false))) {
    return bad_value("ignore_eos", fmt::format("'ignore_eos' does not go with '{}': the answer "
                                               "ends where its constraint does.",
                                               found.field));
  }
  const json::value* least = body.find("min_tokens");
  if (least != nullptr && least->is_number() && exact_integer(*least) != 0) {
    return bad_value("min_tokens", fmt::format("'min_tokens' does not go with '{}': the answer "
                                               "ends where its constraint does.",
                                               found.field));
  }
  if (VSURGE_TRY(body.boolean("use_beam_search", false))) {
    return bad_value("use_beam_search",
                     fmt::format("'use_beam_search' does not go with '{}'.", found.field));
  }
  return {};
}

}  // namespace

ApiResult<std::optional<StructuredOutput>> read_structured_output(const ObjectReader& body,
                                                                  Endpoint /*endpoint*/,
                                                                  const RequestContext& context) {
  Found found;
  VSURGE_TRY(read_response_format(body, context, found));
  VSURGE_TRY(read_vllm(body, context, found));
  VSURGE_TRY(body.text("guided_decoding_backend"));  // one does it all, whatever its name
  VSURGE_TRY(read_whitespace(body, "guided_whitespace_pattern", found));
  VSURGE_TRY(read_sources(body, {"guided_json", "guided_regex", "guided_choice", "guided_grammar"},
                          context, found));
  VSURGE_TRY(read_sources(body, {"json_schema", "regex", "", "grammar"}, context, found));
  if (const json::value* tag = body.find("structural_tag")) {
    VSURGE_TRY(take_tag("structural_tag", "structural_tag", *tag, context, found));
  }
  VSURGE_TRY(read_sources(body, {"", "", "", "ebnf"}, context, found));
  if (!found.output) return std::nullopt;
  VSURGE_TRY(refuse_beside(body, found));
  const Kind kind = found.output->source.kind;
  if (kind == Kind::kJsonSchema || kind == Kind::kJsonObject) {
    found.output->source.whitespace = std::move(found.whitespace);
  }
  if (found.output->source.text.size() > kLimits.source_bytes_max) {
    return bad_value(found.output->param,
                     fmt::format("'{}' must have at most {} bytes; found {}.", found.output->param,
                                 kLimits.source_bytes_max, found.output->source.text.size()));
  }
  return std::move(found.output);
}

}  // namespace vsurge::api
