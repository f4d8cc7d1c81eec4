#include "run.h"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <memory>
#include <queue>
#include <random>
#include <string>
#include <thread>

#include "answer.h"
#include "connection.h"

namespace vsurge::load {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kStay = std::chrono::milliseconds(20);  // of who leaves before a whole answer

double ms_between(Clock::time_point a, Clock::time_point b) {
  return std::chrono::duration<double, std::milli>(b - a).count();
}

double cpu_seconds() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

std::string http_request(const Options& options, std::string_view body) {
  std::string out = "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n";
  if (options.fresh) out += "Connection: close\r\n";
  if (!options.key.empty()) out += "Authorization: Bearer " + options.key + "\r\n";
  out += "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size());
  out += "\r\n\r\n";
  out += body;
  return out;
}

// The shape of a request.
Arrival arrival_of(const Options& options, long number) {
  if (options.schedule.empty()) return {0, options.prompt_words, options.answer_tokens};
  return options.schedule[static_cast<std::size_t>(number)];
}

std::string request_body(const Options& options, long number) {
  const Arrival shape = arrival_of(options, number);
  constexpr const char* kWords[] = {"river ", "stone ",  "seven ", "light ",
                                    "paper ", "winter ", "green ", "music "};
  std::minstd_rand draw(static_cast<unsigned>(number) + 1);
  std::string words;
  for (int i = 0; i < shape.words; ++i) words += kWords[draw() / 7 % 8];
  std::string body = "{\"model\":\"" + options.model + "\",\"temperature\":0,\"max_tokens\":";
  body += std::to_string(shape.answer_tokens);
  if (options.stream) body += ",\"stream\":true,\"stream_options\":{\"include_usage\":true}";
  if (!options.members.empty()) body += "," + options.members;
  body += ",\"messages\":[{\"role\":\"user\",\"content\":\"Tell a long story with these words: ";
  return body + words + "\"}]}";
}

// The first model of /v1/models; enough of JSON for what servers send.
std::string served_model(const Options& options, SSL_CTX* tls) {
  Connection connection(options.port, tls);
  const std::string key =
      options.key.empty() ? "" : "Authorization: Bearer " + options.key + "\r\n";
  if (!connection.send("GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n" + key +
                       "\r\n")) {
    give_up("cannot ask for the models");
  }
  std::string answer;
  char room[4096];
  for (long count = 0; (count = connection.receive(room, sizeof room)) >= 0;) {
    answer.append(room, static_cast<std::size_t>(count));
  }
  const auto at = answer.find("\"id\":\"");
  if (at == std::string::npos) return "";
  return answer.substr(at + 6, answer.find('"', at + 6) - at - 6);
}

struct Client {
  std::unique_ptr<Connection> connection;
  Answer answer;
  long number = 0;  // of its request
  int tries = 0;    // of it
  long deltas = 0;
  bool busy = false;
  bool leaves = false;
  bool malformed = false;
  Clock::time_point due;
  Clock::time_point sent;
  Clock::time_point first;  // of its text
  Clock::time_point last;
  double gap_ms = 0;
};

class Run {
 public:
  explicit Run(const Options& options)
      : options_(options), poll_(::epoll_create1(EPOLL_CLOEXEC)), draw_(1) {
    if (options.tls) tls_ = SSL_CTX_new(TLS_client_method());
    if (options_.model.empty()) options_.model = served_model(options_, tls_);
    clients_.resize(static_cast<std::size_t>(options.clients));
    for (std::size_t i = 0; i < clients_.size(); ++i) idle_.push_back(clients_.size() - 1 - i);
    if (!options.fresh) {
      for (Client& client : clients_) connect(client);
    }
    room_.resize(1 << 18);
  }
  ~Run() {
    clients_.clear();
    SSL_CTX_free(tls_);
    ::close(poll_);
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  Figures go() {
    begin_ = Clock::now();
    const double cpu = cpu_seconds();
    next_ = begin_;
    while (begin_requests() || busy_ > 0 || !waiting_.empty()) wait();
    figures_.seconds = ms_between(begin_, Clock::now()) / 1000;
    figures_.cpu_seconds = cpu_seconds() - cpu;
    return std::move(figures_);
  }

 private:
  struct Again {
    Clock::time_point at;
    std::size_t client;
    bool operator<(const Again& other) const { return at > other.at; }
  };

  std::size_t index_of(const Client& client) const {
    return static_cast<std::size_t>(&client - clients_.data());
  }

  void connect(Client& client) {
    client.connection = std::make_unique<Connection>(options_.port, tls_);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = index_of(client);
    ::epoll_ctl(poll_, EPOLL_CTL_ADD, client.connection->fd(), &event);
  }

  bool more() const {
    if (options_.requests > 0 && figures_.begun >= options_.requests) return false;
    return options_.seconds == 0 || ms_between(begin_, Clock::now()) < options_.seconds * 1000;
  }

  // When the next request begins; a time that has passed where nothing says so.
  Clock::time_point due_next() const {
    if (options_.schedule.empty()) return options_.rate > 0 ? next_ : begin_;
    const Arrival& next = options_.schedule[static_cast<std::size_t>(figures_.begun)];
    return begin_ + std::chrono::nanoseconds(static_cast<long>(next.at_s * 1e9));
  }

  // Those that are due. True while there will be more.
  bool begin_requests() {
    while (!waiting_.empty() && waiting_.top().at <= Clock::now()) {
      Client& client = clients_[waiting_.top().client];
      waiting_.pop();
      send(client);
    }
    while (!leaving_.empty() && leaving_.top().at <= Clock::now()) {
      Client& client = clients_[leaving_.top().client];
      leaving_.pop();
      if (client.busy && client.leaves) leave(client);
    }
    while (more()) {
      const Clock::time_point due = due_next();
      if (idle_.empty() || due > Clock::now()) return true;
      if (options_.rate > 0) {
        const double gap = std::exponential_distribution<double>(options_.rate)(draw_);
        next_ += std::chrono::nanoseconds(static_cast<long>(gap * 1e9));
      }
      Client& client = clients_[idle_.back()];
      idle_.pop_back();
      client.number = figures_.begun++;
      client.tries = 0;
      client.due = options_.schedule.empty() ? Clock::now() : due;
      send(client);
    }
    return false;
  }

  void send(Client& client) {
    const auto every = [&](int n, int which) { return n > 0 && client.number % n == which; };
    client.leaves = every(options_.cancel_every, 0);
    client.malformed = !client.leaves && every(options_.bad_every, 1);
    std::string body = request_body(options_, client.number);
    if (client.malformed) body.replace(body.find("\"temperature\":0"), 15, "\"temperature\":9");
    client.answer.reset();
    client.deltas = 0;
    client.gap_ms = 0;
    client.busy = true;
    ++busy_;
    client.sent = client.last = Clock::now();
    if (client.leaves && !options_.stream) leaving_.push({client.sent + kStay, index_of(client)});
    if (options_.fresh) connect(client);
    if (client.connection->send(http_request(options_, body))) return;
    connect(client);  // it was idle for too long
    if (!client.connection->send(http_request(options_, body))) give_up("cannot send");
  }

  void wait() {
    if (options_.turn_ms > 0) {
      std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(options_.turn_ms));
    }
    epoll_event events[256];
    double timeout = 1000;
    const auto now = Clock::now();
    if (!waiting_.empty()) timeout = std::min(timeout, ms_between(now, waiting_.top().at));
    if (!leaving_.empty()) timeout = std::min(timeout, ms_between(now, leaving_.top().at));
    if (!idle_.empty() && more()) timeout = std::min(timeout, ms_between(now, due_next()));
    const int wait_ms = timeout <= 0 ? 0 : static_cast<int>(timeout) + 1;
    const int count = ::epoll_wait(poll_, events, 256, wait_ms);
    for (int i = 0; i < count; ++i) read(clients_[events[i].data.u64]);
  }

