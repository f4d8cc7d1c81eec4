// PythonicMachine: calls as Python writes them: [f(a=1), g()], or one in each line.
#pragma once

#include <string>
#include <string_view>

#include "api/formats/call_machine.h"

namespace vsurge::api {

struct PythonicOptions {
  bool list = true;                    // in brackets; else one call after another
  bool bracketed = false;              // the bracket was the opening character, and comes, too
  std::string_view end = {};           // behind the calls; may be missing
  const ToolSpecs* offered = nullptr;  // only of these, where nothing else marks a call
  std::string_view suffix = {};        // behind each name, no part of it: Llama's ".call"
};

class PythonicMachine final : public ElementMachine {
 public:
  explicit PythonicMachine(const PythonicOptions& options) : options_(options) {}

 private:
  Status element(std::string_view text, std::size_t& used, CallSink& sink) override;
  Status end(std::string_view rest, CallSink& sink) override;
  Status call(std::string_view text, std::size_t& used, CallSink& sink);
  Status stop(std::string_view text, std::size_t& used);

  PythonicOptions options_;
  bool open_ = false;   // the bracket
  bool ended_ = false;  // the calls have; their end text may follow
  bool told_ = false;
};

}  // namespace vsurge::api
