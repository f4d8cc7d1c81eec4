// Memory that is refused, and memory that must not grow.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "tests/sim/world.h"

namespace {

// Allocations until one is refused; negative = none is.
long allocations_left = -1;
bool refuses_one = false;  // and then no more

}  // namespace

// Not inlined: g++ 12 would see one half of a pair alone.
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (allocations_left == 0) {
    if (refuses_one) allocations_left = -1;
    throw std::bad_alloc();
  }
  if (allocations_left > 0) --allocations_left;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace vsurge::engine {

struct WaitingQueuePeer {
  static std::size_t clients(const WaitingQueue& queue) { return queue.clients_.size(); }
};

namespace sim {
namespace {

EngineOptions options() {
  EngineOptions o;
  o.pages = 64;
  o.page_size = 4;
  o.context_max = 64;
  o.max_batched_tokens = 32;
  o.vocabulary = 16;
  return o;
}

Request request(int number) {
  Request r;
  r.prompt.assign(9, number % 16);
  r.sampling.max_tokens = 3;
  r.sampling.n = 2;
  r.sampling.repetition_penalty = 1.2F;
  r.client = fmt::format("a client whose name does not fit into a string: {}", number);
  r.cache_namespace = fmt::format("a name space whose name is as long as that: {}", number);
  r.deadline = 1'000'000 + number;
  r.queue_deadline = 2'000'000 + number;
  return r;
}

// All rows say 5.
void run_to_end(Scheduler& scheduler) {
  while (!scheduler.idle()) {
    const StepPlan& plan = scheduler.plan(1);
    StepResult result;
    result.sequences.resize(plan.sequences.size());
    result.rows.resize(plan.rows.size());
    for (auto& row : result.rows) row.token = 5;
    scheduler.commit(result, 1);
  }
}

TEST(SimMemory, ARequestThatFindsNoMemoryLeavesNothing) {
  bool refused = true;
  for (long n = 0; refused; ++n) {
    ASSERT_LT(n, 1000);
    Scheduler scheduler(options());
    scheduler.add(1, request(1), 0);
    const auto deadline = scheduler.next_deadline();
    const std::size_t tokens = scheduler.waiting_tokens();
    Request second = request(0);
    refused = false;
    allocations_left = n;
    try {
      scheduler.add(2, std::move(second), 0);
    } catch (const std::bad_alloc&) {
      refused = true;
    }
    allocations_left = -1;
    if (refused) {
      EXPECT_EQ(scheduler.waiting_requests(), 2U);
      EXPECT_EQ(scheduler.waiting_tokens(), tokens);
      EXPECT_EQ(scheduler.next_deadline(), deadline);
      scheduler.add(2, request(0), 0);
    }
    run_to_end(scheduler);
    EXPECT_EQ(scheduler.metrics().requests_finished, 4U);
    EXPECT_EQ(scheduler.pool().used(), 0);
    EXPECT_EQ(scheduler.pool().audit(), "");
  }
}

// Any number of them at once, so that every table has to grow at some time.
TEST(SimMemory, NoMemoryWhileManyWait) {
  Scheduler scheduler(options());
  std::size_t entered = 0;
  Random random(3);
  for (int number = 0; number < 9000; ++number) {
    Request r = request(number);
    allocations_left = random.between(0, 80);
    try {
      scheduler.add(static_cast<Ticket>(number) + 1, std::move(r), 0);
      ++entered;
    } catch (const std::bad_alloc&) {
    }
    allocations_left = -1;
    ASSERT_EQ(scheduler.waiting_requests(), 2 * entered);
  }
  EXPECT_GT(entered, 4500U);
  EXPECT_LT(entered, 8900U);
  run_to_end(scheduler);
  EXPECT_EQ(scheduler.metrics().requests_finished, 2 * entered);
  EXPECT_EQ(scheduler.pool().used(), 0);
}

// What a search needs is taken when it is admitted; if that fails it ends alone.
TEST(SimMemory, ASearchThatFindsNoMemoryEnds) {
  Request search;
  search.prompt.assign(9, 1);
  search.sampling.max_tokens = 5;
  search.sampling.beam.width = search.sampling.n = 3;
  ASSERT_TRUE(check_request(options(), search).has_value());
  int refused = 0;
  for (long n = 0;; ++n) {
    ASSERT_LT(n, 1000);
    Scheduler scheduler(options());
    Request copy;
    copy.prompt = search.prompt;
    copy.sampling = search.sampling;
    scheduler.add(1, std::move(copy), 0);
    refuses_one = true;
    allocations_left = n;
    const bool planned = !scheduler.plan(1).empty();
    const bool was_refused = allocations_left < 0;
    allocations_left = -1;
    refuses_one = false;
    EXPECT_EQ(planned, !was_refused);
    if (planned) break;
    ++refused;
    StepResult nothing;
    const auto events = scheduler.commit(nothing, 1);
    ASSERT_EQ(events.size(), 3U);
    EXPECT_EQ(events[2].error->code, base::ErrorCode::kInternal);
    EXPECT_TRUE(events[2].is_last);
    EXPECT_TRUE(scheduler.idle());
    EXPECT_EQ(scheduler.pool().used(), 0);
  }
  EXPECT_GT(refused, 10) << "tokens and pages of three beams, and the answers";
}

// What is remembered of clients and name spaces has a bound.
TEST(SimMemory, FloodOfKeys) {
  Scheduler scheduler(options());
  Ticket ticket = 0;
  for (int round = 0; round < 400; ++round) {
    for (int i = 0; i < 100; ++i) {
      ++ticket;
      scheduler.add(ticket, request(static_cast<int>(ticket)), 0);
      if (i % 4 != 0) scheduler.cancel(ticket);
    }
    scheduler.flush();
    if (round % 20 == 0) run_to_end(scheduler);
  }
  run_to_end(scheduler);
  EXPECT_LE(WaitingQueuePeer::clients(SchedulerPeer::queue(scheduler)), 5000U);
  EXPECT_LE(PrefixCachePeer::roots(scheduler.prefix_cache()).size(), 16'384U);
  EXPECT_EQ(scheduler.pool().used(), 0);
  EXPECT_EQ(scheduler.prefix_cache().audit(), "");
}

}  // namespace
}  // namespace sim
}  // namespace vsurge::engine
