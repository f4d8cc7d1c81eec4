// Who must be admitted next: the rules of waiting_queue.h once more, as plainly as can be.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "tests/sim/model.h"

namespace vsurge::engine::sim {

class QueueModel {
 public:
  struct Entry {
    Story* story = nullptr;
    int choice = 0;
    bool resumed = false;
    int passes = 0;

    int priority() const { return story->spec->priority; }
    int client() const { return story->spec->client; }
    Choice& state() const { return story->choices[static_cast<std::size_t>(choice)]; }
  };

  QueueModel(const EngineOptions& options, Seen& seen);

  void borrow(int client);
  void give_back(int client);
  void charge(int client, double tokens);

  void push(Story& story, int choice, bool resumed);
  void erase(const Story& story, int choice);
  // The one that must come next; nullptr when nobody waits.
  const Entry* front() const;
  // It is admitted.
  void pop_front();

  const std::vector<Entry>& entries() const { return entries_; }
  std::size_t forked() const;  // beams that go on, and do not count
  std::size_t tokens() const;
  double service(int client) const { return clients_.at(client).service; }

  static std::string client_name(int client);

 private:
  struct Client {
    double weight = 1;
    double service = 0;
    int requests = 0;
  };

  // Of one priority: no entry of its client comes before it, nor is it resumed.
  bool is_first_of_client(const Entry& entry) const;
  static bool is_older(const Entry& a, const Entry& b);
  bool goes_before(const Entry& a, const Entry& b) const;

  const EngineOptions& options_;
  Seen& seen_;
  std::vector<Entry> entries_;
  std::unordered_map<int, Client> clients_;
  double floor_ = 0;
};

}  // namespace vsurge::engine::sim
