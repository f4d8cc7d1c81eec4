// vsurge chat: a conversation on the terminal.

#include <editline/readline.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "commands.h"
#include "generate_options.h"
#include "model_options.h"

namespace vsurge::apps {
namespace {

// Set by Ctrl-C: ends the answer that is being written.
volatile std::sig_atomic_t interrupted = 0;

struct ChatOptions {
  ModelOptions model;
  SamplingParams sampling;
  std::string system;
};

constexpr const char* kHelp =
    "/help             this list\n"
    "/clear            forget the conversation\n"
    "/system TEXT      set the system message and start anew; without TEXT: remove it\n"
    "/set NAME VALUE   temperature, top_p, top_k, min_p, repetition_penalty, max_tokens, seed "
    "...:\n"
    "                  any option of sampling that vsurge chat --help lists\n"
    "/retry            answer the last message again\n"
    "/history          print the conversation\n"
    "/exit             leave (also Ctrl-D)\n"
    "Ctrl-C stops an answer; what was written of it stays in the conversation.\n";

// A line from the user; nullopt at the end of input. On a terminal with editing and history.
std::optional<std::string> read_line() {
  if (::isatty(STDIN_FILENO) == 0) {
    std::string line;
    if (!std::getline(std::cin, line)) return std::nullopt;
    return line;
  }
  char* line = ::readline("> ");
  if (line == nullptr) return std::nullopt;
  std::string text(line);
  std::free(line);
  if (!text.empty()) ::add_history(text.c_str());
  return text;
}

class Conversation {
 public:
  Conversation(vSurge& surge, ChatOptions& options) : surge_(surge), options_(options) { clear(); }

  // False when the user wants to leave.
  bool take(const std::string& line) {
    if (line.empty()) return true;
    if (line.front() == '/') return command(line);
    messages_.push_back({"user", line});
    answer();
    return true;
  }

 private:
  void clear() {
    messages_.clear();
    if (!options_.system.empty()) messages_.push_back({"system", options_.system});
  }

  bool command(const std::string& line) {
    const auto space = line.find(' ');
    const std::string name = line.substr(0, space);
    const std::string rest = space == std::string::npos ? "" : line.substr(space + 1);
    if (name == "/exit" || name == "/quit") return false;
    if (name == "/help") {
      std::fputs(kHelp, stdout);
    } else if (name == "/clear") {
      clear();
    } else if (name == "/system") {
      options_.system = rest;
      clear();
    } else if (name == "/set") {
      set(rest);
    } else if (name == "/retry") {
      retry();
    } else if (name == "/history") {
      for (const auto& m : messages_) std::printf("%s: %s\n", m.role.c_str(), m.content.c_str());
    } else {
      std::printf("no command %s; /help lists them\n", name.c_str());
    }
    return true;
  }

  void set(const std::string& assignment) {
    SamplingParams changed = options_.sampling;
    CLI::App parser;
    OptionSet set(parser);
    add_sampling_options(set, changed);
    const auto space = assignment.find(' ');
    std::string name = assignment.substr(0, space);
    std::replace(name.begin(), name.end(), '_', '-');
    if (name == "seed") name = "sampling-seed";
    try {
      if (space == std::string::npos) throw CLI::RequiredError("/set NAME VALUE");
      parser.parse(std::vector<std::string>{assignment.substr(space + 1), "--" + name});
      options_.sampling = changed;
    } catch (const CLI::Error& error) {
      std::printf("%s; /help says what can be set\n", error_text(error).c_str());
    }
  }

  void retry() {
    while (!messages_.empty() && messages_.back().role == "assistant") messages_.pop_back();
    if (!messages_.empty() && messages_.back().role == "user") answer();
  }

  void answer() {
    interrupted = 0;
    try {
      const std::string prompt = surge_.processor().apply_chat_template(messages_);
      const ReturnSample sample =
          surge_.generate(prompt, options_.sampling, [](std::size_t, const ReturnSample& piece) {
            std::fwrite(piece.text.data(), 1, piece.text.size(), stdout);
            std::fflush(stdout);
            return interrupted == 0;
          });
      std::fputs(sample.finish_reason == "cancelled" ? " [stopped]\n" : "\n", stdout);
      messages_.push_back({"assistant", sample.accumulated_text});
    } catch (const Error& error) {
      std::printf("%s\n", error.what());
      messages_.pop_back();
    }
  }

  vSurge& surge_;
  ChatOptions& options_;
  std::vector<ChatMessage> messages_;
};

int run_chat(ChatOptions& options, const Environment& environment) {
  vSurge surge = load_surge(options.model, environment);
  if (!surge.processor().has_chat_template()) {
    throw Error(ErrorKind::kBadModel, "bad_model",
                "this model has no chat template; vsurge generate completes plain text");
  }
  surge.start();
  std::signal(SIGINT, [](int) { interrupted = 1; });
  std::printf("%s; /help lists the commands\n", surge.vsurge_name().c_str());
  Conversation conversation(surge, options);
  for (auto line = read_line(); line; line = read_line()) {
    if (!conversation.take(*line)) break;
  }
  return 0;
}

}  // namespace

Run add_chat(CLI::App& program) {
  CLI::App* command = program.add_subcommand("chat", "talk to a model on the terminal");
  const auto options = std::make_shared<ChatOptions>();
  options->sampling.max_tokens.reset();
  options->model.log_level = "warning";
  options->model.surge.max_concurrent_decodes = 1;  // KV cache for one conversation
  const auto set = std::make_shared<OptionSet>(*command);
  set->add("--system", options->system, "system message");
  add_sampling_options(*set, options->sampling);
  add_model_options(*set, *command, options->model);
  return [options, set](const Environment& environment) {
    fill_options(*set, options->model, environment);
    return run_chat(*options, environment);
  };
}

}  // namespace vsurge::apps
