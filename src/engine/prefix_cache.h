// PrefixCache: which page holds the keys and values of which tokens after which beginning.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/request.h"

namespace vsurge::engine {

// Names a beginning: a namespace, then any number of full pages of tokens. Two beginnings with the
// same name are equal for certain: names are counted, not hashed, and never used twice.
using PrefixId = std::uint64_t;

// A page is entered when it is full, or when the sequence that filled a part of it ends; of a page
// that begins as asked the tokens that are equal are of use, too, as a copy.
//
// The table is found by hash, but a hit is one whose tokens are equal, one by one, and whose page
// before is the one that was hit before. One thread; allocates nothing after construction but for
// new namespaces.
class PrefixCache {
 public:
  PrefixCache(int pages, int page_size, int hash_bits);

  // The empty beginning within a namespace.
  PrefixId root(std::string_view name);

  struct Hit {
    std::int32_t page = -1;  // -1 = none
    PrefixId id = 0;
  };
  // Brings near what find, and insert of `page`, will ask for.
  void prefetch(PrefixId before, std::span<const TokenId> tokens, std::int32_t page) const;
  // The page with these tokens (a full page of them) after `before`.
  Hit find(PrefixId before, std::span<const TokenId> tokens) const;
  struct Beginning {
    std::int32_t page = -1;  // -1 = none
    int tokens = 0;          // of the page that are equal
  };
  // A page that begins with the first of these tokens (up to a page of them), at least with
  // kBeginning; the one entered last.
  Beginning find_beginning(PrefixId before, std::span<const TokenId> tokens) const;
  // `page` now holds them, at least kBeginning and at most a full page; they must not be in the
  // table, nor the page.
  PrefixId insert(PrefixId before, std::span<const TokenId> tokens, std::int32_t page);

  // Shorter beginnings are not worth a copy.
  int beginning_min() const { return beginning_; }
  bool contains(std::int32_t page) const {
    return entries_[static_cast<std::size_t>(page)].id != 0;
  }
  // The page's content is about to be lost.
  void erase(std::int32_t page);
  // Forgets all; ids given out so far lead nowhere from now on.
  void clear();
  int size() const { return size_; }

  // Recounts everything; for tests. Empty when right, else the first fault.
  std::string audit() const;

 private:
  friend struct PrefixCachePeer;  // tests plant faults

  // Of a page; its tokens are beside it.
  struct Entry {
    std::uint64_t hash = 0;
    PrefixId id = 0;  // 0 = not in the table
    PrefixId before = 0;
    std::int32_t count = 0;  // of tokens
  };
  struct Slot {
    std::int32_t page = -1;  // -1 = empty
    std::uint32_t tag = 0;   // upper half of the hash: strangers are told without their entry
  };
  static constexpr std::uint32_t tag_of(std::uint64_t hash) {
    return static_cast<std::uint32_t>(hash >> 32);
  }

  std::uint64_t hash(PrefixId before, std::span<const TokenId> tokens) const;
  std::int32_t& beginning_of(PrefixId before, std::span<const TokenId> tokens) {
    return beginnings_[home(hash(before, tokens.first(static_cast<std::size_t>(beginning_))))];
  }
  std::span<const TokenId> tokens_of(std::int32_t page) const;
  std::size_t home(std::uint64_t hash) const { return static_cast<std::size_t>(hash) & mask_; }

  const int page_size_;
  const int beginning_;
  const std::uint64_t hash_mask_;
  std::size_t mask_ = 0;
  std::vector<Slot> table_;               // open addressing; full pages
  std::vector<std::int32_t> beginnings_;  // by the first tokens; the last page that came, or -1
  std::vector<Entry> entries_;            // [pages]
  std::vector<TokenId> tokens_;           // [pages, page_size]
  std::unordered_map<std::string, PrefixId> roots_;
  PrefixId last_id_ = 0;
  int size_ = 0;
};

}  // namespace vsurge::engine
