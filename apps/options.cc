#include "options.h"

#include <toml++/toml.h>

#include <algorithm>
#include <map>
#include <string_view>

namespace vsurge::apps {
namespace {

using base::ErrorCode;
using base::fail;

std::string key_of(const CLI::Option& option) {
  std::string key = option.get_lnames().empty() ? option.get_name() : option.get_lnames().front();
  std::ranges::replace(key, '-', '_');
  return key;
}

// CLI11 reports a bad value by exception; here it is an error that names its source.
base::Status give(CLI::Option& option, const std::vector<std::string>& values,
                  const std::string& source) {
  try {
    for (const auto& value : values) option.add_result(value);
    option.run_callback();
    return {};
  } catch (const CLI::Error& error) {
    return fail(ErrorCode::kUsage, "{}: {}", source, error.what());
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

base::Result<Settings> read_config(const std::string& path, const std::string& subcommand) {
  Settings settings;
  if (path.empty()) return settings;
  try {
    const toml::table file = toml::parse_file(path);
    VSURGE_TRY(collect(file, path, settings));
    for (const auto& [name, node] : file) {
      const auto* table = node.as_table();
      if (table == nullptr) continue;
      if (name.str() != subcommand) {
        return fail(ErrorCode::kUsage, "{}: expected only the table [{}], found [{}]", path,
                    subcommand, name.str());
      }
      VSURGE_TRY(collect(*table, path, settings));
    }
    return settings;
  } catch (const toml::parse_error& error) {
    return fail(ErrorCode::kUsage, "{}:{}: {}", path, error.source().begin.line,
                error.description());
  }
}

}  // namespace

std::string OptionSet::variable_of(const CLI::Option& option) {
  std::string name = "VSURGE_" + key_of(option);
  std::ranges::transform(name, name.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  return name;
}

base::Status OptionSet::fill_from(const Environment& environment, const std::string& config) {
  Settings settings = VSURGE_TRY(read_config(config, app_.get_name()));
  for (CLI::Option* option : options_) {
    const std::string key = key_of(*option);
    const auto setting = settings.find(key);
    const std::string variable = variable_of(*option);
    if (option->count() == 0) {
      if (const char* value = environment(variable.c_str()); value != nullptr) {
        VSURGE_TRY(give(*option, {value}, variable));
      } else if (setting != settings.end()) {
        VSURGE_TRY(give(*option, setting->second, config + ": " + key));
      }
    }
    if (setting != settings.end()) settings.erase(setting);
  }
  if (!settings.empty()) {
    return fail(ErrorCode::kUsage, "{}: no option is named '{}'; see vsurge {} --help", config,
                settings.begin()->first, app_.get_name());
  }
  return {};
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
