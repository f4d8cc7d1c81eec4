#include "text/grammar.h"

#include <vector>

#include "text/bridge.h"
#include "text/grammar_gbnf.h"

namespace vsurge::text {
namespace {

using base::ErrorCode;

std::unexpected<base::Error> grammar_error(int status, const BridgeBytes& text) {
  auto code = ErrorCode::kInvalidRequest;
  if (status == TB_LIMIT) code = ErrorCode::kUnsupportedValue;
  if (status == TB_BUSY) code = ErrorCode::kQueueFull;
  return std::unexpected(bridge_error(status, text, code, status == TB_PANIC ? "grammar" : ""));
}

tb_grammar_limits bridge_limits(const base::GrammarLimits& limits) {
  tb_grammar_limits out{};
  out.source_bytes_max = limits.source_bytes_max;
  out.schema_depth_max = limits.schema_depth_max;
  out.schema_count_max = limits.schema_count_max;
  out.grammar_symbols_max = limits.grammar_symbols_max;
  out.compile_fuel = limits.compile_fuel;
  out.compile_bytes_max = limits.compiled_bytes_max;
  out.compile_ms_max = static_cast<std::uint64_t>(limits.compile_ms_max);
  out.late_compiles_max = static_cast<std::uint32_t>(limits.late_compiles_max);
  out.row_items_max = limits.row_items_max;
  out.step_fuel = limits.step_fuel;
  out.step_items_max = limits.step_items_max;
  out.lexer_states_max = limits.lexer_states_max;
  return out;
}

int bridge_kind(GrammarSource::Kind kind) {
  switch (kind) {
    case GrammarSource::Kind::kJsonSchema:
      return TB_JSON_SCHEMA;
    case GrammarSource::Kind::kJsonObject:
      return TB_JSON_OBJECT;
    case GrammarSource::Kind::kRegex:
      return TB_REGEX;
    case GrammarSource::Kind::kLark:
    case GrammarSource::Kind::kGbnf:
      return TB_LARK;
    case GrammarSource::Kind::kChoice:
      return TB_CHOICE;
  }
  CHECK(false, "no such kind of grammar");
}

tb_grammar_source bridge_source(GrammarSource::Kind kind, std::string_view text,
                                std::string_view whitespace) {
  return {bridge_kind(kind), bridge_data(text), text.size(), bridge_data(whitespace),
          whitespace.size()};
}

}  // namespace

void GrammarMatcher::Free::operator()(tb_matcher* matcher) const {
  tb_matcher_free(matcher);
}

base::Status GrammarMatcher::fill_mask(std::span<std::uint32_t> words) {
  BridgeBytes error;
  const int status = tb_matcher_mask(handle_.get(), words.data(), words.size(), error.out());
  if (status != TB_OK) return grammar_error(status, error);
  return {};
}

base::Result<bool> GrammarMatcher::allows(TokenId token) {
  if (token < 0) return false;
  BridgeBytes error;
  bool allowed = false;
  const int status =
      tb_matcher_allows(handle_.get(), static_cast<std::uint32_t>(token), &allowed, error.out());
  if (status != TB_OK) return grammar_error(status, error);
  return allowed;
}

base::Status GrammarMatcher::accept(TokenId token) {
  BridgeBytes error;
  const int status =
      tb_matcher_commit(handle_.get(), static_cast<std::uint32_t>(token), error.out());
  if (status != TB_OK) return grammar_error(status, error);
  return {};
}

bool GrammarMatcher::is_stopped() const {
  return tb_matcher_is_stopped(handle_.get());
}

base::Result<GrammarMatcher> Grammar::matcher() const {
  tb_matcher* copy = nullptr;
  BridgeBytes error;
  const int status = tb_matcher_clone(start_.get(), &copy, error.out());
  if (status != TB_OK) return grammar_error(status, error);
  return GrammarMatcher(copy);
}

std::size_t Grammar::bytes() const {
  return tb_matcher_bytes(start_.get());
}

struct GrammarFactory::State {
  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { tb_grammar_factory_free(factory); }

  tb_grammar_factory* factory = nullptr;
  base::GrammarLimits limits;
};

base::Result<GrammarFactory> GrammarFactory::make(const Tokenizer& tokenizer, int logits,
                                                  std::span<const TokenId> end_tokens,
                                                  const base::GrammarLimits& limits) {
  auto state = std::make_shared<State>();
  state->limits = limits;
  const std::vector<std::uint32_t> ends(end_tokens.begin(), end_tokens.end());
  const tb_grammar_limits bounds = bridge_limits(limits);
  BridgeBytes error;
  const int status =
      tb_grammar_factory_new(tokenizer.handle(), static_cast<std::uint32_t>(logits), ends.data(),
                             ends.size(), &bounds, &state->factory, error.out());
  if (status != TB_OK) {
    return std::unexpected(bridge_error(status, error, ErrorCode::kBadModel, "constrained output"));
  }
  GrammarFactory made;
  made.state_ = std::move(state);
  return made;
}

base::Result<Grammar> GrammarFactory::compile(const GrammarSource& source) const {
  CHECK(state_ != nullptr, "a grammar factory that was not made");
  std::string converted;
  std::string_view text = source.text;
  if (source.kind == GrammarSource::Kind::kGbnf) {
    if (text.size() > state_->limits.source_bytes_max) {
      return base::fail(ErrorCode::kInvalidRequest, "{} bytes, the limit is {}", text.size(),
                        state_->limits.source_bytes_max);
    }
    converted = VSURGE_TRY(lark_of_gbnf(text));
    text = converted;
  }
  const tb_grammar_source given = bridge_source(source.kind, text, source.whitespace);
  tb_matcher* start = nullptr;
  BridgeBytes error;
  const int status = tb_matcher_new(state_->factory, &given, &start, error.out());
  if (status != TB_OK) return grammar_error(status, error);
  return Grammar(start);
}

base::Result<std::string> GrammarFactory::lark_schema(std::string_view schema,
                                                      std::string_view whitespace) const {
  CHECK(state_ != nullptr, "a grammar factory that was not made");
  const tb_grammar_source given =
      bridge_source(GrammarSource::Kind::kJsonSchema, schema, whitespace);
  BridgeBytes text;
  BridgeBytes error;
  const int status = tb_grammar_schema(state_->factory, &given, text.out(), error.out());
  if (status != TB_OK) return grammar_error(status, error);
  return text.text();
}

}  // namespace vsurge::text
