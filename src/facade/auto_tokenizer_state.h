// What AutoTokenizer holds.
#pragma once

#include "text/auto_tokenizer.h"
#include "vsurge/auto_tokenizer.h"

namespace vsurge {

struct AutoTokenizer::State {
  text::TextAssets assets;
};

}  // namespace vsurge
