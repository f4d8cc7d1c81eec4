// vsurge inspect: what a checkpoint is and what it would need. vsurge version: of this program.

#include <cstdio>
#include <memory>
#include <string>

#include "commands.h"
#include "model_options.h"
#include "vsurge/version.h"

namespace vsurge::apps {

Run add_inspect(CLI::App& program) {
  CLI::App* command = program.add_subcommand("inspect", "print what a checkpoint is");
  const auto model = std::make_shared<std::string>();
  command->add_option("model", *model, "Hugging Face folder or .gguf file; nothing = the default");
  return [model](const Environment& environment) {
    std::fputs(inspect_checkpoint(model_path(*model, environment)).c_str(), stdout);
    return 0;
  };
}

Run add_version(CLI::App& program) {
  program.add_subcommand("version", "print the version");
  return [](const Environment&) {
    std::printf("vsurge %s\n", kVersion);
    return 0;
  };
}

}  // namespace vsurge::apps
