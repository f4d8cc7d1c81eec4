// vsurge render: the prompt that a chat template makes of one JSON object, and nothing else.

#include <cstdio>
#include <ctime>
#include <iostream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>

#include "base/mapped_file.h"
#include "commands.h"
#include "model_options.h"

namespace vsurge::apps {
namespace {

struct RenderOptions {
  std::string model;
  std::string context;
  std::string now;
};

constexpr std::size_t kContextBytesMax = 64 * 1024 * 1024;

[[noreturn]] void bad_time(const std::string& iso) {
  throw Error(ErrorKind::kUsage, "usage",
              fmt::format("--now: expected a time such as 2026-11-22T10:30:00, found '{}'", iso));
}

// Local wall-clock time as written, without a zone: 2026-11-22T10:30:00 or 2026-11-22.
std::int64_t seconds_of(const std::string& iso) {
  std::tm time{};
  const char* rest = ::strptime(iso.c_str(), "%Y-%m-%d", &time);
  if (rest != nullptr && (*rest == 'T' || *rest == ' ')) {
    rest = ::strptime(rest + 1, "%H:%M:%S", &time);
  }
  if (rest == nullptr || *rest != '\0') bad_time(iso);
  const std::tm written = time;
  const std::int64_t seconds = ::timegm(&time);
  if (time.tm_mday != written.tm_mday) bad_time(iso);  // 31 February
  return seconds;
}

int run_render(const RenderOptions& options) {
  std::string context;
  if (options.context == "-") {
    context.assign(std::istreambuf_iterator<char>(std::cin), {});
  } else {
    auto text = base::read_text_file(options.context, kContextBytesMax);
    require(text ? base::Status{} : std::unexpected(text.error()));
    context = std::move(*text);
  }
  std::optional<std::int64_t> now;
  if (!options.now.empty()) now = seconds_of(options.now);
  const bool lone = options.model.ends_with(".jinja") || options.model.ends_with(".jinja2");
  const std::string prompt =
      lone ? render_template_file(options.model, context, now)
           : AutoTokenizer::from_pretrained(options.model).render_chat_template(context, now);
  std::fwrite(prompt.data(), 1, prompt.size(), stdout);
  return 0;
}

}  // namespace

Run add_render(CLI::App& program) {
  CLI::App* command = program.add_subcommand("render", "print the prompt of a conversation");
  const auto options = std::make_shared<RenderOptions>();
  command
      ->add_option("model", options->model, "Hugging Face folder, .gguf file or a .jinja template")
      ->required();
  command
      ->add_option("--context", options->context,
                   "JSON file with messages, tools, add_generation_prompt ...; - = standard input")
      ->required();
  command->add_option("--now", options->now, "local time for templates that print the date");
  return [options](const Environment&) { return run_render(*options); };
}

}  // namespace vsurge::apps
