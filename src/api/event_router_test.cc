#include "api/event_router.h"

#include <gtest/gtest.h>

#include <map>
#include <stdexcept>

namespace vsurge::api {
namespace {

using engine::Event;

Event token(engine::Ticket ticket, engine::TokenId id) {
  Event event;
  event.ticket = ticket;
  event.token = id;
  return event;
}

Event end(engine::Ticket ticket) {
  Event event;
  event.ticket = ticket;
  event.kind = engine::EventKind::kEnd;
  event.is_last = true;
  return event;
}

TEST(EventRouter, EachTicketGetsItsEventsOfAStepAtOnce) {
  EventRouter router;
  std::map<engine::Ticket, std::vector<std::vector<Event>>> seen;
  for (const engine::Ticket ticket : {1, 2}) {
    router.add(ticket, nullptr,
               [&, ticket](const std::vector<Event>& events) { seen[ticket].push_back(events); });
  }
  router.publish(std::vector<Event>{token(1, 10), token(2, 20), token(1, 11), token(3, 30)});
  router.publish(std::vector<Event>{end(1), token(2, 21)});
  ASSERT_EQ(seen[1].size(), 2u);
  ASSERT_EQ(seen[1][0].size(), 2u);
  EXPECT_EQ(seen[1][0][1].token, 11);
  EXPECT_TRUE(seen[1][1][0].is_end());
  EXPECT_EQ(seen[2].size(), 2u);
  EXPECT_FALSE(seen.contains(3));
}

class Tasks final : public TaskQueue {
 public:
  void post(std::function<void()> task) override { tasks.push_back(std::move(task)); }
  std::vector<std::function<void()>> tasks;
};

TEST(EventRouter, AllOfAStepAndAQueueAreOneTask) {
  EventRouter router;
  Tasks one, other;
  std::vector<engine::TokenId> seen;
  const auto see = [&seen](const std::vector<Event>& events) {
    for (const Event& event : events) seen.push_back(event.token);
  };
  router.add(1, &one, see);
  router.add(2, &other, see);
  router.add(3, &one, [](const std::vector<Event>&) { throw std::runtime_error("mine alone"); });
  router.add(4, &one, see);
  router.publish(std::vector<Event>{token(1, 10), token(2, 20), token(3, 30), token(4, 40),
                                    token(1, 11), end(4)});
  EXPECT_TRUE(seen.empty());
  ASSERT_EQ(one.tasks.size(), 1u);
  ASSERT_EQ(other.tasks.size(), 1u);
  one.tasks[0]();
  EXPECT_EQ(seen, (std::vector<engine::TokenId>{10, 11, 40, 0}));
  other.tasks[0]();
  EXPECT_EQ(seen.back(), 20);
}

TEST(EventRouter, AnswersToldWholeHearOfTheFirstStepAndThenOfMany) {
  EventRouter router;
  Tasks queue;
  std::vector<std::vector<engine::TokenId>> seen;
  router.add(
      1, &queue,
      [&seen](const std::vector<Event>& events) {
        seen.emplace_back();
        for (const Event& event : events) seen.back().push_back(event.token);
      },
      Pace::kAtEnd);
  router.publish(std::vector<Event>{token(1, 1), token(1, 2)});
  ASSERT_EQ(queue.tasks.size(), 1u);
  std::vector<engine::TokenId> all = {1, 2};
  for (engine::TokenId each = 3; each < 80; ++each) {
    router.publish(std::vector<Event>{token(1, each)});
    all.push_back(each);
  }
  const std::size_t before = queue.tasks.size();
  EXPECT_GE(before, 2u) << "what is held has a bound";
  EXPECT_LE(before, 5u);
  router.publish(std::vector<Event>{end(1)});
  all.push_back(0);
  EXPECT_EQ(queue.tasks.size(), before + 1);
  std::vector<engine::TokenId> told;
  for (const auto& task : queue.tasks) task();
  for (const auto& turn : seen) told.insert(told.end(), turn.begin(), turn.end());
  EXPECT_EQ(told, all);
  EXPECT_EQ(seen.front().size(), 2u);
}

TEST(EventRouter, AbandonTellsAllAnEndAndForgetsThem) {
  EventRouter router;
  Tasks queue;
  std::vector<Event> seen;
  const auto see = [&seen](const std::vector<Event>& events) { seen.push_back(events.at(0)); };
  router.add(1, &queue, see);
  router.add(2, nullptr, see);
  router.abandon({base::ErrorCode::kEngineUnavailable, "hangs", ""});
  ASSERT_EQ(queue.tasks.size(), 1u);
  queue.tasks[0]();
  ASSERT_EQ(seen.size(), 2u);
  for (const Event& event : seen) {
    EXPECT_TRUE(event.is_end() && event.is_last);
    EXPECT_EQ(event.error->message, "hangs");
  }
  router.publish(std::vector<Event>{end(1), end(2)});
  EXPECT_EQ(seen.size(), 2u);
}

TEST(EventRouter, DropsTheReceiverAfterTheEnd) {
  EventRouter router;
  const auto token_of_life = std::make_shared<int>(0);
  int calls = 0;
  router.add(5, nullptr, [&calls, token_of_life](const std::vector<Event>&) { ++calls; });
  EXPECT_EQ(token_of_life.use_count(), 2);
  router.publish(std::vector<Event>{token(5, 1), end(5)});
  EXPECT_EQ(token_of_life.use_count(), 1);
  router.publish(std::vector<Event>{token(5, 2)});
  EXPECT_EQ(calls, 1);
}

TEST(EventRouter, Remove) {
  EventRouter router;
  const auto token_of_life = std::make_shared<int>(0);
  router.add(5, nullptr, [token_of_life](const std::vector<Event>&) { FAIL(); });
  router.remove(5);
  router.remove(6);
  EXPECT_EQ(token_of_life.use_count(), 1);
  router.publish(std::vector<Event>{token(5, 1), end(5)});
}

TEST(EventRouter, AReceiverMayAddAnother) {
  EventRouter router;
  int calls = 0;
  router.add(1, nullptr, [&](const std::vector<Event>&) {
    for (engine::Ticket ticket = 100; ticket < 200; ++ticket) {
      router.add(ticket, nullptr, [&](const std::vector<Event>&) { ++calls; });
    }
  });
  router.add(2, nullptr, [&](const std::vector<Event>&) { ++calls; });
  router.publish(std::vector<Event>{token(1, 1), token(2, 1)});
  router.publish(std::vector<Event>{token(150, 1)});
  EXPECT_EQ(calls, 2);
}

}  // namespace
}  // namespace vsurge::api