  void read(Client& client) {
    while (client.connection != nullptr) {
      const long count = client.connection->receive(room_.data(), room_.size());
      if (count == 0) return;
      if (count < 0) return closed(client);
      if (!client.busy) continue;
      const bool whole = take(client, {room_.data(), static_cast<std::size_t>(count)});
      if (whole) finish(client);
      if (client.busy && client.leaves && client.deltas > 0) return leave(client);
      // Without TLS a short read has emptied the socket.
      if (tls_ == nullptr && static_cast<std::size_t>(count) < room_.size()) return;
    }
  }

  void leave(Client& client) {
    ++figures_.cancelled;
    rest(client);
    if (!options_.fresh) connect(client);
  }

  // A server may close a connection that was idle just when a request is sent: then again.
  void closed(Client& client) {
    connect(client);
    if (!client.busy) return;
    if (client.answer.untouched()) {
      --busy_;
      return send(client);
    }
    std::fprintf(stderr, "vsurge_load: the server closed amid an answer\n");
    ++figures_.failed;
    record(client);
    rest(client);
  }

  bool take(Client& client, std::string_view bytes) {
    const long before = client.deltas;
    const bool whole = client.answer.take(bytes, client.deltas);
    if (client.deltas > before) {
      const auto now = Clock::now();
      const double ms = ms_between(client.last, now);
      if (before == 0) {
        client.first = now;
        figures_.first_ms.push_back(options_.schedule.empty() ? ms : ms_between(client.due, now));
      } else {
        client.gap_ms = std::max(client.gap_ms, ms);
        figures_.between_ms.push_back(ms);
      }
      client.last = now;
    }
    return whole;
  }

