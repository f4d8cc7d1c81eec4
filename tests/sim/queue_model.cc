#include "tests/sim/queue_model.h"

#include <algorithm>

#include "base/error.h"

namespace vsurge::engine::sim {

QueueModel::QueueModel(const EngineOptions& options, Seen& seen) : options_(options), seen_(seen) {}

std::string QueueModel::client_name(int client) {
  return client == 0 ? std::string() : fmt::format("client-{}", client);
}

void QueueModel::borrow(int number) {
  const auto [found, is_new] = clients_.try_emplace(number);
  Client& client = found->second;
  if (is_new) {
    const auto weight = options_.client_weights.find(client_name(number));
    if (weight != options_.client_weights.end()) client.weight = weight->second;
  }
  if (client.requests++ > 0) return;
  bool any = false;
  double least = 0;
  for (const auto& [other, state] : clients_) {
    if (other == number || state.requests == 0) continue;
    least = any ? std::min(least, state.service) : state.service;
    any = true;
  }
  if (!any) least = floor_;
  seen_.note_if(!is_new && client.service < least, Situation::kClientComesBack);
  client.service = std::max(client.service, least);
}

void QueueModel::give_back(int number) {
  Client& client = clients_.at(number);
  if (--client.requests > 0) return;
  const bool all_idle = std::all_of(clients_.begin(), clients_.end(),
                                    [](const auto& entry) { return entry.second.requests == 0; });
  if (all_idle) floor_ = std::max(floor_, client.service);
}

void QueueModel::charge(int number, double tokens) {
  Client& client = clients_.at(number);
  client.service += tokens / client.weight;
}

void QueueModel::push(Story& story, int choice, bool resumed) {
  entries_.push_back({&story, choice, resumed, 0});
}

void QueueModel::erase(const Story& story, int choice) {
  std::erase_if(entries_, [&](const Entry& entry) {
    return entry.story == &story && entry.choice == choice;
  });
}

bool QueueModel::is_older(const Entry& a, const Entry& b) {
  return a.story != b.story ? a.story->ticket < b.story->ticket : a.choice < b.choice;
}

bool QueueModel::is_first_of_client(const Entry& entry) const {
  if (entry.resumed) return false;
  return std::none_of(entries_.begin(), entries_.end(), [&](const Entry& other) {
    return !other.resumed && other.priority() == entry.priority() &&
           other.client() == entry.client() && is_older(other, entry);
  });
}

// Of two that are the first of their clients, or resumed.
bool QueueModel::goes_before(const Entry& a, const Entry& b) const {
  if (a.priority() != b.priority()) return a.priority() < b.priority();
  if (a.resumed != b.resumed) return a.resumed;
  if (a.resumed) return is_older(a, b);
  const bool a_overdue = a.passes >= options_.passes_max;
  const bool b_overdue = b.passes >= options_.passes_max;
  if (a_overdue != b_overdue) return a_overdue;
  const double a_service = clients_.at(a.client()).service;
  const double b_service = clients_.at(b.client()).service;
  if (!a_overdue && a_service != b_service) return a_service < b_service;
  return is_older(a, b);
}

const QueueModel::Entry* QueueModel::front() const {
  const Entry* next = nullptr;
  for (const Entry& entry : entries_) {
    if (!entry.resumed && !is_first_of_client(entry)) continue;
    if (next == nullptr || goes_before(entry, *next)) next = &entry;
  }
  return next;
}

void QueueModel::pop_front() {
  const Entry next = *front();
  if (!next.resumed) {
    for (Entry& entry : entries_) {
      if (entry.story->ticket >= next.story->ticket) continue;
      if (entry.priority() > next.priority()) seen_.note(Situation::kPriorityOvertakes);
      if (entry.priority() != next.priority() || !is_first_of_client(entry)) continue;
      ++entry.passes;
      seen_.note(Situation::kClientOvertakes);
      seen_.note_if(entry.passes == options_.passes_max, Situation::kPassedToTheBound);
    }
  }
  erase(*next.story, next.choice);
}

std::size_t QueueModel::forked() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(entries_, [](const Entry& entry) { return entry.state().forked; }));
}

std::size_t QueueModel::tokens() const {
  std::size_t sum = 0;
  for (const Entry& entry : entries_) {
    if (!entry.state().forked) sum += entry.state().tokens.size();
  }
  return sum;
}

}  // namespace vsurge::engine::sim
