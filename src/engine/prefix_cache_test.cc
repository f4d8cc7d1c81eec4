#include "engine/prefix_cache.h"

#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <random>

namespace vsurge::engine {
namespace {

using Tokens = std::vector<TokenId>;

TEST(PrefixCache, FindsWhatFollowsABeginning) {
  PrefixCache cache(8, 2, 64);
  const PrefixId root = cache.root("a");
  EXPECT_EQ(cache.root("a"), root);
  EXPECT_NE(cache.root("b"), root);
  const Tokens one = {1, 2};
  const Tokens two = {3, 4};
  EXPECT_EQ(cache.find(root, one).page, -1);
  const PrefixId first = cache.insert(root, one, 5);
  const PrefixId second = cache.insert(first, two, 6);
  EXPECT_EQ(cache.find(root, one).page, 5);
  EXPECT_EQ(cache.find(root, one).id, first);
  EXPECT_EQ(cache.find(first, two).page, 6);
  // The same tokens after another beginning are something else.
  EXPECT_EQ(cache.find(root, two).page, -1);
  EXPECT_EQ(cache.find(second, two).page, -1);
  EXPECT_EQ(cache.find(cache.root("b"), one).page, -1);
  EXPECT_EQ(cache.size(), 2);
  EXPECT_EQ(cache.audit(), "");
}

TEST(PrefixCache, FindsPagesThatBeginAlike) {
  PrefixCache cache(8, 16, 64);
  const PrefixId root = cache.root("a");
  Tokens full(16);
  std::iota(full.begin(), full.end(), 0);
  Tokens wanted = full;
  wanted[10] = 99;
  EXPECT_EQ(cache.find_beginning(root, wanted).page, -1);
  cache.insert(root, full, 3);
  EXPECT_EQ(cache.find_beginning(root, wanted).page, 3);
  EXPECT_EQ(cache.find_beginning(root, wanted).tokens, 10);
  EXPECT_EQ(cache.find_beginning(root, full).tokens, 16);
  EXPECT_EQ(cache.find_beginning(root, std::span(full).first(9)).tokens, 9);
  EXPECT_EQ(cache.find_beginning(root, std::span(full).first(7)).page, -1) << "too short";
  EXPECT_EQ(cache.find_beginning(cache.root("b"), wanted).page, -1);
  // A part of a page is no full page; the one that came last is found.
  const Tokens part(wanted.begin(), wanted.begin() + 12);
  cache.insert(root, part, 4);
  EXPECT_EQ(cache.find_beginning(root, wanted).page, 4);
  EXPECT_EQ(cache.find_beginning(root, wanted).tokens, 12);
  EXPECT_EQ(cache.find(root, wanted).page, -1);
  EXPECT_EQ(cache.find(root, full).page, 3);
  EXPECT_EQ(cache.size(), 2);
  EXPECT_EQ(cache.audit(), "");
  cache.erase(4);
  EXPECT_EQ(cache.find_beginning(root, wanted).page, -1);
  EXPECT_EQ(cache.find(root, full).page, 3);
  EXPECT_EQ(cache.audit(), "");
}

TEST(PrefixCache, ANameIsNeverUsedTwice) {
  PrefixCache cache(8, 2, 64);
  const PrefixId root = cache.root("");
  const Tokens one = {1, 2};
  const Tokens two = {3, 4};
  const PrefixId first = cache.insert(root, one, 0);
  cache.insert(first, two, 1);
  cache.erase(0);
  const PrefixId again = cache.insert(root, one, 2);
  EXPECT_NE(again, first);
  EXPECT_EQ(cache.find(again, two).page, -1) << "what followed the lost page is lost, too";
  cache.clear();
  EXPECT_EQ(cache.size(), 0);
  EXPECT_NE(cache.root(""), root);
  EXPECT_EQ(cache.audit(), "");
}

// All in one place of the table, or in one of two: only the tokens tell them apart.
TEST(PrefixCache, CollisionsNeverHit) {
  for (const int bits : {1, 8, 64}) {
    constexpr int kPages = 100;
    PrefixCache cache(kPages, 3, bits);
    std::mt19937 random(7);
    std::map<std::pair<PrefixId, Tokens>, std::int32_t> expected;
    std::vector<std::int32_t> free;
    for (std::int32_t page = 0; page < kPages; ++page) free.push_back(page);
    std::vector<PrefixId> beginnings = {cache.root("x"), cache.root("y")};
    for (int i = 0; i < 20'000; ++i) {
      const PrefixId before = beginnings[random() % beginnings.size()];
      const Tokens tokens = {static_cast<TokenId>(random() % 3), static_cast<TokenId>(random() % 3),
                             static_cast<TokenId>(random() % 3)};
      const auto found = expected.find({before, tokens});
      const PrefixCache::Hit hit = cache.find(before, tokens);
      ASSERT_EQ(hit.page, found == expected.end() ? -1 : found->second);
      if (found != expected.end() && random() % 2 == 0) {
        cache.erase(found->second);
        free.push_back(found->second);
        expected.erase(found);
      } else if (found == expected.end() && !free.empty()) {
        const std::int32_t page = free.back();
        free.pop_back();
        expected[{before, tokens}] = page;
        const PrefixId id = cache.insert(before, tokens, page);
        if (beginnings.size() < 20) beginnings.push_back(id);
      }
      if (i % 500 == 0) {
        ASSERT_EQ(cache.audit(), "");
      }
    }
    EXPECT_EQ(cache.size(), static_cast<int>(expected.size()));
  }
}

TEST(PrefixCache, NamespacesAreBounded) {
  PrefixCache cache(4, 2, 64);
  for (int i = 0; i < 40'000; ++i) cache.root(std::to_string(i));
  const PrefixId root = cache.root("39999");
  EXPECT_EQ(cache.root("39999"), root);
}

}  // namespace
}  // namespace vsurge::engine
