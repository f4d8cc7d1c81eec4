// CallMachine: reads the calls of one tool format from text that comes in pieces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/formats/output_event.h"
#include "api/formats/tool_spec.h"

namespace vsurge::api {

// How ids of calls look to which the output gives none.
enum class CallIds : std::uint8_t {
  kOurs,   // "call_..."
  kNine,   // nine letters or digits: Mistral's templates take no others
  kIndex,  // "functions.NAME:INDEX": Kimi's
};

// Takes a machine's calls; counts them.
class CallSink {
 public:
  struct Options {
    CallIds ids = CallIds::kOurs;
    bool parallel = true;
    std::function<std::string()> new_id;
  };
  explicit CallSink(Options options) : options_(std::move(options)) {}

  // Where the events go from now on.
  void set_out(std::vector<OutputEvent>* out) { out_ = out; }
  // id: what the output says; empty = one is made. An empty name is the fault of the machine.
  void begin(std::string_view name, std::string_view id = {});
  void arguments(std::string_view json);
  int calls() const { return calls_; }
  // Something was told since the last reset.
  bool told() const { return told_; }
  void reset_told() { told_ = false; }

 private:
  std::string make_id(std::string_view name, int index) const;

  Options options_;
  std::vector<OutputEvent>* out_ = nullptr;
  std::vector<std::string> ids_;  // of the calls
  int calls_ = 0;                 // told; without parallel at most one
  bool muted_ = false;            // of a call that is not told
  bool told_ = false;
};

// One per group of calls. Memory is bounded: what is longer than kCallBytesMax between two events
// is broken.
class CallMachine {
 public:
  static constexpr std::size_t kCallBytesMax = std::size_t{1} << 20;

  enum class Status : std::uint8_t {
    kMore,    // all was used
    kDone,    // the group has ended; what follows is not part of it
    kBroken,  // this is no call
  };
  virtual ~CallMachine() = default;
  // Reads from `text`, sets `used` to how many bytes of it the machine took.
  virtual Status push(std::string_view text, std::size_t& used, CallSink& sink) = 0;
  // After kDone or kBroken: what was taken last and is no part of the calls. Once.
  virtual std::string unread() { return {}; }
  // No more text comes: kDone, or kBroken if what came last is no call.
  virtual Status finish(CallSink& sink) = 0;
};

// Collects text and reads it element by element: for formats of which nothing can be told before
// an element is complete.
class ElementMachine : public CallMachine {
 public:
  Status push(std::string_view text, std::size_t& used, CallSink& sink) final;
  std::string unread() final { return std::exchange(held_, {}); }
  Status finish(CallSink& sink) final;

 protected:
  // Reads one element from the beginning of `text` and sets `used`; kMore when it is not complete.
  // used = 0 with kMore alone.
  virtual Status element(std::string_view text, std::size_t& used, CallSink& sink) = 0;
  // What an output that ends here means.
  virtual Status end(std::string_view rest, CallSink& sink) = 0;

 private:
  std::string held_;
};

inline bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}
std::string_view trim(std::string_view text);
std::string_view trim_start(std::string_view text);
// `text` is a proper beginning of `whole`.
inline bool may_become(std::string_view text, std::string_view whole) {
  return text.size() < whole.size() && whole.starts_with(text);
}

}  // namespace vsurge::api
