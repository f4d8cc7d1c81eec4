#include "api/rerank.h"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <cmath>
#include <numeric>
#include <utility>

#include "api/json.h"
#include "api/limits.h"
#include "api/reader.h"
#include "api/rerank_prompt.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;

constexpr double kIntMax = std::numeric_limits<int>::max();

constexpr auto kRerankFields = std::to_array<PlainField>({
    {"model", {}, shape::name(kIdBytesMax)},
    {"query"},
    {"documents"},
    {"top_n", {}, shape::integer(0, kIntMax, "0")},
    {"return_documents", {}, shape::flag("true")},
    {"instruction", {}, shape::text()},
    {"use_activation", {}, shape::flag("true")},
    {"user", {}, shape::name(kIdBytesMax)},
    {"priority", {}, kPriorityShape},
    {"timeout", {}, kTimeoutShape},
    {"max_tokens_per_doc", "[]"},
    {"max_chunks_per_doc", "[]"},
    {"overlap_tokens", "[]"},
    {"rank_fields", R"([["text"]])"},
    {"truncate_prompt_tokens", "[]"},
    {"mm_processor_kwargs", "[{}]"},
    {"request_id", "[]"},
});
constexpr auto kScoreFields = std::to_array<PlainField>({
    {"model", {}, shape::name(kIdBytesMax)},
    {"text_1"},
    {"text_2"},
    {"queries"},
    {"documents"},
    {"instruction", {}, shape::text()},
    {"use_activation", {}, shape::flag("true")},
    {"user", {}, shape::name(kIdBytesMax)},
    {"priority", {}, kPriorityShape},
    {"timeout", {}, kTimeoutShape},
    {"truncate_prompt_tokens", "[]"},
    {"mm_processor_kwargs", "[{}]"},
    {"request_id", "[]"},
});

struct Texts {
  std::vector<std::string_view> texts;
  std::vector<std::string> paths;
};

// A score is a number of JSON that is the same double when it is read.
void append_score(std::string& out, double score) {
  json::value number = score;
  append_json(out, number);
}

std::string usage_json(std::int64_t tokens) {
  return fmt::format(R"("usage":{{"prompt_tokens":{0},"total_tokens":{0},"completion_tokens":0}})",
                     tokens);
}

class Scores : public PooledAnswer {
 public:
  Scores(const PooledOptions& options, bool activation, std::size_t count)
      : options_(options), activation_(activation), scores_(count) {}
  base::Status take(std::size_t i, const std::vector<float>& vector) override {
    scores_[i] = relevance(options_, vector, activation_);
    if (std::isfinite(scores_[i])) return {};
    return base::fail(base::ErrorCode::kNumericalError, "the score of text {} is not finite", i);
  }

 protected:
  const std::vector<double>& scores() const { return scores_; }

 private:
  const PooledOptions& options_;  // the core's, which outlives the call
  const bool activation_;
  std::vector<double> scores_;
};

class RerankAnswer final : public Scores {
 public:
  RerankAnswer(const PooledOptions& options, bool activation, std::vector<std::string> documents,
               std::size_t count)
      : Scores(options, activation, count), documents_(std::move(documents)) {}

  void set_top(std::size_t top) { top_ = top; }

  // The best first; of equal ones in the request's order.
  std::string json(const ServiceCore& core, std::int64_t prompt_tokens) override {
    std::vector<std::size_t> order(scores().size());
    std::iota(order.begin(), order.end(), 0U);
    std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
      return scores()[a] != scores()[b] ? scores()[a] > scores()[b] : a < b;
    });
    if (top_ > 0 && top_ < order.size()) order.resize(top_);
    std::string out = R"({"object":"list","model":)";
    append_json_string(out, core.options.model_names.front());
    out += "," + usage_json(prompt_tokens) + R"(,"results":[)";
    for (const std::size_t i : order) {
      if (out.back() != '[') out += ',';
      out += fmt::format(R"({{"index":{},"relevance_score":)", i);
      append_score(out, scores()[i]);
      if (!documents_.empty()) {
        out += R"(,"document":{"text":)";
        append_json_string(out, documents_[i]);
        out += '}';
      }
      out += '}';
    }
    return out + "]}";
  }

 private:
  std::vector<std::string> documents_;  // none: they are not told
  std::size_t top_ = 0;
};

class ScoreAnswer final : public Scores {
 public:
  using Scores::Scores;

