#include "engine/waiting_queue.h"

#include <algorithm>

namespace vsurge::engine {
namespace {

// Idle clients whose service is remembered.
constexpr std::size_t kIdleClientsMax = 4096;

}  // namespace

WaitingQueue::WaitingQueue(const EngineOptions& options)
    : passes_max_(options.passes_max), weights_(options.client_weights) {}

Client* WaitingQueue::borrow(std::string_view name) {
  auto found = clients_.find(std::string(name));
  if (found == clients_.end()) {
    // Whole before it is entered: there may be no memory.
    auto made = std::make_unique<Client>();
    made->name = name;
    const auto weight = weights_.find(made->name);
    if (weight != weights_.end()) made->weight = weight->second;
    found = clients_.emplace(made->name, std::move(made)).first;
  }
  Client* client = found->second.get();
  if (client->requests == 0) {
    double least = floor_;
    if (!busy_.empty()) {
      least = (*std::min_element(busy_.begin(), busy_.end(), [](const Client* a, const Client* b) {
                return a->service < b->service;
              }))->service;
    }
    client->service = std::max(client->service, least);
    busy_.push_back(client);
  }
  ++client->requests;
  return client;
}

void WaitingQueue::give_back(Client* client) {
  CHECK(client->requests > 0);
  if (--client->requests > 0) return;
  std::erase(busy_, client);
  if (busy_.empty()) floor_ = std::max(floor_, client->service);
  client->idle_since = ++turns_;
  if (clients_.size() > busy_.size() + kIdleClientsMax) forget_idle_clients();
}

// The half that has been idle longest.
void WaitingQueue::forget_idle_clients() {
  std::vector<std::uint64_t> turns;
  for (const auto& [name, client] : clients_) {
    if (client->requests == 0) turns.push_back(client->idle_since);
  }
  const auto middle = turns.begin() + static_cast<std::ptrdiff_t>(turns.size() / 2);
  std::nth_element(turns.begin(), middle, turns.end());
  std::erase_if(clients_, [last = *middle](const auto& entry) {
    return entry.second->requests == 0 && entry.second->idle_since < last;
  });
}

// By goes_before, from the end: most come last. In the resumed lane from there, too; it is short.
void WaitingQueue::link(Lane& lane, Sequence& sequence) {
  Sequence* before = lane.last;
  while (before != nullptr && goes_before(sequence, *before)) before = before->before;
  sequence.before = before;
  sequence.after = before == nullptr ? lane.first : before->after;
  (before == nullptr ? lane.first : before->after) = &sequence;
  (sequence.after == nullptr ? lane.last : sequence.after->before) = &sequence;
}

void WaitingQueue::unlink(Lane& lane, Sequence& sequence) {
  (sequence.before == nullptr ? lane.first : sequence.before->after) = sequence.after;
  (sequence.after == nullptr ? lane.last : sequence.after->before) = sequence.before;
  sequence.before = nullptr;
  sequence.after = nullptr;
}

void WaitingQueue::count(const Sequence& sequence, int change) {
  const auto one = static_cast<std::size_t>(change);
  if (sequence.forked) {
    forked_ += one;
  } else {
    requests_ += one;
    tokens_ += one * static_cast<std::size_t>(sequence.length);
  }
}

void WaitingQueue::push(Sequence& sequence, bool resumed) {
  sequence.resumed = resumed;
  sequence.passes = 0;
  if (resumed) {
    link(resumed_, sequence);
  } else {
    Client* client = sequence.group->client;
    Lanes& lanes = tiers_[sequence.priority];
    auto lane = std::find_if(lanes.begin(), lanes.end(),
                             [client](const auto& one) { return one->client == client; });
    if (lane == lanes.end()) {
      lanes.push_back(std::make_unique<Lane>(client));
      lane = lanes.end() - 1;
    }
    link(**lane, sequence);
  }
  sequence.place = Place::kWaiting;
  count(sequence, 1);
}

Sequence* WaitingQueue::next_in(const Lanes& lanes) const {
  Sequence* next = nullptr;
  for (const auto& lane : lanes) {
    Sequence* first = lane->first;
    if (next == nullptr) {
      next = first;
      continue;
    }
    const bool overdue = first->passes >= passes_max_;
    const bool next_overdue = next->passes >= passes_max_;
    if (overdue != next_overdue) {
      if (overdue) next = first;
      continue;
    }
    const double service = first->group->client->service;
    const double least = next->group->client->service;
    const bool older = first->arrival < next->arrival;
    if (overdue ? older : (service < least || (service == least && older))) next = first;
  }
  return next;
}

Sequence* WaitingQueue::front() const {
  Sequence* resumed = resumed_.first;
  if (tiers_.empty()) return resumed;
  const auto& [priority, lanes] = *tiers_.begin();
  if (resumed != nullptr && resumed->priority <= priority) return resumed;
  return next_in(lanes);
}

void WaitingQueue::pop_front() {
  Sequence* next = front();
  CHECK(next != nullptr);
  if (!next->resumed) {
    for (const auto& lane : tiers_.begin()->second) {
      if (lane->first->arrival < next->arrival) ++lane->first->passes;
    }
  }
  erase(*next);
}

void WaitingQueue::erase(Sequence& sequence) {
  CHECK(sequence.place == Place::kWaiting);
  sequence.place = Place::kHeld;
  count(sequence, -1);
  sequence.forked = false;
  if (sequence.resumed) return unlink(resumed_, sequence);
  const auto tier = tiers_.find(sequence.priority);
  Lanes& lanes = tier->second;
  const auto lane = std::find_if(lanes.begin(), lanes.end(), [&sequence](const auto& one) {
    return one->client == sequence.group->client;
  });
  unlink(**lane, sequence);
  if ((*lane)->first != nullptr) return;
  lanes.erase(lane);
  if (lanes.empty()) tiers_.erase(tier);
}

}  // namespace vsurge::engine
