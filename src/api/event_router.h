// EventRouter: brings each event of a step to the one who waits for its ticket.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "api/task_queue.h"
#include "engine/request.h"

namespace vsurge::api {

// When a receiver gets its events.
enum class Pace : std::uint8_t {
  kEachStep,
  kAtEnd,  // those of the first step, then many at once: for answers that are told whole
};

// Any thread. A receiver gets its events of one step at once, in order, and is dropped after the
// end event.
class EventRouter final : public engine::EventSink {
 public:
  using Receiver = std::function<void(const std::vector<engine::Event>& events)>;

  EventRouter();
  ~EventRouter() override;
  // The receiver runs on `queue`, which lives as long as the receiver; all of a step and a queue
  // are one task, since waking a thread costs more than what it then does. nullptr: on the
  // engine's thread, where it must not block.
  void add(engine::Ticket ticket, TaskQueue* queue, Receiver receiver, Pace pace = Pace::kEachStep);
  // For a ticket whose submit failed.
  void remove(engine::Ticket ticket);
  void publish(std::span<const engine::Event> events) override;
  // Tells all receivers that nothing comes any more: for an engine that hangs. What it publishes
  // after all reaches nobody.
  void abandon(const base::Error& error);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vsurge::api
