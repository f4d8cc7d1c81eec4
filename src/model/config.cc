#include "model/config.h"

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <cmath>
#include <utility>

#include "base/escape.h"
#include "base/limits.h"
#include "base/mapped_file.h"
#include "model/json_tree.h"

namespace vsurge::model {
namespace {

using base::Result;

constexpr std::size_t kFoundBytesMax = 80;

// Nothing when the value is not a whole number of 64 bits.
std::optional<std::int64_t> whole(const boost::json::value& value) {
  if (value.is_int64()) return value.get_int64();
  return std::nullopt;
}

std::optional<double> finite(const boost::json::value& value) {
  double number = 0;
  if (value.is_int64()) {
    number = static_cast<double>(value.get_int64());
  } else if (value.is_uint64()) {
    number = static_cast<double>(value.get_uint64());
  } else if (value.is_double()) {
    number = value.get_double();
  } else {
    return std::nullopt;
  }
  return std::isfinite(number) ? std::optional(number) : std::nullopt;
}

std::string range_text(const char* what, IntegerRange range) {
  return fmt::format("{} from {} to {}", what, range.min, range.max);
}

}  // namespace

const boost::json::value* ConfigObject::find(std::string_view key) const {
  const boost::json::value* value = object_->if_contains(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

bool ConfigObject::has(std::string_view key) const {
  return find(key) != nullptr;
}

bool ConfigObject::null(std::string_view key) const {
  const boost::json::value* value = object_->if_contains(key);
  return value != nullptr && value->is_null();
}

std::unexpected<base::Error> ConfigObject::wrong(std::string_view key,
                                                 std::string_view expected) const {
  const boost::json::value* value = object_->if_contains(key);
  const std::string found = value == nullptr     ? "nothing"
                            : value->is_double() ? fmt::format("{}", value->get_double())
                                                 : boost::json::serialize(*value);
  return base::fail(base::ErrorCode::kBadModel, "{}: {}/{}: expected {}, found {}", *file_,
                    pointer_, key, expected,
                    base::shorten(base::escape_for_line(found), kFoundBytesMax));
}

Result<std::optional<std::int64_t>> ConfigObject::integer(std::string_view key,
                                                          IntegerRange range) const {
  const boost::json::value* value = find(key);
  if (value == nullptr) return std::nullopt;
  const auto number = whole(*value);
  if (!number || *number < range.min || *number > range.max) {
    return wrong(key, range_text("a whole number", range));
  }
  return number;
}

Result<std::optional<double>> ConfigObject::number(std::string_view key, NumberRange range) const {
  const boost::json::value* value = find(key);
  if (value == nullptr) return std::nullopt;
  const auto number = finite(*value);
  if (!number || *number < range.min || *number > range.max) {
    return wrong(key, fmt::format("a number from {} to {}", range.min, range.max));
  }
  return number;
}

Result<std::optional<bool>> ConfigObject::boolean(std::string_view key) const {
  const boost::json::value* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_bool()) return wrong(key, "true or false");
  return value->get_bool();
}

Result<std::optional<std::string>> ConfigObject::text(std::string_view key) const {
  const boost::json::value* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) return wrong(key, "a string");
  return std::string(value->get_string());
}

Result<std::optional<ConfigObject>> ConfigObject::object(std::string_view key) const {
  const boost::json::value* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_object()) return wrong(key, "an object");
  ConfigObject inner;
  inner.file_ = file_;
  inner.object_ = &value->get_object();
  inner.pointer_ = fmt::format("{}/{}", pointer_, key);
  return inner;
}

Result<std::optional<std::vector<std::int64_t>>> ConfigObject::integers(std::string_view key,
                                                                        IntegerRange range) const {
  const boost::json::value* value = find(key);
  if (value == nullptr) return std::nullopt;
  std::vector<std::int64_t> numbers;
  const auto take = [&](const boost::json::value& element) {
    const auto number = whole(element);
    if (!number || *number < range.min || *number > range.max) return false;
    numbers.push_back(*number);
    return true;
  };
  bool all = true;
  if (value->is_array()) {
    for (const auto& element : value->get_array()) all = all && take(element);
  } else {
    all = take(*value);
  }
  if (!all) return wrong(key, range_text("whole numbers", range));
  return numbers;
}

Result<std::optional<std::vector<std::string>>> ConfigObject::texts(std::string_view key) const {
  const boost::json::value* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) return std::vector{std::string(value->get_string())};
  if (!value->is_array()) return wrong(key, "a list of strings");
  std::vector<std::string> texts;
  for (const auto& element : value->get_array()) {
    if (!element.is_string()) return wrong(key, "a list of strings");
    texts.emplace_back(element.get_string());
  }
  return texts;
}

std::vector<std::string> ConfigObject::keys() const {
  std::vector<std::string> keys;
  for (const auto& member : *object_) keys.emplace_back(member.key());
  return keys;
}

Result<Config> Config::parse(std::string file, std::string_view text) {
  Config config;
  auto value = VSURGE_TRY(parse_json(file, text, base::CheckpointLimits{}.config_depth_max));
  if (!value.is_object()) {
    return base::fail(
        base::ErrorCode::kBadModel, "{}: expected an object, found {}", file,
        base::shorten(base::escape_for_line(boost::json::serialize(value)), kFoundBytesMax));
  }
  config.file_ = std::make_unique<std::string>(std::move(file));
  config.value_ = std::make_unique<boost::json::value>(std::move(value));
  return config;
}

Result<Config> Config::read(const std::filesystem::path& path, std::size_t bytes_max) {
  const std::string text = VSURGE_TRY(base::read_text_file(path, bytes_max));
  return parse(path.string(), text);
}

Config::Config() = default;
Config::Config(Config&&) noexcept = default;
Config& Config::operator=(Config&&) noexcept = default;
Config::~Config() = default;

ConfigObject Config::root() const {
  ConfigObject root;
  root.file_ = file_.get();
  root.object_ = &value_->get_object();
  return root;
}

}  // namespace vsurge::model
