// Config: a JSON file of a checkpoint (config.json, generation_config.json), read strictly.
//
// Format: RFC 8259; a key twice in one object, and nesting beyond CheckpointLimits, are refused
// (so are the words NaN and Infinity, which Python would write). Getters give nothing for a key
// that is absent or null, and kBadModel naming file, JSON pointer, expected and found for a value
// of another type or out of range (no number of any getter is NaN or infinite).
#pragma once

#include <boost/json/fwd.hpp>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "model/value_range.h"

namespace vsurge::model {

// A view of one object in a Config; valid while the Config lives.
class ConfigObject {
 public:
  bool has(std::string_view key) const;   // present and not null
  bool null(std::string_view key) const;  // present, and null
  base::Result<std::optional<std::int64_t>> integer(std::string_view key, IntegerRange range) const;
  base::Result<std::optional<double>> number(std::string_view key, NumberRange range) const;
  base::Result<std::optional<bool>> boolean(std::string_view key) const;
  base::Result<std::optional<std::string>> text(std::string_view key) const;
  base::Result<std::optional<ConfigObject>> object(std::string_view key) const;
  // A list, or one value as a list of one.
  base::Result<std::optional<std::vector<std::int64_t>>> integers(std::string_view key,
                                                                  IntegerRange range) const;
  base::Result<std::optional<std::vector<std::string>>> texts(std::string_view key) const;
  std::vector<std::string> keys() const;

  // The error of a value that is wrong in itself, or absent.
  std::unexpected<base::Error> wrong(std::string_view key, std::string_view expected) const;

 private:
  friend class Config;
  const boost::json::value* find(std::string_view key) const;

  const std::string* file_ = nullptr;
  const boost::json::object* object_ = nullptr;
  std::string pointer_;  // "" or "/rope_scaling"
};

// An owner; movable. Immutable, any thread may read.
class Config {
 public:
  // `file` names it in errors.
  static base::Result<Config> parse(std::string file, std::string_view text);
  static base::Result<Config> read(const std::filesystem::path& path, std::size_t bytes_max);

  Config(Config&&) noexcept;
  Config& operator=(Config&&) noexcept;
  ~Config();

  const std::string& file() const { return *file_; }
  ConfigObject root() const;

 private:
  Config();
  std::unique_ptr<std::string> file_;  // views point at them: their addresses do not change
  std::unique_ptr<boost::json::value> value_;
};

// The value of an optional that must be there.
template <class T>
base::Result<T> required(const ConfigObject& object, std::string_view key,
                         base::Result<std::optional<T>> value) {
  if (!value) return std::unexpected(std::move(value).error());
  if (!*value) return object.wrong(key, "a value");
  return std::move(**value);
}

}  // namespace vsurge::model
