#include "facade/heartbeat.h"

#include <gtest/gtest.h>

#include <thread>

namespace vsurge::facade {
namespace {

using namespace std::chrono_literals;

class FakeServer final : public server::HttpServer {
 public:
  bool lives = true;

  std::uint16_t port() const override { return 0; }
  std::vector<std::string> urls(api::Door) const override { return {}; }
  bool beats() override { return lives; }
  base::Status reload_tls() override { return {}; }
  void start() override {}
  bool drain(int) override { return true; }
  void drain() override {}
  void stop() override {}
  std::size_t connections() const override { return 0; }
};

struct Rig {
  FakeServer server;
  bool engine_moves = true;
  int told = 0;
  FireOptions fire;
  Heartbeat heartbeat = make();

  Heartbeat make() {
    fire.on_progress = [this] { ++told; };
    fire.progress_every_s = 0.02;
    return {fire, server, [this] { return engine_moves; }};
  }
  // How often it told in a while.
  int beats() {
    const int before = told;
    for (const auto end = std::chrono::steady_clock::now() + 200ms;
         std::chrono::steady_clock::now() < end;) {
      std::this_thread::sleep_for(std::chrono::milliseconds(heartbeat.wait_ms(1000)));
      heartbeat.look();
    }
    return told - before;
  }
};

TEST(Heartbeat, TellsWhileAllGoesOn) {
  Rig rig;
  EXPECT_EQ(rig.heartbeat.wait_ms(1000), 0) << "the first is due at once";
  const int count = rig.beats();
  EXPECT_GE(count, 1);
  EXPECT_LE(count, 12) << "and no more often than it was asked to";
  rig.engine_moves = false;
  EXPECT_EQ(rig.beats(), 0);
  rig.engine_moves = true;
  rig.server.lives = false;
  EXPECT_EQ(rig.beats(), 0);
  rig.server.lives = true;
  EXPECT_GE(rig.beats(), 1);
}

TEST(Heartbeat, NobodyAsked) {
  FakeServer server;
  server.lives = false;
  Heartbeat heartbeat({}, server, [] { return true; });
  EXPECT_EQ(heartbeat.wait_ms(1000), 1000);
  heartbeat.look();
}

}  // namespace
}  // namespace vsurge::facade
