#include "access/key_ring.h"

#include <gtest/gtest.h>

#include <set>

namespace vsurge::access {
namespace {

TEST(Secret, Hex) {
  EXPECT_EQ(random_hex(24).size(), 48U);
  EXPECT_NE(random_hex(24), random_hex(24));
  const Salt salt = random_salt();
  EXPECT_EQ(from_hex<Salt>(to_hex(salt.data(), salt.size())), salt);
  EXPECT_FALSE(from_hex<Salt>("00"));
  EXPECT_FALSE(from_hex<Salt>(std::string(32, 'G')));
  EXPECT_FALSE(from_hex<Salt>(std::string(32, 'A')));
}

// SHA-256("abc"), FIPS 180-2 appendix B.1, with the first 16 bytes as the salt of a longer one.
TEST(Secret, DigestIsSha256) {
  Salt salt{};
  const std::string text = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";  // B.2
  std::copy_n(text.begin(), salt.size(), salt.begin());
  const Digest digest = salted_digest(salt, std::string_view(text).substr(salt.size()));
  EXPECT_EQ(to_hex(digest.data(), digest.size()),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  Digest other = digest;
  EXPECT_TRUE(same_digest(digest, other));
  other.back() ^= 1;
  EXPECT_FALSE(same_digest(digest, other));
}

TEST(ApiKey, Names) {
  EXPECT_TRUE(is_key_name("alice@example.org"));
  EXPECT_TRUE(is_key_name(std::string(64, 'a')));
  for (const std::string& bad : {std::string(), std::string(65, 'a'), std::string("a b"),
                                 std::string("a\n"), std::string("\xc3\xa9"), std::string("a\"")}) {
    EXPECT_FALSE(is_key_name(bad)) << bad;
  }
  for (const Role role : {Role::kReadonly, Role::kUser, Role::kAdmin}) {
    EXPECT_EQ(role_of(role_name(role)), role);
  }
  EXPECT_FALSE(role_of("root"));
}

TEST(KeyRing, FindsByTheWholeText) {
  std::vector<ApiKey> keys(50);
  std::vector<std::string> texts;
  std::set<std::string> ids;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    keys[i].name = "key" + std::to_string(i);
    texts.push_back(renew_secret(keys[i]));
    EXPECT_EQ(id_in(texts.back()), keys[i].id);
    ids.insert(keys[i].id);
  }
  EXPECT_EQ(ids.size(), keys.size());
  const KeyRing ring(keys);
  EXPECT_EQ(ring.size(), keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    ASSERT_NE(ring.find(texts[i]), nullptr);
    EXPECT_EQ(*ring.find(texts[i]), keys[i]);
    for (std::size_t at = 0; at < texts[i].size(); at += 7) {
      std::string near = texts[i];
      near[at] = near[at] == 'a' ? 'b' : 'a';
      EXPECT_EQ(ring.find(near), nullptr) << near;
    }
  }
  for (const char* text : {"", "vs-", "vs-123456789012", "vs-123456789012-", "sk-123"}) {
    EXPECT_EQ(ring.find(text), nullptr) << text;
  }
}

TEST(KeyRing, RenewedSecretsReplaceOldOnes) {
  ApiKey key{.id = "", .name = "a"};
  const std::string old = renew_secret(key);
  const std::string id = key.id;
  const std::string text = renew_secret(key);
  EXPECT_EQ(key.id, id);
  const KeyRing ring({key});
  EXPECT_EQ(ring.find(old), nullptr);
  EXPECT_NE(ring.find(text), nullptr);
}

TEST(KeyRing, PlainKeys) {
  KeyRing ring;
  ring.add_plain("correct horse", "api-key-1");
  ring.add_plain("vs-123456789012-x", "api-key-2");
  ASSERT_NE(ring.find("correct horse"), nullptr);
  EXPECT_EQ(ring.find("correct horse")->role, Role::kAdmin);
  EXPECT_EQ(ring.find("vs-123456789012-x")->name, "api-key-2");
  EXPECT_EQ(ring.find("correct hors"), nullptr);
  EXPECT_EQ(ring.find(""), nullptr);
  KeyRing restarted;
  restarted.add_plain("correct horse", "api-key-1");
  EXPECT_EQ(restarted.find("correct horse")->id, ring.find("correct horse")->id);
}

}  // namespace
}  // namespace vsurge::access
