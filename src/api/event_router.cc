#include "api/event_router.h"

#include <mutex>
#include <unordered_map>
#include <utility>

namespace vsurge::api {

struct EventRouter::State {
  struct Entry {
    Receiver receiver;
    std::vector<engine::Event> events;  // of the step at hand; engine thread only
  };
  std::mutex mutex;
  std::unordered_map<engine::Ticket, Entry> entries;    // guarded by mutex
  std::unordered_map<engine::Ticket, Entry> abandoned;  // publish() may be at work on them
  std::vector<Entry*> touched;                          // engine thread only
  std::vector<Entry> ended;                             // engine thread only
};

EventRouter::EventRouter() : state_(std::make_unique<State>()) {}
EventRouter::~EventRouter() = default;

void EventRouter::add(engine::Ticket ticket, Receiver receiver) {
  const std::lock_guard lock(state_->mutex);
  state_->entries[ticket].receiver = std::move(receiver);
}

void EventRouter::remove(engine::Ticket ticket) {
  State::Entry removed;  // what the receiver holds is freed outside the lock
  const std::lock_guard lock(state_->mutex);
  if (const auto found = state_->entries.find(ticket); found != state_->entries.end()) {
    removed = std::move(found->second);
    state_->entries.erase(found);
  }
}

void EventRouter::abandon(const base::Error& error) {
  std::vector<std::pair<engine::Ticket, Receiver*>> receivers;
  {
    const std::lock_guard lock(state_->mutex);
    state_->abandoned.merge(state_->entries);  // the nodes stay where they are
    for (auto& [ticket, entry] : state_->abandoned) receivers.emplace_back(ticket, &entry.receiver);
  }
  for (const auto& [ticket, receiver] : receivers) {
    engine::Event event = engine::error_event(error);
    event.ticket = ticket;
    event.is_last = true;
    (*receiver)({std::move(event)});
  }
}

// Receivers run outside the lock. Entries of a step stay in place meanwhile: the map never moves
// its nodes, and remove() is only for tickets that have no events.
void EventRouter::publish(std::span<const engine::Event> events) {
  std::vector<State::Entry*>& touched = state_->touched;
  touched.clear();  // a receiver of the last step may have thrown
  {
    const std::lock_guard lock(state_->mutex);
    for (const engine::Event& event : events) {
      const auto found = state_->entries.find(event.ticket);
      if (found == state_->entries.end()) continue;
      if (found->second.events.empty()) touched.push_back(&found->second);
      found->second.events.push_back(event);
    }
  }
  for (State::Entry* entry : touched) entry->receiver(std::exchange(entry->events, {}));
  touched.clear();
  {
    const std::lock_guard lock(state_->mutex);
    for (const engine::Event& event : events) {
      if (!event.is_last) continue;
      const auto found = state_->entries.find(event.ticket);
      if (found == state_->entries.end()) continue;
      state_->ended.push_back(std::move(found->second));
      state_->entries.erase(found);
    }
  }
  state_->ended.clear();
}

}  // namespace vsurge::api
