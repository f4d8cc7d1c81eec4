#include "api/formats/gemma_machine.h"

#include <algorithm>

#include "api/formats/typed_value.h"

namespace vsurge::api {
namespace {

constexpr int kDepthMax = 64;

// key:value pairs, lists and strings of the format, as JSON.
class Reader {
 public:
  Reader(std::string_view text, std::string_view quote) : text_(text), quote_(quote) {}

  bool object(std::string& out, int depth) {
    if (!take("{") || depth > kDepthMax) return false;
    out += '{';
    for (bool first = true; !take("}"); first = false) {
      if (!first && !take(",")) return false;
      if (!first) out += ", ";
      std::string key;
      if (!this->key(key)) return false;
      out += json_string(key);
      out += ": ";
      if (!value(out, depth + 1)) return false;
    }
    out += '}';
    return true;
  }
  bool at_end() {
    skip_space();
    return at_ == text_.size();
  }

 private:
  void skip_space() {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  }
  bool take(std::string_view what) {
    skip_space();
    if (!text_.substr(at_).starts_with(what)) return false;
    at_ += what.size();
    return true;
  }
  bool quoted(std::string& out) {
    if (!take(quote_)) return false;
    const std::size_t end = text_.find(quote_, at_);
    if (end == std::string_view::npos) return false;
    out = text_.substr(at_, end - at_);
    at_ = end + quote_.size();
    return true;
  }
  bool key(std::string& out) {
    if (!quoted(out)) {
      const std::size_t colon = text_.find(':', at_);
      if (colon == std::string_view::npos) return false;
      out = trim(text_.substr(at_, colon - at_));
      at_ = colon;
      if (out.size() >= 2 && out.front() == '"' && out.back() == '"') {
        out = out.substr(1, out.size() - 2);
      }
    }
    return !out.empty() && take(":");
  }
  bool value(std::string& out, int depth) {
    skip_space();
    std::string text;
    if (quoted(text)) {
      out += json_string(text);
      return true;
    }
    if (text_.substr(at_).starts_with("{")) return object(out, depth);
    if (text_.substr(at_).starts_with("[")) return list(out, depth);
    return bare(out);
  }
  bool list(std::string& out, int depth) {
    if (!take("[") || depth > kDepthMax) return false;
    out += '[';
    for (bool first = true; !take("]"); first = false) {
      if (!first && !take(",")) return false;
      if (!first) out += ", ";
      if (!value(out, depth + 1)) return false;
    }
    out += ']';
    return true;
  }
  // A number or a word; what is neither is a string.
  bool bare(std::string& out) {
    const std::size_t end = std::min(text_.find_first_of(",}]", at_), text_.size());
    const std::string_view word = trim(text_.substr(at_, end - at_));
    at_ = end;
    if (word.empty()) return false;
    std::size_t used = 0;
    const std::string literal = python_value(word, used);
    out += !literal.empty() && used == word.size() ? literal : json_string(word);
    return true;
  }

  std::string_view text_;
  std::string_view quote_;
  std::size_t at_ = 0;
};

}  // namespace

CallMachine::Status GemmaMachine::element(std::string_view text, std::size_t& used,
                                          CallSink& sink) {
  // An end within a string is none.
  std::size_t at = 0;
  for (;;) {
    const std::size_t end = text.find(options_.end, at);
    const std::size_t quote = text.find(options_.quote, at);
    if (end == std::string_view::npos) return Status::kMore;
    if (quote == std::string_view::npos || end < quote) {
      used = end + options_.end.size();
      return tell(text.substr(0, end), sink) ? Status::kDone : Status::kBroken;
    }
    const std::size_t closed = text.find(options_.quote, quote + options_.quote.size());
    if (closed == std::string_view::npos) return Status::kMore;
    at = closed + options_.quote.size();
  }
}

bool GemmaMachine::tell(std::string_view call, CallSink& sink) {
  call = trim(call);
  if (call.starts_with("call:")) call.remove_prefix(5);
  const std::size_t brace = call.find('{');
  if (brace == std::string_view::npos) return false;
  const std::string_view name = trim(call.substr(0, brace));
  if (name.empty() || name.contains(' ')) return false;
  Reader reader(call.substr(brace), options_.quote);
  std::string arguments;
  if (!reader.object(arguments, 0) || !reader.at_end()) return false;
  sink.begin(name);
  sink.arguments(arguments);
  return true;
}

// A call whose end alone was cut off is one.
CallMachine::Status GemmaMachine::end(std::string_view rest, CallSink& sink) {
  return tell(rest, sink) ? Status::kDone : Status::kBroken;
}

}  // namespace vsurge::api
