// Options of the program: each name has a flag, a VSURGE_ variable and a key of the TOML file.
// The command line wins over the environment, the environment over the file.
#pragma once

#include <CLI/CLI.hpp>

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "base/error.h"

namespace vsurge::apps {

// Environment lookup, given from main so that tests can bring their own.
using Environment = std::function<const char*(const char* name)>;

// A message of CLI11 on one line.
std::string error_text(const CLI::Error& error);

// What a text lacks to be a number of type T, in words; empty when it is one.
std::string integer_fault(const std::string& text, std::int64_t least, std::uint64_t most);
std::string real_fault(const std::string& text);

template <class T>
struct IsNumber : std::bool_constant<std::is_arithmetic_v<T> && !std::is_same_v<T, bool>> {
  static std::string fault(const std::string& text) {
    if constexpr (std::is_floating_point_v<T>) {
      return real_fault(text);
    } else {
      return integer_fault(text, static_cast<std::int64_t>(std::numeric_limits<T>::min()),
                           static_cast<std::uint64_t>(std::numeric_limits<T>::max()));
    }
  }
};
template <class T>
struct IsNumber<std::optional<T>> : IsNumber<T> {};
template <class T>
struct IsNumber<std::vector<T>> : IsNumber<T> {};

// Options of one subcommand. Add all, parse with CLI11, then call fill_from().
class OptionSet {
 public:
  explicit OptionSet(CLI::App& app) : app_(app) {}

  // names: "--max-length,--max-model-len": variables VSURGE_MAX_LENGTH and VSURGE_MAX_MODEL_LEN,
  // keys max_length and max_model_len. An option of several values is given once for each.
  // A bool is a flag: --names, or --names=false.
  template <class T>
  CLI::Option* add(const std::string& names, T& target, const std::string& description) {
    if constexpr (std::is_same_v<T, bool>) {
      options_.push_back(app_.add_flag(names, target, description));
      return options_.back();
    }
    CLI::Option* option = app_.add_option(names, target, description);
    option->allow_extra_args(false);  // else it would take a model that follows it
    if constexpr (IsNumber<T>::value) {
      option->check([](const std::string& text) { return IsNumber<T>::fault(text); });
    }
    options_.push_back(option);
    return option;
  }

  // Fills what the command line left out. config: path of a TOML file or empty; keys are the
  // options' names with '_' (or '-'), at the top or in a table named like the subcommand. Tables of
  // the program's other subcommands are theirs. An empty variable counts as none.
  base::Status fill_from(const Environment& environment, const std::string& config);

 private:
  CLI::App& app_;
  std::vector<CLI::Option*> options_;
};

// Underscores in the names of long options count as dashes, so that the seed's spelling works:
// --max_length=8 becomes --max-length=8.
std::vector<std::string> normalise_arguments(int argc, char** argv);

}  // namespace vsurge::apps
