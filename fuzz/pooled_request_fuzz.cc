// Bodies of /v1/embeddings, /v1/rerank, /v1/score, /tokenize, /detokenize and /apply-template: the
// first byte says which. What comes out are prompts that the engine takes, an answer that is sound
// JSON, or a 400 (404 of the model) that is.
#include <boost/json.hpp>
#include <string>
#include <string_view>

#include "api/bare_core_fixture.h"
#include "api/embeddings.h"
#include "api/json.h"
#include "api/rerank.h"
#include "api/tokens.h"
#include "engine/options.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;

constexpr int kContext = 64;
constexpr int kHidden = 4;

std::string utf8(unsigned code) {
  if (code < 0x80) return {static_cast<char>(code)};
  return {static_cast<char>(0xC0U | (code >> 6U)), static_cast<char>(0x80U | (code & 0x3FU))};
}

// Bytes as byte-level vocabularies write them, and a token after each text.
text::TextAssets make_assets() {
  json::object vocabulary;
  unsigned next = 256;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const bool printable =
        (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    vocabulary[utf8(printable ? byte : next++)] = static_cast<std::int64_t>(byte);
  }
  const json::value level = {{"type", "ByteLevel"},
                             {"add_prefix_space", false},
                             {"trim_offsets", true},
                             {"use_regex", false}};
  json::object all = json::parse(R"({"version":"1.0","truncation":null,"padding":null,
      "normalizer":null,"added_tokens":[{"id":256,"content":"<end>","single_word":false,
      "lstrip":false,"rstrip":false,"normalized":false,"special":true}],
      "post_processor":{"type":"TemplateProcessing",
      "single":[{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"<end>","type_id":0}}],
      "pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":0}}],
      "special_tokens":{"<end>":{"id":"<end>","ids":[256],"tokens":["<end>"]}}},
      "model":{"type":"BPE","dropout":null,"unk_token":null,"continuing_subword_prefix":null,
      "end_of_word_suffix":null,"fuse_unk":false,"byte_fallback":false,"merges":[]}})")
                         .as_object();
  all["pre_tokenizer"] = level;
  all["decoder"] = level;
  all["model"].as_object()["vocab"] = vocabulary;
  auto tokenizer = text::Tokenizer::from_json(json::serialize(all));
  CHECK(tokenizer.has_value(), "{}", tokenizer.error().message);
  auto chat_template = text::ChatTemplate::compile(
      "{% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}"
      "{# 'query' 'document' #}");
  CHECK(chat_template.has_value());
  return {.tokenizer = std::move(*tokenizer),
          .chat_template = std::move(*chat_template),
          .named_templates = {},
          .special_tokens = {},
          .bos = {},
          .eos = {},
          .padding = {}};
}

ModelOptions options_of(PooledKind kind) {
  ModelOptions out;
  out.model_names = {"m"};
  out.context_max = kContext;
  out.vocabulary = 257;
  out.pooled.kind = kind;
  out.pooled.hidden = kHidden;
  out.pooled.labels = 1;
  out.pooled.score.assign(kHidden, 0.5F);
  out.pooled.true_token = 1;
  out.pooled.false_token = 2;
  return out;
}

void check_error(const ApiError& error) {
  CHECK((error.status == 400 || error.status == 404) && !error.message.empty());
  CHECK(find_invalid_utf8(error.message) == std::string_view::npos);
  CHECK(parse_json(error_json(error), {}).has_value());
}

void check_answer(ServiceCore& core, std::string_view body, PlainAnswer answer) {
  const std::atomic<bool> gone{false};
  const auto made = answer({core, body, nullptr, gone});
  if (!made) return check_error(made.error());
  const auto parsed = parse_json(*made, {});
  CHECK(parsed.has_value() && parsed->is_object(), "{}", *made);
}

void check_pooled(const ServiceCore& core, std::string_view body, PreparePooled prepare) {
  const std::atomic<bool> gone{false};
  const auto made = prepare(core, body, gone);
  if (!made) return check_error(made.error());
  engine::EngineOptions options;
  options.context_max = kContext;
  options.pages = 64;
  options.vocabulary = core.options.vocabulary;
  options.hidden = kHidden;
  CHECK(!made->prompts.empty());
  for (std::size_t i = 0; i < made->prompts.size(); ++i) {
    engine::Request request;
    request.prompt = made->prompts[i];
    request.pooling = made->pooling;
    const auto status = engine::check_request(options, request);
    CHECK(status.has_value(), "{}", status.error().message);
    const std::size_t logits = made->pooling.logits_of.size();
    CHECK(made->answer->take(i, std::vector<float>(logits > 0 ? logits : kHidden, 0.25F)));
  }
  const auto parsed = parse_json(made->answer->json(core, 1), {});
  CHECK(parsed.has_value() && parsed->is_object());
}

}  // namespace
}  // namespace vsurge::api

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vsurge::api;
  static const auto assets = make_assets();
  static testing::BareCore embedding(options_of(PooledKind::kEmbedding), assets);
  static testing::BareCore classifier(options_of(PooledKind::kClassifier), assets);
  static testing::BareCore logits(options_of(PooledKind::kTokenLogits), assets);
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 7) {
    case 0:
      check_pooled(*embedding, body, &prepare_embeddings);
      break;
    case 1:
      check_pooled(*classifier, body, &prepare_rerank);
      break;
    case 2:
      check_pooled(*logits, body, &prepare_rerank);
      break;
    case 3:
      check_pooled(*logits, body, &prepare_score);
      break;
    case 4:
      check_answer(*logits, body, &tokenize_json);
      break;
    case 5:
      check_answer(*logits, body, &detokenize_json);
      break;
    default:
      check_answer(*logits, body, &apply_template_json);
  }
  return 0;
}
