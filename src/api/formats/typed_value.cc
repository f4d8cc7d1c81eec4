#include "api/formats/typed_value.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "api/formats/call_machine.h"
#include "api/json.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;

constexpr int kSchemaDepthMax = 8;
constexpr int kPythonDepthMax = 64;

struct Types {
  bool known = false;  // the schema says something
  bool string = false, integer = false, number = false, boolean = false, null = false;
  bool object = false, array = false;
};

void add_type(std::string_view name, Types& out) {
  out.known = true;
  if (name == "string") out.string = true;
  if (name == "integer") out.integer = true;
  if (name == "number") out.number = out.integer = true;
  if (name == "boolean") out.boolean = true;
  if (name == "null") out.null = true;
  if (name == "object") out.object = true;
  if (name == "array") out.array = true;
}

void add_value_type(const json::value& value, Types& out) {
  out.known = true;
  out.string |= value.is_string();
  out.integer |= value.is_int64() || value.is_uint64();
  out.number |= value.is_number();
  out.boolean |= value.is_bool();
  out.null |= value.is_null();
  out.object |= value.is_object();
  out.array |= value.is_array();
}

// "#/$defs/x" within the parameters.
const json::value* resolve(const json::object& root, std::string_view reference) {
  if (!reference.starts_with("#/")) return nullptr;
  reference.remove_prefix(2);
  const json::object* at = &root;
  for (;;) {
    const std::size_t slash = reference.find('/');
    const json::value* next = at->if_contains(reference.substr(0, slash));
    if (next == nullptr || slash == std::string_view::npos) return next;
    if (!next->is_object()) return nullptr;
    at = &next->get_object();
    reference.remove_prefix(slash + 1);
  }
}

void add_types(const json::value& schema, const json::object& root, int depth, Types& out) {
  if (!schema.is_object() || depth > kSchemaDepthMax) return;
  const json::object& object = schema.get_object();
  if (const json::value* type = object.if_contains("type")) {
    if (type->is_string()) add_type(type->get_string(), out);
    if (type->is_array()) {
      for (const json::value& each : type->get_array()) {
        if (each.is_string()) add_type(each.get_string(), out);
      }
    }
  }
  if (const json::value* values = object.if_contains("enum"); values != nullptr) {
    if (values->is_array()) {
      for (const json::value& each : values->get_array()) add_value_type(each, out);
    }
  }
  if (const json::value* value = object.if_contains("const")) add_value_type(*value, out);
  if (const json::value* reference = object.if_contains("$ref");
      reference != nullptr && reference->is_string()) {
    const json::value* target = resolve(root, reference->get_string());
    if (target != nullptr) add_types(*target, root, depth + 1, out);
  }
  for (const std::string_view key : {"anyOf", "oneOf", "allOf"}) {
    const json::value* list = object.if_contains(key);
    if (list == nullptr || !list->is_array()) continue;
    for (const json::value& each : list->get_array()) add_types(each, root, depth + 1, out);
  }
}

Types types_of(const ToolSpecs& tools, std::string_view function, std::string_view parameter) {
  Types out;
  const auto tool = std::ranges::find(tools, function, &ToolSpec::name);
  if (tool == tools.end()) return out;
  const json::value* properties = tool->parameters.if_contains("properties");
  if (properties == nullptr || !properties->is_object()) return out;
  const json::value* schema = properties->get_object().if_contains(parameter);
  if (schema != nullptr) add_types(*schema, tool->parameters, 0, out);
  return out;
}

// Whether JSON text has one of the types; its text as it is to be told.
bool fits(const json::value& value, const Types& types) {
  if (value.is_null()) return types.null;
  if (value.is_bool()) return types.boolean;
  if (value.is_object()) return types.object;
  if (value.is_array()) return types.array;
  if (value.is_double()) {
    return types.number || (types.integer && value.get_double() ==
                                                 static_cast<double>(static_cast<std::int64_t>(
                                                     std::clamp(value.get_double(), -9e15, 9e15))));
  }
  return value.is_number() && (types.integer || types.number);
}

bool is_bracketed(std::string_view text) {
  return !text.empty() && (text.front() == '{' || text.front() == '[');
}

// Python literals, read from the front of a text.
class PythonReader {
 public:
  explicit PythonReader(std::string_view text) : text_(text) {}

  bool value(std::string& out, int depth = 0) {
    space();
    if (at_ >= text_.size() || depth > kPythonDepthMax) return false;
    const char c = text_[at_];
    if (c == '"' || c == '\'') return string(out);
    if (c == '[') return list(out, ']', depth);
    if (c == '(') return list(out, ')', depth);
    if (c == '{') return dict(out, depth);
    if (word("True") || word("true")) return put(out, "true");
    if (word("False") || word("false")) return put(out, "false");
    if (word("None") || word("null")) return put(out, "null");
    return number(out);
  }
  std::size_t used() const { return at_; }

