#include "api/structural_tag.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <optional>
#include <utility>

#include "api/json.h"
#include "api/lark_text.h"
#include "api/limits.h"
#include "api/reader.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;
using Kind = text::GrammarSource::Kind;

ApiResult<void> only(const ObjectReader& reader, std::initializer_list<std::string_view> known) {
  for (const auto& [key, value] : reader.object()) {
    if (std::ranges::find(known, std::string_view(key)) != known.end()) continue;
    return unknown_field(reader.path_of(printable_name(key)));
  }
  return {};
}

ApiResult<std::string> needed_text(const ObjectReader& reader, std::string_view name) {
  const auto text = VSURGE_TRY(reader.text(name));
  if (!text) return missing(reader.path_of(name));
  if (text->size() > kTagTextBytesMax) {
    return bad_value(reader.path_of(name), fmt::format("'{}' must have at most {} bytes.",
                                                       reader.path_of(name), kTagTextBytesMax));
  }
  return std::string(*text);
}

ApiResult<std::string> read_schema(const ObjectReader& reader, std::string_view name) {
  const json::value* schema = reader.find(name);
  if (schema == nullptr) return missing(reader.path_of(name));
  if (!schema->is_object() && !schema->is_bool()) {
    return wrong_type(reader.path_of(name), "a JSON schema", type_name(*schema));
  }
  std::string out;
  append_json(out, *schema);
  return out;
}

// {"type": "json_schema", "json_schema": {...}} and the like.
ApiResult<void> read_content(const ObjectReader& content, StructuralTag::Tag& out) {
  const std::string type = VSURGE_TRY(needed_text(content, "type"));
  if (type == "any_text") {
    out.free = true;
    return {};
  }
  if (type == "json_schema") {
    out.content.kind = Kind::kJsonSchema;
    out.content.text = VSURGE_TRY(read_schema(content, "json_schema"));
  } else if (type == "regex") {
    out.content.kind = Kind::kRegex;
    out.content.text = VSURGE_TRY(needed_text(content, "pattern"));
  } else {
    return unsupported(content.path_of("type"),
                       fmt::format("'{}' {} is not supported; json_schema, regex and any_text are.",
                                   content.path_of("type"), in_quotes(type)));
  }
  return {};
}

ApiResult<StructuralTag::Tag> read_tag(const json::value& value, const std::string& path,
                                       bool legacy) {
  if (!value.is_object()) return wrong_type(path, "an object", type_name(value));
  const ObjectReader reader(value.get_object(), path);
  StructuralTag::Tag out;
  out.begin = VSURGE_TRY(needed_text(reader, "begin"));
  if (out.begin.empty()) return bad_value(reader.path_of("begin"), "A tag must begin with a text.");
  out.end = VSURGE_TRY(needed_text(reader, "end"));
  if (legacy) {
    VSURGE_TRY(only(reader, {"begin", "schema", "end"}));
    out.content.kind = Kind::kJsonSchema;
    out.content.text = VSURGE_TRY(read_schema(reader, "schema"));
    return out;
  }
  VSURGE_TRY(only(reader, {"type", "begin", "content", "end"}));
  VSURGE_TRY(reader.word("type", "tag"));
  const json::value* content = reader.find("content");
  const std::string content_path = reader.path_of("content");
  if (content == nullptr) return missing(content_path);
  if (!content->is_object()) return wrong_type(content_path, "an object", type_name(*content));
  VSURGE_TRY(read_content(ObjectReader(content->get_object(), content_path), out));
  if (out.free && out.end.empty()) {
    return bad_value(reader.path_of("end"), "Free text must end with a text.");
  }
  return out;
}

