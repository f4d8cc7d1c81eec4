#include "text/grammar_gbnf.h"

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

namespace vsurge::text {
namespace {

using base::ErrorCode;

constexpr int kGroupsMax = 30;                // in each other; the compiler's own limit
constexpr std::uint64_t kCountMax = 100'000;  // in {m,n}

struct Node {
  enum class Kind : std::uint8_t { kTerminal, kRule, kSequence, kChoice, kRepeat };
  Kind kind = Kind::kSequence;
  std::string text;         // kTerminal: as Lark has it; kRepeat: its suffix
  std::size_t rule = 0;     // kRule
  std::vector<Node> parts;  // of the others
};

struct Rule {
  std::string name;
  std::size_t place = 0;  // where it was first met
  std::optional<Node> body;
  bool regular = false;
};

class Parser {
 public:
  explicit Parser(std::string_view source) : source_(source) {}

  base::Result<std::vector<Rule>> parse() {
    skip(true);
    while (at_ < source_.size()) {
      VSURGE_TRY(rule());
      skip(true);
    }
    for (const Rule& each : rules_) {
      if (!each.body) return fail(each.place, fmt::format("rule '{}' is not defined", each.name));
    }
    if (!names_.contains("root")) return fail(0, "there is no rule 'root'");
    return std::move(rules_);
  }
  std::size_t root() const { return names_.at("root"); }

 private:
  std::unexpected<base::Error> fail(std::size_t place, std::string_view what) const {
    std::size_t line = 1;
    std::size_t column = 1;
    for (const char c : source_.substr(0, place)) {
      column = c == '\n' ? 1 : column + 1;
      line += c == '\n' ? 1 : 0;
    }
    return base::fail(ErrorCode::kInvalidRequest, "grammar: line {}, column {}: {}", line, column,
                      what);
  }

  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0';
  }

  void skip(bool lines) {
    while (at_ < source_.size()) {
      const char c = source_[at_];
      if (c == '#') {
        while (at_ < source_.size() && source_[at_] != '\n') ++at_;
      } else if (c == ' ' || c == '\t' || (lines && (c == '\n' || c == '\r'))) {
        ++at_;
      } else {
        return;
      }
    }
  }

  static bool names(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  }

  std::string_view name() {
    const std::size_t begin = at_;
    while (names(peek())) ++at_;
    return source_.substr(begin, at_ - begin);
  }

  std::size_t index_of(std::string_view name, std::size_t place) {
    const auto [entry, added] = names_.try_emplace(std::string(name), rules_.size());
    if (added) rules_.push_back({std::string(name), place, std::nullopt});
    return entry->second;
  }

  base::Status rule() {
    const std::size_t place = at_;
    const std::string_view called = name();
    if (called.empty()) return fail(place, "expected the name of a rule");
    skip(false);
    if (source_.substr(at_, 3) != "::=") return fail(at_, "expected '::='");
    at_ += 3;
    skip(true);
    const std::size_t index = index_of(called, place);
    if (rules_[index].body) return fail(place, fmt::format("rule '{}' is there twice", called));
    Node body = VSURGE_TRY(choice(0));
    rules_[index].body = std::move(body);
    skip(false);
    if (at_ < source_.size() && peek() != '\n' && peek() != '\r') {
      return fail(at_, "expected the end of the line");
    }
    return {};
  }

  base::Result<Node> choice(int depth) {
    Node out{Node::Kind::kChoice, "", 0, {}};
    while (true) {
      Node each = VSURGE_TRY(sequence(depth));
      out.parts.push_back(std::move(each));
      skip(depth > 0);
      if (peek() != '|') break;
      ++at_;
      skip(true);
    }
    return out;
  }

  base::Result<Node> sequence(int depth) {
    Node out{Node::Kind::kSequence, "", 0, {}};
    while (true) {
      skip(depth > 0);
      const char c = peek();
      if (c != '"' && c != '[' && c != '(' && c != '.' && c != '<' && !names(c)) return out;
      Node element = VSURGE_TRY(this->element(depth));
      std::string suffix = VSURGE_TRY(repetition());
      if (!suffix.empty()) {
        Node repeat{Node::Kind::kRepeat, std::move(suffix), 0, {}};
        repeat.parts.push_back(std::move(element));
        element = std::move(repeat);
      }
      out.parts.push_back(std::move(element));
    }
  }

