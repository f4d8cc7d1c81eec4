#include "engine/waiting_queue.h"

#include <gtest/gtest.h>

#include <deque>

namespace vsurge::engine {
namespace {

// Sequences of one choice, by the order in which they were made.
struct Crowd {
  explicit Crowd(const EngineOptions& options = {}) : queue(options) {}

  Sequence& arrive(const std::string& client, int priority = 0, bool resumed = false) {
    Group& group = groups.emplace_back();
    Sequence& sequence = sequences.emplace_back();
    group.client = queue.borrow(client);
    sequence.group = &group;
    sequence.priority = priority;
    sequence.arrival = sequences.size();
    sequence.length = 10;
    queue.push(sequence, resumed);
    return sequence;
  }
  // Arrival of the next, whose client is then charged so much.
  std::uint64_t admit(double tokens = 0) {
    Sequence* next = queue.front();
    if (next == nullptr) return 0;
    queue.pop_front();
    WaitingQueue::charge(*next->group->client, tokens);
    return next->arrival;
  }

  WaitingQueue queue;
  std::deque<Group> groups;
  std::deque<Sequence> sequences;
};

TEST(WaitingQueue, OneClientByArrival) {
  Crowd crowd;
  for (int i = 0; i < 4; ++i) crowd.arrive("a");
  EXPECT_EQ(crowd.queue.requests(), 4U);
  EXPECT_EQ(crowd.queue.tokens(), 40U);
  for (std::uint64_t i = 1; i <= 4; ++i) EXPECT_EQ(crowd.admit(100), i);
  EXPECT_EQ(crowd.admit(), 0U);
  EXPECT_TRUE(crowd.queue.empty());
  EXPECT_EQ(crowd.queue.tokens(), 0U);
}

TEST(WaitingQueue, PriorityAndResumedFirst) {
  Crowd crowd;
  crowd.arrive("a", 1);        // 1
  crowd.arrive("a", 0);        // 2
  crowd.arrive("b", -1);       // 3
  crowd.arrive("a", 0, true);  // 4
  crowd.arrive("c", 0, true);  // 5
  crowd.arrive("c", 2, true);  // 6
  for (const std::uint64_t expected : {3U, 4U, 5U, 2U, 1U, 6U}) EXPECT_EQ(crowd.admit(), expected);
}

TEST(WaitingQueue, LeastServiceFirst) {
  Crowd crowd;
  for (int i = 0; i < 10; ++i) crowd.arrive("greedy");
  crowd.arrive("modest");  // 11
  crowd.arrive("modest");  // 12
  EXPECT_EQ(crowd.admit(100), 1U);
  EXPECT_EQ(crowd.admit(60), 11U);
  EXPECT_EQ(crowd.admit(60), 12U);
  EXPECT_EQ(crowd.admit(), 2U);
}

TEST(WaitingQueue, WeightsDivideService) {
  EngineOptions options;
  options.client_weights = {{"heavy", 3.0}};
  Crowd crowd(options);
  for (int i = 0; i < 12; ++i) crowd.arrive(i % 2 == 0 ? "heavy" : "light");
  int heavy = 0;
  for (int i = 0; i < 8; ++i) heavy += crowd.admit(30) % 2 == 1 ? 1 : 0;
  EXPECT_EQ(heavy, 6);
}

TEST(WaitingQueue, WhoComesBackIsLifted) {
  Crowd crowd;
  crowd.arrive("old");  // 1
  for (int i = 0; i < 3; ++i) crowd.admit(1000);
  crowd.arrive("old");  // 2: has 1,000 by now
  crowd.arrive("new");  // 3: starts with as much, not with nothing
  crowd.arrive("new");  // 4
  EXPECT_EQ(crowd.admit(10), 2U);
  EXPECT_EQ(crowd.admit(10), 3U);
  // Nobody is busy: the level stays.
  for (const Group& group : crowd.groups) crowd.queue.give_back(group.client);
  crowd.queue.erase(crowd.sequences.back());
  EXPECT_TRUE(crowd.queue.empty());
  EXPECT_GE(crowd.queue.borrow("third")->service, 1000);
}

TEST(WaitingQueue, NobodyIsPassedForEver) {
  EngineOptions options;
  options.passes_max = 5;
  Crowd crowd(options);
  crowd.queue.borrow("runs");  // keeps the level low
  crowd.arrive("unlucky");
  WaitingQueue::charge(*crowd.groups.front().client, 1e9);
  int passed = 0;
  for (int i = 0; i < 20; ++i) {
    crowd.arrive("other" + std::to_string(i));
    if (crowd.admit() == 1) break;
    ++passed;
  }
  EXPECT_EQ(passed, 5);
}

TEST(WaitingQueue, EraseAnywhere) {
  Crowd crowd;
  for (int i = 0; i < 6; ++i) crowd.arrive(i % 2 == 0 ? "a" : "b", 0, i == 5);
  for (const std::size_t i : {2U, 5U, 0U}) crowd.queue.erase(crowd.sequences[i]);
  EXPECT_EQ(crowd.queue.requests(), 3U);
  int visited = 0;
  crowd.queue.each([&](const Sequence&) { ++visited; });
  EXPECT_EQ(visited, 3);
  EXPECT_EQ(crowd.admit(), 2U);
  EXPECT_EQ(crowd.admit(), 4U);
  EXPECT_EQ(crowd.admit(), 5U);
}

TEST(WaitingQueue, ForgetsClientsThatAreLongIdle) {
  Crowd crowd;
  for (int i = 0; i < 20'000; ++i) {
    crowd.queue.give_back(crowd.queue.borrow("client " + std::to_string(i)));
  }
  // Still works, and a remembered one keeps its service.
  Client* client = crowd.queue.borrow("client 19999");
  WaitingQueue::charge(*client, 50);
  EXPECT_EQ(client->service, 50);
}

}  // namespace
}  // namespace vsurge::engine
