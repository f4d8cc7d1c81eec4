#include "tests/text/test_support.h"

#include <gtest/gtest.h>
#include <openssl/sha.h>
#include <zlib.h>

#include <map>
#include <sstream>

#include "base/test_data.h"

namespace vsurge::text::test {

namespace json = boost::json;

std::string read_file(const std::filesystem::path& path) {
  // gzread gives plain files as they are.
  gzFile file = gzopen(path.c_str(), "rb");
  EXPECT_NE(file, nullptr) << path;
  std::string text;
  std::vector<char> buffer(1 << 20);
  for (int size = 0;
       (size = gzread(file, buffer.data(), static_cast<unsigned>(buffer.size()))) > 0;) {
    text.append(buffer.data(), static_cast<std::size_t>(size));
  }
  gzclose(file);
  return text;
}

json::object read_json(const std::filesystem::path& path) {
  json::parse_options options;
  options.max_depth = 200;
  return json::parse(read_file(path), {}, options).as_object();
}

namespace {

std::string sha256(const unsigned char* data, std::size_t size) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(data, size, digest);
  std::string hex;
  for (const auto byte : digest) hex += fmt::format("{:02x}", byte);
  return hex;
}

}  // namespace

std::string text_digest(std::string_view text) {
  return sha256(reinterpret_cast<const unsigned char*>(text.data()), text.size()).substr(0, 16);
}

std::string ids_digest(const std::vector<TokenId>& ids) {
  std::vector<unsigned char> bytes;
  bytes.reserve(4 * ids.size());
  for (const auto id : ids) {
    for (int shift = 0; shift < 32; shift += 8) {
      bytes.push_back(static_cast<unsigned char>(static_cast<std::uint32_t>(id) >> shift));
    }
  }
  return sha256(bytes.data(), bytes.size());
}

namespace {

std::filesystem::path tokenizer_path(const std::string& name) {
  auto plain = base::test_data_root() / "tokenizers" / name / "tokenizer.json";
  if (std::filesystem::exists(plain)) return plain;
  return plain.string() + ".gz";
}

}  // namespace

const Tokenizer& shared_tokenizer(const std::string& name) {
  static auto* loaded = new std::map<std::string, Tokenizer>;
  const auto found = loaded->find(name);
  if (found != loaded->end()) return found->second;
  auto tokenizer = Tokenizer::from_json(read_file(tokenizer_path(name)));
  EXPECT_TRUE(tokenizer.has_value()) << tokenizer.error().message;
  return loaded->emplace(name, std::move(*tokenizer)).first->second;
}

GgufVocabulary as_gguf(const std::string& name, const std::string& kind, const std::string& pre) {
  const auto file = read_json(tokenizer_path(name));
  const auto& model = file.at("model").as_object();
  GgufVocabulary made;
  made.kind = kind;
  made.pre = pre;
  const auto put = [&](std::string_view token, std::int64_t id, std::int32_t type) {
    const auto at = static_cast<std::size_t>(id);
    if (made.tokens.size() <= at) {
      made.tokens.resize(at + 1);
      made.types.resize(at + 1, 1);
    }
    made.tokens[at] = std::string(token);
    made.types[at] = type;
  };
  for (const auto& entry : model.at("vocab").as_object()) {
    put(entry.key(), entry.value().to_number<std::int64_t>(), 1);
  }
  for (const auto& added : file.at("added_tokens").as_array()) {
    put(added.at("content").as_string(), added.at("id").to_number<std::int64_t>(),
        added.at("special").as_bool() ? 3 : 4);
  }
  for (const auto& merge : model.at("merges").as_array()) {
    made.merges.push_back(merge.is_string() ? std::string(merge.as_string())
                                            : std::string(merge.at(0).as_string()) + " " +
                                                  std::string(merge.at(1).as_string()));
  }
  return made;
}

std::vector<Vector> read_vectors(const std::filesystem::path& stem) {
  const std::string texts = read_file(stem.string() + ".inp");
  std::istringstream lines(read_file(stem.string() + ".out"));
  const std::string separator = "\n__ggml_vocab_test__\n";
  std::vector<Vector> vectors;
  std::size_t at = 0;
  for (std::string line; std::getline(lines, line);) {
    const auto end = std::min(texts.find(separator, at), texts.size());
    Vector one;
    one.text = texts.substr(at, end - at);
    std::istringstream numbers(line);
    for (TokenId id = 0; numbers >> id;) one.ids.push_back(id);
    vectors.push_back(std::move(one));
    at = std::min(end + separator.size(), texts.size());
  }
  return vectors;
}

}  // namespace vsurge::text::test
