// GGUF vocabularies: what is not sound is refused by name, what is sound encodes as it should.
#include <gtest/gtest.h>

#include <cstring>

#include "base/test_data.h"
#include "tests/text/test_support.h"
#include "text/gguf_tokenizer.h"

namespace vsurge::text {
namespace {

GgufVocabulary tiny() {
  GgufVocabulary made;
  made.kind = "gpt2";
  made.pre = "gpt-2";
  made.tokens = {"a", "b", "Ġ", "ab", "<s>", "</s>", "<tool>", "1", "2", "12"};
  made.types = {1, 1, 1, 1, 3, 3, 4, 1, 1, 1};
  made.merges = {"a b", "1 2"};
  made.bos = 4;
  made.eos = 5;
  return made;
}

std::string error_of(const GgufVocabulary& vocabulary) {
  const auto made = Tokenizer::from_gguf(vocabulary);
  if (made) return "";
  EXPECT_EQ(made.error().code, base::ErrorCode::kBadModel);
  return made.error().message;
}

std::vector<TokenId> ids_of(const GgufVocabulary& vocabulary, std::string_view text,
                            bool add_special) {
  const auto made = Tokenizer::from_gguf(vocabulary);
  EXPECT_TRUE(made) << made.error().message;
  return made->encode(text, add_special).value();
}

TEST(GgufVocabulary, ByteLevel) {
  using Ids = std::vector<TokenId>;
  auto vocabulary = tiny();
  EXPECT_EQ(ids_of(vocabulary, "ab ab<tool>12<s>", true), (Ids{3, 2, 3, 6, 9, 4}));
  vocabulary.add_bos = true;
  vocabulary.add_eos = true;
  EXPECT_EQ(ids_of(vocabulary, "ab", true), (Ids{4, 3, 5}));
  EXPECT_EQ(ids_of(vocabulary, "ab", false), (Ids{3}));
  vocabulary.pre = "smollm";  // digits one by one
  EXPECT_EQ(ids_of(vocabulary, "12", false), (Ids{7, 8}));
}

TEST(GgufVocabulary, EverySplitThatIsKnownLoads) {
  auto vocabulary = tiny();
  std::string names = known_pre_tokenizers() + ", ";
  int count = 0;
  for (std::size_t at = 0, end = 0; (end = names.find(", ", at)) != std::string::npos;
       at = end + 2, ++count) {
    vocabulary.pre = names.substr(at, end - at);
    ASSERT_EQ(error_of(vocabulary), "") << vocabulary.pre;
    ids_of(vocabulary, "ab 12ab\n\n ab's AB é日本 \u0301x", false);
  }
  EXPECT_GE(count, 40);
  vocabulary.pre = "";
  EXPECT_EQ(error_of(vocabulary), "");
}

TEST(GgufVocabulary, FaultsAreNamed) {
  const auto fault = [](auto change) {
    auto vocabulary = tiny();
    change(vocabulary);
    return error_of(vocabulary);
  };
  using V = GgufVocabulary;
  EXPECT_NE(fault([](V& v) { v.kind = "bert"; }).find("tokenizer.ggml.model"), std::string::npos);
  const auto pre = fault([](V& v) { v.pre = "nobody's"; });
  EXPECT_NE(pre.find("nobody's"), std::string::npos);
  EXPECT_NE(pre.find("smollm"), std::string::npos) << "lists what is known";
  EXPECT_NE(fault([](V& v) { v.tokens.clear(); }), "");
  EXPECT_NE(fault([](V& v) { v.types.pop_back(); }).find("token_type"), std::string::npos);
  EXPECT_NE(fault([](V& v) { v.tokens[1] = "a"; }).find("both 0 and 1"), std::string::npos);
  EXPECT_NE(fault([](V& v) { v.tokens[1] = "\xff"; }).find("tokens[1]"), std::string::npos);
  EXPECT_NE(fault([](V& v) { v.merges[1] = "ab"; }).find("merges[1]"), std::string::npos);
  EXPECT_NE(fault([](V& v) { v.merges[1] = "a x"; }).find("'x'"), std::string::npos);
  EXPECT_NE(fault([](V& v) { v.merges[1] = "b a"; }).find("'ba'"), std::string::npos);
  EXPECT_NE(fault([](V& v) { v.bos = 10; }).find("bos_token_id"), std::string::npos);
  EXPECT_NE(fault([](V& v) { v.eos = -1; }).find("eos_token_id"), std::string::npos);
  EXPECT_NE(fault([](V& v) { v.kind = "llama"; }).find("scores"), std::string::npos);
  EXPECT_NE(fault([](V& v) {
              v.kind = "llama";
              v.scores.assign(v.tokens.size(), 0.0F);
              v.scores[3] = -1.0F / 0.0F;
            }).find("scores[3]"),
            std::string::npos);
}

// One letter to the power of 1 to 1024 can be split in 523,776 ways.
TEST(GgufVocabulary, MergesOfScoresAreBounded) {
  GgufVocabulary made;
  made.kind = "llama";
  const auto add_powers = [&](char letter) {
    for (std::size_t n = 1; n <= 1024; ++n) made.tokens.emplace_back(n, letter);
    made.scores.assign(made.tokens.size(), 0.0F);
  };
  for (const char letter : {'a', 'b', 'c', 'd', 'e', 'f', 'g'}) add_powers(letter);
  add_powers('h');
  EXPECT_NE(error_of(made).find("4000000 ways"), std::string::npos) << error_of(made);
}

// The pieces of a SentencePiece model file: protocol buffers, field 1 of the file; in a piece field
// 1 is its text, 2 its score, 3 its type.
void read_pieces(std::string_view file, GgufVocabulary& vocabulary) {
  const auto varint = [](std::string_view& bytes) {
    std::uint64_t value = 0;
    for (int shift = 0; !bytes.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes.front());
      bytes.remove_prefix(1);
      value |= std::uint64_t{byte & 0x7fU} << shift;
      if (byte < 0x80) break;
    }
    return value;
  };
  while (!file.empty()) {
    const auto tag = varint(file);
    const auto size = varint(file);
    std::string_view piece = file.substr(0, size);
    file.remove_prefix(size);
    if (tag != (1 << 3 | 2)) continue;
    vocabulary.types.push_back(1);
    vocabulary.scores.push_back(0);
    while (!piece.empty()) {
      const auto field = varint(piece);
      if (field == (1 << 3 | 2)) {
        const auto length = varint(piece);
        vocabulary.tokens.emplace_back(piece.substr(0, length));
        piece.remove_prefix(length);
      } else if (field == (2 << 3 | 5)) {
        std::memcpy(&vocabulary.scores.back(), piece.data(), sizeof(float));
        piece.remove_prefix(sizeof(float));
      } else {
        vocabulary.types.back() = static_cast<std::int32_t>(varint(piece));
      }
    }
  }
}

TEST(GgufVocabulary, SentencePieceEqualsItsJson) {
  if (!base::test_data_path("tokenizers")) GTEST_SKIP() << base::test_data_missing("tokenizers");
  GgufVocabulary vocabulary;
  vocabulary.kind = "llama";
  read_pieces(test::read_file(base::test_data_root() / "tokenizers/llama-2-spm/tokenizer.model"),
              vocabulary);
  ASSERT_EQ(vocabulary.tokens.size(), 32000u);
  vocabulary.unknown = 0;
  vocabulary.bos = 1;
  vocabulary.eos = 2;
  const auto made = Tokenizer::from_gguf(vocabulary);
  ASSERT_TRUE(made) << made.error().message;
  const auto& wanted = test::shared_tokenizer("llama-2-spm");
  const auto stem = base::test_data_root() / "tokenizers/ggml-vocab/ggml-vocab-llama-spm.gguf";
  for (const auto& vector : test::read_vectors(stem)) {
    EXPECT_EQ(*made->encode(vector.text, false), vector.ids) << vector.text;
    EXPECT_EQ(*made->decode(vector.ids, false), *wanted.decode(vector.ids, false));
  }
  EXPECT_EQ(made->encode("a", true).value().front(), 1);
  if (!base::test_data_path("corpora")) GTEST_SKIP() << base::test_data_missing("corpora");
  auto text = test::read_file(base::test_data_root() / "corpora/wikitext-2-valid.txt");
  text.resize(300'000);
  EXPECT_EQ(*made->encode(text, false), *wanted.encode(text, false));
}

}  // namespace
}  // namespace vsurge::text
