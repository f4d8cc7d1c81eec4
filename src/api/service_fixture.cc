#include "api/service_fixture.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "base/log.h"

namespace vsurge::api::testing {
namespace {

namespace json = boost::json;

std::string utf8(unsigned code) {
  if (code < 0x80) return {static_cast<char>(code)};
  return {static_cast<char>(0xC0U | (code >> 6U)), static_cast<char>(0x80U | (code & 0x3FU))};
}

// How byte-level vocabularies write a byte: printable ones as themselves, others from U+0100 on.
std::vector<std::string> byte_names() {
  std::vector<std::string> names(256);
  unsigned next = 256;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const bool printable =
        (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    names[byte] = utf8(printable ? byte : next++);
  }
  return names;
}

std::string tokenizer_json(const char* extra) {
  json::object vocabulary;
  const auto names = byte_names();
  for (std::size_t id = 0; id < names.size(); ++id) {
    vocabulary[names[id]] = static_cast<std::int64_t>(id);
  }
  json::array added;
  std::int64_t id = kBos;
  for (const char* token :
       {"<s>", "</s>", "<|user|>", "<|assistant|>", "<think>", "</think>", extra}) {
    if (token == nullptr) break;
    added.push_back({{"id", id++},
                     {"content", token},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  const json::value byte_level = {{"type", "ByteLevel"},
                                  {"add_prefix_space", false},
                                  {"trim_offsets", true},
                                  {"use_regex", false}};
  const json::value bos = {{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}};
  const json::value text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  const json::value more = {{"Sequence", {{"id", "B"}, {"type_id", 1}}}};
  json::object bos_token = {{"id", "<s>"}};
  bos_token["ids"] = json::array{static_cast<std::int64_t>(kBos)};
  bos_token["tokens"] = json::array{"<s>"};
  json::object post = {{"type", "TemplateProcessing"}};
  post["single"] = json::array{bos, text};
  post["pair"] = json::array{bos, text, more};
  post["special_tokens"] = json::object{{"<s>", bos_token}};
  json::object model = {{"type", "BPE"},         {"dropout", nullptr},
                        {"unk_token", nullptr},  {"continuing_subword_prefix", nullptr},
                        {"fuse_unk", false},     {"end_of_word_suffix", nullptr},
                        {"byte_fallback", false}};
  model["vocab"] = vocabulary;
  model["merges"] = json::array();
  json::object all = {{"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}};
  all["added_tokens"] = added;
  all["normalizer"] = nullptr;
  all["pre_tokenizer"] = byte_level;
  all["post_processor"] = post;
  all["decoder"] = byte_level;
  all["model"] = model;
  return json::serialize(all);
}

constexpr std::string_view kTemplate =
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}<|user|>{{ m.content }}"
    "{% elif m.role == 'assistant' %}<|assistant|>{{ m.content }}"
    "{% else %}{{ raise_exception('no role ' + m.role) }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}";

engine::EngineOptions engine_options(const FixtureOptions& options) {
  engine::EngineOptions out;
  out.max_concurrent_decodes = 8;
  out.max_concurrent_prefill = 8;
  out.max_batched_tokens = 512;
  out.context_max = kContext;
  out.page_size = 16;
  out.pages = 256;
  out.vocabulary = kVocabulary;
  out.hidden = options.pooled.hidden;
  out.generates = options.generates;
  out.watchdog = options.watchdog;
  out.eos_tokens = {kEos};
  out.limits.queue_requests_max = static_cast<std::size_t>(options.queue_requests_max);
  return out;
}

ServiceOptions service_options(const FixtureOptions& options) {
  ServiceOptions out;
  out.version = "9.8.7";
  out.text.text_queue_bytes_max = options.text_queue_bytes_max;
  out.observers = options.observers;
  out.log_requests = options.log_requests;
  out.queue_timeout = options.queue_timeout;
  out.request_timeout = options.request_timeout;
  out.sse_keep_alive = options.sse_keep_alive;
  out.gatekeeper = options.gatekeeper;
  out.admin_door = options.admin_door;
  out.metrics_without_key = options.metrics_without_key;
  out.share_prefix_cache = options.share_prefix_cache;
  out.cors_origins = options.cors_origins;
  return out;
}

ModelOptions model_options(const FixtureOptions& options) {
  ModelOptions out = tiny_model({"tiny", "org/tiny"});
  out.prompt_max = options.prompt_max;
  out.speculative_tokens_max = options.speculative_tokens;
  out.pooled = options.pooled;
  out.reasoning_format = options.reasoning;
  return out;
}

}  // namespace

ModelOptions tiny_model(std::vector<std::string> names) {
  ModelOptions out;
  out.model_names = std::move(names);
  out.family = "llama";
  out.fingerprint = "fp_test";
  out.context_max = kContext;
  out.vocabulary = kVocabulary;
  out.end_tokens = {kEos};
  return out;
}

text::TextAssets byte_assets(const char* more) {
  auto tokenizer = text::Tokenizer::from_json(tokenizer_json(more));
  EXPECT_TRUE(tokenizer.has_value()) << tokenizer.error().message;
  auto chat_template = text::ChatTemplate::compile(kTemplate);
  EXPECT_TRUE(chat_template.has_value()) << chat_template.error().message;
  text::TextAssets assets{.tokenizer = std::move(*tokenizer),
                          .chat_template = std::move(*chat_template),
                          .named_templates = {},
                          .special_tokens = {{"bos_token", "<s>"}, {"eos_token", "</s>"}},
                          .bos = kBos,
                          .eos = kEos,
                          .padding = std::nullopt};
  assets.infill = text::find_infill_tokens(assets.tokenizer);
  return assets;
}

std::vector<engine::TokenId> bytes_of(std::string_view text) {
  std::vector<engine::TokenId> ids;
  for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
  return ids;
}

void TestExecutor::post(std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  tasks_.push_back(std::move(task));
  wake_.notify_one();  // with the lock: who is woken may destroy all this
}

void TestExecutor::run_until(const std::function<bool()>& done) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!done()) {
    std::function<void()> task;
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, std::chrono::milliseconds(1), [&] { return !tasks_.empty(); });
      if (!tasks_.empty()) {
        task = std::move(tasks_.front());
        tasks_.pop_front();
      }
    }
    if (task) task();
    if (std::chrono::steady_clock::now() > deadline) {
      FAIL() << "nothing happens";
    }
  }
}

void TestResponder::send(int status, Headers headers, std::string body) {
  if (gone_) return;
  EXPECT_FALSE(sent_ || begun_);
  sent_ = true;
  status_ = status;
  headers_ = std::move(headers);
  body_ = std::move(body);
}

void TestResponder::begin_stream(int status, Headers headers) {
  if (gone_) return;
  EXPECT_FALSE(sent_ || begun_);
  begun_ = true;
  status_ = status;
  headers_ = std::move(headers);
}

void TestResponder::write(std::string bytes) {
  if (gone_) return;
  EXPECT_TRUE(begun_ && !ended_);
  EXPECT_FALSE(bytes.empty());
  body_ += bytes;
  writes_.push_back(std::move(bytes));
}

void TestResponder::end() {
  if (gone_) return;
  EXPECT_TRUE(begun_ && !ended_);
  ended_ = true;
}

void TestResponder::abort() {
  ADD_FAILURE() << "aborted";
}

void TestResponder::leave() {
  gone_ = true;
  post([this] {
    if (const auto callback = std::exchange(on_gone_, nullptr)) callback();
  });
}

std::string TestResponder::header(std::string_view name) const {
  for (const auto& [key, value] : headers_) {
    if (key == name) return value;
  }
  return {};
}

engine::TokenId ScriptedRunner::says(std::size_t index) const {
  if (endless) return script[index % script.size()];
  return index < script.size() ? script[index] : kEos;
}

void ScriptedRunner::run(const engine::StepPlan& plan, engine::StepResult& result) {
  if (const int delay = step_delay_us.load(); delay > 0) {
    std::this_thread::sleep_for(std::chrono::microseconds(delay));
  }
  alternatives_ = 0;
  for (std::size_t i = 0; i < plan.sequences.size(); ++i) {
    const engine::PlannedSequence& planned = plan.sequences[i];
    if (planned.pooled != nullptr) {
      pool(planned);
      for (int row = 0; row < planned.rows; ++row) {
        result.rows[static_cast<std::size_t>(planned.first_row + row)] = {
            .token = 0, .status = kernels::SampleStatus::kOk};
      }
      continue;
    }
    if (planned.samples) {
      auto row = plan.rows.begin() + planned.first_row;
      while (row->scored_token >= 0) ++row;  // of the prompt
      const std::uint64_t begin = begun_.try_emplace(planned.ticket, row->position).first->second;
      if (fail_at >= 0 && row->position == begin + static_cast<std::uint64_t>(fail_at)) {
        result.sequences[i] = engine::fault_of(
            base::fail(base::ErrorCode::kNumericalError, "not a number in the logits"));
      }
    }
    run_rows(planned, plan, result);
  }
}

// Logits grow with the prompt: of the last token asked for its length / 100, of those before it
// twice that, and so on.
void ScriptedRunner::pool(const engine::PlannedSequence& planned) {
  const auto wanted = planned.pooled->logits_of();
  if (!wanted.empty()) {
    if (planned.rows == 0) return;
    const auto length =
        static_cast<float>(planned.first) + static_cast<float>(planned.tokens.size());
    std::vector<float> logits;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      logits.push_back(static_cast<float>(wanted.size() - i) * length / 100);
    }
    planned.pooled->add_logits(logits);
    return;
  }
  for (std::size_t i = 0; i < planned.tokens.size(); ++i) {
    const int position = planned.first + static_cast<int>(i);
    if (!planned.pooled->wants(position)) continue;
    planned.pooled->add(position, pooled_state(planned.tokens[i], position));
  }
}

