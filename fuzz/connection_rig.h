// A connection of the real server whose client, thread and handler are the fuzzer's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "api/http.h"
#include "base/limits.h"
#include "server/connection.h"

namespace vsurge::fuzz {

base::HttpLimits small_limits();

// What the handler answers, and how.
struct Reply {
  std::string body;
  bool stream = false;
  bool aborted = false;
  bool dropped = false;  // the handler forgets the request
  bool waits = false;    // the second half comes when the rig says so
};
Reply reply_to(const api::HttpRequest& request);

inline constexpr int kErrorOfDropped = 500;
std::string error_text(int status);

// One connection over a pair of sockets, run by the caller's thread.
class Rig final : public api::HttpHandler {
 public:
  Rig();
  ~Rig() override;  // the client leaves; then nothing may be left of the connection
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;

  // Sends it all; runs the server where the kernel takes no more.
  void send(std::string_view bytes);
  void half_close();
  // Runs until nothing happens any more.
  void settle();
  // Lets the handler finish the answer that waits; false when none does.
  bool release();
  const std::string& received() const { return received_; }
  bool closed() const { return closed_; }  // by the server

  void handle(api::HttpRequest request, std::shared_ptr<api::Responder> responder) override;
  std::string error_body(int status, std::string_view message, std::string_view peer) override;

 private:
  bool receive();
  static void finish(api::Responder& responder, const Reply& reply);

  std::shared_ptr<server::Shared> shared_;
  std::weak_ptr<server::Connection> connection_;
  std::shared_ptr<api::Responder> waiting_;
  Reply waiting_reply_;
  std::shared_ptr<int> gone_ = std::make_shared<int>(0);  // calls of on_gone
  int client_ = -1;
  bool closed_ = false;
  std::string received_;
};

}  // namespace vsurge::fuzz
