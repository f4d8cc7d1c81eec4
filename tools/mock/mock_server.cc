// vsurge_mock: the server with all its parts but the model: what the server costs by itself. Ends
// at SIGTERM and then says how long events took to the socket.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "api/event_router.h"
#include "api/request_log.h"
#include "api/service.h"
#include "base/log.h"
#include "engine/engine.h"
#include "facade/auto_tokenizer_state.h"
#include "mock_runner.h"
#include "send_times.h"
#include "server/http_server.h"

namespace {

using namespace vsurge;

// The opening of Austen's "Pride and Prejudice" (1813).
constexpr std::string_view kText =
    "It is a truth universally acknowledged, that a single man in possession of a good fortune, "
    "must be in want of a wife. However little known the feelings or views of such a man may be on "
    "his first entering a neighbourhood, this truth is so well fixed in the minds of the "
    "surrounding families, that he is considered as the rightful property of some one or other of "
    "their daughters. ";

struct Options {
  std::string model;
  std::uint16_t port = 0;
  int streams = 64;
  double rate = 0;
  int context = 2048;
  std::size_t queue = 4096;
  std::size_t connections = 8192;
  int io_threads = 1;
  std::string key, certificate;
  std::string log_level = "info";
};

Options parse(int argc, char** argv) {
  Options o;
  CLI::App app{"The server without a model."};
  app.add_option("model", o.model, "whose tokenizer and template it takes")->required();
  app.add_option("--port", o.port, "0 = any free one");
  app.add_option("--streams", o.streams, "requests that run at once")->check(CLI::Range(1, 4096));
  app.add_option("--rate", o.rate, "steps per second; 0 = as many as there can be");
  app.add_option("--context", o.context)->check(CLI::Range(16, 131072));
  app.add_option("--queue", o.queue, "requests that may wait");
  app.add_option("--connections", o.connections);
  app.add_option("--io-threads", o.io_threads)->check(CLI::Range(1, 64));
  app.add_option("--ssl-keyfile", o.key);
  app.add_option("--ssl-certfile", o.certificate);
  app.add_option("--log-level", o.log_level);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }
  return o;
}

template <class T>
T need(base::Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "vsurge_mock: %s\n", result.error().message.c_str());
  std::exit(1);
}

void need(const base::Status& status) {
  if (status) return;
  std::fprintf(stderr, "vsurge_mock: %s\n", status.error().message.c_str());
  std::exit(1);
}

engine::EngineOptions engine_options(const Options& o, int vocabulary) {
  engine::EngineOptions result;
  result.max_concurrent_decodes = o.streams;
  result.max_concurrent_prefill = std::min(o.streams, 64);
  result.max_batched_tokens = std::max(8192, 2 * o.streams);
  result.context_max = o.context;
  result.vocabulary = vocabulary;
  result.pages = o.streams * (o.context / result.page_size + 1);
  result.limits.queue_requests_max = o.queue;
  return result;
}

api::ModelOptions model_options(const Options& o, int vocabulary) {
  api::ModelOptions result;
  result.model_names = {"mock"};
  result.family = "mock";
  result.fingerprint = "fp_000000000000";
  result.context_max = result.prompt_max = o.context;
  result.vocabulary = vocabulary;
  return result;
}

api::ServiceOptions service_options(const Options& o) {
  api::ServiceOptions result;
  result.version = "0";
  result.http.connections_max = o.connections;
  result.sse_keep_alive = 15'000'000'000;
  result.observers.push_back(std::make_shared<api::RequestLog>());
  return result;
}

void tell_times() {
  mock::SendTimes times = mock::send_times();
  std::ranges::sort(times.micros);
  const auto at = [&times](double share) -> double {
    if (times.micros.empty()) return 0;
    const double last = static_cast<double>(times.micros.size() - 1);
    return times.micros[static_cast<std::size_t>(share * last)];
  };
  std::printf("sends %llu p50_us %.1f p99_us %.1f p999_us %.1f\n",
              static_cast<unsigned long long>(times.sends), at(0.5), at(0.99), at(0.999));
}

}  // namespace

int main(int argc, char** argv) {
  const Options o = parse(argc, argv);
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  sigaddset(&stop, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &stop, nullptr);  // of all threads
  need(base::init_logging(o.log_level, base::LogFormat::kText, base::LogTarget::kStdout));
  const auto tokenizer = AutoTokenizer::from_pretrained(o.model);
  const text::TextAssets& assets = tokenizer.state().assets;
  const int vocabulary = assets.tokenizer.vocabulary();
  mock::MockRunner runner(need(assets.tokenizer.encode(kText, false)),
                          o.rate > 0 ? static_cast<base::Nanoseconds>(1e9 / o.rate) : 0);
  api::EventRouter router;
  mock::TimedSink sink(router);
  const base::SteadyClock clock;
  const engine::EngineOptions engine_opts = engine_options(o, vocabulary);
  need(engine::check_options(engine_opts));
  engine::Engine engine(engine_opts, runner, sink, clock);
  const api::ServiceOptions service_opts = service_options(o);
  api::Service service(service_opts);
  service.add({model_options(o, vocabulary), assets, engine, router});
  const auto server = need(server::HttpServer::listen(
      {.port = o.port,
       .io_threads = o.io_threads,
       .tls = {.key = o.key, .certificate = o.certificate, .client_authorities = {}},
       .root_path = {},
       .limits = service_opts.http},
      service));
  server->start();
  need(engine.start());
  std::printf("ready http://127.0.0.1:%d\n", server->port());
  std::fflush(stdout);
  int number = 0;
  ::sigwait(&stop, &number);
  server->stop();
  engine.stop();
  tell_times();
  return 0;
}
