#include "api/reader.h"

#include <algorithm>
#include <cmath>

#include "api/json.h"

namespace vsurge::api {

namespace json = boost::json;

std::string ObjectReader::path_of(std::string_view name) const {
  return path_.empty() ? std::string(name) : fmt::format("{}.{}", path_, name);
}

const json::value* ObjectReader::find(std::string_view name) const {
  const json::value* value = object_.if_contains(name);
  return value == nullptr || value->is_null() ? nullptr : value;
}

ApiResult<bool> ObjectReader::boolean(std::string_view name, bool otherwise) const {
  const json::value* value = find(name);
  if (value == nullptr) return otherwise;
  if (!value->is_bool()) return wrong_type(path_of(name), "a boolean", type_name(*value));
  return value->get_bool();
}

ApiResult<std::optional<double>> ObjectReader::number(std::string_view name,
                                                      const Range& range) const {
  const json::value* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) return wrong_type(path_of(name), "a number", type_name(*value));
  const double number = value->to_number<double>();
  if (number < range.low || number > range.high || (range.low_open && number == range.low)) {
    return bad_value(
        path_of(name),
        fmt::format("'{}' must be {} {} and at most {}; found {}.", path_of(name),
                    range.low_open ? "greater than" : "at least", range.low, range.high, number));
  }
  return number;
}

std::optional<std::int64_t> exact_integer(const json::value& value) {
  if (value.is_int64()) return value.get_int64();
  if (!value.is_double()) return std::nullopt;
  const double number = value.get_double();
  constexpr double kExactMax = 9007199254740992.0;  // 2^53: beyond it doubles skip integers
  if (number != std::floor(number) || std::abs(number) > kExactMax) return std::nullopt;
  return static_cast<std::int64_t>(number);
}

ApiResult<std::optional<std::int64_t>> ObjectReader::integer(std::string_view name,
                                                             std::int64_t low,
                                                             std::int64_t high) const {
  const json::value* value = find(name);
  if (value == nullptr) return std::nullopt;
  const std::string path = path_of(name);
  if (!value->is_number()) return wrong_type(path, "an integer", type_name(*value));
  const auto number = exact_integer(*value);
  if (!number && value->is_double() && value->get_double() != std::floor(value->get_double())) {
    return wrong_type(path, "an integer", "a number with a fraction");
  }
  if (!number || *number < low || *number > high) {
    std::string found;
    append_json(found, *value);
    return bad_value(
        path, fmt::format("'{}' must be between {} and {}; found {}.", path, low, high, found));
  }
  return *number;
}

ApiResult<std::optional<std::string_view>> ObjectReader::text(std::string_view name) const {
  const json::value* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) return wrong_type(path_of(name), "a string", type_name(*value));
  return std::string_view(value->get_string());
}

ApiResult<std::optional<std::string_view>> ObjectReader::word(std::string_view name,
                                                              std::string_view words) const {
  const auto found = VSURGE_TRY(text(name));
  if (!found) return std::nullopt;
  std::string list;
  for (std::size_t at = 0; at <= words.size();) {
    const std::size_t end = std::min(words.find('|', at), words.size());
    const std::string_view word = words.substr(at, end - at);
    if (*found == word) return found;
    if (!list.empty()) list += end == words.size() ? " or " : ", ";
    list += word;
    at = end + 1;
  }
  return bad_value(path_of(name), fmt::format("'{}' must be {}; found {}.", path_of(name), list,
                                              in_quotes(*found)));
}

ApiResult<std::optional<std::string>> ObjectReader::name(std::string_view name,
                                                         std::size_t bytes_max) const {
  const auto view = VSURGE_TRY(text(name));
  if (!view) return std::nullopt;
  if (view->size() > bytes_max) {
    return bad_value(path_of(name), fmt::format("'{}' must have at most {} bytes; found {}.",
                                                path_of(name), bytes_max, view->size()));
  }
  if (view->find('\0') != std::string_view::npos) {
    return bad_value(path_of(name), fmt::format("'{}' must not have a NUL.", path_of(name)));
  }
  return std::string(*view);
}

ApiResult<std::vector<std::int32_t>> read_token_ids(const json::array& array,
                                                    const std::string& path, int vocabulary) {
  std::vector<std::int32_t> ids;
  ids.reserve(array.size());
  for (std::size_t i = 0; i < array.size(); ++i) {
    if (!array[i].is_number()) {
      return wrong_type(fmt::format("{}[{}]", path, i), "a token id", type_name(array[i]));
    }
    const auto id = exact_integer(array[i]);
    if (!id || *id < 0 || *id >= vocabulary) {
      return bad_value(
          fmt::format("{}[{}]", path, i),
          fmt::format("'{}[{}]' must be a token id from 0 to {}.", path, i, vocabulary - 1));
    }
    ids.push_back(static_cast<std::int32_t>(*id));
  }
  return ids;
}

ApiResult<std::optional<std::vector<std::int32_t>>> ObjectReader::token_ids(
    std::string_view name, int vocabulary, std::size_t count_max) const {
  const json::value* value = find(name);
  if (value == nullptr) return std::nullopt;
  const std::string path = path_of(name);
  if (!value->is_array()) return wrong_type(path, "an array of token ids", type_name(*value));
  const json::array& array = value->get_array();
  if (array.size() > count_max) {
    return bad_value(path, fmt::format("'{}' must have at most {} token ids; found {}.", path,
                                       count_max, array.size()));
  }
  return VSURGE_TRY(read_token_ids(array, path, vocabulary));
}

namespace {

ApiResult<std::string> read_filled_text(const json::value& value, const std::string& path,
                                        std::size_t bytes_max) {
  if (!value.is_string()) return wrong_type(path, "a string", type_name(value));
  const std::string_view text = value.get_string();
  if (text.empty()) return bad_value(path, fmt::format("'{}' must not be empty.", path));
  if (text.size() > bytes_max) {
    return bad_value(path, fmt::format("'{}' must have at most {} bytes; found {}.", path,
                                       bytes_max, text.size()));
  }
  return std::string(text);
}

}  // namespace

ApiResult<std::optional<std::vector<std::string>>> ObjectReader::texts(std::string_view name,
                                                                       const TextsMax& most) const {
  const json::value* value = find(name);
  if (value == nullptr) return std::nullopt;
  const std::string path = path_of(name);
  std::vector<std::string> texts;
  if (!value->is_array()) {
    if (!value->is_string()) {
      return wrong_type(path, "a string or an array of strings", type_name(*value));
    }
    texts.push_back(VSURGE_TRY(read_filled_text(*value, path, most.bytes)));
    return texts;
  }
  const json::array& array = value->get_array();
  if (array.size() > most.count) {
    return bad_value(path, fmt::format("'{}' must have at most {} strings; found {}.", path,
                                       most.count, array.size()));
  }
  for (std::size_t i = 0; i < array.size(); ++i) {
    texts.push_back(
        VSURGE_TRY(read_filled_text(array[i], fmt::format("{}[{}]", path, i), most.bytes)));
  }
  return texts;
}

}  // namespace vsurge::api
