#include "capacity/cluster.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace vsurge::capacity {
namespace {

// A step takes a millisecond and no more for more tokens.
engine::EngineOptions engine_options() {
  engine::EngineOptions options;
  options.max_concurrent_decodes = 64;
  options.max_concurrent_prefill = 64;
  options.max_batched_tokens = 512;
  options.context_max = 2048;
  options.page_size = 16;
  options.pages = 8192;
  options.vocabulary = 1000;
  options.eos_tokens = {0, 1};
  options.limits.queue_requests_max = 100'000;
  options.limits.queue_tokens_max = 100'000'000;
  options.cost.tokens_ns.fill(1e6);
  return options;
}

Trace poisson(int requests, double rate, int prompt, int answer, unsigned seed = 1) {
  std::mt19937_64 random(seed);
  std::exponential_distribution<double> gap(rate);
  Trace trace;
  double time = 0;
  for (int i = 0; i < requests; ++i) {
    trace.requests.push_back({.arrival = time, .prompt_tokens = prompt, .answer_tokens = answer});
    time += gap(random);
  }
  return trace;
}

TEST(Cluster, OneRequestTakesItsSteps) {
  Trace trace;
  trace.requests.push_back({.arrival = 0, .prompt_tokens = 1000, .answer_tokens = 11});
  const Outcome outcome = simulate(trace, {.engine = engine_options()});
  EXPECT_EQ(outcome.finished, 1U);
  EXPECT_EQ(outcome.answer_tokens, 11);
  EXPECT_NEAR(outcome.first_token.p50, 2e-3, 1e-9) << "two chunks of 512";
  EXPECT_NEAR(outcome.duration, 12e-3, 1e-9);
  EXPECT_NEAR(outcome.token.p50, 1e-3, 1e-5);
}

// One at a time, a second each: the mean wait of M/D/1 is rho / (2 (1 - rho)) services
// (Pollaczek and Khinchine).
TEST(Cluster, WaitsAsQueueingTheorySays) {
  engine::EngineOptions options = engine_options();
  options.max_concurrent_decodes = 1;
  options.max_concurrent_prefill = 1;
  options.prefix_cache = false;
  for (const double rho : {0.3, 0.7}) {
    const int requests = 40'000;
    const double service = 10e-3;  // ten steps: one chunk and nine more tokens
    const Trace trace = poisson(requests, rho / service, 100, 10);
    double sum = 0;
    const Outcome outcome = simulate(trace, {.engine = options});
    // The mean is not told; replay it from the definition of the queue and compare percentiles.
    std::vector<double> waits;
    double free_at = 0;
    for (const TraceRequest& request : trace.requests) {
      const double begin = std::max(free_at, request.arrival);
      waits.push_back(begin - request.arrival);
      sum += waits.back();
      free_at = begin + service;
    }
    EXPECT_NEAR(sum / requests, service * rho / (2 * (1 - rho)), 0.05 * service) << rho;
    std::ranges::sort(waits);
    const double p90 = waits[waits.size() * 9 / 10];
    EXPECT_NEAR(outcome.first_token.p90, p90 + 1e-3, 1e-4 + 0.01 * p90) << rho;
    EXPECT_EQ(outcome.finished, trace.requests.size());
  }
}

TEST(Cluster, MoreReplicasServeMore) {
  const Trace trace = poisson(3000, 300, 400, 60);
  double before = -1;
  for (const int replicas : {1, 2, 4, 8}) {
    const Outcome outcome = simulate(trace, {.engine = engine_options(),
                                             .replicas = replicas,
                                             .objective = {.first_token = 0.02, .token = 2e-3}});
    EXPECT_EQ(outcome.finished, trace.requests.size());
    EXPECT_GE(outcome.attainment(), before);
    before = outcome.attainment();
  }
  EXPECT_GT(before, 0.99);
}

TEST(Cluster, TheSameTwice) {
  Trace trace = poisson(500, 100, 300, 20);
  for (std::size_t i = 0; i < trace.requests.size(); ++i) {
    trace.requests[i].first_block = trace.blocks.size();
    trace.requests[i].blocks = 1;
    trace.blocks.push_back(i % 7);
  }
  ClusterOptions options{.engine = engine_options(), .replicas = 3};
  const Outcome a = simulate(trace, options), b = simulate(trace, options);
  EXPECT_EQ(a.duration, b.duration);
  EXPECT_EQ(a.first_token.p99, b.first_token.p99);
  EXPECT_EQ(a.steps, b.steps);
  EXPECT_GT(a.cache_hits, 0.9) << "seven prompts in all";
  options.engine.prefix_cache = false;
  EXPECT_EQ(simulate(trace, options).cache_hits, 0);
}

// Conversations: each request goes on where one before it ended.
TEST(Cluster, PrefixRoutingFindsMore) {
  Trace trace = poisson(1200, 40, 1024, 4);
  for (std::size_t i = 0; i < trace.requests.size(); ++i) {
    trace.requests[i].first_block = trace.blocks.size();
    trace.requests[i].blocks = 2;
    trace.blocks.push_back(i % 41);
    trace.blocks.push_back(100 + i % 41);
  }
  ClusterOptions options{.engine = engine_options(), .replicas = 8};
  options.engine.pages = 1024;  // eight conversations in each replica
  const double prefix = simulate(trace, options).cache_hits;
  options.routing = Routing::kRoundRobin;
  EXPECT_GT(prefix, 0.9);
  EXPECT_LT(simulate(trace, options).cache_hits, prefix);
}

// The slowest machine that a file can describe, and arrivals beyond all time.
TEST(Cluster, TimeEndsWithoutOverflow) {
  Trace trace = poisson(20, 1e-9, 300, 40);
  ClusterOptions options{.engine = engine_options(), .time_scale = 1e6};
  options.engine.cost.tokens_ns.fill(1e15);
  options.engine.cost.decode_key_ns = options.engine.cost.row_ns = 1e15;
  const Outcome outcome = simulate(trace, options);
  EXPECT_EQ(outcome.finished, 20U);
  EXPECT_GE(outcome.first_token.p50, 0) << "no time has become negative";
  EXPECT_GT(outcome.duration, 1e9);
}

TEST(Cluster, WhatDoesNotFitIsCounted) {
  Trace trace = poisson(10, 10, 3000, 100);
  trace.requests[3].prompt_tokens = 100;
  ClusterOptions options{.engine = engine_options()};
  EXPECT_EQ(simulate(trace, options).too_long, 9U);
  options.clip_long = true;
  const Outcome clipped = simulate(trace, options);
  EXPECT_EQ(clipped.too_long, 0U);
  EXPECT_EQ(clipped.prompt_tokens, 9 * (2048 - 100) + 100);
  options.engine.limits.queue_requests_max = 2;
  options.time_scale = 1e-6;
  EXPECT_GT(simulate(trace, options).refused, 0U);
}

}  // namespace
}  // namespace vsurge::capacity
