// What a beam search must do, as plainly as can be: all tokens after all beams, sorted.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/options.h"

namespace vsurge::engine::sim {

// All tokens up to and with one, after the beginning of their namespace: what a slot of the KV
// cache stands for.
using Chain = std::uint64_t;

struct Story;

// All tokens after a beginning, likeliest first, of equals the lowest id. Few values, so that many
// sums are equal.
std::vector<kernels::TopLogprob> likeliest_after(Chain chain, int vocabulary);

// An answer as it must be told.
struct SearchAnswer {
  std::vector<TokenId> tokens;
  std::vector<Chain> chain;  // of prompt and answer
  TokenId stop = -1;         // -1 = it ended for its length
  double score = 0;
  double worth = 0;
};

// What the search makes of the rows of one step.
enum class SearchTurn : std::uint8_t {
  kNone,
  kPark,   // some are not ready
  kDeal,   // their children go on
  kOver,   // the answers are told
  kError,  // a row has failed
};

// A child of a beam: whose, and its token. `home` is the choice that it becomes.
struct SearchChild {
  int parent = 0;
  TokenId token = 0;
  double score = 0;
  int home = 0;
};

// The state of one search, beside the choices of its story: these are the beams.
struct SearchStory {
  int answers = 0;               // that are told: n
  std::vector<TokenId> stops;    // tokens that end an answer
  std::vector<int> order = {0};  // choices of the live beams, likeliest first
  std::vector<double> scores;    // by choice
  std::vector<bool> ready;       // by choice
  std::vector<SearchAnswer> finished;
  SearchTurn turn = SearchTurn::kNone;  // in the step in hand
  base::ErrorCode error = base::ErrorCode::kInternal;
  std::vector<SearchChild> children;
  std::vector<std::vector<Chain>> computed;  // by choice: what the step in hand computed
  // Of the answers.
  std::vector<int> told;  // tokens
  std::vector<bool> ended;
  int telling = 0;  // they come in order
};

// Of a story whose choices are there.
void begin_search(const EngineOptions& options, Story& story);
// What follows when all beams are ready: the turn, and the children or the answers.
void advance_search(const EngineOptions& options, Story& story);
// Alternatives that a row of the search must be asked for.
int search_row_logprobs(const Story& story);

}  // namespace vsurge::engine::sim
