#include <algorithm>

#include "tests/sim/world.h"

namespace vsurge::engine::sim {

void IdlePages::check(const PagePool& pool, const PrefixCache& cache, Fault& fault) {
  ++turn_;
  std::uint64_t newest_gone = 0;
  std::uint64_t oldest_kept = turn_;
  for (std::int32_t page = 0; page < pool.total(); ++page) {
    Since& since = since_[static_cast<std::size_t>(page)];
    if (since.turn == 0 && pool.holders(page) > 0) continue;
    const PrefixId id = PrefixCachePeer::id(cache, static_cast<std::size_t>(page));
    const bool same = since.turn != 0 && since.id == id;
    if (since.turn != 0 && !same) newest_gone = std::max(newest_gone, since.turn);
    if (!pool.is_idle(page)) {
      since = {};
    } else if (same) {
      oldest_kept = std::min(oldest_kept, since.turn);
    } else {
      since = {turn_, id};
    }
  }
  if (newest_gone <= oldest_kept) return;
  fault.report("a page that was idle since {} has gone, one since {} is kept", newest_gone,
               oldest_kept);
}

}  // namespace vsurge::engine::sim
