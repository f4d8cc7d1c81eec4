// vsurge_load: N streaming chat clients against a server on this machine; time to the first token,
// time between tokens, tokens per second. One thread, sockets and poll, nothing else, so that it
// takes little from the server beside it.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  int port = 11556;
  int clients = 8;
  int requests = 0;  // in all; 0 = one per client
  int prompt_words = 64;
  int answer_tokens = 64;
  std::string model;
  std::string json;
};

[[noreturn]] void usage() {
  std::puts(
      "vsurge_load [--port N] [--clients N] [--requests N] [--prompt-words N]\n"
      "            [--answer-tokens N] [--model NAME] [--json FILE]\n"
      "Streaming clients of POST /v1/chat/completions on 127.0.0.1 (and only there).");
  std::exit(2);
}

int number(const char* text) {
  char* end = nullptr;
  const long value = std::strtol(text, &end, 10);
  if (*text == '\0' || *end != '\0' || value < 0 || value > 1'000'000) usage();
  return static_cast<int>(value);
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view name = argv[i];
    if (i + 1 == argc) usage();
    const char* value = argv[i + 1];
    if (name == "--port") {
      options.port = number(value);
    } else if (name == "--clients") {
      options.clients = std::max(1, number(value));
    } else if (name == "--requests") {
      options.requests = number(value);
    } else if (name == "--prompt-words") {
      options.prompt_words = number(value);
    } else if (name == "--answer-tokens") {
      options.answer_tokens = std::max(1, number(value));
    } else if (name == "--model") {
      options.model = value;
    } else if (name == "--json") {
      options.json = value;
    } else {
      usage();
    }
  }
  if (options.requests == 0) options.requests = options.clients;
  return options;
}

int connect_to(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    std::fprintf(stderr, "vsurge_load: cannot connect to 127.0.0.1:%d: %s\n", port,
                 std::strerror(errno));
    std::exit(1);
  }
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

void send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto count = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) {
      std::fprintf(stderr, "vsurge_load: sending failed: %s\n", std::strerror(errno));
      std::exit(1);
    }
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

