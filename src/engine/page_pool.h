// PagePool: who holds which page of the KV cache. Numbers only: the storage is the model's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace vsurge::engine {

// One thread. Allocates nothing after construction.
class PagePool {
 public:
  explicit PagePool(int pages);

  int total() const { return static_cast<int>(holders_.size()); }
  int free() const { return static_cast<int>(free_.size()); }
  int used() const { return used_; }

  // A free page, now with one holder. There must be one. The page freed last comes first: it is
  // likeliest to be in a cache.
  std::int32_t allocate();
  // One more holder of a used page.
  void retain(std::int32_t page);
  // One holder less; the last one makes the page free.
  void release(std::int32_t page);
  int holders(std::int32_t page) const { return holders_[static_cast<std::size_t>(page)]; }

  // Cheap enough for every step: what was taken and not given back is what is used, and every page
  // is either used or free.
  bool balanced() const;
  // Recounts everything; for tests. Empty when right, else the first fault.
  std::string audit() const;

 private:
  friend struct PagePoolPeer;  // tests plant faults

  std::vector<std::int32_t> holders_;  // [pages]
  std::vector<std::int32_t> free_;     // a stack
  int used_ = 0;
  std::uint64_t allocated_ = 0;
  std::uint64_t freed_ = 0;
};

}  // namespace vsurge::engine
