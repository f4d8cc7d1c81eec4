// Beams: the search of one request. What is likeliest goes on, what has ended is kept if it is
// among the best. Pure: numbers in, numbers out.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/request.h"
#include "kernels/sample.h"

namespace vsurge::engine {

// A beginning that may go on. They come likeliest first, as the last selection had them.
struct LiveBeam {
  double score = 0;                           // sum of its logprobs
  std::span<const kernels::TopLogprob> next;  // likeliest first: Beams::candidates() of them
};

// One token more for one of them.
struct BeamPick {
  int parent = 0;  // which one
  int place = 0;   // of the token in its `next`
  TokenId token = 0;
  double score = 0;
  bool stops = false;  // the token is one that ends an answer
};

// An answer that has ended.
struct Hypothesis {
  double score = 0;         // sum of its logprobs, the token that ended it included
  double worth = 0;         // score / (tokens)^length_penalty, the token that ended it counted
  TokenId stop_token = -1;  // not part of the answer; -1 = it ended for its length
  std::vector<TokenId> answer;
  std::vector<std::shared_ptr<const Logprobs>> logprobs;  // of each token, if asked for
};

// As transformers' generate(num_beams = width, do_sample = False) has it:
// Of all tokens that can follow, the `width` likeliest that do not end an answer go on. One that
// does is an answer if it is itself among the `width` likeliest of all. When max_tokens are
// reached, the `width` likeliest are. The `width` answers of most worth are kept. Of equal scores
// the one of the likelier parent comes first, then the one that comes first there (likelier, then
// lower id); of answers of equal worth the one that was there first. Sums are doubles. So nothing
// depends on when or where a beam is computed.
//
// There must be at least `width` tokens that do not end an answer: then as many beams go on, and
// when the search is over it has as many answers.
//
// One thread. select and enter allocate nothing after reserve.
class Beams {
 public:
  // `answer_max`: tokens of an answer at most.
  Beams(const SamplingParams& sampling, std::span<const TokenId> eos_tokens, int answer_max);

  int width() const { return width_; }
  // As many of the likeliest tokens after each beam decide all.
  int candidates() const { return width_ + static_cast<int>(stop_tokens_.size()); }
  void reserve();

  // The next token, the `answer`th of it (from 1). Of the first selection there is one beam.
  void select(std::span<const LiveBeam> beams, int answer);
  // Those that go on, best first.
  std::span<const BeamPick> children() const { return children_; }
  // Those that have ended, best first: each is to be entered.
  std::span<const BeamPick> endings() const { return endings_; }
  // Where to write its tokens, empty now, until the next; nullptr when it is not among the best.
  Hypothesis* enter(const BeamPick& ending);
  // Nothing that goes on is of interest. After all endings have been entered.
  bool over() const;
  // Best first.
  std::span<const Hypothesis> finished() const { return std::span(finished_).first(count_); }

 private:
  bool stops(TokenId token) const;
  double worth(double score, int tokens) const;

  const int width_;
  const double length_penalty_;
  const BeamStop early_stopping_;
  const int min_tokens_;
  const int answer_max_;
  std::vector<TokenId> stop_tokens_;  // each once
  int answer_ = 0;                    // tokens, with the last selection
  std::vector<std::size_t> heads_;    // of each beam, the next of its candidates
  std::vector<BeamPick> children_;
  std::vector<BeamPick> endings_;
  std::vector<Hypothesis> finished_;  // [width + 1]: the best, then room for one more
  std::size_t count_ = 0;             // of the best
};

// Tokens that end an answer, each once.
std::vector<TokenId> stop_tokens(const SamplingParams& sampling,
                                 std::span<const TokenId> eos_tokens);

}  // namespace vsurge::engine