ApiResult<void> read_lists(const ObjectReader& reader, std::string_view tags, StructuralTag& out) {
  auto triggers =
      VSURGE_TRY(reader.texts("triggers", {.count = kTagsMax, .bytes = kTagTextBytesMax}));
  if (!triggers || triggers->empty()) return missing(reader.path_of("triggers"));
  out.triggers = std::move(*triggers);
  const std::string path = reader.path_of(tags);
  const json::value* list = reader.find(tags);
  if (list == nullptr) return missing(path);
  if (!list->is_array()) return wrong_type(path, "an array", type_name(*list));
  const json::array& array = list->get_array();
  if (array.empty() || array.size() > kTagsMax) {
    return bad_value(
        path, fmt::format("'{}' must have 1 to {} tags; found {}.", path, kTagsMax, array.size()));
  }
  for (std::size_t i = 0; i < array.size(); ++i) {
    const std::string tag_path = fmt::format("{}[{}]", path, i);
    StructuralTag::Tag tag = VSURGE_TRY(read_tag(array[i], tag_path, tags == "structures"));
    const bool begun = std::ranges::any_of(
        out.triggers, [&](const std::string& each) { return tag.begin.starts_with(each); });
    if (!begun) {
      return bad_value(tag_path + ".begin",
                       fmt::format("{} begins with none of the triggers.", in_quotes(tag.begin)));
    }
    out.tags.push_back(std::move(tag));
  }
  return {};
}

ApiResult<StructuralTag> read_object(const json::object& object, const std::string& path) {
  const ObjectReader reader(object, path);
  StructuralTag out;
  const json::value* format = reader.find("format");
  if (format == nullptr) {
    VSURGE_TRY(only(reader, {"type", "structures", "triggers"}));
    VSURGE_TRY(read_lists(reader, "structures", out));
    return out;
  }
  VSURGE_TRY(only(reader, {"type", "format"}));
  const std::string format_path = reader.path_of("format");
  if (!format->is_object()) return wrong_type(format_path, "an object", type_name(*format));
  const ObjectReader inner(format->get_object(), format_path);
  const std::string type = VSURGE_TRY(needed_text(inner, "type"));
  if (type != "triggered_tags") {
    return unsupported(inner.path_of("type"),
                       fmt::format("'{}' {} is not supported; triggered_tags is.",
                                   inner.path_of("type"), in_quotes(type)));
  }
  VSURGE_TRY(only(inner, {"type", "triggers", "tags", "at_least_one", "stop_after_first"}));
  out.at_least_one = VSURGE_TRY(inner.boolean("at_least_one", false));
  out.stop_after_first = VSURGE_TRY(inner.boolean("stop_after_first", false));
  VSURGE_TRY(read_lists(inner, "tags", out));
  return out;
}

class Writer {
 public:
  Writer(const StructuralTag& tag, const text::Tokenizer& tokenizer,
         const text::GrammarFactory& factory)
      : tag_(tag), tokenizer_(tokenizer), factory_(factory) {
    for (const std::string& trigger : tag.triggers) {
      // One that has another in it never comes to its end.
      const bool hidden = std::ranges::any_of(tag.triggers, [&](const std::string& other) {
        return &other != &trigger && trigger.contains(other) &&
               (trigger != other || &other < &trigger);
      });
      if (!hidden) triggers_.push_back(trigger);
    }
  }

  base::Result<std::string> write() {
    const char* again = tag_.stop_after_first ? "" : tag_.at_least_one ? "+" : "*";
    if (tag_.stop_after_first) {
      out_ = tag_.at_least_one ? "start: segment\n" : "start: segment | tail\n";
    } else {
      out_ = fmt::format("start: segment{} tail\n", again);
    }
    out_ += fmt::format("tail: TEXT | \"\"\nTEXT: /(?s:.+)/{}\n", without({}));
    std::string segments;
    for (std::size_t i = 0; i < triggers_.size(); ++i) {
      segments += fmt::format("{}segment{}", i == 0 ? "" : " | ", i);
    }
    out_ += fmt::format("segment: {}\n", segments);
    for (std::size_t i = 0; i < triggers_.size(); ++i) VSURGE_TRY(write_segment(i));
    return std::move(out_);
  }

 private:
  std::optional<text::TokenId> token_of(std::string_view text) const {
    const auto id = tokenizer_.id_of(text);
    return id && tokenizer_.is_special(*id) ? id : std::nullopt;
  }

