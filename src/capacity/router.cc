#include "capacity/router.h"

#include <algorithm>
#include <utility>

namespace vsurge::capacity {

Router::Router(Routing routing, int replicas, const RouterCosts& costs, std::size_t blocks_max)
    : routing_(routing),
      costs_(costs),
      blocks_max_(blocks_max),
      loads_(static_cast<std::size_t>(replicas)),
      known_(static_cast<std::size_t>(replicas)) {}

double Router::wait(int replica, int prompt_tokens) const {
  const Load& load = loads_[static_cast<std::size_t>(replica)];
  return costs_.prompt_token * static_cast<double>(load.prompt_tokens + prompt_tokens) +
         costs_.step * load.answers;
}

int Router::least_loaded(int prompt_tokens) const {
  int best = 0;
  for (int i = 1; std::cmp_less(i, loads_.size()); ++i) {
    const double time = wait(i, prompt_tokens), least = wait(best, prompt_tokens);
    const bool fewer =
        loads_[static_cast<std::size_t>(i)].routed < loads_[static_cast<std::size_t>(best)].routed;
    if (time < least || (time == least && fewer)) best = i;
  }
  return best;
}

int Router::route(std::span<const std::uint64_t> blocks, int block_tokens, int prompt_tokens) {
  int chosen = 0;
  if (routing_ == Routing::kRoundRobin) {
    chosen = next_;
    next_ = (next_ + 1) % static_cast<int>(loads_.size());
  } else {
    chosen = least_loaded(prompt_tokens);
  }
  if (routing_ == Routing::kPrefix && !blocks.empty()) {
    double least = wait(chosen, prompt_tokens);
    // Those that have the first i blocks, for i = 1, 2, ...
    std::vector<std::int32_t> having;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      const auto found = holders_.find(blocks[i]);
      if (found == holders_.end()) break;
      if (i == 0) {
        having = found->second;
      } else {
        std::erase_if(having, [&](std::int32_t replica) {
          return std::ranges::find(found->second, replica) == found->second.end();
        });
      }
      const auto cached = std::min<std::int64_t>(prompt_tokens - 1,
                                                 static_cast<std::int64_t>(i + 1) * block_tokens);
      for (const std::int32_t replica : having) {
        const double time = wait(replica, prompt_tokens - static_cast<int>(cached));
        if (time >= least) continue;
        least = time;
        chosen = replica;
      }
      if (having.empty()) break;
    }
    learn(chosen, blocks);
  }
  Load& load = loads_[static_cast<std::size_t>(chosen)];
  load.prompt_tokens += prompt_tokens;
  ++load.answers;
  ++load.routed;
  return chosen;
}

void Router::learn(int replica, std::span<const std::uint64_t> blocks) {
  std::deque<std::uint64_t>& known = known_[static_cast<std::size_t>(replica)];
  for (const std::uint64_t block : blocks) {
    std::vector<std::int32_t>& holders = holders_[block];
    if (holders.size() >= kHoldersMax) continue;
    if (std::ranges::find(holders, replica) != holders.end()) continue;
    holders.push_back(replica);
    known.push_back(block);
  }
  while (known.size() > blocks_max_) {
    const auto oldest = holders_.find(known.front());
    std::erase(oldest->second, replica);
    if (oldest->second.empty()) holders_.erase(oldest);
    known.pop_front();
  }
}

void Router::read(int replica, int prompt_tokens) {
  loads_[static_cast<std::size_t>(replica)].prompt_tokens -= prompt_tokens;
}

void Router::ended(int replica) {
  --loads_[static_cast<std::size_t>(replica)].answers;
}

void Router::refused(int replica, int prompt_tokens) {
  read(replica, prompt_tokens);
  ended(replica);
}

}  // namespace vsurge::capacity
