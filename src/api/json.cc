#include "api/json.h"

#include <array>
#include <boost/json/array.hpp>
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/object.hpp>
#include <charconv>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "base/escape.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;
using boost::system::error_code;

// What the builder refuses beyond the grammar.
enum class Refusal : std::uint8_t { kNone, kDuplicateMember, kTooManyValues, kNumberRange };

// Events of the parser to a value. Ours instead of Boost's, to refuse members written twice and to
// bound the number of values.
class Builder {
 public:
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);

  explicit Builder(std::size_t values_max) : values_max_(values_max) {}

  Refusal refusal() const { return refusal_; }
  std::string& duplicate() { return key_; }
  json::value take() { return std::move(root_); }

  bool on_document_begin(error_code&) { return true; }
  bool on_document_end(error_code&) { return true; }
  bool on_object_begin(error_code& ec) { return open(json::object(), ec); }
  bool on_array_begin(error_code& ec) { return open(json::array(), ec); }
  bool on_object_end(std::size_t, error_code& ec) { return close(ec); }
  bool on_array_end(std::size_t, error_code& ec) { return close(ec); }
  bool on_string_part(json::string_view s, std::size_t, error_code&) {
    text_.append(s.data(), s.size());
    return true;
  }
  bool on_string(json::string_view s, std::size_t, error_code& ec) {
    if (text_.empty()) return add(json::string(s), ec);
    text_.append(s.data(), s.size());
    const bool ok = add(json::string(text_.data(), text_.size()), ec);
    text_.clear();
    return ok;
  }
  bool on_key_part(json::string_view s, std::size_t, error_code&) {
    text_.append(s.data(), s.size());
    return true;
  }
  bool on_key(json::string_view s, std::size_t, error_code& ec) {
    text_.append(s.data(), s.size());
    key_ = std::exchange(text_, {});
    if (stack_.back().value.get_object().contains(key_)) {
      return refuse(Refusal::kDuplicateMember, ec);
    }
    stack_.back().key = key_;
    return true;
  }
  bool on_number_part(json::string_view, error_code&) { return true; }
  bool on_int64(std::int64_t i, json::string_view, error_code& ec) { return add(i, ec); }
  bool on_uint64(std::uint64_t u, json::string_view, error_code& ec) { return add(u, ec); }
  bool on_double(double d, json::string_view s, error_code& ec) {
    // Boost 1.81 may miss the nearest double by one; the text is at hand.
    double exact = 0;
    const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), exact);
    if (error == std::errc() && end == s.data() + s.size()) d = exact;
    if (!std::isfinite(d)) return refuse(Refusal::kNumberRange, ec);
    return add(d, ec);
  }
  bool on_bool(bool b, error_code& ec) { return add(b, ec); }
  bool on_null(error_code& ec) { return add(nullptr, ec); }
  bool on_comment_part(json::string_view, error_code&) { return true; }
  bool on_comment(json::string_view, error_code&) { return true; }

 private:
  struct Open {
    json::value value;
    std::string key;  // of the member whose value comes next
  };

  bool refuse(Refusal refusal, error_code& ec) {
    refusal_ = refusal;
    ec = json::error::incomplete;  // any; refusal_ tells
    return false;
  }
  bool open(json::value value, error_code& ec) {
    if (++values_ > values_max_) return refuse(Refusal::kTooManyValues, ec);
    stack_.push_back({std::move(value), {}});
    return true;
  }
  bool close(error_code& ec) {
    json::value value = std::move(stack_.back().value);
    stack_.pop_back();
    --values_;  // counted when it was opened
    return add(std::move(value), ec);
  }
  bool add(json::value value, error_code& ec) {
    if (++values_ > values_max_) return refuse(Refusal::kTooManyValues, ec);
    if (stack_.empty()) {
      root_ = std::move(value);
    } else if (Open& top = stack_.back(); top.value.is_array()) {
      top.value.get_array().push_back(std::move(value));
    } else {
      top.value.get_object().emplace(top.key, std::move(value));
    }
    return true;
  }

  json::value root_;
  std::vector<Open> stack_;
  std::string text_;
  std::string key_;
  std::size_t values_max_;
  std::size_t values_ = 0;
  Refusal refusal_ = Refusal::kNone;
};

std::unexpected<ApiError> refusal_error(Builder& builder, std::size_t at,
                                        const base::JsonLimits& limits) {
  switch (builder.refusal()) {
    case Refusal::kDuplicateMember:
      return bad_json("invalid_json", fmt::format("The body has the member {} twice in one object "
                                                  "(byte {}).",
                                                  in_quotes(builder.duplicate()), at));
    case Refusal::kTooManyValues:
      return bad_json("invalid_json",
                      fmt::format("The body has more than {} JSON values.", limits.values_max));
    default:
      return bad_json(
          "invalid_json",
          fmt::format("The body has a number beyond the range of a double (byte {}).", at));
  }
}

// The text ends with the first half of a pair, \ud8xx to \udbxx, and perhaps a backslash.
bool ends_in_half_pair(std::string_view text) {
  if (text.ends_with('\\')) text.remove_suffix(1);
  if (text.size() < 6) return false;
  const std::string_view escape = text.substr(text.size() - 6);
  return escape.starts_with("\\u") && (escape[2] == 'd' || escape[2] == 'D') &&
         std::string_view("89abAB").find(escape[3]) != std::string_view::npos;
}

