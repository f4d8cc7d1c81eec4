#include "api/event_router.h"

#include <algorithm>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "base/log.h"

namespace vsurge::api {
namespace {

constexpr std::size_t kHeldMax = 32;  // events of one ticket

// Events of one ticket, on their way.
struct Delivery {
  std::shared_ptr<const EventRouter::Receiver> receiver;
  std::vector<engine::Event> events;
};

// What a receiver throws (no memory) is its own affair: the others get theirs.
void deliver(const std::vector<Delivery>& deliveries) {
  for (const Delivery& delivery : deliveries) {
    try {
      (*delivery.receiver)(delivery.events);
    } catch (const std::exception& error) {
      base::log_error("a receiver of events threw: {}", error.what());
    }
  }
}

}  // namespace

struct EventRouter::State {
  struct Entry {
    TaskQueue* queue = nullptr;
    std::shared_ptr<const Receiver> receiver;
    std::size_t batch = 0;     // with `delivery`, where the step's events go, if `step` is it
    std::size_t delivery = 0;  // of the batch
    std::uint64_t step = 0;    // of the last delivery; 0 = none yet
    Pace pace = Pace::kEachStep;
    std::vector<engine::Event> held;

    bool holds(const engine::Event& event) const {
      return pace == Pace::kAtEnd && step != 0 && !event.is_last && held.size() < kHeldMax;
    }
  };
  struct Batch {
    TaskQueue* queue = nullptr;
    std::vector<Delivery> deliveries;
  };

  std::mutex mutex;
  std::unordered_map<engine::Ticket, Entry> entries;  // guarded by mutex
  std::vector<Batch> batches;                         // engine thread only, as what follows
  std::uint64_t step = 0;

  std::size_t batch_of(TaskQueue* queue);
  void take(const engine::Event& event);
};

// There are few queues: one of each thread of connections.
std::size_t EventRouter::State::batch_of(TaskQueue* queue) {
  const auto found = std::ranges::find(batches, queue, &Batch::queue);
  if (found != batches.end()) return static_cast<std::size_t>(found - batches.begin());
  batches.push_back({queue, {}});
  return batches.size() - 1;
}

void EventRouter::State::take(const engine::Event& event) {
  const auto found = entries.find(event.ticket);
  if (found == entries.end()) return;
  Entry& entry = found->second;
  if (entry.step != step) {
    if (entry.holds(event)) {
      if (entry.held.empty()) entry.held.reserve(kHeldMax);
      entry.held.push_back(event);
      return;
    }
    entry.step = step;
    entry.batch = batch_of(entry.queue);
    std::vector<Delivery>& deliveries = batches[entry.batch].deliveries;
    entry.delivery = deliveries.size();
    deliveries.push_back({entry.receiver, std::exchange(entry.held, {})});
  }
  batches[entry.batch].deliveries[entry.delivery].events.push_back(event);
  if (event.is_last) entries.erase(found);
}

EventRouter::EventRouter() : state_(std::make_unique<State>()) {}
EventRouter::~EventRouter() = default;

void EventRouter::add(engine::Ticket ticket, TaskQueue* queue, Receiver receiver, Pace pace) {
  auto shared = std::make_shared<const Receiver>(std::move(receiver));
  const std::lock_guard lock(state_->mutex);
  State::Entry& entry = state_->entries[ticket];
  entry.queue = queue;
  entry.receiver = std::move(shared);
  entry.pace = pace;
}

void EventRouter::remove(engine::Ticket ticket) {
  State::Entry removed;  // what the receiver holds is freed outside the lock
  const std::lock_guard lock(state_->mutex);
  if (const auto found = state_->entries.find(ticket); found != state_->entries.end()) {
    removed = std::move(found->second);
    state_->entries.erase(found);
  }
}

void EventRouter::publish(std::span<const engine::Event> events) {
  std::vector<State::Batch>& batches = state_->batches;
  batches.clear();
  {
    const std::lock_guard lock(state_->mutex);
    ++state_->step;
    for (const engine::Event& event : events) state_->take(event);
  }
  for (State::Batch& batch : batches) {
    if (batch.queue == nullptr) {
      deliver(batch.deliveries);
      continue;
    }
    batch.queue->post([deliveries = std::move(batch.deliveries)] { deliver(deliveries); });
  }
  batches.clear();
}

void EventRouter::abandon(const base::Error& error) {
  std::unordered_map<engine::Ticket, State::Entry> abandoned;
  {
    const std::lock_guard lock(state_->mutex);
    abandoned.swap(state_->entries);
  }
  for (auto& [ticket, entry] : abandoned) {
    engine::Event event = engine::error_event(error);
    event.ticket = ticket;
    event.is_last = true;
    std::vector<Delivery> deliveries;
    deliveries.push_back({std::move(entry.receiver), {std::move(event)}});
    if (entry.queue == nullptr) {
      deliver(deliveries);
    } else {
      entry.queue->post([deliveries = std::move(deliveries)] { deliver(deliveries); });
    }
  }
}

}  // namespace vsurge::api
