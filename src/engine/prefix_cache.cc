#include "engine/prefix_cache.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/error.h"

namespace vsurge::engine {
namespace {

// Namespaces that are told apart at once; when there are more, all are forgotten and their pages
// age out. Memory must not grow with the number of clients.
constexpr std::size_t kRootsMax = 16'384;

// Both halves of the 128-bit product: a change of any bit of either factor reaches all of them.
std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

}  // namespace

PrefixCache::PrefixCache(int pages, int page_size, int hash_bits)
    : page_size_(page_size), hash_mask_(~std::uint64_t{0} >> (64 - hash_bits)) {
  const auto count = static_cast<std::size_t>(pages);
  // At most half full, so that chains stay short.
  const std::size_t slots = std::bit_ceil(2 * count);
  mask_ = slots - 1;
  table_.resize(slots);
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
  const auto size = static_cast<std::size_t>(page_size_);
  return std::span(tokens_).subspan(static_cast<std::size_t>(page) * size, size);
}

void PrefixCache::prefetch(PrefixId before, std::span<const TokenId> tokens,
                           std::int32_t page) const {
  const auto index = static_cast<std::size_t>(page);
  __builtin_prefetch(&table_[home(hash(before, tokens))], 1);
  __builtin_prefetch(&entries_[index], 1);
  __builtin_prefetch(tokens_of(page).data(), 1);
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

PrefixId PrefixCache::insert(PrefixId before, std::span<const TokenId> tokens, std::int32_t page) {
  const auto index = static_cast<std::size_t>(page);
  Entry& entry = entries_[index];
  CHECK(tokens.size() == static_cast<std::size_t>(page_size_) && entry.id == 0);
  const std::uint64_t value = hash(before, tokens);
  std::size_t slot = home(value);
  while (table_[slot].page >= 0) slot = (slot + 1) & mask_;
  table_[slot] = {page, tag_of(value)};
  entry = {value, ++last_id_, before};
  std::copy(tokens.begin(), tokens.end(),
            tokens_.begin() + static_cast<std::ptrdiff_t>(index * tokens.size()));
  ++size_;
  return last_id_;
}

// Closes the gap: whoever was pushed beyond it from a place at or before it moves up.
void PrefixCache::erase(std::int32_t page) {
  Entry& entry = entries_[static_cast<std::size_t>(page)];
  CHECK(entry.id != 0, "page {} is not in the cache", page);
  std::size_t gap = home(entry.hash);
  while (table_[gap].page != page) gap = (gap + 1) & mask_;
  for (std::size_t slot = (gap + 1) & mask_; table_[slot].page >= 0; slot = (slot + 1) & mask_) {
    const std::size_t at = home(entries_[static_cast<std::size_t>(table_[slot].page)].hash);
    if (((slot - at) & mask_) < ((slot - gap) & mask_)) continue;
    table_[gap] = table_[slot];
    gap = slot;
  }
  table_[gap] = {};
  entry.id = 0;
  --size_;
}

void PrefixCache::clear() {
  std::fill(table_.begin(), table_.end(), Slot{});
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
  const auto named = std::ranges::count_if(entries_, [](const Entry& e) { return e.id != 0; });
  if (found != size_ || named != size_) {
    return fmt::format("{} pages in the table, {} named, {} counted", found, named, size_);
  }
  return {};
}

}  // namespace vsurge::engine