  std::string json(const ServiceCore& core, std::int64_t prompt_tokens) override {
    std::string out = R"({"object":"list","model":)";
    append_json_string(out, core.options.model_names.front());
    out += fmt::format(R"(,"created":{},"data":[)", base::unix_seconds());
    for (std::size_t i = 0; i < scores().size(); ++i) {
      out += fmt::format(R"({}{{"index":{},"object":"score","score":)", i > 0 ? "," : "", i);
      append_score(out, scores()[i]);
      out += '}';
    }
    return out + "]," + usage_json(prompt_tokens) + "}";
  }
};

ApiResult<void> check_made_for_it(const PooledOptions& pooled) {
  if (pooled.kind == PooledKind::kTokenLogits) return {};
  if (pooled.kind == PooledKind::kClassifier && pooled.labels == 1) return {};
  if (pooled.kind == PooledKind::kClassifier) {
    return unsupported("model", fmt::format("This checkpoint is no reranker: its classifier has {} "
                                            "labels, a reranker's has one.",
                                            pooled.labels));
  }
  return unsupported("model",
                     pooled.refused.empty()
                         ? "This checkpoint is no reranker: it has neither a classifier nor a "
                           "module that makes scores of logits."
                         : fmt::format("This checkpoint's scores cannot be made here: {}.",
                                       printable_name(pooled.refused)));
}

// A text, or an object with a text.
ApiResult<std::string_view> read_text(const json::value& value, const std::string& path) {
  if (value.is_string()) return std::string_view(value.get_string());
  if (value.is_object()) {
    const ObjectReader object(value.get_object(), path);
    for (const auto& member : value.get_object()) {
      if (member.key() != "text") {
        return unsupported(object.path_of(printable_name(member.key())),
                           "Documents are texts, or objects with a 'text' alone.");
      }
    }
    const auto text = VSURGE_TRY(object.text("text"));
    if (!text) return missing(object.path_of("text"));
    return *text;
  }
  return wrong_type(path, "a string, or an object with a text", type_name(value));
}

ApiResult<Texts> read_texts(const json::value& value, const std::string& path) {
  Texts out;
  if (!value.is_array()) {
    out.texts.push_back(VSURGE_TRY(read_text(value, path)));
    out.paths.push_back(path);
    return out;
  }
  const json::array& array = value.get_array();
  if (array.empty()) return bad_value(path, fmt::format("'{}' must not be empty.", path));
  if (array.size() > kRerankDocumentsMax) {
    return bad_value(path, fmt::format("'{}' must have at most {} texts; found {}.", path,
                                       kRerankDocumentsMax, array.size()));
  }
  for (std::size_t i = 0; i < array.size(); ++i) {
    std::string place = fmt::format("{}[{}]", path, i);
    out.texts.push_back(VSURGE_TRY(read_text(array[i], place)));
    out.paths.push_back(std::move(place));
  }
  return out;
}

// What both calls have: checks, the engine's part of the request, and whether a sigmoid is wanted.
struct Common {
  PooledRequest request;
  bool activation = true;
  std::string_view instruction;
};

ApiResult<Common> read_common(const ServiceCore& core, const json::object& object,
                              std::span<const PlainField> fields) {
  VSURGE_TRY(check_plain_fields(object, fields));
  VSURGE_TRY(check_named_model(core, object));
  const PooledOptions& pooled = core.options.pooled;
  VSURGE_TRY(check_made_for_it(pooled));
  const ObjectReader body(object, "");
  Common out;
  out.activation = VSURGE_TRY(body.boolean("use_activation", true));
  out.instruction = VSURGE_TRY(body.text("instruction")).value_or("");
  PooledRequest& request = out.request;
  VSURGE_TRY(
      read_pooled_scheduling(object, request.user, request.priority, request.timeout_seconds));
  if (pooled.kind == PooledKind::kTokenLogits) {
    request.pooling.logits_of = {pooled.true_token};
    if (pooled.false_token >= 0) request.pooling.logits_of.push_back(pooled.false_token);
  }
  return out;
}

struct Pair {
  std::string_view query;
  std::string_view document;
  const std::string* path;  // of the document
};

ApiResult<void> add_prompts(const ServiceCore& core, std::span<const Pair> pairs, Common& common,
                            const std::atomic<bool>& gone) {
  const RerankPrompts prompts = VSURGE_TRY(RerankPrompts::make(core, common.instruction));
  if (!common.instruction.empty() && !prompts.takes_instruction()) {
    return unsupported("instruction", "This checkpoint's prompts have no instruction.");
  }
  std::size_t tokens = 0;
  for (const Pair& pair : pairs) {
    if (gone.load(std::memory_order_relaxed)) return pooled_client_gone();
    common.request.prompts.push_back(VSURGE_TRY(prompts.of(pair.query, pair.document, *pair.path)));
    // Each has the query again: a short request could ask for very much.
    tokens += common.request.prompts.back().size();
    if (tokens <= kRerankTokensMax) continue;
    return bad_value(*pair.path,
                     fmt::format("The prompts up to '{}' have more than {} tokens; send "
                                 "the documents in parts.",
                                 *pair.path, kRerankTokensMax));
  }
  return {};
}