  void finish(Client& client) {
    const Answer& answer = client.answer;
    const double ms = ms_between(client.sent, Clock::now());
    const bool refusal = answer.status() == 429 || answer.status() == 503;
    if (refusal) {
      figures_.refusal_ms.push_back(ms);
      if (answer.status() == 429 && answer.retry_after() <= 0) ++figures_.unadvised;
      if (client.tries < options_.retries) return again(client);
      ++figures_.refused;
    } else if (client.malformed && answer.status() == 400) {
      ++figures_.bad;
    } else if (answer.good()) {
      ++figures_.good;
      figures_.tokens += answer.tokens();
      figures_.whole_ms.push_back(ms);
    } else {
      std::fprintf(stderr, "vsurge_load: status %d: %.300s\n", answer.status(),
                   answer.rest().c_str());
      ++figures_.failed;
    }
    record(client);
    rest(client);
  }

  void record(const Client& client) {
    if (options_.records.empty()) return;
    Record record{.at_s = ms_between(begin_, client.due) / 1000,
                  .late_ms = ms_between(client.due, client.sent),
                  .whole_ms = ms_between(client.due, Clock::now()),
                  .status = client.answer.status()};
    if (client.answer.good() && client.deltas > 0) {
      record.tokens = client.answer.tokens();
      record.first_ms = ms_between(client.due, client.first);
      record.gap_ms = client.gap_ms;
      const auto rest = static_cast<double>(std::max(1L, record.tokens - 1));
      record.between_ms = ms_between(client.first, client.last) / rest;
    }
    figures_.records.push_back(record);
  }

  void rest(Client& client) {
    if (options_.fresh) client.connection.reset();
    client.busy = false;
    --busy_;
    idle_.push_back(index_of(client));
  }

  // As the SDKs of OpenAI do it: Retry-After, else 0.5 s doubled up to 8; up to a quarter less.
  void again(Client& client) {
    const double after = client.answer.retry_after();
    double seconds = after > 0 && after <= 60 ? after : std::min(8.0, 0.5 * (1 << client.tries));
    seconds *= 1 - std::uniform_real_distribution<double>(0, 0.25)(draw_);
    ++client.tries;
    ++figures_.retried;
    client.busy = false;
    --busy_;
    const auto wait = std::chrono::nanoseconds(static_cast<long>(seconds * 1e9));
    waiting_.push({Clock::now() + wait, index_of(client)});
  }

  Options options_;
  SSL_CTX* tls_ = nullptr;
  int poll_;
  std::vector<Client> clients_;
  std::vector<std::size_t> idle_;
  std::priority_queue<Again> waiting_;
  std::priority_queue<Again> leaving_;  // of whole answers; some have ended before
  std::vector<char> room_;
  long busy_ = 0;
  Clock::time_point begin_;
  Clock::time_point next_;  // request, where there is a rate
  std::mt19937_64 draw_;
  Figures figures_;
};

}  // namespace

Figures run(const Options& options) {
  return Run(options).go();
}

}  // namespace vsurge::load
