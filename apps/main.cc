// vsurge: loads a language model and serves it over the OpenAI API.
//
// Exit status: 0 done, 1 a fault of this program, 2 usage, 3 a model that cannot be served,
// 4 the environment (memory, files, ports).

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "commands.h"
#include "vsurge/error.h"
#include "vsurge/version.h"

namespace {

using vsurge::apps::Run;

int run(int argc, char** argv) {
  CLI::App program("Serves language models on CPUs over the OpenAI API.", "vsurge");
  program.require_subcommand(1);
  program.set_help_all_flag("--help-all", "help of all subcommands");
  program.set_version_flag("--version", fmt::format("vsurge {}", vsurge::kVersion));
  std::vector<std::pair<const char*, Run>> commands;
  const auto add = [&](const char* name, Run (*make)(CLI::App&)) {
    commands.emplace_back(name, make(program));
  };
  add("serve", vsurge::apps::add_serve);
  add("chat", vsurge::apps::add_chat);
  add("generate", vsurge::apps::add_generate);
  add("tokenize", vsurge::apps::add_tokenize);
  add("render", vsurge::apps::add_render);
  add("inspect", vsurge::apps::add_inspect);
  add("plan", vsurge::apps::add_plan);
  add("bench", vsurge::apps::add_bench);
  add("quantize", vsurge::apps::add_quantize);
  add("doctor", vsurge::apps::add_doctor);
  add("keys", vsurge::apps::add_keys);
  add("version", vsurge::apps::add_version);
  try {
    std::vector<std::string> arguments = vsurge::apps::normalise_arguments(argc, argv);
    std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants a vector
    program.parse(arguments);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return program.exit(error);  // --help
    std::string text = vsurge::apps::error_text(error);
    if (program.get_subcommands().empty()) {
      text += fmt::format(", found {}; vsurge --help lists them",
                          argc > 1 ? fmt::format("'{}'", argv[1]) : "none");
    }
    std::fprintf(stderr, "vsurge: %s\n", text.c_str());
    return static_cast<int>(vsurge::ErrorKind::kUsage);
  }
  for (const auto& [name, command] : commands) {
    if (program.got_subcommand(name)) {
      return command([](const char* variable) { return std::getenv(variable); });
    }
  }
  return static_cast<int>(vsurge::ErrorKind::kUsage);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const vsurge::Error& error) {
    std::fprintf(stderr, "vsurge: %s\n", error.what());
    return static_cast<int>(error.kind());
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "vsurge: out of memory\n");
    return static_cast<int>(vsurge::ErrorKind::kEnvironment);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "vsurge: %s\n", error.what());
    return static_cast<int>(vsurge::ErrorKind::kInternal);
  }
}
