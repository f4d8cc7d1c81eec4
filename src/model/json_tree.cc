#include "model/json_tree.h"

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/value_stack.hpp>
#include <boost/system/errc.hpp>
#include <limits>
#include <set>
#include <utility>
#include <vector>

#include "base/escape.h"

namespace vsurge::model {
namespace {

namespace json = boost::json;
using Code = boost::system::error_code;

// Puts the parser's events on a stack of values, and remembers the keys of every open object.
class TreeHandler {
 public:
  static constexpr std::size_t max_object_size = std::numeric_limits<std::uint32_t>::max();
  static constexpr std::size_t max_array_size = max_object_size;
  static constexpr std::size_t max_key_size = 1 << 16;
  static constexpr std::size_t max_string_size = max_object_size;

  json::value release() { return stack_.release(); }
  // Empty, or the key that is there twice.
  const std::string& duplicate() const { return duplicate_; }

  bool on_document_begin(Code&) { return true; }
  bool on_document_end(Code&) { return true; }
  bool on_object_begin(Code&) {
    keys_.emplace_back();
    return true;
  }
  bool on_object_end(std::size_t n, Code&) {
    keys_.pop_back();
    stack_.push_object(n);
    return true;
  }
  bool on_array_begin(Code&) { return true; }
  bool on_array_end(std::size_t n, Code&) {
    stack_.push_array(n);
    return true;
  }
  bool on_key_part(json::string_view part, std::size_t, Code&) {
    key_.append(part);
    stack_.push_chars(part);
    return true;
  }
  bool on_key(json::string_view part, std::size_t, Code& code) {
    key_.append(part);
    stack_.push_key(part);
    if (!keys_.back().insert(key_).second) {
      duplicate_ = key_;
      code = make_error_code(boost::system::errc::invalid_argument);
      return false;
    }
    key_.clear();
    return true;
  }
  bool on_string_part(json::string_view part, std::size_t, Code&) {
    stack_.push_chars(part);
    return true;
  }
  bool on_string(json::string_view part, std::size_t, Code&) {
    stack_.push_string(part);
    return true;
  }
  bool on_number_part(json::string_view, Code&) { return true; }
  bool on_int64(std::int64_t value, json::string_view, Code&) {
    stack_.push_int64(value);
    return true;
  }
  bool on_uint64(std::uint64_t value, json::string_view, Code&) {
    stack_.push_uint64(value);
    return true;
  }
  bool on_double(double value, json::string_view, Code&) {
    stack_.push_double(value);
    return true;
  }
  bool on_bool(bool value, Code&) {
    stack_.push_bool(value);
    return true;
  }
  bool on_null(Code&) {
    stack_.push_null();
    return true;
  }
  bool on_comment_part(json::string_view, Code&) { return true; }
  bool on_comment(json::string_view, Code&) { return true; }

  void reset() { stack_.reset(); }

 private:
  json::value_stack stack_;
  std::vector<std::set<std::string>> keys_;
  std::string key_;
  std::string duplicate_;
};

}  // namespace

base::Result<json::value> parse_json(const std::string& file, std::string_view text,
                                     std::size_t depth_max) {
  json::parse_options options;
  options.max_depth = depth_max;
  json::basic_parser<TreeHandler> parser(options);
  parser.handler().reset();
  Code code;
  std::size_t done = parser.write_some(false, text.data(), text.size(), code);
  if (!parser.handler().duplicate().empty()) {
    return base::fail(base::ErrorCode::kBadModel, "{}: the key \"{}\" is twice in one object", file,
                      base::shorten(base::escape_for_line(parser.handler().duplicate()), 100));
  }
  while (!code && done < text.size() &&
         (text[done] == ' ' || text[done] == '\n' || text[done] == '\r' || text[done] == '\t')) {
    ++done;
  }
  if (code || done < text.size()) {
    return base::fail(base::ErrorCode::kBadModel, "{}: expected JSON, found {} at byte {}", file,
                      code ? code.message() : "more text", done);
  }
  return parser.handler().release();
}

}  // namespace vsurge::model
