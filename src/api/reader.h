// Reading members of a JSON object into typed values; every refusal names the member's path.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/api_error.h"

namespace vsurge::api {

// A view of one object at a path ("" for the whole body, "messages[2]", ...). A member that is
// null counts as absent.
class ObjectReader {
 public:
  ObjectReader(const boost::json::object& object, std::string path)
      : object_(object), path_(std::move(path)) {}

  const boost::json::object& object() const { return object_; }
  // "messages[2].content"; `name` alone at the top.
  std::string path_of(std::string_view name) const;

  // nullptr when absent or null.
  const boost::json::value* find(std::string_view name) const;

  ApiResult<bool> boolean(std::string_view name, bool otherwise) const;
  // A number in [low, high]; low_open: (low, high].
  struct Range {
    double low;
    double high;
    bool low_open = false;
  };
  ApiResult<std::optional<double>> number(std::string_view name, const Range& range) const;
  // An integer in [low, high]; 16.0 is 16.
  ApiResult<std::optional<std::int64_t>> integer(std::string_view name, std::int64_t low,
                                                 std::int64_t high) const;
  // At most bytes_max bytes, without NUL. For names and ids.
  ApiResult<std::optional<std::string>> name(std::string_view name, std::size_t bytes_max) const;
  // Any text; a view into the object.
  ApiResult<std::optional<std::string_view>> text(std::string_view name) const;
  // One of `words`, which are written "left|right".
  ApiResult<std::optional<std::string_view>> word(std::string_view name,
                                                  std::string_view words) const;
  // An array of at most count_max token ids below `vocabulary`; may be empty.
  ApiResult<std::optional<std::vector<std::int32_t>>> token_ids(std::string_view name,
                                                                int vocabulary,
                                                                std::size_t count_max) const;
  // A string or an array of strings, none of them empty.
  struct TextsMax {
    std::size_t count;
    std::size_t bytes;  // of each
  };
  ApiResult<std::optional<std::vector<std::string>>> texts(std::string_view name,
                                                           const TextsMax& most) const;

 private:
  const boost::json::object& object_;
  std::string path_;
};

// Token ids in [0, vocabulary).
ApiResult<std::vector<std::int32_t>> read_token_ids(const boost::json::array& array,
                                                    const std::string& path, int vocabulary);

// The integer that a JSON number is, when it is one (16.0 too) and fits int64.
std::optional<std::int64_t> exact_integer(const boost::json::value& value);

}  // namespace vsurge::api
