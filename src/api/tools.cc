#include "api/tools.h"

#include <algorithm>
#include <set>

#include "api/json.h"
#include "api/limits.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;

// OpenAI: letters, digits, _ and -, at most 64; servers of other families allow dots and colons.
bool is_function_name(std::string_view name) {
  return !name.empty() && name.size() <= kFunctionNameBytesMax &&
         std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-' || c == '.' || c == ':' || c == '/';
         });
}

ApiResult<ToolSpec> read_function(const ObjectReader& function, ToolStyle style) {
  for (const auto& [key, value] : function.object()) {
    if (key == "name" || key == "description" || key == "parameters" || key == "strict") continue;
    if (style == ToolStyle::kFlat && key == "type") continue;
    return unknown_field(function.path_of(printable_name(key)));
  }
  ToolSpec spec;
  auto name = VSURGE_TRY(function.name("name", kIdBytesMax));
  if (!name) return missing(function.path_of("name"));
  if (!is_function_name(*name)) {
    return bad_value(
        function.path_of("name"),
        fmt::format("'{}' must be of 1 to {} letters, digits and _-.:/; found {}.",
                    function.path_of("name"), kFunctionNameBytesMax, in_quotes(*name)));
  }
  spec.name = std::move(*name);
  VSURGE_TRY(function.text("description"));
  spec.strict = VSURGE_TRY(function.boolean("strict", false));
  const json::value* parameters = function.find("parameters");
  if (parameters == nullptr) return spec;
  if (!parameters->is_object()) {
    return wrong_type(function.path_of("parameters"), "an object (a JSON schema)",
                      type_name(*parameters));
  }
  spec.parameters = parameters->get_object();
  return spec;
}

// As templates see it: nested.
std::string template_tool(const json::object& tool, ToolStyle style) {
  std::string out;
  if (style == ToolStyle::kNested) {
    append_json(out, tool);
    return out;
  }
  json::object function = tool;
  function.erase("type");
  out = R"({"type":"function","function":)";
  append_json(out, function);
  out += '}';
  return out;
}

ApiResult<ToolSpec> read_tool(const json::value& tool, const std::string& path, ToolStyle style) {
  if (!tool.is_object()) return wrong_type(path, "an object", type_name(tool));
  const ObjectReader reader(tool.get_object(), path);
  const auto type = VSURGE_TRY(reader.text("type"));
  if (!type) return missing(reader.path_of("type"));
  if (*type != "function") {
    return unsupported(
        reader.path_of("type"),
        fmt::format("Tools of type {} are not supported; only 'function' is.", in_quotes(*type)));
  }
  if (style == ToolStyle::kFlat) return read_function(reader, style);
  for (const auto& [key, value] : reader.object()) {
    if (key == "type" || key == "function") continue;
    return unknown_field(reader.path_of(printable_name(key)));
  }
  const json::value* function = reader.find("function");
  const std::string function_path = reader.path_of("function");
  if (function == nullptr) return missing(function_path);
  if (!function->is_object()) return wrong_type(function_path, "an object", type_name(*function));
  return read_function(ObjectReader(function->get_object(), function_path), style);
}

// The tools of a request, while they are chosen from.
struct Offered {
  ToolSpecs specs;
  std::vector<std::string> json;  // of each, as the template gets it
};

ApiResult<void> add_unique(Offered& out, ToolSpec spec, std::string text, const std::string& path) {
  if (std::ranges::find(out.specs, spec.name, &ToolSpec::name) != out.specs.end()) {
    return bad_value(
        path, fmt::format("'{}' names the function {} a second time.", path, in_quotes(spec.name)));
  }
  out.specs.push_back(std::move(spec));
  out.json.push_back(std::move(text));
  return {};
}

ApiResult<const json::array*> read_list(const ObjectReader& body, std::string_view name) {
  const json::value* list = body.find(name);
  if (list == nullptr) return nullptr;
  const std::string path = body.path_of(name);
  if (!list->is_array()) return wrong_type(path, "an array", type_name(*list));
  if (list->get_array().size() > kToolsMax) {
    return bad_value(path, fmt::format("'{}' must have at most {} entries; found {}.", path,
                                       kToolsMax, list->get_array().size()));
  }
  return &list->get_array();
}

// "web_search" of {"type":"web_search"}; empty: it is a function, or nothing that could be one.
std::string_view hosted_type(const json::object& tool) {
  const json::value* type = tool.if_contains("type");
  if (type == nullptr || !type->is_string() || type->get_string() == "function") return {};
  return type->get_string();
}

