#include "api/fields.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <string>

#include "api/field_table.h"
#include "api/json.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;

using table::kFields;
using table::kNullOnly;

// Equal as JSON means it: 1 and 1.0 are one number.
bool same(const json::value& a, const json::value& b) {
  if (a.is_number() && b.is_number()) return a.to_number<double>() == b.to_number<double>();
  return a == b;
}

bool is_neutral(const Field& field, const json::value& value) {
  if (value.is_null()) return true;
  const json::value neutral = json::parse(field.neutral_values);  // ours: always JSON
  return std::ranges::any_of(neutral.get_array(),
                             [&](const json::value& each) { return same(each, value); });
}

std::string not_done(const Field& field) {
  const std::string_view values = field.neutral_values;
  if (values == kNullOnly) {
    return fmt::format("'{}' is not supported by this server; leave it out.", field.name);
  }
  return fmt::format(
      "'{}' is not supported by this server with this value; leave it out or send one of {}.",
      field.name, values);
}

}  // namespace

std::span<const Field> field_table() {
  return kFields;
}

ApiResult<void> check_fields(const json::object& body, Endpoint endpoint, const FieldCheck& check) {
  const auto bit = static_cast<std::uint8_t>(endpoint);
  std::string path;
  for (const auto& [key, value] : body) {
    path.assign(check.prefix).append(key.data(), key.size());
    // A dot in a member's name is not a path.
    const bool plain = key.find('.') == std::string_view::npos;
    const auto* field = std::ranges::find_if(kFields, [&](const Field& each) {
      return plain && (each.endpoints & bit) != 0 && each.name == path;
    });
    if (field == kFields.end()) {
      if (check.ignored == nullptr) return unknown_field(printable_name(path));
      check.ignored->push_back(printable_name(path));
      continue;
    }
    if (!field->works() && !is_neutral(*field, value)) {
      return unsupported(path, not_done(*field));
    }
  }
  return {};
}

}  // namespace vsurge::api
