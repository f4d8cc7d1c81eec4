#include "api/formats/call_grammar.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <optional>
#include <utility>

#include "api/formats/harmony.h"
#include "api/json.h"
#include "api/lark_text.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;

class Writer {
 public:
  Writer(const CallGrammarRequest& request, const text::Tokenizer& tokenizer,
         const text::GrammarFactory& factory)
      : request_(request), shape_(request.format.shape), tokenizer_(tokenizer), factory_(factory) {
    add_marks(request.format.opens);
    add_marks(request.format.tags);
    if (&request.format == &harmony_tools()) add_marks(HarmonyReader::markers());
  }

  base::Result<std::string> write() {
    VSURGE_TRY(write_start());
    const std::string separator = literal(shape_.separator);
    const std::string more =
        request_.parallel ? fmt::format(" ({}{}call)*", separator, separator.empty() ? "" : " ")
                          : std::string();
    out_ += fmt::format("calls: {} call{} {}\n", literal(shape_.group_begin), more,
                        literal(shape_.group_end));
    std::string any;
    for (std::size_t i = 0; i < request_.tools.size(); ++i) {
      any += fmt::format("{}call{}", any.empty() ? "" : " | ", i);
    }
    out_ += fmt::format("call: {}\n", any);
    for (std::size_t i = 0; i < request_.tools.size(); ++i) VSURGE_TRY(write_call(i));
    return std::move(out_);
  }

 private:
  void add_marks(const TextList& texts) {
    for (const std::string_view text : texts) {
      const auto id = tokenizer_.id_of(text);
      if (id) marks_.emplace_back(text, *id);
    }
  }

  base::Status write_start() {
    if (request_.required) {
      out_ += "start: calls\n";
      return {};
    }
    if (!request_.answer_schema.empty()) {
      out_ += fmt::format("start: calls | answer\nanswer: %json {}\n",
                          VSURGE_TRY(factory_.lark_schema(request_.answer_schema)));
      return {};
    }
    const std::string_view begin = shape_.group_begin.empty() ? shape_.begin : shape_.group_begin;
    const bool by_token = std::ranges::any_of(
        marks_, [&](const auto& mark) { return begin.starts_with(mark.first); });
    if (by_token) {
      out_ += "start: TEXT? (calls TEXT?)?\nTEXT: /(?s:.+)/\n";
    } else if (!request_.format.first_characters.empty()) {
      out_ += "start: calls | TEXT\nTEXT: /[^\\[\\{](?s:.*)/\n";
    } else {
      // Text in which the mark of a call does not stand.
      const std::string_view mark = begin.substr(0, begin.find('\n'));
      out_ += fmt::format("start: TEXT? calls? \nTEXT: /(?s:.+)/ & ~/(?s:.*){}(?s:.*)/\n",
                          lark_regex_literal(mark));
    }
    return {};
  }

  // Text as Lark has it: what are tokens of the vocabulary by their ids, '#' as a number.
  std::string literal(std::string_view text, bool number = false) const {
    return lark_literal(text, [&](std::string_view rest) -> std::optional<LarkPiece> {
      const auto mark = std::ranges::find_if(
          marks_, [&](const auto& each) { return rest.starts_with(each.first); });
      if (mark != marks_.end()) {
        return LarkPiece{fmt::format("<[{}]>", mark->second), mark->first.size()};
      }
      if (number && rest.front() == '#') return LarkPiece{"/[0-9]{1,3}/", 1};
      return std::nullopt;
    });
  }

  base::Status write_call(std::size_t i) {
    const ToolSpec& tool = request_.tools[i];
    const std::string head = fmt::format("{}{}{}", shape_.begin, tool.name, shape_.middle);
    // '#' may stand in the middle alone: names have none.
    out_ += fmt::format("call{}: {} args{} {}\n", i, literal(head, true), i, literal(shape_.end));
    if (shape_.parameter) return write_parameters(i);
    json::object schema = tool.parameters;
    if (!schema.contains("type")) schema["type"] = "object";
    out_ += fmt::format("args{}: %json {}\n", i,
                        VSURGE_TRY(factory_.lark_schema(json::serialize(schema))));
    return {};
  }

