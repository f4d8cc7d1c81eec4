#include "api/formats/glm_machine.h"

#include "api/formats/typed_value.h"

namespace vsurge::api {
namespace {

constexpr std::string_view kKey = "<arg_key>", kKeyEnd = "</arg_key>";
constexpr std::string_view kValue = "<arg_value>", kValueEnd = "</arg_value>";
constexpr std::string_view kEnd = "</tool_call>";

}  // namespace

CallMachine::Status GlmMachine::element(std::string_view text, std::size_t& used, CallSink& sink) {
  if (text_) return text_value(text, used, sink);
  return function_.empty() ? name(text, used, sink) : pair(text, used, sink);
}

CallMachine::Status GlmMachine::name(std::string_view text, std::size_t& used, CallSink& sink) {
  const std::size_t end = text.find('<');
  if (end == std::string_view::npos) return text.size() > 4096 ? Status::kBroken : Status::kMore;
  const std::string_view rest = text.substr(end);
  if (may_become(rest, kKey) || may_become(rest, kEnd)) return Status::kMore;
  const std::string_view name = trim(text.substr(0, end));
  const bool follows = rest.starts_with(kKey) || rest.starts_with(kEnd);
  if (!follows || name.empty() || name.size() > 256 || name.contains('\n') || name.front() == '{') {
    return Status::kBroken;
  }
  function_ = name;
  sink.begin(name);
  used = end;
  return Status::kMore;
}

CallMachine::Status GlmMachine::pair(std::string_view text, std::size_t& used, CallSink& sink) {
  const std::string_view rest = trim_start(text);
  const std::size_t space = text.size() - rest.size();
  if (rest.starts_with(kEnd)) {
    sink.arguments(any_ ? "}" : "{}");
    used = space + kEnd.size();
    return Status::kDone;
  }
  if (!rest.starts_with(kKey)) {
    if (rest.empty() || may_become(rest, kEnd) || may_become(rest, kKey)) return Status::kMore;
    sink.arguments(any_ ? "}" : "{}");
    return Status::kDone;
  }
  const std::size_t key_end = rest.find(kKeyEnd);
  if (key_end == std::string_view::npos) return Status::kMore;
  const std::size_t value = rest.find(kValue, key_end);
  if (value == std::string_view::npos) return Status::kMore;
  const std::string_view key = trim(rest.substr(kKey.size(), key_end - kKey.size()));
  const std::size_t value_begin = value + kValue.size();
  std::string out(any_ ? ", " : "{");
  out += json_string(key);
  out += ": ";
  if (is_string_alone(tools_, function_, key)) {
    sink.arguments(out + '"');
    any_ = true;
    text_.emplace(std::vector{kValueEnd}, false);
    used = space + value_begin;
    return Status::kMore;
  }
  const std::size_t value_end = rest.find(kValueEnd, value);
  if (value_end == std::string_view::npos) return Status::kMore;
  out += typed_value(rest.substr(value_begin, value_end - value_begin), tools_, function_, key);
  sink.arguments(out);
  any_ = true;
  used = space + value_end + kValueEnd.size();
  return Status::kMore;
}

CallMachine::Status GlmMachine::text_value(std::string_view text, std::size_t& used,
                                           CallSink& sink) {
  if (!text_->push(text, used, sink)) return Status::kMore;
  sink.arguments("\"");
  text_.reset();
  used += kValueEnd.size();
  return Status::kMore;
}

CallMachine::Status GlmMachine::end(std::string_view rest, CallSink& sink) {
  if (!function_.empty()) return Status::kDone;
  // A call without arguments whose end was cut off.
  const std::string_view name = trim(rest);
  if (name.empty() || name.contains(' ') || name.contains('<')) return Status::kBroken;
  sink.begin(name);
  return Status::kDone;
}

}  // namespace vsurge::api