  base::Result<Node> element(int depth) {
    const std::size_t place = at_;
    switch (peek()) {
      case '"':
        return literal();
      case '[':
        return char_class();
      case '.':
        ++at_;
        return Node{Node::Kind::kTerminal, "/(?s:.)/", 0, {}};
      case '<':
        return fail(place, "tokens are not supported; write their text");
      case '(': {
        if (depth >= kGroupsMax) return fail(place, "too many groups in each other");
        ++at_;
        Node inner = VSURGE_TRY(choice(depth + 1));
        skip(true);
        if (peek() != ')') return fail(place, "this group is not closed");
        ++at_;
        return inner;
      }
      default:
        return Node{Node::Kind::kRule, "", index_of(name(), place), {}};
    }
  }

  // A character of a string or class; the cursor is at it.
  base::Result<std::uint32_t> character() {
    const std::size_t place = at_;
    if (peek() != '\\') return plain_character();
    const char c = peek(1);
    at_ += 2;
    switch (c) {
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 't':
        return '\t';
      case 'x':
        return hexadecimal(place, 2);
      case 'u':
        return hexadecimal(place, 4);
      case 'U':
        return hexadecimal(place, 8);
      case '\\':
      case '"':
      case '[':
      case ']':
      case '-':
      case '^':
        return static_cast<std::uint32_t>(c);
      default:
        return fail(place, "unknown escape");
    }
  }

  base::Result<std::uint32_t> plain_character() {
    const auto first = static_cast<unsigned char>(peek());
    const std::size_t more = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    std::uint32_t code = more == 0 ? first : first & (0x3fU >> more);
    for (std::size_t i = 1; i <= more; ++i) {
      code = (code << 6) | (static_cast<unsigned char>(peek(i)) & 0x3fU);
    }
    at_ += more + 1;
    return code;
  }

  base::Result<std::uint32_t> hexadecimal(std::size_t place, int digits) {
    std::uint32_t code = 0;
    for (int i = 0; i < digits; ++i) {
      const char c = peek();
      const std::size_t digit =
          std::string_view("0123456789abcdef")
              .find(static_cast<char>(c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c));
      if (c == '\0' || digit == std::string_view::npos) return fail(place, "bad escape");
      code = code * 16 + static_cast<std::uint32_t>(digit);
      ++at_;
    }
    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
      return fail(place, "no such character");
    }
    return code;
  }

  base::Result<Node> literal() {
    const std::size_t place = at_++;
    std::string regex;
    while (peek() != '"') {
      if (at_ >= source_.size() || peek() == '\n') return fail(place, "this string is not closed");
      const std::uint32_t code = VSURGE_TRY(character());
      regex += fmt::format("\\x{{{:x}}}", code);
    }
    ++at_;
    if (regex.empty()) return Node{};
    return Node{Node::Kind::kTerminal, "/" + regex + "/", 0, {}};
  }

  base::Result<Node> char_class() {
    const std::size_t place = at_++;
    const bool negative = peek() == '^';
    if (negative) ++at_;
    std::string members;
    while (peek() != ']') {
      if (at_ >= source_.size() || peek() == '\n') return fail(place, "this class is not closed");
      const std::uint32_t low = VSURGE_TRY(character());
      members += fmt::format("\\x{{{:x}}}", low);
      if (peek() != '-' || peek(1) == ']') continue;
      ++at_;
      if (at_ >= source_.size()) return fail(place, "this class is not closed");
      const std::uint32_t high = VSURGE_TRY(character());
      if (high < low) return fail(place, "a range of this class is reversed");
      members += fmt::format("-\\x{{{:x}}}", high);
    }
    ++at_;
    if (members.empty() && !negative) return fail(place, "this class is empty");
    if (members.empty()) return Node{Node::Kind::kTerminal, "/(?s:.)/", 0, {}};
    return Node{
        Node::Kind::kTerminal, fmt::format("/[{}{}]/", negative ? "^" : "", members), 0, {}};
  }

  base::Result<std::uint64_t> count(std::size_t place) {
    std::uint64_t value = 0;
    const std::size_t begin = at_;
    while (peek() >= '0' && peek() <= '9' && value <= kCountMax) {
      value = value * 10 + static_cast<std::uint64_t>(peek() - '0');
      ++at_;
    }
    if (at_ == begin) return fail(place, "expected {m}, {m,} or {m,n}");
    if (value > kCountMax) return fail(place, fmt::format("at most {} times", kCountMax));
    return value;
  }