std::string http_request(const char* method, const std::string& path, const std::string& body) {
  return std::string(method) + " " + path +
         " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

// The first model of /v1/models; enough of JSON for what our own server sends.
std::string served_model(int port) {
  const int fd = connect_to(port);
  send_all(fd, "GET /v1/models HTTP/1.0\r\n\r\n");
  std::string answer;
  char room[4096];
  for (ssize_t count = 0; (count = recv(fd, room, sizeof room, 0)) > 0;) {
    answer.append(room, static_cast<std::size_t>(count));
  }
  close(fd);
  const auto at = answer.find("\"id\":\"");
  if (at == std::string::npos) return "";
  return answer.substr(at + 6, answer.find('"', at + 6) - at - 6);
}

// One client: sends a request, reads its stream, again while there are requests left.
class Client {
 public:
  Client(const Options& options, int seed)
      : options_(options), fd_(connect_to(options.port)), seed_(seed) {}
  ~Client() { close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  int fd() const { return fd_; }
  bool busy() const { return busy_; }

  void start(int number) {
    std::string words;
    unsigned state = static_cast<unsigned>(number * 7919 + seed_ + 1);
    for (int i = 0; i < options_.prompt_words; ++i) {
      constexpr const char* kWords[] = {"river ", "stone ",  "seven ", "light ",
                                        "paper ", "winter ", "green ", "music "};
      state = state * 1664525 + 1013904223;
      words += kWords[state >> 29];
    }
    const std::string body =
        "{\"model\":\"" + options_.model +
        "\",\"stream\":true,\"stream_options\":{\"include_usage\":true},\"temperature\":0,"
        "\"max_tokens\":" +
        std::to_string(options_.answer_tokens) +
        ",\"messages\":[{\"role\":\"user\",\"content\":\"Tell a long story with these words: " +
        words + "\"}]}";
    send_all(fd_, http_request("POST", "/v1/chat/completions", body));
    busy_ = true;
    buffer_.clear();
    sent_ = last_ = Clock::now();
    first_ = true;
  }

  // Reads what is there; true when the request has ended.
  bool read(std::vector<double>& first_ms, std::vector<double>& between_ms, long& tokens) {
    char room[65536];
    const auto count = recv(fd_, room, sizeof room, 0);
    if (count <= 0) fail("the server closed the connection");
    buffer_.append(room, static_cast<std::size_t>(count));
    const auto now = Clock::now();
    for (std::size_t end = 0; (end = buffer_.find("\n\n")) != std::string::npos;) {
      const std::string event = buffer_.substr(0, end);
      buffer_.erase(0, end + 2);
      if (event.find("\"error\"") != std::string::npos) fail(event.c_str());
      if (event.find("\"delta\":{\"content\":\"") != std::string::npos) {
        const double ms = std::chrono::duration<double, std::milli>(now - last_).count();
        (first_ ? first_ms : between_ms).push_back(ms);
        first_ = false;
        last_ = now;
      }
      if (const auto at = event.find("\"completion_tokens\":"); at != std::string::npos) {
        tokens += std::strtol(event.c_str() + at + 20, nullptr, 10);
      }
      if (event.find("data: [DONE]") != std::string::npos) done_ = true;
    }
    if (first_ && buffer_.starts_with("HTTP/1.1 ") && !buffer_.starts_with("HTTP/1.1 200")) {
      fail(buffer_.c_str());
    }
    // The last chunk follows [DONE]; the connection is then free for the next request.
    if (!done_ || !buffer_.ends_with("0\r\n\r\n")) return false;
    busy_ = done_ = false;
    return true;
  }

 private:
  [[noreturn]] void fail(const char* why) {
    std::fprintf(stderr, "vsurge_load: %s\n", why);
    std::exit(1);
  }

  const Options& options_;
  int fd_;
  int seed_;
  bool busy_ = false;
  bool done_ = false;
  bool first_ = true;
  std::string buffer_;
  Clock::time_point sent_;
  Clock::time_point last_;
};

double percentile(std::vector<double>& values, double share) {
  if (values.empty()) return 0;
  const auto at = static_cast<std::size_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(at), values.end());
  return values[at];
}

struct Row {
  const char* metric;
  double value;
  const char* unit;
};

void print(const std::vector<Row>& rows, const std::string& json) {
  for (const Row& row : rows) std::printf("%-28s %10.2f %s\n", row.metric, row.value, row.unit);
  if (json.empty()) return;
  std::FILE* file = std::fopen(json.c_str(), "w");
  if (file == nullptr) {
    std::perror(json.c_str());
    std::exit(1);
  }
  const char* separator = "[";
  for (const Row& row : rows) {
    std::fprintf(file,
                 "%s\n{\"metric\":\"%s\",\"ours\":%.4f,\"unit\":\"%s\",\"peer\":null,"
                 "\"peer_value\":null,\"limit\":null,\"ratio\":null,\"must\":null,\"aim\":null,"
                 "\"holds\":null}",
                 separator, row.metric, row.value, row.unit);
    separator = ",";
  }
  std::fputs("\n]\n", file);
  std::fclose(file);
}

}  // namespace

int main(int argc, char** argv) {
  Options options = parse(argc, argv);
  if (options.model.empty()) options.model = served_model(options.port);
  std::vector<std::unique_ptr<Client>> clients;
  std::vector<pollfd> polled;
  for (int i = 0; i < options.clients; ++i) {
    clients.push_back(std::make_unique<Client>(options, i));
    polled.push_back({clients.back()->fd(), POLLIN, 0});
  }
  std::vector<double> first_ms;
  std::vector<double> between_ms;
  long tokens = 0;
  int started = 0;
  int finished = 0;
  const auto begin = Clock::now();
  for (auto& client : clients) {
    if (started < options.requests) client->start(started++);
  }
  while (finished < options.requests) {
    if (poll(polled.data(), polled.size(), -1) <= 0) continue;
    for (std::size_t i = 0; i < polled.size(); ++i) {
      if (polled[i].revents == 0) continue;
      if (!clients[i]->read(first_ms, between_ms, tokens)) continue;
      ++finished;
      if (started < options.requests) clients[i]->start(started++);
    }
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  print({{"requests", static_cast<double>(finished), ""},
         {"answer tokens", static_cast<double>(tokens), ""},
         {"tokens/s", static_cast<double>(tokens) / seconds, "tokens/s"},
         {"requests/s", finished / seconds, "1/s"},
         {"time to first token p50", percentile(first_ms, 0.5), "ms"},
         {"time to first token p99", percentile(first_ms, 0.99), "ms"},
         {"time between tokens p50", percentile(between_ms, 0.5), "ms"},
         {"time between tokens p99", percentile(between_ms, 0.99), "ms"}},
        options.json);
  return 0;
}
