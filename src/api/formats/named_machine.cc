#include "api/formats/named_machine.h"

#include <algorithm>

namespace vsurge::api {
namespace {

// Of what stands before the arguments.
constexpr std::size_t kHeadBytesMax = 4096;

// A name as models may write one; anything else is no call.
bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= 256 && std::ranges::none_of(name, [](char c) {
    return is_space(c) || c == '{' || c == '}' || c == '<' || c == '"';
  });
}

}  // namespace

NamedMachine::NamedMachine(const NamedMachineOptions& options)
    : options_(options), state_(options.begun ? State::kHead : State::kBetween) {
  if (state_ == State::kHead && options_.head_end.empty()) state_ = State::kName;
}

CallMachine::Status NamedMachine::push(std::string_view text, std::size_t& used, CallSink& sink) {
  for (used = 0; used < text.size(); ++used) {
    const Status status = step(text[used], sink);
    if (status == Status::kMore) continue;
    if (done_) ++used;
    flush(sink);
    return status;
  }
  flush(sink);
  return text_.size() > kCallBytesMax ? Status::kBroken : Status::kMore;
}

CallMachine::Status NamedMachine::finish(CallSink& sink) {
  flush(sink);
  return told_ ? Status::kDone : Status::kBroken;
}

void NamedMachine::flush(CallSink& sink) {
  sink.arguments(fresh_);
  fresh_.clear();
}

CallMachine::Status NamedMachine::step(char c, CallSink& sink) {
  switch (state_) {
    case State::kBetween:
      text_ += c;
      return between();
    case State::kHead:
      text_ += c;
      if (text_.size() > kHeadBytesMax) return Status::kBroken;
      if (text_.ends_with(options_.head_end)) {
        text_.resize(text_.size() - options_.head_end.size());
        if (options_.head_is_id) id_ = trim(text_);
        text_.clear();
        state_ = State::kName;
      }
      return Status::kMore;
    case State::kName:
      text_ += c;
      return name(sink);
    case State::kBefore:  // a fence, a line's end
      if (c != '{')
        return is_space(c) || c == '`' || (c >= 'a' && c <= 'z') ? Status::kMore : Status::kBroken;
      state_ = State::kArguments;
      scanner_ = {};
      [[fallthrough]];
    case State::kArguments: {
      const auto step = scanner_.step(c);
      if (step == JsonValueScanner::Step::kBad) return Status::kBroken;
      fresh_ += c;
      if (step != JsonValueScanner::Step::kLast) return Status::kMore;
      flush(sink);
      text_.clear();
      state_ = options_.end.empty() ? State::kBetween : State::kAfter;
      return Status::kMore;
    }
    case State::kAfter:
      text_ += c;
      return after();
  }
  return Status::kBroken;
}

// The beginning of a call, or the end of the group.
CallMachine::Status NamedMachine::between() {
  std::string_view text = trim_start(text_);
  if (text.empty()) {
    text_.clear();
    return Status::kMore;
  }
  if (!options_.group_end.empty() && text == options_.group_end) {
    done_ = true;
    return told_ ? Status::kDone : Status::kBroken;
  }
  if (!options_.begin.empty() && text == options_.begin) {
    text_.clear();
    state_ = options_.head_end.empty() ? State::kName : State::kHead;
    return Status::kMore;
  }
  if (may_become(text, options_.begin) || may_become(text, options_.group_end)) {
    return Status::kMore;
  }
  return told_ ? Status::kDone : Status::kBroken;
}

CallMachine::Status NamedMachine::name(CallSink& sink) {
  const std::string_view text = text_;
  const std::string_view separator = options_.separator.empty() ? "{" : options_.separator;
  const bool lone_name = !options_.end.empty() && text.ends_with(options_.end);
  const bool separated = text.ends_with(separator);
  if (!separated && !lone_name)
    return text.size() > kHeadBytesMax ? Status::kBroken : Status::kMore;
  std::string_view name =
      text.substr(0, text.size() - (lone_name ? options_.end : separator).size());
  if (!options_.noise.empty() && trim(name).ends_with(options_.noise)) {
    name = trim(name);
    name.remove_suffix(options_.noise.size());
  }
  std::string_view id = id_;
  if (!options_.id_mark.empty()) {
    const std::size_t mark = name.find(options_.id_mark);
    if (mark != std::string_view::npos) {
      id = trim(name.substr(mark + options_.id_mark.size()));
      name = name.substr(0, mark);
    }
  }
  name = trim(name);
  if (options_.index_id) {
    id = name;
    if (name.starts_with("functions.")) name.remove_prefix(10);
    const std::size_t colon = name.rfind(':');
    if (colon != std::string_view::npos) name = name.substr(0, colon);
  }
  if (!is_name(name)) return Status::kBroken;
  sink.begin(name, id);
  told_ = true;
  if (lone_name) {
    sink.arguments("{}");
    text_.clear();
    state_ = State::kBetween;
    return Status::kMore;
  }
  scanner_ = {};
  text_.clear();
  if (!options_.separator.empty()) {
    state_ = State::kBefore;
    return Status::kMore;
  }
  state_ = State::kArguments;
  (void)scanner_.step('{');
  fresh_ += '{';
  return Status::kMore;
}

// Up to the text that ends a call; a fence and white space may come before it.
CallMachine::Status NamedMachine::after() {
  if (text_.ends_with(options_.end)) {
    text_.clear();
    state_ = State::kBetween;
    if (options_.begin.empty() && options_.group_end.empty()) {
      done_ = true;
      return Status::kDone;
    }
  }
  return Status::kMore;
}

}  // namespace vsurge::api
