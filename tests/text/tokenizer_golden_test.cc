// Encodings that others made: llama.cpp's vectors and digests over whole corpora.
#include <gtest/gtest.h>

#include "base/test_data.h"
#include "tests/text/test_support.h"

namespace vsurge::text {
namespace {

using test::shared_tokenizer;

void check_vectors(const Tokenizer& tokenizer, const std::string& name) {
  const auto stem = base::test_data_root() / "tokenizers/ggml-vocab" / ("ggml-vocab-" + name);
  const auto vectors = test::read_vectors(stem.string() + ".gguf");
  EXPECT_GE(vectors.size(), 40u);
  for (const auto& vector : vectors) {
    const auto ids = tokenizer.encode(vector.text, false);
    ASSERT_TRUE(ids) << ids.error().message;
    EXPECT_EQ(*ids, vector.ids) << name << ": '" << vector.text << "'";
  }
}

TEST(TokenizerGoldens, LlamaCppVectors) {
  if (!base::test_data_path("tokenizers")) GTEST_SKIP() << base::test_data_missing("tokenizers");
  check_vectors(shared_tokenizer("gpt2"), "gpt-2");
  check_vectors(shared_tokenizer("qwen3"), "qwen2");
  check_vectors(shared_tokenizer("llama-2-spm"), "llama-spm");
}

class CorpusGoldens : public testing::TestWithParam<const char*> {};

TEST_P(CorpusGoldens, DigestsOfAllIds) {
  if (!base::test_data_path("tokenizers")) GTEST_SKIP() << base::test_data_missing("tokenizers");
  if (!base::test_data_path("corpora")) GTEST_SKIP() << base::test_data_missing("corpora");
  const auto goldens = test::read_json(base::test_data_root() / "tokenizers/golden_encodings.json");
  const auto& tokenizer = shared_tokenizer(GetParam());
  const auto& wanted = goldens.at(GetParam()).as_object();
  EXPECT_GE(wanted.size(), 29u);
  for (const auto& [file, want] : wanted) {
    const auto text = test::read_file(base::test_data_root() / "corpora" / std::string_view(file));
    const auto ids = tokenizer.encode(text, false);
    ASSERT_TRUE(ids) << ids.error().message;
    EXPECT_EQ(static_cast<std::int64_t>(ids->size()), want.at("n_tokens").as_int64()) << file;
    EXPECT_EQ(test::ids_digest(*ids), want.at("sha256_u32le").as_string()) << file;
  }
}

INSTANTIATE_TEST_SUITE_P(Tokenizers, CorpusGoldens, testing::Values("qwen3", "gpt2", "gpt-oss"),
                         [](const auto& one) {
                           std::string name = one.param;
                           std::erase(name, '-');
                           return name;
                         });

TEST(TokenizerGoldens, VocabulariesWrittenAsGguf) {
  if (!base::test_data_path("tokenizers")) GTEST_SKIP() << base::test_data_missing("tokenizers");
  const struct {
    const char *name, *kind, *pre, *vectors;
  } cases[] = {{"gpt2", "gpt2", "gpt-2", "gpt-2"}, {"qwen3", "gpt2", "qwen2", "qwen2"}};
  for (const auto& one : cases) {
    const auto tokenizer = Tokenizer::from_gguf(test::as_gguf(one.name, one.kind, one.pre));
    ASSERT_TRUE(tokenizer) << tokenizer.error().message;
    check_vectors(*tokenizer, one.vectors);
    EXPECT_EQ(tokenizer->vocabulary(), shared_tokenizer(one.name).vocabulary());
  }
}

}  // namespace
}  // namespace vsurge::text
