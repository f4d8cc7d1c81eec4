// Situations that runs must reach; a generator that does not reach them proves nothing about them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace vsurge::engine::sim {

enum class Situation : std::uint8_t {
  kRefused,
  kFullContext,
  kAnswerOfOneToken,
  kPromptOfOneToken,
  kEndByLength,
  kEndByEos,
  kEndByStopId,
  kChunk,
  kChunkMax,
  kChunkBoundInTime,
  kSeveralPromptsInAStep,
  kStepOutOfTokens,
  kPoolFull,
  kWaitsForSequences,
  kWaitsForPrompts,
  kWaitsForPages,
  kPreemptedDecoding,
  kPreemptedReading,
  kPreemptedItself,
  kPreemptedForTheLastTime,
  kAdmittedForGood,
  kReadAgain,
  kPrefixHit,
  kPrefixHitAllButTheEnd,
  kPrefixHitOfIdlePage,
  kPrefixHitOfHeldPage,
  kPrefixHitOfAnswer,
  kPrefixHitAfterPreemption,
  kPrefixHitBelowWindow,
  kPrefixHitOfPart,
  kPageReplacedByEqual,
  kPageEvicted,
  kHashCollision,
  kSamePrefixOtherNamespace,
  kPageShared,
  kPageSharedByFour,
  kForkWithCopy,
  kForkWithoutCopy,
  kForkWithoutDonor,
  kChoicesReleasedByEnd,
  kWindowLeft,
  kGuessesAllTaken,
  kGuessesPartlyTaken,
  kGuessesRefused,
  kGuessAcrossPages,
  kEndWithinGuesses,
  kLogprobs,
  kPromptLogprobs,
  kPromptLogprobsInParts,
  kNotFinite,
  kNothingAllowed,
  kBadToken,
  kRowStatus,
  kChunkStatus,
  kFaultInPromptRow,
  kMaskFailed,
  kAcceptFailed,
  kThinkingForced,
  kStopBanned,
  kDryPenalty,
  kBadWordBanned,
  kCancelWaiting,
  kCancelHeld,
  kCancelReading,
  kCancelDecoding,
  kCancelPreempted,
  kCancelParked,
  kCancelFirstChoiceOfHeld,
  kCancelEnded,
  kDeadlineWaiting,
  kDeadlineRunning,
  kQueueDeadline,
  kQueueDeadlineMet,
  kTwoEndsInAStep,
  kClearWithIdlePages,
  kClearWhileRunning,
  kAbort,
  kAbortInPlan,
  kPriorityOvertakes,
  kClientOvertakes,
  kPassedToTheBound,
  kClientComesBack,
  kTimeJump,
  kCostChanged,
  kSearch,
  kBeamForked,
  kBeamComputedAgain,
  kBeamParked,
  kBeamPreempted,
  kBeamsOfOneParent,
  kSearchTie,
  kSearchEndsEarly,
  kSearchEndsByLength,
  kSearchAnswerDisplaced,
  kSearchFails,
  kAnswerCancelled,
  kPooled,
  kPooledLogits,
  kPooledHit,
  kPooledPreempted,
  kPooledNotFinite,
  kPooledFullContext,
  kSuspendWaiting,
  kSuspendReading,
  kSuspendDecoding,
  kSuspendHeld,
  kSuspendSearch,
  kAllSuspended,
  kResumed,
  kSuspendedEnds,
  kChoicesReleasedSuspended,
  kCount,
};

constexpr std::size_t kSituations = static_cast<std::size_t>(Situation::kCount);
const char* name_of(Situation situation);

class Seen {
 public:
  void note(Situation situation) { ++counts_[static_cast<std::size_t>(situation)]; }
  void note_if(bool condition, Situation situation) {
    counts_[static_cast<std::size_t>(situation)] += condition ? 1 : 0;
  }
  std::uint64_t count(Situation situation) const {
    return counts_[static_cast<std::size_t>(situation)];
  }
  void add(const Seen& other) {
    for (std::size_t i = 0; i < kSituations; ++i) counts_[i] += other.counts_[i];
    steps += other.steps;
    requests += other.requests;
    tokens += other.tokens;
  }

  std::uint64_t steps = 0;
  std::uint64_t requests = 0;
  std::uint64_t tokens = 0;  // computed

 private:
  std::array<std::uint64_t, kSituations> counts_{};
};

}  // namespace vsurge::engine::sim
