#include "api/schema_end.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <string_view>
#include <vector>

namespace vsurge::api {
namespace {

namespace json = boost::json;

constexpr int kVisitsMax = 10'000;
constexpr std::size_t kDepthMax = 256;

// A value is finite when it can be built without a part of itself, so a part that is asked for
// inside itself counts as endless there; a second way round may still end.
class Search {
 public:
  explicit Search(const json::value& root) : root_(root) {}

  // Gives up, and says yes, where it takes too long.
  bool ends(const json::value& schema, const std::string& path) {
    const json::object* object = schema.if_object();
    if (object == nullptr || ++visits_ > kVisitsMax || open_.size() > kDepthMax) return true;
    if (std::ranges::find(open_, object) != open_.end()) {
      if (endless_.empty()) endless_ = path;
      return false;
    }
    open_.push_back(object);
    const bool good = all_end(*object, path);
    open_.pop_back();
    return good;
  }
  const std::string& endless() const { return endless_; }

 private:
  bool all_end(const json::object& schema, const std::string& path) {
    if (schema.contains("enum") || schema.contains("const")) return true;
    return ref_ends(schema) && list_ends(schema, "allOf", path, true) &&
           list_ends(schema, "anyOf", path, false) && list_ends(schema, "oneOf", path, false) &&
           some_type_ends(schema, path);
  }

  bool ref_ends(const json::object& schema) {
    const json::value* ref = schema.if_contains("$ref");
    if (ref == nullptr || !ref->is_string() || !ref->get_string().starts_with("#")) return true;
    const std::string path(ref->get_string());
    boost::system::error_code error;
    const json::value* target =
        path == "#" ? &root_ : root_.find_pointer(std::string_view(path).substr(1), error);
    return target == nullptr || ends(*target, path);
  }

  bool list_ends(const json::object& schema, std::string_view key, const std::string& path,
                 bool all) {
    const json::value* list = schema.if_contains(key);
    if (list == nullptr || !list->is_array() || list->get_array().empty()) return true;
    std::size_t i = 0;
    const auto one = [&](const json::value& each) {
      return ends(each, path + "/" + std::string(key) + "/" + std::to_string(i++));
    };
    const json::array& parts = list->get_array();
    return all ? std::ranges::all_of(parts, one) : std::ranges::any_of(parts, one);
  }

  // Without a type a value may be a number.
  bool some_type_ends(const json::object& schema, const std::string& path) {
    const json::value* type = schema.if_contains("type");
    if (type == nullptr) return true;
    const auto one = [&](const json::value& name) {
      if (name == "object") return object_ends(schema, path);
      if (name == "array") return array_ends(schema, path);
      return true;
    };
    if (!type->is_array()) return one(*type);
    return std::ranges::any_of(type->get_array(), one);
  }

  bool object_ends(const json::object& schema, const std::string& path) {
    const json::value* required = schema.if_contains("required");
    const json::value* properties = schema.if_contains("properties");
    if (required == nullptr || !required->is_array()) return true;
    return std::ranges::all_of(required->get_array(), [&](const json::value& name) {
      if (!name.is_string()) return true;
      const std::string_view key = name.get_string();
      const json::value* part = properties != nullptr && properties->is_object()
                                    ? properties->get_object().if_contains(key)
                                    : nullptr;
      if (part != nullptr) return ends(*part, path + "/properties/" + std::string(key));
      const json::value* others = schema.if_contains("additionalProperties");
      return others == nullptr || ends(*others, path + "/additionalProperties");
    });
  }

  bool array_ends(const json::object& schema, const std::string& path) {
    const json::value* least = schema.if_contains("minItems");
    if (least == nullptr || !least->is_int64() || least->get_int64() < 1) return true;
    const json::value* first = schema.if_contains("prefixItems");
    std::size_t named = 0;
    if (first != nullptr && first->is_array()) {
      named = first->get_array().size();
      const auto wanted =
          std::min<std::size_t>(named, static_cast<std::size_t>(least->get_int64()));
      for (std::size_t i = 0; i < wanted; ++i) {
        if (!ends(first->get_array()[i], path + "/prefixItems/" + std::to_string(i))) return false;
      }
    }
    const json::value* items = schema.if_contains("items");
    const bool more = static_cast<std::size_t>(least->get_int64()) > named;
    return items == nullptr || !more || ends(*items, path + "/items");
  }

  const json::value& root_;
  std::vector<const json::object*> open_;
  std::string endless_;
  int visits_ = 0;
};

}  // namespace

std::optional<std::string> endless_part(const json::value& schema) {
  Search search(schema);
  if (search.ends(schema, "#")) return std::nullopt;
  return search.endless();
}

}  // namespace vsurge::api