void ScriptedRunner::run_rows(const engine::PlannedSequence& planned, const engine::StepPlan& plan,
                              engine::StepResult& result) {
  for (int i = 0; i < planned.rows; ++i) {
    const auto at = static_cast<std::size_t>(planned.first_row + i);
    kernels::SampleRow row = plan.rows[at].sample_row();
    engine::TokenId said = -1;
    if (row.scored_token < 0) {
      const std::uint64_t begin = begun_.at(planned.ticket);
      said = says(static_cast<std::size_t>(row.position - begin));
    }
    if (sample == nullptr) {
      result.rows[at] = {.token = said, .status = kernels::SampleStatus::kOk};
      continue;
    }
    if (row.logprobs > 0) {
      row.top = result.top.data() + alternatives_;
      alternatives_ += static_cast<std::size_t>(row.logprobs);
    }
    std::vector<std::uint32_t> mask;
    if (planned.constraint != nullptr && i + 1 == planned.rows) {
      mask.resize((kVocabulary + 31) / 32);
      EXPECT_TRUE(planned.constraint->fill_mask(mask));
      row.allowed_tokens = mask.data();
    }
    std::vector<float> logits(kVocabulary);
    for (std::size_t token = 0; token < logits.size(); ++token) {
      const std::uint64_t bits = kernels::random_bits(token, row.position);
      logits[token] = static_cast<float>(bits >> 40U) / 16777216.0F;
    }
    if (said >= 0) logits[static_cast<std::size_t>(said)] += loudness;
    std::vector<std::uint64_t> scratch(kernels::sample_scratch(kVocabulary));
    result.rows[at] = sample(logits.data(), kVocabulary, row, scratch.data());
  }
}

