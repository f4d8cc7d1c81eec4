// AutoTokenizer: the tokenizer and chat template of a checkpoint.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vsurge/error.h"

namespace vsurge {

struct ChatMessage {
  std::string role;  // system, user, assistant, ...
  std::string content;
};

// Copies share one immutable tokenizer; any thread may use it. Without from_pretrained() it is
// empty, and every function but operator bool throws.
class AutoTokenizer {
 public:
  // A Hugging Face folder, a tokenizer.json or a .gguf file. Nothing is downloaded.
  static AutoTokenizer from_pretrained(const std::string& pretrained_model_name_or_path);

  std::vector<std::int32_t> encode(std::string_view text, bool add_special_tokens = true) const;
  std::string decode(const std::vector<std::int32_t>& ids, bool skip_special_tokens = false) const;
  // The text of one id as the vocabulary writes it; empty when there is no such id.
  std::string convert_id_to_token(std::int32_t id) const;
  std::int32_t vocab_size() const;  // highest id + 1

  bool has_chat_template() const;
  std::string apply_chat_template(const std::vector<ChatMessage>& messages,
                                  bool add_generation_prompt = true) const;
  // The template over one JSON object (messages, tools, add_generation_prompt and any other
  // variable); the special tokens are added where the object does not name them. now: local wall
  // clock in seconds since 1970, for templates that print the date; absent = the present.
  std::string render_chat_template(std::string_view context_json,
                                   std::optional<std::int64_t> now = {}) const;

  // As in the original API. A batch here is never padded, so the side is of no consequence and
  // anything but "left" is refused by vSurge::from_model.
  std::string padding_side = "left";
  std::optional<std::int32_t> pad_token_id;
  std::optional<std::int32_t> eos_token_id;
  std::optional<std::int32_t> bos_token_id;

  explicit operator bool() const { return state_ != nullptr; }

  struct State;
  const State& state() const;

 private:
  std::shared_ptr<const State> state_;
};

// The template of a lone .jinja file over one JSON object.
std::string render_template_file(const std::string& path, std::string_view context_json,
                                 std::optional<std::int64_t> now = {});

}  // namespace vsurge
