#include "engine/prefix_cache.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace vsurge::engine {
namespace {

// Namespaces that are told apart at once; when there are more, all are forgotten and their pages
// age out. Memory must not grow with the number of clients.
constexpr std::size_t kRootsMax = 16'384;
constexpr int kBeginningMax = 8;

// Both halves of the 128-bit product: a change of any bit of either factor reaches all of them.
std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

}  // namespace

PrefixCache::PrefixCache(int pages, int page_size, int hash_bits)
    : page_size_(page_size),
      beginning_(std::clamp(page_size / 2, 1, kBeginningMax)),
      hash_mask_(~std::uint64_t{0} >> (64 - hash_bits)) {
  const auto count = static_cast<std::size_t>(pages);
  // At most half full, so that chains stay short.
  const std::size_t slots = std::bit_ceil(2 * count);
  mask_ = slots - 1;
  table_.resize(slots);
  beginnings_.assign(slots, -1);
  entries_.resize(count);
  tokens_.resize(count * static_cast<std::size_t>(page_size));
}

PrefixId PrefixCache::root(std::string_view name) {
  if (roots_.size() >= kRootsMax) roots_.clear();
  PrefixId& id = roots_[std::string(name)];
  if (id == 0) id = ++last_id_;
  return id;
}

std::uint64_t PrefixCache::hash(PrefixId before, std::span<const TokenId> tokens) const {
  std::uint64_t state = before * 0x9e3779b97f4a7c15ULL + 0xd6e8feb86659fd93ULL;
  std::size_t i = 0;
  for (; i + 2 <= tokens.size(); i += 2) {
    std::uint64_t pair;
    std::memcpy(&pair, tokens.data() + i, sizeof pair);
    state = fold(state ^ pair, 0xa0761d6478bd642fULL);
  }
  if (i < tokens.size()) {
    state = fold(state ^ static_cast<std::uint64_t>(tokens[i]), 0xe7037ed1a0b428dbULL);
  }
  return fold(state ^ 0x8ebc6af09c88c6e3ULL, 0x589965cc75374cc3ULL) & hash_mask_;
}

std::span<const TokenId> PrefixCache::tokens_of(std::int32_t page) const {
  const auto index = static_cast<std::size_t>(page);
  return std::span(tokens_).subspan(index * static_cast<std::size_t>(page_size_),
                                    static_cast<std::size_t>(entries_[index].count));
}

void PrefixCache::prefetch(PrefixId before, std::span<const TokenId> tokens,
                           std::int32_t page) const {
  const auto index = static_cast<std::size_t>(page);
  __builtin_prefetch(&table_[home(hash(before, tokens))], 1);
  __builtin_prefetch(&entries_[index], 1);
  __builtin_prefetch(&tokens_[index * tokens.size()], 1);
}

PrefixCache::Hit PrefixCache::find(PrefixId before, std::span<const TokenId> tokens) const {
  const std::uint64_t wanted = hash(before, tokens);
  for (std::size_t slot = home(wanted); table_[slot].page >= 0; slot = (slot + 1) & mask_) {
    if (table_[slot].tag != tag_of(wanted)) continue;
    const std::int32_t page = table_[slot].page;
    const Entry& entry = entries_[static_cast<std::size_t>(page)];
    if (entry.hash != wanted || entry.before != before) continue;
    const auto held = tokens_of(page);
    if (std::equal(held.begin(), held.end(), tokens.begin(), tokens.end())) {
      return {page, entry.id};
    }
  }
  return {};
}

PrefixCache::Beginning PrefixCache::find_beginning(PrefixId before,
                                                   std::span<const TokenId> tokens) const {
  const auto least = static_cast<std::size_t>(beginning_);
  if (tokens.size() < least) return {};
  const std::int32_t page = beginnings_[home(hash(before, tokens.first(least)))];
  // It may have been evicted since, or entered as something else.
  if (page < 0 || !contains(page) || entries_[static_cast<std::size_t>(page)].before != before) {
    return {};
  }
  const auto held = tokens_of(page);
  const auto differs = std::ranges::mismatch(held, tokens).in1;
  const auto equal = static_cast<std::size_t>(differs - held.begin());
  if (equal < least) return {};
  return {page, static_cast<int>(equal)};
}

PrefixId PrefixCache::insert(PrefixId before, std::span<const TokenId> tokens, std::int32_t page) {
  const auto index = static_cast<std::size_t>(page);
  Entry& entry = entries_[index];
  const auto size = static_cast<std::size_t>(page_size_);
  CHECK(std::cmp_greater_equal(tokens.size(), beginning_) && tokens.size() <= size);
  CHECK(entry.id == 0, "page {} is in the cache", page);
  const std::uint64_t value = hash(before, tokens);
  if (tokens.size() == size) {
    std::size_t slot = home(value);
    while (table_[slot].page >= 0) slot = (slot + 1) & mask_;
    table_[slot] = {page, tag_of(value)};
  }
  entry = {value, ++last_id_, before, static_cast<std::int32_t>(tokens.size())};
  std::copy(tokens.begin(), tokens.end(),
            tokens_.begin() + static_cast<std::ptrdiff_t>(index * size));
  beginning_of(before, tokens) = page;
  ++size_;
  return last_id_;
}

// Closes the gap: whoever was pushed beyond it from a place at or before it moves up.
void PrefixCache::erase(std::int32_t page) {
  Entry& entry = entries_[static_cast<std::size_t>(page)];
  CHECK(entry.id != 0, "page {} is not in the cache", page);
  entry.id = 0;
  --size_;
  if (entry.count < page_size_) return;
  std::size_t gap = home(entry.hash);
  while (table_[gap].page != page) gap = (gap + 1) & mask_;
  for (std::size_t slot = (gap + 1) & mask_; table_[slot].page >= 0; slot = (slot + 1) & mask_) {
    const std::size_t at = home(entries_[static_cast<std::size_t>(table_[slot].page)].hash);
    if (((slot - at) & mask_) < ((slot - gap) & mask_)) continue;
    table_[gap] = table_[slot];
    gap = slot;
  }
  table_[gap] = {};
}

void PrefixCache::clear() {
  std::fill(table_.begin(), table_.end(), Slot{});
  std::fill(beginnings_.begin(), beginnings_.end(), -1);
  for (Entry& entry : entries_) entry.id = 0;
  roots_.clear();
  size_ = 0;
}

std::string PrefixCache::audit() const {
  int found = 0;
  for (const Slot& slot : table_) {
    if (slot.page < 0) continue;
    ++found;
    const Entry& entry = entries_[static_cast<std::size_t>(slot.page)];
    if (entry.id == 0) return fmt::format("page {} is in the table, but has no name", slot.page);
    const Hit hit = find(entry.before, tokens_of(slot.page));
    if (hit.page != slot.page) {
      return fmt::format("page {} is not found, {} is", slot.page, hit.page);
    }
  }
  int full = 0, parts = 0;
  for (const Entry& entry : entries_) {
    if (entry.id == 0) continue;
    ++(entry.count == page_size_ ? full : parts);
  }
  if (found != full || full + parts != size_) {
    return fmt::format("{} pages in the table, {} full ones and {} parts named, {} counted", found,
                       full, parts, size_);
  }
  return {};
}

}  // namespace vsurge::engine