std::unexpected<ApiError> grammar_error(const error_code& ec, std::size_t at,
                                        std::string_view text) {
  using json::error;
  if (ec == error::incomplete) {
    return bad_json("invalid_json", fmt::format("The body is not complete JSON: it ends at byte {} "
                                                "in the middle of a value.",
                                                text.size()));
  }
  if (ec == error::too_deep) {
    return bad_json("invalid_json",
                    fmt::format("The body's JSON is nested too deep (byte {}).", at));
  }
  if (ec == error::illegal_leading_surrogate || ec == error::illegal_trailing_surrogate ||
      ec == error::expected_utf16_escape ||
      (ec == error::syntax && ends_in_half_pair(text.substr(0, at)))) {
    return bad_json("invalid_unicode",
                    fmt::format("The body has half of a surrogate pair near byte {}.", at));
  }
  if (ec == error::exponent_overflow) {
    return bad_json(
        "invalid_json",
        fmt::format("The body has a number beyond the range of a double (byte {}).", at));
  }
  return bad_json("invalid_json",
                  fmt::format("The body is not JSON: {} at byte {}.", ec.message(), at));
}

}  // namespace

std::size_t find_invalid_utf8(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    std::uint64_t eight = 0;
    while (i + 8 <= text.size()) {
      std::memcpy(&eight, text.data() + i, 8);
      if ((eight & 0x8080808080808080ULL) != 0) break;
      i += 8;
    }
    if (i == text.size()) break;
    const std::size_t length = base::utf8_length(text.substr(i, 4));
    if (length == 0) return i;
    i += length;
  }
  return std::string_view::npos;
}

ApiResult<json::value> parse_json(std::string_view text, const base::JsonLimits& limits) {
  if (const std::size_t at = find_invalid_utf8(text); at != std::string_view::npos) {
    return bad_json("invalid_utf8", fmt::format("The body is not UTF-8 at byte {}.", at));
  }
  json::parse_options options;
  options.max_depth = limits.depth_max;
  json::basic_parser<Builder> parser(options, limits.values_max);
  error_code ec;
  std::size_t used = parser.write_some(false, text.data(), text.size(), ec);
  if (parser.handler().refusal() != Refusal::kNone) {
    return refusal_error(parser.handler(), used, limits);
  }
  if (ec) return grammar_error(ec, used, text);
  while (used < text.size() && std::strchr(" \t\r\n", text[used]) != nullptr &&
         text[used] != '\0') {
    ++used;
  }
  if (used < text.size()) {
    return bad_json("invalid_json",
                    fmt::format("The body has more after the end of its JSON (byte {}).", used));
  }
  return parser.handler().take();
}

void append_json_escaped(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::size_t from = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text, from, i - from);
    from = i + 1;
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      default:
        out += "\\u00";
        out += kHex[static_cast<unsigned char>(c) >> 4U];
        out += kHex[static_cast<unsigned char>(c) & 15U];
    }
  }
  out.append(text, from);
}

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  append_json_escaped(out, text);
  out += '"';
}

void append_integer(std::string& out, std::int64_t number) {
  std::array<char, 24> digits{};
  const auto result = std::to_chars(digits.data(), digits.data() + digits.size(), number);
  out.append(digits.data(), result.ptr);
}

namespace {

void append_double(std::string& out, double number) {
  std::array<char, 40> digits{};
  const auto result = std::to_chars(digits.data(), digits.data() + digits.size(), number);
  const std::string_view text(digits.data(), static_cast<std::size_t>(result.ptr - digits.data()));
  out += text;
  // A float stays a float: templates show 1.0 and 1 differently.
  if (text.find_first_of(".e") == std::string_view::npos) out += ".0";
}

}  // namespace

void append_json(std::string& out, const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      out += "null";
      return;
    case json::kind::bool_:
      out += value.get_bool() ? "true" : "false";
      return;
    case json::kind::int64:
      append_integer(out, value.get_int64());
      return;
    case json::kind::uint64:
      out += std::to_string(value.get_uint64());
      return;
    case json::kind::double_:
      append_double(out, value.get_double());
      return;
    case json::kind::string:
      append_json_string(out, value.get_string());
      return;
    case json::kind::array: {
      char separator = '[';
      for (const auto& element : value.get_array()) {
        out += std::exchange(separator, ',');
        append_json(out, element);
      }
      out += separator == '[' ? "[]" : "]";
      return;
    }
    case json::kind::object: {
      char separator = '{';
      for (const auto& [key, element] : value.get_object()) {
        out += std::exchange(separator, ',');
        append_json_string(out, key);
        out += ':';
        append_json(out, element);
      }
      out += separator == '{' ? "{}" : "}";
      return;
    }
  }
}

std::string_view type_name(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return "null";
    case json::kind::bool_:
      return "a boolean";
    case json::kind::int64:
    case json::kind::uint64:
      return "an integer";
    case json::kind::double_:
      return "a number";
    case json::kind::string:
      return "a string";
    case json::kind::array:
      return "an array";
    case json::kind::object:
      return "an object";
  }
  return "null";
}

}  // namespace vsurge::api
