#include "options.h"

#include <CLI/CLI.hpp>
#include <cstdlib>

namespace vsurge::load {

Options parse_options(int argc, char** argv) {
  Options o;
  CLI::App app{
      "Clients of POST /v1/chat/completions on 127.0.0.1, and only there: what they get, and how "
      "soon. One thread."};
  app.add_option("--port", o.port)->check(CLI::Range(1, 65535));
  app.add_option("--clients", o.clients)->check(CLI::Range(1, 20'000));
  app.add_option("--requests", o.requests, "in all; default: one of each client")
      ->check(CLI::Range(0L, 1'000'000'000L));
  app.add_option("--seconds", o.seconds, "begin no request after")->check(CLI::Range(0.0, 1e6));
  app.add_option("--rate", o.rate, "requests begun per second; default: each client at once")
      ->check(CLI::Range(0.0, 1e7));
  app.add_option("--prompt-words", o.prompt_words)->check(CLI::Range(0, 1'000'000));
  app.add_option("--answer-tokens", o.answer_tokens)->check(CLI::Range(1, 1'000'000));
  app.add_flag("--stream,!--whole", o.stream, "answers as they come, or at once");
  app.add_flag("--fresh", o.fresh,
               "a connection for each request: some servers give a thread to each that is open");
  app.add_flag("--tls", o.tls);
  app.add_option("--turn-ms", o.turn_ms, "read once in so long, as if from another machine")
      ->check(CLI::Range(0.0, 1000.0));
  app.add_option("--retries", o.retries, "of a request that is refused")->check(CLI::Range(0, 100));
  app.add_option("--cancel-every", o.cancel_every, "leave every n-th amid its answer");
  app.add_option("--bad-every", o.bad_every, "every n-th request is malformed");
  app.add_option("--key", o.key);
  app.add_option("--members", o.members, "more JSON members of every request");
  app.add_option("--model", o.model);
  std::string schedule;
  app.add_option(
      "--schedule", schedule,
      "a file with a line for each request: second that it begins, words, answer tokens. "
      "None waits for another: there have to be clients enough");
  app.add_option("--records", o.records, "write a line of each request there (CSV)");
  app.add_option("--json", o.json, "write the figures there");
  app.add_flag("--floor", o.floor, "how soon bare sends to the clients follow each other");
  app.add_flag("--yardstick", o.yardstick, "against canned answers: the limit of this program");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }
  if (!schedule.empty()) {
    o.schedule = read_schedule(schedule);
    o.requests = static_cast<long>(o.schedule.size());
  }
  if (o.requests == 0 && o.seconds == 0) o.requests = o.clients;
  return o;
}

}  // namespace vsurge::load
