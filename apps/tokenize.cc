// vsurge tokenize: ids and pieces of a text.

#include <cstdio>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>

#include "base/mapped_file.h"
#include "commands.h"
#include "json_text.h"
#include "model_options.h"

namespace vsurge::apps {
namespace {

struct TokenizeOptions {
  std::string model;
  std::string text;
  std::string file;
  bool has_text = false;
  bool no_special = false;
  bool json = false;
};

constexpr std::size_t kTextBytesMax = 64 * 1024 * 1024;

std::string text_of(const TokenizeOptions& options) {
  if (options.has_text) return options.text;
  if (options.file.empty() || options.file == "-") {
    return {std::istreambuf_iterator<char>(std::cin), {}};
  }
  auto text = base::read_text_file(options.file, kTextBytesMax);
  require(text ? base::Status{} : std::unexpected(text.error()));
  return *text;
}

int run_tokenize(const TokenizeOptions& options) {
  const auto tokenizer = AutoTokenizer::from_pretrained(options.model);
  const auto ids = tokenizer.encode(text_of(options), !options.no_special);
  std::string out = options.json ? "[" : "";
  for (const std::int32_t id : ids) {
    const std::string piece = json_text(tokenizer.convert_id_to_token(id));
    if (options.json) {
      out += fmt::format("{}{{\"id\":{},\"piece\":{}}}", out.size() > 1 ? "," : "", id, piece);
    } else {
      out += fmt::format("{}\t{}\n", id, piece);
    }
  }
  if (options.json) out += "]\n";
  std::fwrite(out.data(), 1, out.size(), stdout);
  return 0;
}

}  // namespace

Run add_tokenize(CLI::App& program) {
  CLI::App* command = program.add_subcommand("tokenize", "print the token ids of a text");
  const auto options = std::make_shared<TokenizeOptions>();
  command->add_option("model", options->model, "Hugging Face folder, tokenizer.json or .gguf file")
      ->required();
  CLI::Option* text = command->add_option("text", options->text, "the text");
  command->add_option("--file", options->file, "read the text from a file; - = standard input")
      ->excludes(text);
  command->add_flag("--no-special", options->no_special,
                    "without the tokens that the tokenizer adds by itself");
  command->add_flag("--json", options->json, "one JSON array of {id, piece}");
  return [options, text](const Environment&) {
    options->has_text = text->count() > 0;
    return run_tokenize(*options);
  };
}

}  // namespace vsurge::apps
