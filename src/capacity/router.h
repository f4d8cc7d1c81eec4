// Router: which replica gets a request.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <unordered_map>
#include <vector>

namespace vsurge::capacity {

enum class Routing : std::uint8_t { kPrefix, kLeastLoaded, kRoundRobin };

// What the router knows of times; nanoseconds.
struct RouterCosts {
  double prompt_token = 1;  // of reading
  double step = 1;          // of an answer's token
};

// kPrefix sends a request where its first token is to be expected first: the prompts that are to be
// read there, its own without what that replica has read before, and a step for each answer that is
// being written. The idea is Mooncake's (Qin et al., "Mooncake: A KVCache-centric Disaggregated
// Architecture for LLM Serving", FAST 2025, section 6); of the caches it knows what it has sent
// there, the newest as many blocks as fit. kLeastLoaded is the same without the caches. Of equals
// the one that has had the fewest requests.
class Router {
 public:
  Router(Routing routing, int replicas, const RouterCosts& costs, std::size_t blocks_max);

  // `blocks` as in Trace, of block_tokens each.
  int route(std::span<const std::uint64_t> blocks, int block_tokens, int prompt_tokens);
  // The prompt has been read, the answer has ended.
  void read(int replica, int prompt_tokens);
  void ended(int replica);
  // Neither, because it was refused.
  void refused(int replica, int prompt_tokens);

 private:
  // Of a block no more are known: memory, and the time to look.
  static constexpr std::size_t kHoldersMax = 64;

  struct Load {
    std::int64_t prompt_tokens = 0;  // to be read
    int answers = 0;                 // open requests
    std::uint64_t routed = 0;        // requests in all
  };
  double wait(int replica, int prompt_tokens) const;
  int least_loaded(int prompt_tokens) const;
  void learn(int replica, std::span<const std::uint64_t> blocks);

  const Routing routing_;
  const RouterCosts costs_;
  const std::size_t blocks_max_;
  std::vector<Load> loads_;
  int next_ = 0;  // round robin
  std::unordered_map<std::uint64_t, std::vector<std::int32_t>> holders_;
  std::vector<std::deque<std::uint64_t>> known_;  // of each replica, oldest first
};

}  // namespace vsurge::capacity
