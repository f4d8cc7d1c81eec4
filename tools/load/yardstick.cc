#include "yardstick.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "connection.h"

namespace vsurge::load {
namespace {

// As long as those of our server, 16 in a chunk, as it sends them when it is busy.
std::string canned_stream(int tokens) {
  const std::string head =
      "data: {\"id\":\"chatcmpl-0123456789abcdef01234567\",\"object\":\"chat.completion.chunk\","
      "\"created\":1700000000,\"model\":\"yardstick\",\"system_fingerprint\":\"fp_0123456789ab\","
      "\"choices\":[";
  std::string out =
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
  std::string body;
  const auto flush = [&] {
    char size[16];
    std::snprintf(size, sizeof size, "%zx\r\n", body.size());
    out.append(size).append(body).append("\r\n");
    body.clear();
  };
  for (int i = 1; i <= tokens; ++i) {
    body += head +
            "{\"index\":0,\"delta\":{\"content\":\" word\"},\"logprobs\":null,"
            "\"finish_reason\":null}],\"usage\":null}\n\n";
    if (i % 16 == 0) flush();
  }
  body += head +
          "],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":" + std::to_string(tokens) +
          "}}\n\ndata: [DONE]\n\n";
  flush();
  return out + "0\r\n\r\n";
}

struct Peer {
  std::string_view left;  // of the canned answer
  std::string request;
};

void read_request(int fd, Peer& peer, std::string_view canned) {
  char room[65536];
  const auto count = ::recv(fd, room, sizeof room, MSG_DONTWAIT);
  if (count <= 0) return;
  peer.request.append(room, static_cast<std::size_t>(count));
  if (!peer.request.ends_with("}") && !peer.request.ends_with("\r\n\r\n")) return;
  peer.request.clear();
  peer.left = canned;
}

[[noreturn]] void serve(int listener, const std::string& canned) {
  std::vector<pollfd> fds = {{listener, POLLIN, 0}};
  std::vector<Peer> peers(1);
  for (;;) {
    ::poll(fds.data(), fds.size(), -1);
    const std::size_t count = fds.size();
    for (std::size_t i = 1; i < count; ++i) {
      Peer& peer = peers[i];
      if ((fds[i].revents & POLLIN) != 0) read_request(fds[i].fd, peer, canned);
      if ((fds[i].revents & POLLOUT) != 0 && !peer.left.empty()) {
        const auto sent =
            ::send(fds[i].fd, peer.left.data(), peer.left.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0) peer.left.remove_prefix(static_cast<std::size_t>(sent));
      }
      fds[i].events = static_cast<short>(POLLIN | (peer.left.empty() ? 0 : POLLOUT));
    }
    if ((fds[0].revents & POLLIN) == 0) continue;
    fds.push_back({::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC), POLLIN, 0});
    peers.emplace_back();
  }
}

// The socket and its port.
std::pair<int, int> listen() {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(listener, 4096) != 0 ||
      ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    give_up("no yardstick");
  }
  return {listener, ntohs(address.sin_port)};
}

}  // namespace

int start_yardstick(const Options& options) {
  const auto [listener, port] = listen();
  std::thread([listener, canned = canned_stream(options.answer_tokens)] {
    serve(listener, canned);
  }).detach();
  return port;
}

std::vector<double> send_floor(const Options& options) {
  using Clock = std::chrono::steady_clock;
  constexpr int kSteps = 300;
  constexpr auto kStep = std::chrono::milliseconds(20);
  const auto [listener, port] = listen();
  std::vector<std::unique_ptr<Connection>> clients;
  std::vector<int> sockets;
  for (int i = 0; i < options.clients; ++i) {
    clients.push_back(std::make_unique<Connection>(port, nullptr));
    sockets.push_back(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    const int on = 1;
    ::setsockopt(sockets.back(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  std::atomic<bool> ended = false;
  std::thread reader([&] {
    std::vector<char> room(1 << 16);
    while (!ended) {
      std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(options.turn_ms));
      for (const auto& client : clients) client->receive(room.data(), room.size());
    }
  });
  const std::string event(260, 'x');  // bytes of one of ours
  std::vector<double> micros;
  for (int step = 0; step < kSteps; ++step) {
    std::this_thread::sleep_for(kStep);
    const auto begin = Clock::now();
    for (const int fd : sockets) {
      micros.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
      if (::send(fd, event.data(), event.size(), MSG_NOSIGNAL) < 0) give_up("cannot send");
    }
  }
  ended = true;
  reader.join();
  for (const int fd : sockets) ::close(fd);
  return micros;
}

}  // namespace vsurge::load
