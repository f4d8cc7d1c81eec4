// What the files beside tokenizer.json say about tokens, as transformers 5 takes it:
// tokenizer_config.json, and only where that has no added_tokens_decoder the older
// special_tokens_map.json (which then wins) and added_tokens.json. add_bos_token and add_eos_token
// do not count beside a tokenizer.json, whose post processor says what is added.
#pragma once

#include <boost/json/object.hpp>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "text/tokenizer.h"

namespace vsurge::text {

struct TokenFiles {
  // What templates see: bos_token and its like, any other "..._token" with a text, and the entries
  // of extra_special_tokens when that is an object. A list of more special tokens has no name.
  std::map<std::string, std::string, std::less<>> names;
  std::vector<NamedToken> tokens;  // all of them, for Tokenizer::from_json
};

// config: tokenizer_config.json, or empty. kBadModel names file, key and what was expected.
base::Result<TokenFiles> read_token_files(const std::filesystem::path& folder,
                                          const boost::json::object& config);

bool is_file(const std::filesystem::path& path);
base::Result<boost::json::object> read_json_object(const std::filesystem::path& path);

}  // namespace vsurge::text
