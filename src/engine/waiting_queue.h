// WaitingQueue: who is admitted next.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/options.h"
#include "engine/sequence.h"

namespace vsurge::engine {

// Sequences that wait, in order; linked through the sequences.
struct Lane {
  Client* client = nullptr;
  Sequence* first = nullptr;
  Sequence* last = nullptr;
};

// A client, and the service it has had: tokens of prompts computed plus twice the tokens answered,
// divided by its weight (the virtual token counter of Sheng et al., "Fairness in serving large
// language models", OSDI 2024).
struct Client {
  std::string name;
  double weight = 1;
  double service = 0;
  int requests = 0;              // waiting or running
  std::uint64_t idle_since = 0;  // a turn; of use when requests == 0
};

// Lower priority numbers first. Within one priority, first those that belong to a request which has
// run (preempted ones, and further choices), by arrival; then the clients in turn: least service
// first, equal service by arrival, and each client's own by arrival; but who has been passed
// passes_max times by later arrivals goes first. A client that comes back after having had nothing
// to do starts with at least the least service of those that have.
//
// One thread. Only push of a sequence that has not run, and borrow, allocate.
class WaitingQueue {
 public:
  explicit WaitingQueue(const EngineOptions& options);

  // The client of that name, with one request more; give_back when it has ended.
  Client* borrow(std::string_view name);
  void give_back(Client* client);
  static void charge(Client& client, double tokens) { client.service += tokens / client.weight; }

  // `resumed`: it belongs to a request that has run.
  void push(Sequence& sequence, bool resumed);
  // Who is next; nullptr when nobody waits.
  Sequence* front() const;
  // front() is admitted: whoever came before it and is first of its client has been passed.
  void pop_front();
  void erase(Sequence& sequence);

  std::size_t requests() const { return requests_; }  // sequences, but for
  std::size_t forked() const { return forked_; }      // beams that go on in the next step
  std::size_t tokens() const { return tokens_; }      // of the former
  bool empty() const { return resumed_.first == nullptr && tiers_.empty(); }
  // Everyone who waits, in no order that means anything; for tests.
  template <class Visit>
  void each(Visit visit) const {
    for (Sequence* s = resumed_.first; s != nullptr; s = s->after) visit(*s);
    for (const auto& [priority, lanes] : tiers_) {
      for (const auto& lane : lanes) {
        for (Sequence* s = lane->first; s != nullptr; s = s->after) visit(*s);
      }
    }
  }

 private:
  friend struct WaitingQueuePeer;  // tests plant faults

  using Lanes = std::vector<std::unique_ptr<Lane>>;  // of one priority

  static void link(Lane& lane, Sequence& sequence);
  static void unlink(Lane& lane, Sequence& sequence);
  void count(const Sequence& sequence, int change);
  Sequence* next_in(const Lanes& lanes) const;
  void forget_idle_clients();

  const int passes_max_;
  const std::unordered_map<std::string, double> weights_;
  Lane resumed_;  // by goes_before
  std::map<int, Lanes> tiers_;
  std::unordered_map<std::string, std::unique_ptr<Client>> clients_;
  std::vector<Client*> busy_;  // those with requests
  double floor_ = 0;           // what a client that comes back starts with when nobody is busy
  std::uint64_t turns_ = 0;
  std::size_t requests_ = 0;
  std::size_t forked_ = 0;
  std::size_t tokens_ = 0;
};

}  // namespace vsurge::engine
