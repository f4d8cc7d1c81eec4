#include "tests/sim/search_model.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "tests/sim/model.h"

namespace vsurge::engine::sim {
namespace {

struct Candidate {
  int rank = 0;   // of its parent
  int place = 0;  // among its parent's
  TokenId token = 0;
  double score = 0;
};

bool ends(const SearchStory& search, TokenId token) {
  return std::find(search.stops.begin(), search.stops.end(), token) != search.stops.end();
}

std::vector<Candidate> all_candidates(const EngineOptions& options, const Story& story,
                                      int answer) {
  const SearchStory& search = *story.search;
  std::vector<Candidate> all;
  all.reserve(search.order.size() * static_cast<std::size_t>(options.vocabulary));
  for (int rank = 0; rank < static_cast<int>(search.order.size()); ++rank) {
    const auto parent = static_cast<std::size_t>(search.order[static_cast<std::size_t>(rank)]);
    const Chain chain = story.choices[parent].chain.back();
    int place = 0;
    for (const auto& [token, logprob] : likeliest_after(chain, options.vocabulary)) {
      const bool banned = ends(search, token) && answer <= story.spec->sampling.min_tokens;
      const double score = search.scores[parent] + static_cast<double>(logprob);
      if (!banned) all.push_back({rank, place, token, score});
      ++place;
    }
  }
  std::sort(all.begin(), all.end(), [](const Candidate& a, const Candidate& b) {
    if (a.score != b.score) return a.score > b.score;
    return a.rank != b.rank ? a.rank < b.rank : a.place < b.place;
  });
  return all;
}

double worth(const Story& story, double score, int tokens) {
  const auto penalty = static_cast<double>(story.spec->sampling.beam.length_penalty);
  return score / std::pow(static_cast<double>(tokens), penalty);
}

void finish(Story& story, const Candidate& candidate, int answer) {
  SearchStory& search = *story.search;
  const auto parent =
      static_cast<std::size_t>(search.order[static_cast<std::size_t>(candidate.rank)]);
  const Choice& choice = story.choices[parent];
  SearchAnswer one;
  one.tokens.assign(choice.tokens.begin() + story.prompt, choice.tokens.end());
  one.chain = choice.chain;
  one.score = candidate.score;
  one.worth = worth(story, candidate.score, answer);
  if (ends(search, candidate.token)) {
    one.stop = candidate.token;
  } else {
    one.tokens.push_back(candidate.token);
  }
  const auto place = std::ranges::find_if(
      search.finished, [&one](const SearchAnswer& other) { return other.worth < one.worth; });
  search.finished.insert(place, std::move(one));
  search.finished.resize(std::min(search.finished.size(), story.choices.size()));
}

bool is_over(const Story& story, int answer) {
  const SearchStory& search = *story.search;
  const BeamSearch& beam = story.spec->sampling.beam;
  if (answer == story.answer_max) return true;
  if (search.finished.size() < story.choices.size()) return false;
  if (beam.early_stopping == BeamStop::kWhenFull) return true;
  const bool longest = beam.early_stopping == BeamStop::kNever && beam.length_penalty > 0;
  const double best = search.children.front().score;
  return worth(story, best, longest ? story.answer_max : answer) <= search.finished.back().worth;
}

// The first child of a beam stays in its place, the others go to the free places in order.
void deal(const Story& story, std::vector<SearchChild>& children) {
  std::map<int, bool> taken;
  for (const SearchChild& child : children) taken[child.parent] = true;
  std::map<int, bool> stays;
  int free = 0;
  for (SearchChild& child : children) {
    if (!std::exchange(stays[child.parent], true)) {
      child.home = child.parent;
      continue;
    }
    while (taken[free]) ++free;
    child.home = free++;
  }
  CHECK(free <= static_cast<int>(story.choices.size()));
}

}  // namespace

std::vector<kernels::TopLogprob> likeliest_after(Chain chain, int vocabulary) {
  std::vector<kernels::TopLogprob> all;
  all.reserve(static_cast<std::size_t>(vocabulary));
  for (TokenId token = 0; token < vocabulary; ++token) {
    const std::uint64_t hash = mix(chain, static_cast<std::uint64_t>(token) + 41) >> 20;
    all.push_back({token, -0.25F * static_cast<float>(1 + hash % 24)});
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return a.logprob != b.logprob ? a.logprob > b.logprob : a.token < b.token;
  });
  return all;
}

int search_row_logprobs(const Story& story) {
  const int wanted = story.spec->sampling.logprobs.value_or(0);
  const auto decide = story.choices.size() + story.search->stops.size();
  return std::max(wanted, static_cast<int>(decide));
}

void begin_search(const EngineOptions& options, Story& story) {
  const SamplingParams& sampling = story.spec->sampling;
  SearchStory& search = story.search.emplace();
  search.answers = sampling.n;
  for (TokenId token = 0; token < options.vocabulary; ++token) {
    const auto has = [token](const std::vector<TokenId>& tokens) {
      return std::find(tokens.begin(), tokens.end(), token) != tokens.end();
    };
    const bool eos = !sampling.ignore_eos && has(options.eos_tokens);
    if (eos || has(sampling.stop_token_ids)) search.stops.push_back(token);
  }
  search.scores.resize(story.choices.size(), 0);
  search.ready.resize(story.choices.size(), false);
  search.computed.resize(story.choices.size());
  search.told.resize(static_cast<std::size_t>(search.answers), 0);
  search.ended.resize(static_cast<std::size_t>(search.answers), false);
  for (std::size_t i = 0; i < story.choices.size(); ++i) {
    Choice& choice = story.choices[i];
    choice.scored = story.prompt;
    choice.state = i == 0 ? State::kWaiting : State::kParked;
    if (i == 0) continue;
    choice.tokens.clear();
    choice.chain.clear();
  }
}

void advance_search(const EngineOptions& options, Story& story) {
  SearchStory& search = *story.search;
  const auto first = static_cast<std::size_t>(search.order.front());
  const int answer = static_cast<int>(story.choices[first].tokens.size()) - story.prompt + 1;
  const std::vector<Candidate> all = all_candidates(options, story, answer);
  const std::size_t width = story.choices.size();
  const bool last = answer == story.answer_max;
  search.children.clear();
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Candidate& one = all[i];
    if (last || ends(search, one.token)) {
      if (i < width) finish(story, one, answer);
    } else if (search.children.size() < width) {
      const int parent = search.order[static_cast<std::size_t>(one.rank)];
      search.children.push_back({parent, one.token, one.score, 0});
    }
  }
  search.turn = is_over(story, answer) ? SearchTurn::kOver : SearchTurn::kDeal;
  if (search.turn == SearchTurn::kDeal) deal(story, search.children);
}

}  // namespace vsurge::engine::sim