 private:
  static bool put(std::string& out, std::string_view text) {
    out += text;
    return true;
  }
  void space() {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  }
  bool take(char c) {
    space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool word(std::string_view name) {
    const std::string_view rest = text_.substr(at_);
    if (!rest.starts_with(name)) return false;
    const char next = rest.size() > name.size() ? rest[name.size()] : ' ';
    if ((next >= 'a' && next <= 'z') || (next >= 'A' && next <= 'Z') || next == '_') return false;
    at_ += name.size();
    return true;
  }
  bool number(std::string& out) {
    const std::size_t begin = at_;
    while (at_ < text_.size() && (std::string_view("+-.eE_").contains(text_[at_]) ||
                                  (text_[at_] >= '0' && text_[at_] <= '9'))) {
      ++at_;
    }
    std::string digits(text_.substr(begin, at_ - begin));
    std::erase(digits, '_');
    if (digits.starts_with('+')) digits.erase(0, 1);
    if (digits.starts_with('.')) digits.insert(0, "0");
    if (digits.ends_with('.')) digits += '0';
    boost::system::error_code error;
    const json::value parsed = json::parse(digits, error);
    return !error && parsed.is_number() && put(out, digits);
  }
  bool string(std::string& out) {
    const char quote = text_[at_++];
    std::string text;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == quote) {
        ++at_;
        out += json_string(text);
        return true;
      }
      if (c != '\\' || at_ + 1 >= text_.size()) {
        text += c;
        continue;
      }
      if (!escape(text)) return false;
    }
    return false;
  }
  bool escape(std::string& text) {
    const char c = text_[++at_];
    switch (c) {
      case 'n':
        return put(text, "\n");
      case 't':
        return put(text, "\t");
      case 'r':
        return put(text, "\r");
      case 'b':
        return put(text, "\b");
      case 'f':
        return put(text, "\f");
      case '\\':
      case '\'':
      case '"':
      case '/':
        text += c;
        return true;
      case 'u': {
        // Two escapes make one character outside of the first plane.
        const bool pair = text_.size() >= at_ + 7 && text_.substr(at_ + 5, 2) == "\\u";
        const std::size_t length = pair ? 11 : 5;
        for (const std::size_t size : {length, std::size_t{5}}) {
          boost::system::error_code error;
          const std::string quoted = "\"\\" + std::string(text_.substr(at_, size)) + "\"";
          const json::value parsed = json::parse(quoted, error);
          if (error || !parsed.is_string()) continue;
          at_ += size - 1;
          return put(text, parsed.get_string());
        }
        return false;
      }
      default:  // as Python: both characters stay
        text += '\\';
        text += c;
        return true;
    }
  }
  bool list(std::string& out, char close, int depth) {
    ++at_;
    out += '[';
    for (bool first = true; !take(close); first = false) {
      if (!first && !take(',')) return false;
      if (take(close)) break;  // a comma behind the last
      if (!first) out += ", ";
      if (!value(out, depth + 1)) return false;
    }
    return put(out, "]");
  }
  bool dict(std::string& out, int depth) {
    ++at_;
    out += '{';
    for (bool first = true; !take('}'); first = false) {
      if (!first && !take(',')) return false;
      if (take('}')) break;
      if (!first) out += ", ";
      space();
      if (at_ >= text_.size() || (text_[at_] != '"' && text_[at_] != '\'')) return false;
      if (!string(out) || !take(':')) return false;
      out += ": ";
      if (!value(out, depth + 1)) return false;
    }
    return put(out, "}");
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

std::string json_string(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

std::string python_value(std::string_view text, std::size_t& used) {
  PythonReader reader(text);
  std::string out;
  if (!reader.value(out)) return {};
  used = reader.used();
  return out;
}

bool is_string_alone(const ToolSpecs& tools, std::string_view function,
                     std::string_view parameter) {
  const Types types = types_of(tools, function, parameter);
  return types.string && !types.integer && !types.number && !types.boolean && !types.null &&
         !types.object && !types.array;
}

std::string typed_value(std::string_view text, const ToolSpecs& tools, std::string_view function,
                        std::string_view parameter) {
  const Types types = types_of(tools, function, parameter);
  const std::string_view bare = trim(text);
  boost::system::error_code error;
  const json::value parsed = json::parse(bare, error);
  const bool only_string = types.known && types.string && !types.integer && !types.number &&
                           !types.boolean && !types.null && !types.object && !types.array;
  if (only_string) return json_string(text);
  if (!error) {
    if (types.known ? fits(parsed, types) : is_bracketed(bare)) return std::string(bare);
    return json_string(text);
  }
  std::size_t used = 0;
  const std::string python = python_value(bare, used);
  if (!python.empty() && used == bare.size() && !python.starts_with('"')) {
    const json::value value = json::parse(python, error);
    if (!error && (types.known ? fits(value, types) : is_bracketed(python))) return python;
  }
  return json_string(text);
}

}  // namespace vsurge::api
