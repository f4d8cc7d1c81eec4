// The subcommands of the program. Each adds itself to the command line; what it returns runs it.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>

#include "options.h"

namespace vsurge::apps {

// Runs the subcommand once the command line is parsed; returns the exit status. May throw
// vsurge::Error.
using Run = std::function<int(const Environment& environment)>;

Run add_serve(CLI::App& program);
Run add_chat(CLI::App& program);
Run add_generate(CLI::App& program);
Run add_tokenize(CLI::App& program);
Run add_render(CLI::App& program);
Run add_inspect(CLI::App& program);
Run add_plan(CLI::App& program);
Run add_bench(CLI::App& program);
Run add_quantize(CLI::App& program);
Run add_doctor(CLI::App& program);
Run add_keys(CLI::App& program);
Run add_version(CLI::App& program);

}  // namespace vsurge::apps
