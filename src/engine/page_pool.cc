#include "engine/page_pool.h"

#include "base/error.h"

namespace vsurge::engine {

PagePool::PagePool(int pages) {
  CHECK(pages > 0, "{} pages", pages);
  holders_.resize(static_cast<std::size_t>(pages));
  free_.reserve(holders_.size());
  for (std::int32_t page = pages; page-- > 0;) free_.push_back(page);
}

std::int32_t PagePool::allocate() {
  CHECK(!free_.empty());
  const std::int32_t page = free_.back();
  free_.pop_back();
  CHECK(holders_[static_cast<std::size_t>(page)] == 0, "page {} was free and held", page);
  holders_[static_cast<std::size_t>(page)] = 1;
  ++used_;
  ++allocated_;
  return page;
}

void PagePool::retain(std::int32_t page) {
  CHECK(page >= 0 && page < total(), "page {} of {}", page, total());
  std::int32_t& holders = holders_[static_cast<std::size_t>(page)];
  CHECK(holders > 0, "page {} is free", page);
  ++holders;
}

void PagePool::release(std::int32_t page) {
  CHECK(page >= 0 && page < total(), "page {} of {}", page, total());
  std::int32_t& holders = holders_[static_cast<std::size_t>(page)];
  CHECK(holders > 0, "page {} was freed twice", page);
  if (--holders > 0) return;
  free_.push_back(page);
  --used_;
  ++freed_;
}

bool PagePool::balanced() const {
  return allocated_ - freed_ == static_cast<std::uint64_t>(used_) && used_ + free() == total();
}

std::string PagePool::audit() const {
  std::vector<int> seen(holders_.size(), 0);
  for (const std::int32_t page : free_) {
    if (page < 0 || page >= total()) return fmt::format("page {} does not exist", page);
    if (++seen[static_cast<std::size_t>(page)] > 1)
      return fmt::format("page {} is free twice", page);
  }
  int held = 0;
  for (std::size_t page = 0; page < holders_.size(); ++page) {
    if (holders_[page] < 0) return fmt::format("page {} has {} holders", page, holders_[page]);
    if ((holders_[page] == 0) != (seen[page] == 1)) {
      return fmt::format("page {} has {} holders and is {}", page, holders_[page],
                         seen[page] == 1 ? "free" : "not free");
    }
    held += holders_[page] > 0 ? 1 : 0;
  }
  if (held != used_) return fmt::format("{} pages are held, {} counted", held, used_);
  return balanced() ? std::string() : "the counters do not balance";
}

}  // namespace vsurge::engine