// `text_1` and `text_2`, or `queries` and `documents`.
ApiResult<Texts> read_side(const ObjectReader& body, const char* name, const char* other) {
  const json::value* first = body.find(name);
  const json::value* second = body.find(other);
  if (first != nullptr && second != nullptr) {
    return bad_value(other, fmt::format("'{}' and '{}' mean the same; send one.", name, other));
  }
  if (first == nullptr && second == nullptr) return missing(name);
  return first != nullptr ? read_texts(*first, name) : read_texts(*second, other);
}

}  // namespace

std::span<const PlainField> rerank_fields() {
  return kRerankFields;
}

std::span<const PlainField> score_fields() {
  return kScoreFields;
}

double relevance(const PooledOptions& options, const std::vector<float>& vector, bool activation) {
  double logit = 0;
  if (options.kind == PooledKind::kTokenLogits) {
    logit = vector.size() > 1 ? double{vector[0]} - vector[1] : double{vector[0]};
  } else {
    CHECK(options.score.size() == vector.size());
    for (std::size_t i = 0; i < vector.size(); ++i) logit += double{options.score[i]} * vector[i];
  }
  return activation ? 1 / (1 + std::exp(-logit)) : logit;
}

ApiResult<PooledRequest> prepare_rerank(const ServiceCore& core, std::string_view body,
                                        const std::atomic<bool>& gone) {
  const json::value value = VSURGE_TRY(parse_object(core.hub, body));
  const json::object& object = value.get_object();
  Common common = VSURGE_TRY(read_common(core, object, kRerankFields));
  const ObjectReader reader(object, "");
  const auto query = VSURGE_TRY(reader.text("query"));
  if (!query) return missing("query");
  const json::value* given = reader.find("documents");
  if (given == nullptr) return missing("documents");
  if (!given->is_array()) return wrong_type("documents", "an array of strings", type_name(*given));
  const Texts documents = VSURGE_TRY(read_texts(*given, "documents"));
  const auto top = VSURGE_TRY(reader.integer("top_n", 0, std::int64_t{1} << 31U));
  const bool tell = VSURGE_TRY(reader.boolean("return_documents", true));
  std::vector<Pair> pairs;
  for (std::size_t i = 0; i < documents.texts.size(); ++i) {
    pairs.push_back({*query, documents.texts[i], &documents.paths[i]});
  }
  VSURGE_TRY(add_prompts(core, pairs, common, gone));
  std::vector<std::string> told;
  if (tell) told.assign(documents.texts.begin(), documents.texts.end());
  auto answer = std::make_unique<RerankAnswer>(core.options.pooled, common.activation,
                                               std::move(told), pairs.size());
  answer->set_top(static_cast<std::size_t>(top.value_or(0)));
  common.request.answer = std::move(answer);
  return std::move(common.request);
}

ApiResult<PooledRequest> prepare_score(const ServiceCore& core, std::string_view body,
                                       const std::atomic<bool>& gone) {
  const json::value value = VSURGE_TRY(parse_object(core.hub, body));
  const json::object& object = value.get_object();
  Common common = VSURGE_TRY(read_common(core, object, kScoreFields));
  const ObjectReader reader(object, "");
  const Texts queries = VSURGE_TRY(read_side(reader, "text_1", "queries"));
  const Texts documents = VSURGE_TRY(read_side(reader, "text_2", "documents"));
  const std::size_t count = documents.texts.size();
  if (queries.texts.size() != 1 && queries.texts.size() != count) {
    return bad_value(queries.paths[0].substr(0, queries.paths[0].find('[')),
                     fmt::format("{} texts cannot be paired with {}: send one, or as many.",
                                 queries.texts.size(), count));
  }
  std::vector<Pair> pairs;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t of = queries.texts.size() == 1 ? 0 : i;
    pairs.push_back({queries.texts[of], documents.texts[i], &documents.paths[i]});
  }
  VSURGE_TRY(add_prompts(core, pairs, common, gone));
  common.request.answer =
      std::make_unique<ScoreAnswer>(core.options.pooled, common.activation, count);
  return std::move(common.request);
}

}  // namespace vsurge::api