ApiResult<Offered> read_offered(const ObjectReader& body, bool legacy, ToolStyle style,
                                std::vector<std::string>* ignored) {
  Offered out;
  const std::string_view name = legacy ? "functions" : "tools";
  const json::array* list = VSURGE_TRY(read_list(body, name));
  if (list == nullptr) return out;
  for (std::size_t i = 0; i < list->size(); ++i) {
    const std::string path = fmt::format("{}[{}]", body.path_of(name), i);
    const json::value& each = (*list)[i];
    if (!each.is_object()) return wrong_type(path, "an object", type_name(each));
    const json::object& object = each.get_object();
    if (style == ToolStyle::kFlat && ignored != nullptr && !hosted_type(object).empty()) {
      ignored->push_back(fmt::format("{} ({})", path, printable_name(hosted_type(object))));
      continue;
    }
    ToolSpec spec;
    if (legacy) {
      spec = VSURGE_TRY(read_function(ObjectReader(object, path), ToolStyle::kNested));
    } else {
      spec = VSURGE_TRY(read_tool(each, path, style));
    }
    std::string text = template_tool(object, legacy ? ToolStyle::kFlat : style);
    VSURGE_TRY(add_unique(out, std::move(spec), std::move(text), path));
  }
  return out;
}

std::string list_of(const std::vector<std::string>& tools) {
  std::string out;
  for (const std::string& tool : tools) {
    out += out.empty() ? '[' : ',';
    out += tool;
  }
  if (!out.empty()) out += ']';
  return out;
}

ApiResult<const ToolSpec*> named_tool(const Offered& offered, const json::value* name,
                                      const std::string& path) {
  if (name == nullptr) return missing(path);
  if (!name->is_string()) return wrong_type(path, "a string", type_name(*name));
  const std::string_view wanted = name->get_string();
  const auto found = std::ranges::find(offered.specs, wanted, &ToolSpec::name);
  if (found == offered.specs.end()) {
    return bad_value(path,
                     fmt::format("'{}' {} is not a function of 'tools'.", path, in_quotes(wanted)));
  }
  return &*found;
}

// Leaves only these, in the order of the request.
void restrict_to(Offered& offered, const std::set<std::string, std::less<>>& names) {
  Offered left;
  for (std::size_t i = 0; i < offered.specs.size(); ++i) {
    if (!names.contains(offered.specs[i].name)) continue;
    left.specs.push_back(std::move(offered.specs[i]));
    left.json.push_back(std::move(offered.json[i]));
  }
  offered = std::move(left);
}

ApiResult<ToolChoice> choice_word(std::string_view word, const std::string& path) {
  if (word == "none") return ToolChoice::kNone;
  if (word == "auto") return ToolChoice::kAuto;
  if (word == "required" || word == "any") return ToolChoice::kRequired;
  return bad_value(path, fmt::format("'{}' must be none, auto, required, a function or "
                                     "allowed_tools; found {}.",
                                     path, in_quotes(word)));
}

// {"mode","tools":[{"type","function":{"name"}}]}, or flat [{"type","name"}]
ApiResult<void> read_allowed(const ObjectReader& reader, Offered& offered, ToolFields& out) {
  const auto mode = VSURGE_TRY(reader.text("mode"));
  if (!mode) return missing(reader.path_of("mode"));
  if (*mode != "auto" && *mode != "required") {
    return bad_value(reader.path_of("mode"), fmt::format("'{}' must be auto or required; found {}.",
                                                         reader.path_of("mode"), in_quotes(*mode)));
  }
  const json::array* list = VSURGE_TRY(read_list(reader, "tools"));
  if (list == nullptr) return missing(reader.path_of("tools"));
  std::set<std::string, std::less<>> names;
  for (std::size_t i = 0; i < list->size(); ++i) {
    const std::string path = fmt::format("{}[{}]", reader.path_of("tools"), i);
    const json::value& each = (*list)[i];
    if (!each.is_object()) return wrong_type(path, "an object", type_name(each));
    const json::value* function = each.get_object().if_contains("function");
    const bool nested = function != nullptr && function->is_object();
    const json::value* name =
        (nested ? function->get_object() : each.get_object()).if_contains("name");
    const ToolSpec* spec =
        VSURGE_TRY(named_tool(offered, name, path + (nested ? ".function.name" : ".name")));
    names.insert(spec->name);
  }
  if (names.empty()) {
    return bad_value(reader.path_of("tools"),
                     fmt::format("'{}' must not be empty.", reader.path_of("tools")));
  }
  restrict_to(offered, names);
  out.json = list_of(offered.json);
  out.choice = *mode == "auto" ? ToolChoice::kAuto : ToolChoice::kRequired;
  return {};
}

