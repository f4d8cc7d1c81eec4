#include "engine/page_pool.h"

#include "base/error.h"

namespace vsurge::engine {

PagePool::PagePool(int pages) {
  CHECK(pages > 0, "{} pages", pages);
  holders_.resize(static_cast<std::size_t>(pages));
  links_.resize(holders_.size(), {kNotIdle, kNone});
  free_.reserve(holders_.size());
  for (std::int32_t page = pages; page-- > 0;) free_.push_back(page);
}

PagePool::Allocation PagePool::allocate() {
  CHECK(available() > 0);
  Allocation allocation;
  if (free_.empty()) {
    allocation = {oldest_, true};
    unlink(oldest_);
  } else {
    allocation.page = free_.back();
    free_.pop_back();
  }
  std::int32_t& holders = holders_[static_cast<std::size_t>(allocation.page)];
  CHECK(holders == 0, "page {} was not used and held", allocation.page);
  holders = 1;
  ++used_;
  ++allocated_;
  return allocation;
}

void PagePool::unlink(std::int32_t page) {
  Link& link = links_[static_cast<std::size_t>(page)];
  CHECK(link.before != kNotIdle, "page {} is not idle", page);
  (link.before == kNone ? oldest_ : links_[static_cast<std::size_t>(link.before)].after) =
      link.after;
  (link.after == kNone ? newest_ : links_[static_cast<std::size_t>(link.after)].before) =
      link.before;
  link = {kNotIdle, kNone};
  --idle_;
}

void PagePool::retain(std::int32_t page) {
  CHECK(page >= 0 && page < total(), "page {} of {}", page, total());
  std::int32_t& holders = holders_[static_cast<std::size_t>(page)];
  if (holders == 0) {
    unlink(page);  // or it is free, and that is a bug
    ++used_;
    ++allocated_;
  }
  ++holders;
}

void PagePool::release(std::int32_t page, bool keep) {
  CHECK(page >= 0 && page < total(), "page {} of {}", page, total());
  std::int32_t& holders = holders_[static_cast<std::size_t>(page)];
  CHECK(holders > 0, "page {} was freed twice", page);
  if (--holders > 0) return;
  --used_;
  ++freed_;
  if (!keep) {
    free_.push_back(page);
    return;
  }
  links_[static_cast<std::size_t>(page)] = {newest_, kNone};
  (newest_ == kNone ? oldest_ : links_[static_cast<std::size_t>(newest_)].after) = page;
  newest_ = page;
  ++idle_;
}

void PagePool::drop(std::int32_t page) {
  unlink(page);
  free_.push_back(page);
}

bool PagePool::balanced() const {
  return allocated_ - freed_ == static_cast<std::uint64_t>(used_) &&
         used_ + idle_ + free() == total();
}

std::string PagePool::audit() const {
  std::vector<int> seen(holders_.size(), 0);
  for (const std::int32_t page : free_) {
    if (page < 0 || page >= total()) return fmt::format("page {} does not exist", page);
    if (++seen[static_cast<std::size_t>(page)] > 1) {
      return fmt::format("page {} is free twice", page);
    }
    if (is_idle(page)) return fmt::format("page {} is free and idle", page);
  }
  int idle = 0;
  std::int32_t before = kNone;
  for (std::int32_t page = oldest_; page != kNone && idle <= total(); ++idle) {
    if (links_[static_cast<std::size_t>(page)].before != before) return "idle pages: wrong links";
    if (++seen[static_cast<std::size_t>(page)] > 1) return fmt::format("page {} idle twice", page);
    before = page;
    page = links_[static_cast<std::size_t>(page)].after;
  }
  if (idle != idle_ || before != newest_) return fmt::format("{} idle, {} counted", idle, idle_);
  int held = 0;
  for (std::size_t page = 0; page < holders_.size(); ++page) {
    if (holders_[page] < 0) return fmt::format("page {} has {} holders", page, holders_[page]);
    if ((holders_[page] == 0) != (seen[page] == 1)) {
      return fmt::format("page {} has {} holders and is {}", page, holders_[page],
                         seen[page] == 1 ? "not used" : "used");
    }
    held += holders_[page] > 0 ? 1 : 0;
  }
  if (held != used_) return fmt::format("{} pages are held, {} counted", held, used_);
  return balanced() ? std::string() : "the counters do not balance";
}

}  // namespace vsurge::engine
