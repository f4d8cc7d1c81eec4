// PagePool: who holds which page of the KV cache. Numbers only: the storage is the model's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace vsurge::engine {

// A page is free (its content is worthless), used (somebody holds it), or idle: held by nobody, but
// kept for its content until its room is needed, least recently released first.
//
// One thread. Allocates nothing after construction.
class PagePool {
 public:
  explicit PagePool(int pages);

  int total() const { return static_cast<int>(holders_.size()); }
  int free() const { return static_cast<int>(free_.size()); }
  int idle() const { return idle_; }
  int used() const { return used_; }
  // What allocate can give.
  int available() const { return free() + idle_; }

  struct Allocation {
    std::int32_t page = 0;
    bool was_idle = false;  // its content is lost now
  };
  // A page with one holder; one must be available. Free ones first, of these the one freed last: it
  // is likeliest to be in a cache.
  Allocation allocate();
  // One more holder of a used or idle page.
  void retain(std::int32_t page);
  // One holder less; the last one makes the page idle (when `keep`) or free.
  void release(std::int32_t page, bool keep);
  // Makes an idle page free.
  void drop(std::int32_t page);
  int holders(std::int32_t page) const { return holders_[static_cast<std::size_t>(page)]; }
  bool is_idle(std::int32_t page) const { return idle_place(page); }

  // Cheap enough for every step: what was taken and not given back is what is used, and every page
  // is used, idle or free.
  bool balanced() const;
  // Recounts everything; for tests. Empty when right, else the first fault.
  std::string audit() const;

 private:
  friend struct PagePoolPeer;  // tests plant faults

  struct Link {
    std::int32_t before = kNone;
    std::int32_t after = kNone;
  };
  static constexpr std::int32_t kNone = -1;
  static constexpr std::int32_t kNotIdle = -2;

  bool idle_place(std::int32_t page) const {
    return links_[static_cast<std::size_t>(page)].before != kNotIdle;
  }
  void unlink(std::int32_t page);

  std::vector<std::int32_t> holders_;  // [pages]
  std::vector<std::int32_t> free_;     // a stack
  std::vector<Link> links_;            // [pages] of the list of idle ones
  std::int32_t oldest_ = kNone;        // ends of that list
  std::int32_t newest_ = kNone;
  int idle_ = 0;
  int used_ = 0;
  std::uint64_t allocated_ = 0;
  std::uint64_t freed_ = 0;
};

}  // namespace vsurge::engine