// The model sees all tools, and may call one.
ApiResult<void> read_named(const ObjectReader& holder, Offered& offered, ToolFields& out) {
  const ToolSpec* spec =
      VSURGE_TRY(named_tool(offered, holder.find("name"), holder.path_of("name")));
  restrict_to(offered, {spec->name});
  out.choice = ToolChoice::kRequired;
  out.named = true;
  out.parallel = false;
  return {};
}

ApiResult<void> read_choice(const ObjectReader& body, ToolStyle style, Offered& offered,
                            ToolFields& out) {
  const json::value* value = body.find(out.choice_field);
  const std::string path = body.path_of(out.choice_field);
  out.choice = offered.specs.empty() ? ToolChoice::kNone : ToolChoice::kAuto;
  if (value == nullptr) return {};
  if (value->is_string()) {
    out.choice = VSURGE_TRY(choice_word(value->get_string(), path));
    if (offered.specs.empty() && out.choice == ToolChoice::kRequired) {
      return bad_value(path, fmt::format("'{}' is only for requests with tools.", path));
    }
    return {};
  }
  if (!value->is_object()) return wrong_type(path, "a string or an object", type_name(*value));
  const ObjectReader choice(value->get_object(), path);
  if (out.legacy) return read_named(choice, offered, out);
  const auto type = VSURGE_TRY(choice.text("type"));
  if (!type) return missing(choice.path_of("type"));
  if (*type == "allowed_tools") {
    if (style == ToolStyle::kFlat) return read_allowed(choice, offered, out);
    const json::value* inner = choice.find("allowed_tools");
    const std::string inner_path = choice.path_of("allowed_tools");
    if (inner == nullptr) return missing(inner_path);
    if (!inner->is_object()) return wrong_type(inner_path, "an object", type_name(*inner));
    return read_allowed(ObjectReader(inner->get_object(), inner_path), offered, out);
  }
  if (*type != "function") {
    return unsupported(choice.path_of("type"),
                       fmt::format("'{}' {} is not supported; 'function' and 'allowed_tools' are.",
                                   choice.path_of("type"), in_quotes(*type)));
  }
  if (style == ToolStyle::kFlat) return read_named(choice, offered, out);
  const json::value* function = choice.find("function");
  const std::string function_path = choice.path_of("function");
  if (function == nullptr) return missing(function_path);
  if (!function->is_object()) return wrong_type(function_path, "an object", type_name(*function));
  return read_named(ObjectReader(function->get_object(), function_path), offered, out);
}

}  // namespace

bool ToolFields::constrained() const {
  if (!any()) return false;
  return choice == ToolChoice::kRequired || std::ranges::any_of(*specs, &ToolSpec::strict);
}

ApiResult<ToolFields> read_tools(const ObjectReader& body, ToolStyle style,
                                 std::vector<std::string>* ignored) {
  ToolFields out;
  const bool modern = body.find("tools") != nullptr || body.find("tool_choice") != nullptr;
  out.legacy = style == ToolStyle::kNested &&
               (body.find("functions") != nullptr || body.find("function_call") != nullptr);
  if (modern && out.legacy) {
    const char* field = body.find("functions") != nullptr ? "functions" : "function_call";
    return bad_value(field, fmt::format("'{}' is the old name of tools; send one of both.", field));
  }
  if (out.legacy) {
    out.choice_field = "function_call";
    out.parallel = false;
  }
  Offered offered = VSURGE_TRY(read_offered(body, out.legacy, style, ignored));
  const bool parallel = VSURGE_TRY(body.boolean("parallel_tool_calls", true));
  if (!parallel) out.parallel = false;
  out.json = list_of(offered.json);
  VSURGE_TRY(read_choice(body, style, offered, out));
  if (out.choice == ToolChoice::kNone) out.json.clear();
  out.specs = std::make_shared<const ToolSpecs>(std::move(offered.specs));
  return out;
}

}  // namespace vsurge::api