  // Properties in the order of the schema, those that are not required perhaps; a separator stands
  // before each but the first that comes.
  base::Status write_parameters(std::size_t i) {
    const json::object& schema = request_.tools[i].parameters;
    const json::value* properties = schema.if_contains("properties");
    const json::object empty;
    const json::object& all =
        properties != nullptr && properties->is_object() ? properties->get_object() : empty;
    std::size_t k = 0;
    out_ += fmt::format("args{}: first{}_0\n", i, i);
    const std::string separator = literal(shape_.parameter->separator);
    for (const auto& [name, property] : all) {
      const bool needed = is_required(schema, name);
      const std::string skip_first = needed ? "" : fmt::format(" | first{}_{}", i, k + 1);
      const std::string skip_rest = needed ? "" : fmt::format(" | rest{}_{}", i, k + 1);
      out_ += fmt::format("first{0}_{1}: par{0}_{1} rest{0}_{2}{3}\n", i, k, k + 1, skip_first);
      out_ += fmt::format("rest{0}_{1}: {4} par{0}_{1} rest{0}_{2}{3}\n", i, k, k + 1, skip_rest,
                          separator);
      VSURGE_TRY(write_parameter(fmt::format("{}_{}", i, k), name, property, schema));
      ++k;
    }
    out_ += fmt::format("first{0}_{1}: \"\"\nrest{0}_{1}: \"\"\n", i, k);
    return {};
  }

  static bool is_required(const json::object& schema, std::string_view name) {
    const json::value* required = schema.if_contains("required");
    return required != nullptr && required->is_array() &&
           std::ranges::any_of(required->get_array(), [&](const json::value& each) {
             return each.is_string() && each.get_string() == name;
           });
  }

  // A string and nothing else, without values of its own.
  static bool is_free_string(const json::value& property) {
    if (!property.is_object()) return false;
    const json::value* type = property.get_object().if_contains("type");
    return type != nullptr && type->is_string() && type->get_string() == "string" &&
           !property.get_object().contains("enum") && !property.get_object().contains("const");
  }

  base::Status write_parameter(const std::string& id, std::string_view name,
                               const json::value& property, const json::object& root) {
    const CallShape::Parameter& shape = *shape_.parameter;
    const bool bare = is_free_string(property) && shape.strings != CallShape::Strings::kJson;
    std::string middle(shape.middle);
    if (const std::size_t at = middle.find('?'); at != std::string::npos) {
      middle.replace(at, 1, bare ? "true" : "false");
    }
    const std::string head = literal(fmt::format("{}{}{}", shape.begin, name, middle));
    if (bare) {
      const bool quoted = shape.strings == CallShape::Strings::kQuoted;
      const std::string_view stop = quoted ? shape.quote : shape.end;
      const std::string before = quoted ? literal(shape.quote) : std::string();
      const std::string end = literal(stop);
      if (end.starts_with('<')) {  // a token, which text cannot be
        out_ += fmt::format("par{0}: {1} {2} TEXT{0}? {3}\nTEXT{0}: /(?s:.+)/\n", id, head, before,
                            end);
      } else {
        out_ += fmt::format("par{0}: {1} {2} raw{0}\nraw{0}[lazy]: /(?s:.*){3}/\n", id, head,
                            before, lark_regex_literal(stop));
      }
      return {};
    }
    json::object schema;
    if (property.is_object()) schema = property.get_object();
    for (const std::string_view key : {"$defs", "definitions"}) {
      if (const json::value* defs = root.if_contains(key)) schema[key] = *defs;
    }
    out_ += fmt::format("par{0}: {1} val{0} {2}\nval{0}: %json {3}\n", id, head, literal(shape.end),
                        VSURGE_TRY(factory_.lark_schema(json::serialize(schema))));
    return {};
  }

  const CallGrammarRequest& request_;
  const CallShape& shape_;
  const text::Tokenizer& tokenizer_;
  const text::GrammarFactory& factory_;
  std::vector<std::pair<std::string_view, text::TokenId>> marks_;
  std::string out_;
};

}  // namespace

base::Result<text::GrammarSource> call_grammar(const CallGrammarRequest& request,
                                               const text::Tokenizer& tokenizer,
                                               const text::GrammarFactory& factory) {
  std::string lark = VSURGE_TRY(Writer(request, tokenizer, factory).write());
  return text::GrammarSource{
      .kind = text::GrammarSource::Kind::kLark, .text = std::move(lark), .whitespace = {}};
}

}  // namespace vsurge::api
