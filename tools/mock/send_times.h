// How long events take from the engine to the socket: publish() is noted here, and each ::send and
// ::sendmsg of the program passes through here. For one step at a time: all that is sent after it,
// before the next, is of it.
#pragma once

#include <span>
#include <vector>

#include "engine/request.h"

namespace vsurge::mock {

class TimedSink final : public engine::EventSink {
 public:
  explicit TimedSink(engine::EventSink& to) : to_(to) {}
  void publish(std::span<const engine::Event> events) override;

 private:
  engine::EventSink& to_;
};

struct SendTimes {
  std::uint64_t sends = 0;
  std::vector<float> micros;  // from publish() to the call of send; at most the first million
};
SendTimes send_times();

}  // namespace vsurge::mock
