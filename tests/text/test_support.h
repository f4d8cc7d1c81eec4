// Helpers of the text tests: files, digests, tokenizers that are loaded once per program.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace vsurge::text::test {

std::string read_file(const std::filesystem::path& path);  // also .gz
boost::json::object read_json(const std::filesystem::path& path);
// SHA-256 of the ids as little-endian 32-bit numbers, in hex.
std::string ids_digest(const std::vector<TokenId>& ids);
// The first 16 hex digits of the SHA-256 of a text.
std::string text_digest(std::string_view text);
// tokenizers/NAME/tokenizer.json of the test data; it must be there.
const Tokenizer& shared_tokenizer(const std::string& name);
// The vocabulary of the NAME tokenizer.json as a GGUF file would carry it.
GgufVocabulary as_gguf(const std::string& name, const std::string& kind, const std::string& pre);
// The texts of a llama.cpp vector file and the ids it wants for each.
struct Vector {
  std::string text;
  std::vector<TokenId> ids;
};
std::vector<Vector> read_vectors(const std::filesystem::path& stem);

}  // namespace vsurge::text::test
