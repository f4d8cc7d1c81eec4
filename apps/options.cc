#include "options.h"

#include <toml++/toml.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <string_view>
#include <system_error>

#include "base/mapped_file.h"

namespace vsurge::apps {
namespace {

using base::ErrorCode;
using base::fail;

constexpr std::size_t kConfigBytesMax = 1 << 20;

// Each name of an option as a key: "max_length", "max_model_len".
std::vector<std::string> keys_of(const CLI::Option& option) {
  std::vector<std::string> keys = option.get_lnames();
  if (keys.empty()) keys.push_back(option.get_name());
  for (std::string& key : keys) std::ranges::replace(key, '-', '_');
  return keys;
}

std::string variable_of(std::string_view key) {
  std::string name = "VSURGE_" + std::string(key);
  std::ranges::transform(name, name.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  return name;
}

// CLI11 reports a bad value by exception; here it is an error that names its source.
base::Status give(CLI::Option& option, const std::vector<std::string>& values,
                  const std::string& source) {
  try {
    for (const auto& value : values) option.add_result(value);
    option.run_callback();
    return {};
  } catch (const CLI::Error& error) {
    return fail(ErrorCode::kUsage, "{}: {}", source, error_text(error));
  }
}

// A TOML value as the command line would have it; nullopt for what has no such form.
std::optional<std::string> text_of(const toml::node& node) {
  if (const auto* value = node.as_string()) return value->get();
  if (const auto* value = node.as_integer()) return std::to_string(value->get());
  if (const auto* value = node.as_floating_point()) return fmt::format("{}", value->get());
  if (const auto* value = node.as_boolean()) return value->get() ? "true" : "false";
  return std::nullopt;
}

base::Result<std::vector<std::string>> values_of(const toml::node& node, const std::string& key) {
  std::vector<std::string> values;
  if (const auto* array = node.as_array()) {
    for (const auto& element : *array) {
      const auto text = text_of(element);
      if (!text) return fail(ErrorCode::kUsage, "{}: expected plain values in the array", key);
      values.push_back(*text);
    }
    return values;
  }
  const auto text = text_of(node);
  if (!text) return fail(ErrorCode::kUsage, "{}: expected a plain value or an array", key);
  values.push_back(*text);
  return values;
}

using Settings = std::map<std::string, std::vector<std::string>, std::less<>>;

base::Status collect(const toml::table& table, const std::string& file, Settings& settings) {
  for (const auto& [name, node] : table) {
    if (node.is_table()) continue;
    std::string key(name.str());
    std::ranges::replace(key, '-', '_');
    settings[key] = VSURGE_TRY(values_of(node, file + ": " + key));
  }
  return {};
}

bool is_subcommand(const CLI::App& app, std::string_view name) {
  if (app.get_name() == name) return true;
  if (app.get_parent() == nullptr) return false;
  const auto siblings = app.get_parent()->get_subcommands([](const CLI::App*) { return true; });
  return std::ranges::any_of(siblings, [&](const CLI::App* s) { return s->get_name() == name; });
}

base::Result<Settings> settings_of(const toml::table& file, const std::string& path,
                                   const CLI::App& app) {
  Settings settings;
  VSURGE_TRY(collect(file, path, settings));
  for (const auto& [name, node] : file) {
    const auto* table = node.as_table();
    if (table == nullptr) continue;
    if (!is_subcommand(app, name.str())) {
      return fail(ErrorCode::kUsage, "{}: expected tables named like subcommands, found [{}]", path,
                  name.str());
    }
    if (name.str() == app.get_name()) VSURGE_TRY(collect(*table, path, settings));
  }
  return settings;
}

base::Result<Settings> read_config(const std::string& path, const CLI::App& app) {
  if (path.empty()) return Settings{};
  const auto source = base::read_text_file(path, kConfigBytesMax);
  if (!source) return fail(ErrorCode::kUsage, "{}", source.error().message);
  try {
    return settings_of(toml::parse(*source, path), path, app);
  } catch (const toml::parse_error& error) {
    return fail(ErrorCode::kUsage, "{}:{}: {}", path, error.source().begin.line,
                error.description());
  }
}

}  // namespace

base::Status OptionSet::fill_from(const Environment& environment, const std::string& config) {
  Settings settings = VSURGE_TRY(read_config(config, app_));
  for (CLI::Option* option : options_) {
    bool given = option->count() > 0;
    for (const std::string& key : keys_of(*option)) {
      const std::string variable = variable_of(key);
      const char* value = environment(variable.c_str());
      if (given || value == nullptr || *value == '\0') continue;
      VSURGE_TRY(give(*option, {value}, variable));
      given = true;
    }
    std::string first;  // the key that the file gives it by
    for (const std::string& key : keys_of(*option)) {
      const auto setting = settings.find(key);
      if (setting == settings.end()) continue;
      if (!first.empty()) {
        return fail(ErrorCode::kUsage, "{}: '{}' and '{}' are one option; give one of them", config,
                    first, key);
      }
      first = key;
      if (!given) VSURGE_TRY(give(*option, setting->second, config + ": " + key));
      settings.erase(setting);
    }
  }
  if (!settings.empty()) {
    return fail(ErrorCode::kUsage, "{}: no option is named '{}'; see vsurge {} --help", config,
                settings.begin()->first, app_.get_name());
  }
  return {};
}

std::string integer_fault(const std::string& text, std::int64_t least, std::uint64_t most) {
  const char* const end = text.data() + text.size();
  std::int64_t low = 0;
  std::uint64_t high = 0;
  const auto negative = std::from_chars(text.data(), end, low);
  const auto positive = std::from_chars(text.data(), end, high);
  const bool fits_low =
      negative.ec == std::errc() && negative.ptr == end && low < 0 && low >= least;
  const bool fits_high = positive.ec == std::errc() && positive.ptr == end && high <= most;
  if (fits_low || fits_high) return {};
  return fmt::format("expected an integer from {} to {}, found '{}'", least, most, text);
}

std::string real_fault(const std::string& text) {
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error == std::errc() && rest == end) return {};
  return fmt::format("expected a number, found '{}'", text);
}

std::string error_text(const CLI::Error& error) {
  std::string text = error.what();
  std::ranges::replace(text, '\n', ' ');
  return text;
}

std::vector<std::string> normalise_arguments(int argc, char** argv) {
  std::vector<std::string> arguments;
  bool options_end = false;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    options_end = options_end || argument == "--";
    if (!options_end && argument.starts_with("--")) {
      const auto end = argument.begin() +
                       static_cast<std::ptrdiff_t>(std::min(argument.find('='), argument.size()));
      std::replace(argument.begin(), end, '_', '-');
    }
    arguments.push_back(std::move(argument));
  }
  return arguments;
}

}  // namespace vsurge::apps
