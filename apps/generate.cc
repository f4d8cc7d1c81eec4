// vsurge generate: completes prompts from the command line, a file or standard input.

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "commands.h"
#include "generate_options.h"
#include "model_options.h"

namespace vsurge::apps {
namespace {

struct GenerateOptions {
  ModelOptions model;
  SamplingParams sampling;
  std::vector<std::string> prompts;
  std::string file;
  bool chat = false;
  bool no_stream = false;
};

std::string read_all(std::istream& in) {
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::string> prompts_of(const GenerateOptions& options) {
  std::vector<std::string> prompts = options.prompts;
  if (!options.file.empty()) {
    std::ifstream file(options.file, std::ios::binary);
    if (!file) {
      throw Error(ErrorKind::kUsage, "usage", options.file + ": cannot be read");
    }
    prompts.push_back(read_all(file));
  }
  if (prompts.empty()) prompts.push_back(read_all(std::cin));
  return prompts;
}

int run_generate(const GenerateOptions& options, const Environment& environment) {
  std::vector<std::string> prompts = prompts_of(options);
  // Room for more is of no use, and one alone needs no measured steps.
  ModelOptions model = options.model;
  model.surge.max_concurrent_decodes =
      std::min(model.surge.max_concurrent_decodes, static_cast<int>(prompts.size()));
  vSurge surge = load_surge(model, environment);
  if (options.chat) {
    for (auto& prompt : prompts) {
      prompt = surge.processor().apply_chat_template({{"user", prompt}});
    }
  }
  const bool stream = !options.no_stream && prompts.size() == 1;
  const auto samples =
      surge.generate(prompts, options.sampling, [&](std::size_t, const ReturnSample& sample) {
        if (stream) {
          std::fwrite(sample.text.data(), 1, sample.text.size(), stdout);
          std::fflush(stdout);
        }
        return true;
      });
  if (stream) {
    std::fputc('\n', stdout);
  } else {
    for (const auto& sample : samples) {
      std::fwrite(sample.accumulated_text.data(), 1, sample.accumulated_text.size(), stdout);
      std::fputc('\n', stdout);
    }
  }
  int tokens = 0;
  for (const auto& sample : samples) tokens += sample.num_generated_tokens;
  std::fprintf(stderr, "%d tokens, %.1f tokens/s\n", tokens, samples.front().tokens_per_second);
  return 0;
}

}  // namespace

void add_sampling_options(OptionSet& set, SamplingParams& sampling) {
  set.add("--max-tokens", sampling.max_tokens, "longest answer; default: what fits the context");
  set.add("--temperature", sampling.temperature, "0 = greedy")->capture_default_str();
  set.add("--top-p", sampling.top_p, "nucleus")->capture_default_str();
  set.add("--top-k", sampling.top_k, "0 = off")->capture_default_str();
  set.add("--min-p", sampling.min_p, "0 = off")->capture_default_str();
  set.add("--sampling-seed", sampling.seed, "the same seed gives the same answer");
  set.add("--stop", sampling.stop,
          "a text that ends the answer; up to 4, each with its own --stop");
}

Run add_generate(CLI::App& program) {
  CLI::App* command = program.add_subcommand("generate", "complete a prompt");
  const auto options = std::make_shared<GenerateOptions>();
  options->sampling.max_tokens.reset();
  options->model.log_level = "warning";
  options->model.surge.max_concurrent_decodes = 8;  // KV cache for a few prompts
  const auto set = std::make_shared<OptionSet>(*command);
  command
      ->add_option("-p,--prompt", options->prompts, "prompt; given several times, all run at once")
      ->allow_extra_args(false);
  command->add_option("-f,--file", options->file, "file with a prompt; default: standard input");
  command->add_flag("--chat", options->chat, "send the prompt through the chat template");
  command->add_flag("--no-stream", options->no_stream, "print the answer when it is complete");
  add_sampling_options(*set, options->sampling);
  add_model_options(*set, *command, options->model);
  return [options, set](const Environment& environment) {
    fill_options(*set, options->model, environment);
    return run_generate(*options, environment);
  };
}

}  // namespace vsurge::apps
