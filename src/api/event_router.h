// EventRouter: brings each event of a step to the one who waits for its ticket.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "engine/request.h"

namespace vsurge::api {

// Any thread. A receiver is called on the engine thread with its events of one step, in order, and
// is dropped after the end event; it must not block (it posts to its connection's executor).
class EventRouter final : public engine::EventSink {
 public:
  using Receiver = std::function<void(std::vector<engine::Event> events)>;

  EventRouter();
  ~EventRouter() override;
  void add(engine::Ticket ticket, Receiver receiver);
  // For a ticket whose submit failed.
  void remove(engine::Ticket ticket);
  void publish(std::span<const engine::Event> events) override;
  // Tells all receivers, on this thread, that nothing comes any more: for an engine that hangs.
  // What it publishes after all reaches nobody.
  void abandon(const base::Error& error);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vsurge::api
