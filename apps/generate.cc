// vsurge generate: completes prompts from the command line, a file or standard input.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "base/escape.h"
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

// One line of each token: its logprob, itself, and the likeliest at its place.
void print_logprobs(const std::vector<TokenLogprobs>& tokens) {
  for (const TokenLogprobs& each : tokens) {
    std::string line = fmt::format("{:9.4f}  '{}'", each.token.logprob,
                                   base::escape_for_line(each.token.decoded_token));
    for (const TokenLogprob& other : each.top) {
      line +=
          fmt::format("  {:.4f} '{}'", other.logprob, base::escape_for_line(other.decoded_token));
    }
    std::printf("%s\n", line.c_str());
  }
}

void print_answers(const ReturnSample& sample, bool stream) {
  for (const CompletionOutput& output : sample.outputs) {
    if (!stream) std::fwrite(output.text.data(), 1, output.text.size(), stdout);
    std::fputc('\n', stdout);
    print_logprobs(output.logprobs);
  }
}

int run_generate(const GenerateOptions& options, const Environment& environment) {
  std::vector<std::string> prompts = prompts_of(options);
  // Room for more is of no use, and one alone needs no measured steps.
  ModelOptions model = options.model;
  const std::int64_t answers = static_cast<std::int64_t>(prompts.size()) *
                               options.sampling.best_of.value_or(options.sampling.n);
  model.surge.max_concurrent_decodes = static_cast<int>(
      std::clamp<std::int64_t>(answers, 1, std::max(model.surge.max_concurrent_decodes, 1)));
  vSurge surge = load_surge(model, environment);
  if (options.chat) {
    for (auto& prompt : prompts) {
      prompt = surge.processor().apply_chat_template({{"user", prompt}});
    }
  }
  const bool stream = !options.no_stream && answers == 1;
  const auto samples =
      surge.generate(prompts, options.sampling, [&](std::size_t, const ReturnSample& sample) {
        if (stream) {
          std::fwrite(sample.text.data(), 1, sample.text.size(), stdout);
          std::fflush(stdout);
        }
        return true;
      });
  for (const auto& sample : samples) print_answers(sample, stream);
  int tokens = 0;
  for (const auto& sample : samples) {
    for (const auto& output : sample.outputs) tokens += static_cast<int>(output.token_ids.size());
  }
  const double speed = samples.front().tokens_per_second;
  std::fprintf(stderr, "%s\n",
               speed > 0 ? fmt::format("{} tokens, {:.1f} tokens/s", tokens, speed).c_str()
                         : fmt::format("{} tokens", tokens).c_str());
  return 0;
}

}  // namespace

void add_sampling_options(OptionSet& set, SamplingParams& sampling) {
  set.add("--max-tokens", sampling.max_tokens, "longest answer; default: what fits the context");
  set.add("--temperature", sampling.temperature, "0 = greedy")->capture_default_str();
  set.add("--top-p", sampling.top_p, "nucleus")->capture_default_str();
  set.add("--top-k", sampling.top_k, "0 = off")->capture_default_str();
  set.add("--min-p", sampling.min_p, "0 = off")->capture_default_str();
  set.add("--typical-p", sampling.typical_p, "1 = off")->capture_default_str();
  set.add("--top-n-sigma", sampling.top_n_sigma, "0 = off")->capture_default_str();
  set.add("--repetition-penalty", sampling.repetition_penalty, "of prompt and answer; 1 = off")
      ->capture_default_str();
  set.add("--presence-penalty", sampling.presence_penalty, "of the answer")->capture_default_str();
  set.add("--frequency-penalty", sampling.frequency_penalty, "of the answer")
      ->capture_default_str();
  set.add("--dry-multiplier", sampling.dry_multiplier, "0 = off")->capture_default_str();
  set.add("--xtc-probability", sampling.xtc_probability, "0 = off")->capture_default_str();
  set.add("--xtc-threshold", sampling.xtc_threshold, "of XTC")->capture_default_str();
  set.add("--bad-word", sampling.bad_words,
          "a text that must not come; any number, each with its own --bad-word");
  set.add("--min-tokens", sampling.min_tokens, "nothing ends the answer before")
      ->capture_default_str();
  set.add("--speculative-tokens", sampling.speculative_tokens,
          "guessed per step from the text so far; never changes the answer")
      ->capture_default_str();
  set.add("--sampling-seed", sampling.seed, "the same seed gives the same answer");
  set.add("--stop", sampling.stop,
          "a text that ends the answer; up to 4, each with its own --stop");
}

namespace {

void add_choice_options(OptionSet& set, SamplingParams& sampling) {
  set.add("--n", sampling.n, "answers to each prompt")->capture_default_str();
  set.add("--best-of", sampling.best_of, "makes so many, and prints the n likeliest per token");
  set.add("--use-beam-search", sampling.use_beam_search,
          "the likeliest answers, of a search of width best-of or n: true or false")
      ->capture_default_str();
  set.add("--length-penalty", sampling.length_penalty, "of beam search")->capture_default_str();
  set.add("--logprobs", sampling.logprobs, "prints each token with so many of the likeliest");
  set.add("--ignore-eos", sampling.ignore_eos, "the end of text does not end the answer")
      ->capture_default_str();
}

}  // namespace

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
  add_choice_options(*set, options->sampling);
  add_model_options(*set, *command, options->model);
  return [options, set](const Environment& environment) {
    fill_options(*set, options->model, environment);
    return run_generate(*options, environment);
  };
}

}  // namespace vsurge::apps
