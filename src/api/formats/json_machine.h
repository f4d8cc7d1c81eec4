// JsonMachine: calls as JSON objects of a name and arguments; shared by many formats.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/formats/call_machine.h"

namespace vsurge::api {

// Where a JSON value ends, byte by byte. Of its grammar only strings and brackets are looked at.
class JsonValueScanner {
 public:
  enum class Step : std::uint8_t {
    kMore,
    kLast,   // the byte ends the value
    kAfter,  // the value ended before the byte: a number or a word
    kBad,
  };
  Step step(char c);

 private:
  std::vector<char> open_;
  bool begun_ = false, in_string_ = false, escaped_ = false, bare_ = false;
};

struct JsonMachineOptions {
  // Texts that end the group; none: it ends where no further object comes.
  std::vector<std::string_view> closes = {};
  bool key_is_name = false;  // {"f": {"x": 1}}: Apertus
  // Only of tools that were offered: for formats without markers, where an answer may be JSON.
  const ToolSpecs* offered = nullptr;
  bool fenced = false;  // ``` may stand around it
};

// Objects {"name": ..., "arguments": {...}}, alone, in an array, or one after another with white
// space, commas or semicolons between them. For "name" also "tool_name" and "function", for
// "arguments" also "parameters"; "id" and "tool_call_id" are taken where they come first; objects
// {"type": "function", "function": {...}} too. The arguments' bytes pass as they are, as they
// come; arguments in a string are its text.
class JsonMachine final : public CallMachine {
 public:
  explicit JsonMachine(JsonMachineOptions options) : options_(std::move(options)) {}

  Status push(std::string_view text, std::size_t& used, CallSink& sink) override;
  Status finish(CallSink& sink) override;

 private:
  enum class State : std::uint8_t {
    kBetween,  // calls
    kKey,      // a key or the end of the object
    kInKey,    // its text
    kColon,
    kValue,      // its first byte
    kInString,   // of a name or an id
    kArguments,  // raw
    kTextual,    // arguments in a string
    kSkipped,    // a value of no interest
    kClose,      // within the text that ends the group
    kEnded,
  };
  enum class Role : std::uint8_t { kName, kArguments, kId, kFunction, kOther };

  Status step(char c, CallSink& sink);
  Status between(char c);
  Status key(char c, CallSink& sink);
  Status value(char c, CallSink& sink);
  Status in_string(char c, CallSink& sink);
  Status arguments(char c);
  Status textual(char c);
  Status skipped(char c, CallSink& sink);
  Status close(char c);
  Status end_object(CallSink& sink);
  bool begin(CallSink& sink);
  void put(std::string_view bytes);
  void flush(CallSink& sink);
  bool is_offered(std::string_view name) const;

  JsonMachineOptions options_;
  State state_ = State::kBetween;
  Role role_ = Role::kOther;
  bool array_ = false;   // of calls, is open
  bool nested_ = false;  // within "function": {...}
  bool escaped_ = false;
  bool begun_ = false;  // the call's name is told
  bool has_arguments_ = false;
  int objects_ = 0;   // complete calls
  std::string text_;  // key, name or id; or the beginning of a closing text
  std::string name_, id_;
  std::string early_;  // arguments that came before the name
  std::string fresh_;  // arguments of this piece
  JsonValueScanner scanner_;
};

}  // namespace vsurge::api
