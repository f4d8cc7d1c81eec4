// One story for each way in which peers' schedulers and caches went wrong. The simulation checks
// all its invariants after each event; what a story is about is checked besides.
#include "tests/sim/story.h"

namespace vsurge::engine::sim {
namespace {

// A prompt within the context, but larger than the whole cache, was queued, and blocked all others
// for ever.
TEST(SimPeers, Vllm39734_PromptThatCanNeverFit) {
  Tale tale(4, 4);
  tale.arrives(0, 17, 1);
  const int next = tale.arrives(0, 4, 3);
  tale.run();
  EXPECT_EQ(tale.seen(Situation::kRefused), 1U);
  EXPECT_EQ(tale.ledger().finished, 1U);
  EXPECT_EQ(tale.simulation->seen().requests, 1U);
  EXPECT_EQ(tale.answer(next - 1), 3);
}

// Under eviction a cached page was handed to a new owner and still found by others.
TEST(SimPeers, Vllm37076_EvictedPageIsStillFound) {
  Tale tale(8, 2);
  tale.scenario.options.prefix_hash_bits = 8;
  for (int tick = 0; tick < 60; ++tick) {
    tale.arrives_in_tree(tick, tick % 2 == 0 ? 100 : tick, 7, 2);
  }
  tale.run();
  EXPECT_GT(tale.seen(Situation::kPageEvicted), 0U);
  EXPECT_GT(tale.metrics().prefix_hits, 0U);
  EXPECT_EQ(tale.ledger().finished, 60U);
}

// A page that had left the window and come back stood twice in one release, and was freed twice.
TEST(SimPeers, Vllm42571_PageOfASlidingWindowFreedTwice) {
  Tale tale(6, 2);
  tale.scenario.options.window = 3;
  const int one = tale.arrives(0, 2, 30);
  tale.request(one).sampling.max_tokens = 10;
  tale.arrives(0, 2, 10);
  tale.cancel(7, tale.arrives(2, 3, 8));
  tale.run();
  EXPECT_GT(tale.seen(Situation::kWindowLeft), 0U);
}

// Only what was found of a prompt was reserved; two half-admitted ones held all pages, and neither
// could go on.
TEST(SimPeers, Vllm45388_TwoHalfAdmittedPrompts) {
  Tale tale(8, 4);
  tale.scenario.options.max_batched_tokens = 4;
  tale.scenario.options.max_concurrent_decodes = 4;
  tale.arrives_in_tree(0, 1, 12, 1);
  tale.arrives_in_tree(0, 2, 12, 1);
  tale.arrives_in_tree(20, 1, 26, 6);
  tale.arrives_in_tree(20, 2, 24, 8);
  tale.run();
  EXPECT_EQ(tale.ledger().finished, 4U);
  EXPECT_GT(tale.metrics().prefix_hits, 0U);
}

// The same without anything found: nothing ran, requests waited, and every step was empty.
TEST(SimPeers, Vllm15996_EmptyStepsForEver) {
  Tale tale(5, 2);
  for (int i = 0; i < 6; ++i) tale.arrives(0, 3, 7);
  tale.run();
  EXPECT_GT(tale.ledger().preemptions, 0U);
  EXPECT_EQ(tale.ledger().finished, 6U);
}

// With all pages in use and the prefix cache on, parts of other texts appeared within answers.
TEST(SimPeers, Vllm50702_PoolPinnedAtItsLimit) {
  Tale tale(10, 4);
  for (int i = 0; i < 24; ++i) tale.arrives(i / 4, 5, 14);
  tale.run();
  EXPECT_GT(tale.seen(Situation::kPoolFull), 10U);
  EXPECT_EQ(tale.ledger().finished, 24U);
}

// Without a prefix cache: retries right after cancels got pages whose content was still the
// cancelled ones'.
TEST(SimPeers, Vllm39146_RetriesAfterCancels) {
  Tale tale(20, 2);
  tale.scenario.options.prefix_cache = false;
  for (int i = 0; i < 5; ++i) tale.cancel(4, tale.arrives_in_tree(0, i, 5, 20));
  for (int i = 0; i < 5; ++i) tale.arrives_in_tree(4, i, 5, 4);
  tale.run();
  EXPECT_EQ(tale.ledger().cancelled, 5U);
  EXPECT_EQ(tale.ledger().finished, 5U);
}

// Two prompts of different lengths read in one step gave other answers than one after the other.
TEST(SimPeers, Vllm39589_PromptsOfDifferentLengthsAtOnce) {
  Tale tale(200, 4);
  tale.scenario.options.max_batched_tokens = 48;
  tale.scenario.options.prefill_chunk_max = 24;
  tale.arrives(0, 128, 32);
  tale.arrives(0, 256, 32);
  tale.run();
  EXPECT_GT(tale.seen(Situation::kSeveralPromptsInAStep), 0U);
  EXPECT_EQ(tale.ledger().generation_tokens, 64U);
}

// With the prefix cache on, pages lost their last holder and were never free again: the use of the
// cache grew to 135 % of what there was.
TEST(SimPeers, Xllm828_CachedPagesLeak) {
  Tale tale(12, 4);
  for (int tick = 0; tick < 120; ++tick) {
    const int index = tale.arrives_in_tree(tick, tick % 3, 11, 3);
    if (tick % 4 == 0) tale.cancel(tick + 2, index);
  }
  tale.run();  // at the end used is 0, and all pages are free once the cache is cleared
  EXPECT_GT(tale.seen(Situation::kPrefixHitOfIdlePage), 10U);
}

// A client that left while it waited stopped the decoding of another one.
TEST(SimPeers, IkLlama1929_CancelOfOneThatWaits) {
  Tale tale(32, 4);
  tale.scenario.options.max_concurrent_decodes = 1;
  const int active = tale.arrives(0, 4, 20);
  tale.cancel(6, tale.arrives(3, 4, 20));
  tale.run();
  EXPECT_EQ(tale.seen(Situation::kCancelWaiting), 1U);
  EXPECT_EQ(tale.answer(active), 20);
  EXPECT_EQ(tale.ledger().finished, 1U);
}

// The first in the queue failed to get pages 173,622 times while nothing ran.
TEST(SimPeers, InferenceSim963_HeadOfTheQueueNeverAdmitted) {
  Tale tale(9, 4);
  tale.arrives(0, 20, 8);
  tale.arrives(0, 28, 8);  // all pages, and no less
  tale.arrives(0, 8, 8);
  tale.run();
  EXPECT_GT(tale.seen(Situation::kWaitsForPages), 0U);
  EXPECT_EQ(tale.ledger().finished, 3U);
}

// Preempted again and again, each time it had just been read.
TEST(SimPeers, InferenceSim349_PreemptionWithoutEnd) {
  Tale tale(8, 2);
  for (int i = 0; i < 12; ++i) tale.arrives(i, 2, 13);
  tale.run();
  EXPECT_GT(tale.seen(Situation::kPreemptedDecoding), 3U);
  for (int i = 0; i < 12; ++i) {
    EXPECT_LE(tale.story(i).choices.front().preemptions, Scheduler::kPreemptionsMax);
  }
}

// A request that had been preempted went on with other tokens than it would have without.
TEST(SimPeers, Vllm16832_PreemptedAnswerDiffers) {
  Tale tale(6, 2);
  tale.scenario.options.prefix_cache = false;
  tale.arrives(0, 2, 9);
  const int second = tale.arrives(0, 2, 9);
  tale.request(second).sampling.repetition_penalty = 1.3F;
  tale.request(second).sampling.presence_penalty = 0.5F;
  tale.request(second).sampling.seed = 4;
  tale.run();
  EXPECT_GT(tale.story(second).choices.front().preemptions, 0);
  EXPECT_EQ(tale.answer(second), 9);
}

// Prompts made to have the same hash shared pages with other tokens (CVE-2025-25183).
TEST(SimPeers, Vllm12621_ForcedHashCollision) {
  Tale tale(64, 4);
  tale.scenario.options.prefix_hash_bits = 1;
  for (int i = 0; i < 40; ++i) tale.arrives(i, 9, 2);
  tale.run();
  EXPECT_GT(tale.seen(Situation::kHashCollision), 0U);
  EXPECT_EQ(tale.metrics().prefix_hits, 0U);
}

// A neighbour learned from a hit what another tenant had asked (CVE-2025-46570).
TEST(SimPeers, Vllm17045_HitAcrossTenants) {
  Tale tale(64, 2);
  for (int i = 0; i < 4; ++i) {
    tale.request(tale.arrives_in_tree(5 * i, 1, 9, 2)).name_space = i % 2;
  }
  tale.run();
  // Each of the later two found what the earlier one of its own name space had left.
  EXPECT_EQ(tale.metrics().prefix_hits, 16U);
}

// A whole cached prompt left nothing to compute, and no logits to draw from.
TEST(SimPeers, TtVllm415_WholePromptIsCached) {
  Tale tale(64, 4);
  for (int tick = 0; tick < 10; tick += 5) tale.arrives_in_tree(tick, 1, 8, 3);
  tale.run();
  EXPECT_EQ(tale.story(1).choices.front().cached_tokens, 7);
  EXPECT_EQ(tale.answer(1), 3);
}

// Beams that hold pages while they wait for others that need some: nobody goes on.
TEST(SimPeers, BeamsThatDoNotFitTogetherTakeTurns) {
  Tale tale(7, 4);
  const int index = tale.arrives(0, 20, 7);
  tale.request(index).sampling.beam.width = 4;
  tale.request(index).sampling.n = 4;
  tale.run();
  EXPECT_GT(tale.seen(Situation::kBeamParked), 0U);
  EXPECT_GT(tale.seen(Situation::kBeamForked), 0U);
  EXPECT_EQ(tale.ledger().finished, 4U);
  EXPECT_EQ(tale.ledger().generation_tokens, 28U);
}

// Without a cache, too, and with others that are in the way.
TEST(SimPeers, BeamsAreComputedAgain) {
  Tale tale(12, 4);
  tale.scenario.options.prefix_cache = false;
  const int index = tale.arrives(0, 9, 12);
  tale.request(index).sampling.beam = {.width = 3};
  tale.request(index).sampling.n = 2;
  for (int i = 0; i < 6; ++i) tale.arrives(i, 12, 20);
  tale.op(8, OpKind::kClearCache);
  tale.run();
  EXPECT_GT(tale.seen(Situation::kBeamComputedAgain), 0U);
  EXPECT_EQ(tale.ledger().finished, 8U);
}

// A full batch and a queue waited for each other.
TEST(SimPeers, Sglang22518_FullBatchAndQueue) {
  Tale tale(64, 2);
  tale.scenario.options.max_concurrent_decodes = 2;
  tale.scenario.options.max_batched_tokens = 2;
  for (int i = 0; i < 9; ++i) tale.arrives(0, 6, 4);
  tale.run();
  EXPECT_EQ(tale.ledger().finished, 9U);
}

// Others stood still while a long prompt was read: one gap of 77 s.
TEST(SimPeers, FreeToken483_LongPromptFreezesDecoding) {
  Tale tale(600, 4);
  EngineOptions& o = tale.scenario.options;
  o.max_batched_tokens = 512;
  for (std::size_t i = 0; i < 10; ++i) {
    o.cost.tokens_ns[i] = 1000.0 + 100.0 * static_cast<double>(1 << i);
  }
  const int decoding = tale.arrives(0, 4, 40);
  tale.arrives(5, 2000, 2);
  tale.run();  // the plan's checks bound each step in time, and let nobody who decodes out
  EXPECT_GT(tale.seen(Situation::kChunkBoundInTime), 20U);
  EXPECT_EQ(tale.last_step(decoding), 40U);
}

// The mask was advanced with tokens that were never drawn, and the next one was refused.
TEST(SimPeers, Vllm18780_MaskStateOutOfStep) {
  Tale tale(6, 2);
  tale.scenario.predictable = 120;
  for (int i = 0; i < 8; ++i) {
    RequestSpec& spec = tale.request(tale.arrives(i, 3, 8));
    spec.constrained = true;
    spec.sampling.speculative_tokens = 8;
  }
  tale.run();
  EXPECT_GT(tale.ledger().preemptions, 0U);
}

// One row of NaN ended the engine, or gave token 0 for ever after.
TEST(SimPeers, Colibri369_NotFiniteRowAmongOthers) {
  Tale tale(64, 4);
  for (int i = 0; i < 4; ++i) tale.arrives(0, 6, 10);
  tale.request(2).fault = FaultKind::kNotFinite;
  tale.request(2).fault_at = 9;
  tale.run();
  EXPECT_EQ(tale.ledger().failed, 1U);
  EXPECT_EQ(tale.ledger().finished, 3U);
  EXPECT_EQ(tale.answer(2), 3);
}

// A cancelled request kept its slot; 14 hours later somebody noticed.
TEST(SimPeers, LlamaCpp20_CancelWedgesASlot) {
  Tale tale(32, 4);
  tale.scenario.options.max_concurrent_decodes = 1;
  for (int i = 0; i < 10; ++i) tale.cancel(2 * i + 1, tale.arrives(2 * i, 12, 30));
  const int after = tale.arrives(25, 4, 5);
  tale.run();
  EXPECT_EQ(tale.answer(after), 5);
  EXPECT_EQ(tale.last_step(after) - 4, tale.ledger().steps - 4);
}

// The stream of one choice ended, and the engine died of the other's next token.
TEST(SimPeers, MistralRs213_CancelOfOneChoice) {
  Tale tale(32, 4);
  const int index = tale.arrives(0, 7, 12);
  tale.request(index).sampling.n = 3;
  tale.op(4, OpKind::kCancelChoice, index, 1);
  tale.op(5, OpKind::kCancelChoice, index, 0);
  tale.op(5, OpKind::kCancelChoice, index, 0);
  tale.run();
  EXPECT_EQ(tale.answer(index, 2), 12);
  EXPECT_EQ(tale.ledger().cancelled, 2U);
}

// A tenant filled the cache with junk; what the others had cached was gone, and so were they when
// their pages were in use.
TEST(SimPeers, KvCacheFlood_JunkOfOneTenant) {
  Tale tale(40, 4);
  const int steady = tale.arrives(0, 30, 40);
  for (int tick = 1; tick < 80; ++tick) tale.request(tale.arrives(tick, 22, 1)).name_space = 1;
  tale.run();
  EXPECT_EQ(tale.answer(steady), 40);
  EXPECT_EQ(tale.story(steady).choices.front().preemptions, 0);
}

// Guesses that were refused left their keys behind, where others could find them.
TEST(SimPeers, Cve20263108_KeysOfRefusedGuesses) {
  Tale tale(64, 2);
  tale.scenario.options.vocabulary = 3;
  tale.scenario.predictable = 90;
  for (int tick = 0; tick < 30; tick += 2) {
    RequestSpec& spec = tale.request(tale.arrives_in_tree(tick, tick % 4, 6, 20));
    spec.sampling.speculative_tokens = 6;
    spec.sampling.seed = 9;
  }
  tale.run();
  EXPECT_GT(tale.seen(Situation::kGuessesRefused), 0U);
  EXPECT_GT(tale.seen(Situation::kGuessesPartlyTaken), 0U);
  EXPECT_GT(tale.metrics().prefix_hits, 0U);
}

// A sleeping machine, or a clock that is set: deadlines ran out for everybody, or never.
TEST(SimPeers, Wazuh38877_TimeJumps) {
  Tale tale(32, 4);
  const int kept = tale.arrives(0, 4, 20);
  tale.request(tale.arrives(0, 4, 20)).deadline_after = 1'000'000;
  tale.op(5, OpKind::kTimeJump, -1, 0, 1'000'000'000'000'000);
  tale.run();
  EXPECT_EQ(tale.seen(Situation::kDeadlineRunning), 1U);
  EXPECT_EQ(tale.answer(kept), 20);
}

}  // namespace
}  // namespace vsurge::engine::sim
