// Options of the program: each has a flag, a VSURGE_ variable and a key of the TOML file.
// The command line wins over the environment, the environment over the file.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace vsurge::apps {

// Environment lookup, given from main so that tests can bring their own.
using Environment = std::function<const char*(const char* name)>;

// Options of one subcommand. Add all, parse with CLI11, then call fill_from().
class OptionSet {
 public:
  explicit OptionSet(CLI::App& app) : app_(app) {}

  // names: "--max-length,--max-model-len"; the first long one names the variable
  // (VSURGE_MAX_LENGTH) and the key (max_length).
  template <class T>
  CLI::Option* add(const std::string& names, T& target, const std::string& description) {
    CLI::Option* option = app_.add_option(names, target, description);
    options_.push_back(option);
    return option;
  }

  // Fills what the command line left out. config: path of a TOML file or empty; keys are the
  // options' names with '_' (or '-'), at the top or in a table named like the subcommand.
  base::Status fill_from(const Environment& environment, const std::string& config);

  // "VSURGE_MAX_LENGTH" for an option whose first name is --max-length.
  static std::string variable_of(const CLI::Option& option);

 private:
  CLI::App& app_;
  std::vector<CLI::Option*> options_;
};

// Underscores in the names of long options count as dashes, so that the seed's spelling works:
// --max_length=8 becomes --max-length=8.
std::vector<std::string> normalise_arguments(int argc, char** argv);

}  // namespace vsurge::apps
