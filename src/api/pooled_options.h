// What the served checkpoint makes of whole texts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/request.h"

namespace vsurge::api {

enum class PooledKind : std::uint8_t {
  kNone,
  kEmbedding,    // /v1/embeddings
  kClassifier,   // /v1/rerank and /v1/score, by `score`
  kTokenLogits,  // the same, by the logits of `true_token` and `false_token`
};

struct PooledOptions {
  PooledKind kind = PooledKind::kNone;
  engine::PooledStates states = engine::PooledStates::kLast;
  bool normalize = false;  // embeddings have length 1
  int hidden = 0;
  int labels = 0;
  std::vector<float> score;          // [labels, hidden]
  engine::TokenId true_token = -1;   // below the vocabulary
  engine::TokenId false_token = -1;  // -1: none
  std::string refused;               // why not, where the checkpoint is made for it all the same
};

}  // namespace vsurge::api
