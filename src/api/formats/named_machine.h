// NamedMachine: calls whose name stands outside of the JSON of their arguments.
#pragma once

#include <string>
#include <string_view>

#include "api/formats/call_machine.h"
#include "api/formats/json_machine.h"

namespace vsurge::api {

struct NamedMachineOptions {
  // begin NAME separator {arguments} end, again and again. What may be absent is empty.
  std::string_view begin = {};      // before each call; the first may have been the opening text
  bool begun = false;               // it was
  std::string_view head_end = {};   // text up to here is no part of the name: "function<sep>"
  bool head_is_id = false;          // what stands before head_end is the call's id
  std::string_view id_mark = {};    // between a name and its id
  std::string_view separator = {};  // between name and arguments; empty: the first '{'
  std::string_view end = {};        // behind each call
  std::string_view group_end = {};  // behind all
  std::string_view noise = {};      // before the arguments, where there is no separator
  bool index_id = false;            // NAME is "functions.f:0", and the call's id
};

class NamedMachine final : public CallMachine {
 public:
  explicit NamedMachine(const NamedMachineOptions& options);

  Status push(std::string_view text, std::size_t& used, CallSink& sink) override;
  Status finish(CallSink& sink) override;

 private:
  enum class State : std::uint8_t { kBetween, kHead, kName, kBefore, kArguments, kAfter };
  Status step(char c, CallSink& sink);
  Status between();
  Status name(CallSink& sink);
  Status after();
  void flush(CallSink& sink);

  NamedMachineOptions options_;
  State state_;
  std::string text_;   // of this state, as far as it matters
  std::string id_;     // that stood before the name
  std::string fresh_;  // arguments of this piece
  bool told_ = false;  // a call
  bool done_ = false;  // the last byte was the end
  JsonValueScanner scanner_;
};

}  // namespace vsurge::api
