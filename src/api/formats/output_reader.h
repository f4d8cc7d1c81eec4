// OutputReader: takes a model's output apart into reasoning, content and tool calls, as it comes.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/formats/call_machine.h"
#include "api/formats/marker_scanner.h"
#include "api/formats/output_event.h"
#include "api/formats/reasoning_format.h"
#include "api/formats/tool_format.h"
#include "api/formats/tool_spec.h"
#include "text/tokenizer.h"

namespace vsurge::api {

class HarmonyReader;

// Of one request; immutable.
struct ReaderOptions {
  const ToolFormat* tools = nullptr;           // nullptr: the output holds no calls
  const ReasoningFormat* reasoning = nullptr;  // nullptr: it holds no reasoning
  bool reasoning_open = false;                 // the prompt has opened it
  std::shared_ptr<const ToolSpecs> schemas = std::make_shared<ToolSpecs>();
  bool parallel = true;                      // false: only the first call counts
  std::function<std::string()> new_id = {};  // for calls to which the output gives no id
};

// One per answer, one thread at a time. What comes out depends on the output alone, not on how it
// was cut into pieces. A marker that is one token of the vocabulary is known by its id and not by
// its text, outside of calls. Nothing that could be the beginning of a marker comes out before it
// is ruled out. A call that cannot be read is content; one whose name is told already ends where
// it breaks. White space around calls and reasoning belongs to nobody.
class OutputReader {
 public:
  OutputReader(const text::Tokenizer& tokenizer, ReaderOptions options);
  ~OutputReader();
  OutputReader(OutputReader&&) noexcept;
  OutputReader& operator=(OutputReader&&) = delete;

  // Tokens that come by push_marker, and whose text does not come by push_text.
  std::span<const text::TokenId> markers() const { return tokens_; }
  void push_text(std::string_view text, std::vector<OutputEvent>& out);
  void push_marker(text::TokenId token, std::vector<OutputEvent>& out);
  // After the last token: what was held back.
  void finish(std::vector<OutputEvent>& out);

  bool in_reasoning() const;
  bool in_content() const;
  int calls() const { return sink_.calls(); }  // begun so far

 private:
  enum class State : std::uint8_t { kReasoning, kContent, kCall };
  void add_markers(const text::Tokenizer& tokenizer);
  void set_out(std::vector<OutputEvent>& out);
  void set_state(State state);
  void scan(std::string_view text);
  MarkerScanner::Sink scan_sink();
  void on_text(std::string_view text);
  void on_marker(std::string_view marker);
  void on_content(std::string_view text);
  void begin_call(std::string_view text);
  void on_call_text(std::string_view text);
  void end_call(CallMachine::Status status, std::string_view rest);
  void tell(OutputEvent::Kind kind, std::string_view text);
  void drop_space() { space_.clear(); }

  ReaderOptions options_;
  std::vector<text::TokenId> tokens_;
  std::vector<std::string> token_texts_;  // of tokens_
  std::vector<char> token_special_;       // of tokens_: no text where it means nothing
  MarkerScanner scanner_;
  std::unique_ptr<HarmonyReader> harmony_;
  State state_ = State::kContent;
  std::vector<OutputEvent>* out_ = nullptr;  // of the call that is being answered
  std::string space_;      // white space that is told if text of the same kind follows
  bool at_start_ = true;   // of content: nothing but space has come
  bool prefixed_ = false;  // see ReasoningFormat::prefix
  bool trimmed_ = false;   // space at the start belongs to what came before
  CallSink sink_;
  std::unique_ptr<CallMachine> machine_;
  std::string_view open_;   // what began the call
  std::string raw_;         // what the machine got, as long as nobody is told of it
  bool told_call_ = false;  // of the group: a name
};

}  // namespace vsurge::api
