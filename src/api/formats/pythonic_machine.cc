#include "api/formats/pythonic_machine.h"

#include <algorithm>

#include "api/formats/typed_value.h"

namespace vsurge::api {
namespace {

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.' || c == '-';
}

// The bracket that closes the one before `text`, strings and inner brackets passed over.
std::size_t closing_bracket(std::string_view text) {
  int depth = 1;
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != 0) {
      if (c == '\\') {
        ++i;
      } else if (c == quote) {
        quote = 0;
      }
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '(' || c == '[' || c == '{') {
      ++depth;
    } else if ((c == ')' || c == ']' || c == '}') && --depth == 0) {
      return i;
    }
  }
  return std::string_view::npos;
}

// a=1, b='x' as a JSON object; empty when it is none.
std::string keywords(std::string_view text) {
  std::string out = "{";
  text = trim(text);
  while (!text.empty()) {
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) return {};
    const std::string_view name = trim(text.substr(0, equals));
    if (name.empty() || !std::ranges::all_of(name, is_name_character)) return {};
    std::size_t used = 0;
    const std::string value = python_value(text.substr(equals + 1), used);
    if (value.empty()) return {};
    if (out.size() > 1) out += ", ";
    out += json_string(name);
    out += ": ";
    out += value;
    text = trim(text.substr(equals + 1 + used));
    if (text.empty()) break;
    if (text.front() != ',') return {};
    text = trim(text.substr(1));
  }
  out += '}';
  return out;
}

}  // namespace

CallMachine::Status PythonicMachine::element(std::string_view text, std::size_t& used,
                                             CallSink& sink) {
  const std::string_view rest = trim_start(text);
  const std::size_t space = text.size() - rest.size();
  if (rest.empty()) {
    // Where nothing ends the calls, space behind them may be the answer's: it stays held.
    used = ended_ ? 0 : space;
    return Status::kMore;
  }
  if (ended_) return stop(text, used);
  if (options_.list && !open_) {
    if (rest.front() != '[') return Status::kBroken;
    open_ = true;
    used = space + 1;
    return Status::kMore;
  }
  if (options_.list && rest.front() == ']') {
    ended_ = true;
    used = space + 1;
    if (!told_) return Status::kBroken;
    return options_.end.empty() ? Status::kDone : Status::kMore;
  }
  if (told_ && rest.front() == ',') {
    used = space + 1;
    return Status::kMore;
  }
  if (!options_.list && !options_.end.empty() &&
      (rest.starts_with(options_.end) || may_become(rest, options_.end))) {
    ended_ = true;
    return stop(text, used);
  }
  std::size_t taken = 0;
  const Status status = call(rest, taken, sink);
  used = taken == 0 ? 0 : space + taken;
  return status;
}

CallMachine::Status PythonicMachine::call(std::string_view text, std::size_t& used,
                                          CallSink& sink) {
  const auto name_end =
      static_cast<std::size_t>(std::ranges::find_if_not(text, is_name_character) - text.begin());
  if (name_end == text.size()) return name_end > 256 ? Status::kBroken : Status::kMore;
  std::string_view name = text.substr(0, name_end);
  if (text[name_end] != '(' || !name.ends_with(options_.suffix)) return Status::kBroken;
  name.remove_suffix(options_.suffix.size());
  if (name.empty()) return Status::kBroken;
  if (options_.offered != nullptr &&
      std::ranges::find(*options_.offered, name, &ToolSpec::name) == options_.offered->end()) {
    return Status::kBroken;
  }
  const std::string_view inner = text.substr(name_end + 1);
  const std::size_t close = closing_bracket(inner);
  if (close == std::string_view::npos) return Status::kMore;
  const std::string arguments = keywords(inner.substr(0, close));
  if (arguments.empty()) return Status::kBroken;
  sink.begin(name);
  sink.arguments(arguments);
  told_ = true;
  used = name_end + 1 + close + 1;
  return Status::kMore;
}

// The end text, which may be missing.
CallMachine::Status PythonicMachine::stop(std::string_view text, std::size_t& used) {
  const std::string_view rest = trim_start(text);
  if (may_become(rest, options_.end)) return Status::kMore;
  if (rest.starts_with(options_.end)) used = text.size() - rest.size() + options_.end.size();
  return told_ ? Status::kDone : Status::kBroken;
}

CallMachine::Status PythonicMachine::end(std::string_view /*rest*/, CallSink& /*sink*/) {
  return told_ ? Status::kDone : Status::kBroken;
}

}  // namespace vsurge::api
