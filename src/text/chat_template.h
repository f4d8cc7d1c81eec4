// ChatTemplate: messages to a prompt, exactly as transformers renders the checkpoint's template.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/limits.h"

struct tb_template;

namespace vsurge::text {

// How a template wants an assistant's message that holds calls alone. Nearly all take what the API
// gives, null and an object; some write the word None or fail, one loses the calls when the content
// is not null, some join the arguments as text.
struct CallForm {
  bool null_content = false;    // else ""
  bool text_arguments = false;  // JSON in a string; else an object

  friend bool operator==(const CallForm&, const CallForm&) = default;
};

// Immutable and cheap to copy; any thread. Templates are untrusted: instructions, output and time
// are limited.
class ChatTemplate {
 public:
  static base::Result<ChatTemplate> compile(std::string_view source,
                                            const base::TemplateLimits& limits = {});

  // context_json: one object with messages, tools, add_generation_prompt, bos_token, eos_token and
  // so on; key order is kept. now_local: wall clock in local time, seconds since 1970, for
  // strftime_now(). kTemplateError when the template raises or passes a limit.
  base::Result<std::string> render(std::string_view context_json, std::int64_t now_local) const;

  // Found by trials, at the first question.
  CallForm call_form() const;

  std::string_view source() const;

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

}  // namespace vsurge::text