  // "& ~..." of the triggers that are text, but for `but`.
  std::string without(std::string_view but) const {
    std::string any;
    for (const std::string& trigger : triggers_) {
      if (trigger == but || token_of(trigger)) continue;
      any += any.empty() ? "" : "|";
      any += lark_regex_literal(trigger);
    }
    return any.empty() ? "" : fmt::format(" & ~/(?s:.*)({})(?s:.*)/", any);
  }

  // Text up to a trigger and with it, and the tags that it begins.
  base::Status write_segment(std::size_t i) {
    const std::string& trigger = triggers_[i];
    std::string tags;
    for (std::size_t k = 0; k < tag_.tags.size(); ++k) {
      if (!tag_.tags[k].begin.starts_with(trigger)) continue;
      tags += fmt::format("{}tag{}_{}", tags.empty() ? "" : " | ", i, k);
      VSURGE_TRY(write_tag(i, k));
    }
    if (const auto id = token_of(trigger)) {
      out_ += fmt::format("segment{0}: tail <[{1}]> ({2})\n", i, *id, tags);
      return {};
    }
    out_ += fmt::format("segment{0}: until{0} ({1})\nuntil{0}[lazy]: UNTIL{0}\n", i, tags);
    out_ +=
        fmt::format("UNTIL{}: /(?s:.*){}/{}\n", i, lark_regex_literal(trigger), without(trigger));
    return {};
  }

  base::Status write_tag(std::size_t i, std::size_t k) {
    const StructuralTag::Tag& tag = tag_.tags[k];
    const std::string id = fmt::format("{}_{}", i, k);
    const std::string rest = literal(std::string_view(tag.begin).substr(triggers_[i].size()));
    const std::string end = literal(tag.end);
    if (tag.free && end.starts_with('<')) {
      out_ += fmt::format("tag{0}: {1} FREE{0}? {2}\nFREE{0}: /(?s:.+)/\n", id, rest, end);
    } else if (tag.free) {
      out_ += fmt::format("tag{0}: {1} free{0}\nfree{0}[lazy]: /(?s:.*){2}/\n", id, rest,
                          lark_regex_literal(tag.end));
    } else if (tag.content.kind == Kind::kRegex) {
      out_ += fmt::format("tag{0}: {1} REGEX{0} {2}\nREGEX{0}: /{3}/\n", id, rest, end,
                          lark_regex(tag.content.text));
    } else {
      out_ += fmt::format("tag{0}: {1} json{0} {2}\njson{0}: %json {3}\n", id, rest, end,
                          VSURGE_TRY(factory_.lark_schema(tag.content.text)));
    }
    return {};
  }

  // Text as Lark has it; a token of the vocabulary by its id. Empty text is nothing.
  std::string literal(std::string_view text) const {
    if (text.empty()) return {};
    if (const auto id = token_of(text)) return fmt::format("<[{}]>", *id);
    std::string out;
    append_json_string(out, text);
    return out;
  }

  const StructuralTag& tag_;
  const text::Tokenizer& tokenizer_;
  const text::GrammarFactory& factory_;
  std::vector<std::string> triggers_;
  std::string out_;
};

}  // namespace

ApiResult<StructuralTag> read_structural_tag(const json::value& value, const std::string& path,
                                             const RequestContext& context) {
  if (value.is_object()) return read_object(value.get_object(), path);
  if (!value.is_string()) return wrong_type(path, "an object", type_name(value));
  auto parsed = parse_json(value.get_string(), context.json);
  if (!parsed) {
    parsed.error().param = path;
    return std::unexpected(std::move(parsed).error());
  }
  if (!parsed->is_object()) return wrong_type(path, "text with an object", type_name(*parsed));
  return read_object(parsed->get_object(), path);
}

base::Result<text::GrammarSource> structural_tag_grammar(const StructuralTag& tag,
                                                         const text::Tokenizer& tokenizer,
                                                         const text::GrammarFactory& factory) {
  std::string lark = VSURGE_TRY(Writer(tag, tokenizer, factory).write());
  return text::GrammarSource{.kind = Kind::kLark, .text = std::move(lark), .whitespace = {}};
}

}  // namespace vsurge::api