ServiceFixture::ServiceFixture(const FixtureOptions& options)
    : assets(byte_assets()),
      engine(engine_options(options), runner, router, clock),
      service(service_options(options), nullptr, options.loader) {
  service.add({model_options(options), assets, engine, router});
  runner.sample = options.sample;
  EXPECT_TRUE(base::init_logging("off", base::LogFormat::kText).has_value());
  if (!options.chat_template) assets.chat_template.reset();
  EXPECT_TRUE(engine.start().has_value());
}

ServiceFixture::~ServiceFixture() {
  engine.stop();
}

std::shared_ptr<TestResponder> ServiceFixture::handle(HttpRequest request) {
  auto responder = std::make_shared<TestResponder>(executor);
  service.handle(std::move(request), responder);
  return responder;
}

std::shared_ptr<TestResponder> ServiceFixture::post(std::string path, std::string body) {
  HttpRequest request;
  request.method = "POST";
  request.path = std::move(path);
  request.headers = {{"content-type", "application/json"}};
  request.body = std::move(body);
  return handle(std::move(request));
}

std::shared_ptr<TestResponder> ServiceFixture::get(std::string path) {
  HttpRequest request;
  request.method = "GET";
  request.path = std::move(path);
  return handle(std::move(request));
}

std::shared_ptr<TestResponder> ServiceFixture::answer(std::string path, std::string body) {
  auto responder = post(std::move(path), std::move(body));
  finish(*responder);
  return responder;
}

void ServiceFixture::finish(const TestResponder& responder) {
  executor.run_until([&] { return responder.finished(); });
}

void ServiceFixture::wait_idle() {
  executor.run_until([&] {
    const engine::EngineMetrics metrics = engine.metrics();
    return metrics.requests_running == 0 && metrics.requests_waiting == 0 &&
           metrics.pages_used == 0;
  });
}

std::string chat_body(std::string_view members) {
  return fmt::format(R"({{"model":"tiny","messages":[{{"role":"user","content":"hi"}}]{}{}}})",
                     members.empty() ? "" : ",", members);
}

std::string completion_body(std::string_view members) {
  return fmt::format(R"({{"model":"tiny","prompt":"hi"{}{}}})", members.empty() ? "" : ",",
                     members);
}

Stream events_of(const std::string& body) {
  Stream out;
  std::size_t at = 0;
  while (at < body.size()) {
    const std::size_t end = body.find("\n\n", at);
    if (end != std::string::npos && body[at] == ':') {  // a comment
      at = end + 2;
      continue;
    }
    if (end == std::string::npos || body.compare(at, 6, "data: ") != 0 || out.done) {
      ADD_FAILURE() << "not an event: " << body.substr(at);
      return out;
    }
    const std::string data = body.substr(at + 6, end - at - 6);
    EXPECT_EQ(data.find('\n'), std::string::npos);
    if (data == "[DONE]") {
      out.done = true;
    } else {
      out.chunks.push_back(json::parse(data));
    }
    at = end + 2;
  }
  return out;
}

json::value error_of(const TestResponder& responder, int status) {
  EXPECT_EQ(responder.status(), status) << responder.body();
  EXPECT_EQ(responder.header("Content-Type"), "application/json");
  EXPECT_FALSE(responder.header("X-Request-ID").empty());
  const json::value error = json::parse(responder.body()).at("error");
  for (const char* key : {"message", "type", "param", "code"}) {
    EXPECT_TRUE(error.as_object().contains(key)) << key;
  }
  return error;
}

}  // namespace vsurge::api::testing
