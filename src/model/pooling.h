// What a checkpoint says about making one vector, or one score, of a text.
//
// Formats: sentence-transformers' modules.json with 1_Pooling/config.json (class Pooling) or
// 1_LogitScore/config.json (class LogitScore of cross encoders); architectures
// "...ForSequenceClassification" of config.json with score.weight; vLLM's key
// classifier_from_token; {arch}.pooling_type of GGUF (0 none, 1 mean, 2 first, 3 last).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"

namespace vsurge::model {

class Checkpoint;
class ConfigObject;
class GgufFile;

enum class PooledUse : std::uint8_t {
  kNone,
  kEmbedding,    // a vector of the hidden states
  kClassifier,   // score.weight times the state of the last token
  kTokenLogits,  // logit of one token, or of one less that of another, after the last one
};
enum class PooledTokens : std::uint8_t { kLast, kMean, kFirst };

struct PoolingSpec {
  PooledUse use = PooledUse::kNone;
  PooledTokens tokens = PooledTokens::kLast;  // of an embedding
  bool normalize = false;                     // an embedding has length 1
  int labels = 0;                             // rows of score.weight
  std::int32_t true_token = -1;               // of kTokenLogits
  std::int32_t false_token = -1;              // -1: none
  // By name, where ids are not said; the first is the false one.
  std::vector<std::string> token_names;
  // Why a checkpoint that is made for one of these cannot be used so here; use is kNone then.
  std::string refused;

  bool needs_head() const { return use == PooledUse::kNone || use == PooledUse::kTokenLogits; }
};

// Of a folder. kBadModel where its files contradict themselves.
base::Result<PoolingSpec> read_pooling(const Checkpoint& checkpoint);
base::Result<PoolingSpec> read_pooling_gguf(const GgufFile& file, const std::string& prefix);

}  // namespace vsurge::model