  // What follows an element, as Lark has it; empty: nothing.
  base::Result<std::string> repetition() {
    const std::size_t place = at_;
    const char c = peek();
    if (c == '*' || c == '+' || c == '?') {
      ++at_;
      return std::string(1, c);
    }
    if (c != '{') return std::string();
    ++at_;
    const std::uint64_t least = VSURGE_TRY(count(place));
    std::string suffix = fmt::format("{{{}", least);
    if (peek() == ',') {
      ++at_;
      suffix += ',';
      if (peek() != '}') {
        const std::uint64_t most = VSURGE_TRY(count(place));
        if (most < least) return fail(place, "the range is reversed");
        suffix += fmt::format("{}", most);
      }
    }
    if (peek() != '}') return fail(place, "expected '}'");
    ++at_;
    return suffix + '}';
  }

  std::string_view source_;
  std::size_t at_ = 0;
  std::vector<Rule> rules_;
  std::unordered_map<std::string, std::size_t> names_;
};

void add_references(const Node& node, std::vector<std::size_t>& out) {
  if (node.kind == Node::Kind::kRule) out.push_back(node.rule);
  for (const Node& part : node.parts) add_references(part, out);
}

// Rules that lead to no recursion: all they refer to are such.
void find_regular(std::vector<Rule>& rules) {
  std::vector<std::size_t> waits(rules.size(), 0);
  std::vector<std::vector<std::size_t>> users(rules.size());
  std::vector<std::size_t> ready;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    std::vector<std::size_t> used;
    add_references(*rules[i].body, used);
    waits[i] = used.size();
    for (const std::size_t each : used) users[each].push_back(i);
    if (used.empty()) ready.push_back(i);
  }
  while (!ready.empty()) {
    const std::size_t rule = ready.back();
    ready.pop_back();
    rules[rule].regular = true;
    for (const std::size_t user : users[rule]) {
      if (--waits[user] == 0) ready.push_back(user);
    }
  }
}

class Writer {
 public:
  explicit Writer(const std::vector<Rule>& rules) : rules_(rules) {}

  std::string write(std::size_t root) {
    out_ = fmt::format("start: {}\n", name_of(root));
    for (std::size_t i = 0; i < rules_.size(); ++i) {
      const std::string body = text_of(*rules_[i].body, rules_[i].regular);
      out_ += fmt::format("{}: {}\n", name_of(i), body);
    }
    return std::move(out_);
  }

 private:
  // Lark tells terminals by their capitals.
  std::string name_of(std::size_t rule) const {
    return fmt::format("{}{}", rules_[rule].regular ? "T" : "r", rule);
  }

  bool regular(const Node& node) const {
    if (node.kind == Node::Kind::kRule) return rules_[node.rule].regular;
    for (const Node& part : node.parts) {
      if (!regular(part)) return false;
    }
    return true;
  }

  // `terminal`: where it stands all is regular. Elsewhere what is regular becomes one terminal.
  std::string text_of(const Node& node, bool terminal) {
    switch (node.kind) {
      case Node::Kind::kTerminal:
        return node.text;
      case Node::Kind::kRule:
        return name_of(node.rule);
      case Node::Kind::kRepeat:
        if (!terminal && regular(node)) return own_terminal(node);
        return fmt::format("({}){}", text_of(node.parts[0], terminal), node.text);
      case Node::Kind::kChoice: {
        if (!terminal && regular(node)) return own_terminal(node);
        std::string out;
        for (const Node& part : node.parts) {
          out += (out.empty() ? "(" : " | ") + text_of(part, terminal);
        }
        return out + ")";
      }
      case Node::Kind::kSequence:
        return sequence(node, terminal);
    }
    CHECK(false, "no such kind of node");
  }

  std::string sequence(const Node& node, bool terminal) {
    std::string out;
    for (std::size_t i = 0; i < node.parts.size();) {
      Node run;
      while (!terminal && i < node.parts.size() && regular(node.parts[i])) {
        run.parts.push_back(node.parts[i++]);
      }
      out += out.empty() ? "" : " ";
      if (run.parts.size() > 1) {
        out += own_terminal(run);
      } else if (run.parts.size() == 1) {
        out += text_of(run.parts[0], false);
      } else {
        out += text_of(node.parts[i++], terminal);
      }
    }
    return out.empty() ? "\"\"" : out;
  }

  std::string own_terminal(const Node& node) {
    const std::string name = fmt::format("X{}", terminals_++);
    out_ += fmt::format("{}: {}\n", name, text_of(node, true));
    return name;
  }

  const std::vector<Rule>& rules_;
  std::string out_;
  std::size_t terminals_ = 0;
};

}  // namespace

base::Result<std::string> lark_of_gbnf(std::string_view source) {
  Parser parser(source);
  std::vector<Rule> rules = VSURGE_TRY(parser.parse());
  find_regular(rules);
  return Writer(rules).write(parser.root());
}

}  // namespace vsurge::text
