// Pooled requests through the real engine: vectors against transformers' (tools/oracle makes them),
// and the same bytes however a text is cut and whatever else is computed.
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <cmath>
#include <condition_variable>
#include <cstring>
#include <fstream>
#include <map>
#include <mutex>

#include "engine/engine.h"
#include "engine/executor.h"
#include "model/model.h"
#include "model/test_files.h"

namespace vsurge {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using engine::PooledStates;
using Ids = std::vector<std::int32_t>;
using Vector = std::vector<float>;

const fs::path kGolden = fs::path(VSURGE_SOURCE_DIR) / "tests" / "golden";

json::value read_json(const fs::path& path) {
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  EXPECT_FALSE(text.empty()) << path;
  return json::parse(text);
}

std::vector<Ids> lists_of(const json::value& value) {
  std::vector<Ids> out;
  for (const json::value& list : value.as_array()) {
    Ids& ids = out.emplace_back();
    for (const json::value& id : list.as_array()) ids.push_back(id.to_number<std::int32_t>());
  }
  return out;
}

Vector floats_of(const json::value& value) {
  Vector out;
  for (const json::value& x : value.as_array()) out.push_back(x.to_number<float>());
  return out;
}

// Keeps what came of each ticket.
class Collector final : public engine::EventSink {
 public:
  void publish(std::span<const engine::Event> events) override {
    const std::lock_guard lock(mutex_);
    for (const engine::Event& event : events) {
      if (event.is_end()) ends_[event.ticket] = event;
    }
    wake_.notify_all();
  }
  engine::Event wait(engine::Ticket ticket) {
    std::unique_lock lock(mutex_);
    const bool came =
        wake_.wait_for(lock, std::chrono::seconds(60), [&] { return ends_.contains(ticket); });
    EXPECT_TRUE(came);
    return ends_[ticket];
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::map<engine::Ticket, engine::Event> ends_;  // guarded by mutex_
};

struct RigOptions {
  int tokens = 512;  // of a step
  int threads = 2;
  std::string isa = {};
  tensor::DType kv_dtype = tensor::DType::kF32;
  model::WeightChoice weights = model::WeightChoice::kF32;
  int pages = 512;
};

class Rig {
 public:
  Rig(const fs::path& path, const RigOptions& options)
      : backend_(*tensor::make_cpu_backend({options.threads, options.isa})),
        model_(*model::load_model(path, *backend_,
                                  {.weights = options.weights, .progress = nullptr})) {
    engine::EngineOptions e;
    e.max_batched_tokens = options.tokens;
    e.max_concurrent_decodes = std::min(8, options.tokens);
    e.max_concurrent_prefill = 4;
    e.context_max = 512;
    e.pages = options.pages;
    e.vocabulary = model_->info().vocabulary;
    e.hidden = model_->info().hidden;
    e.generates = model_->info().generates;
    const model::StepLimits limits{.tokens_max = e.max_batched_tokens,
                                   .sequences_max = e.max_concurrent_decodes,
                                   .logit_rows_max = engine::logit_rows_max(e),
                                   .context_max = e.context_max,
                                   .page_size = e.page_size,
                                   .pages = e.pages,
                                   .kv_dtype = options.kv_dtype};
    EXPECT_TRUE(model_->reserve(limits));
    executor_ = std::make_unique<engine::Executor>(*model_, *backend_, limits);
    engine_ = std::make_unique<engine::Engine>(e, *executor_, sink_, clock_);
    EXPECT_TRUE(engine_->start());
  }
  ~Rig() { engine_->stop(); }

  engine::Ticket submit(engine::Request request) {
    const engine::Ticket ticket = engine_->new_ticket();
    const auto status = engine_->submit(ticket, std::move(request));
    EXPECT_TRUE(status) << (status ? "" : status.error().message);
    return ticket;
  }
  engine::Ticket submit(const Ids& ids, engine::Pooling pooling) {
    engine::Request request;
    request.prompt = ids;
    request.pooling = std::move(pooling);
    return submit(std::move(request));
  }
  Vector wait(engine::Ticket ticket) {
    const engine::Event end = sink_.wait(ticket);
    EXPECT_EQ(end.reason, engine::FinishReason::kStop);
    EXPECT_NE(end.pooled, nullptr);
    return end.pooled ? *end.pooled : Vector();
  }
  Vector pool(const Ids& ids, engine::Pooling pooling) {
    return wait(submit(ids, std::move(pooling)));
  }
  const model::ModelInfo& info() const { return model_->info(); }
  engine::Event end_of(engine::Ticket ticket) { return sink_.wait(ticket); }

 private:
  base::SteadyClock clock_;
  Collector sink_;
  std::unique_ptr<tensor::Backend> backend_;
  std::unique_ptr<model::Model> model_;
  std::unique_ptr<engine::Executor> executor_;
  std::unique_ptr<engine::Engine> engine_;
};

double dot(const Vector& a, const Vector& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += double{a[i]} * b[i];
  return sum;
}

void expect_close(const Vector& found, const Vector& wanted, double tolerance) {
  ASSERT_EQ(found.size(), wanted.size());
  const double length = std::sqrt(dot(wanted, wanted));
  EXPECT_GT(dot(found, wanted) / std::sqrt(dot(found, found)) / length, 1 - tolerance);
  EXPECT_NEAR(std::sqrt(dot(found, found)) / length, 1, std::sqrt(tolerance));
}

bool same_bytes(const Vector& a, const Vector& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

struct Kind {
  const char* name;
  PooledStates states;
};
constexpr Kind kKinds[] = {
    {"last", PooledStates::kLast}, {"mean", PooledStates::kMean}, {"first", PooledStates::kFirst}};

TEST(Pooling, VectorsAreTransformers) {
  const json::value golden = read_json(kGolden / "pooling" / "embedding" / "golden.json");
  const auto ids = lists_of(golden.at("ids"));
  ASSERT_EQ(ids.size(), 5U);
  for (const auto& [weights, tolerance] :
       {std::pair{model::WeightChoice::kF32, 1e-6}, std::pair{model::WeightChoice::kAuto, 1e-4}}) {
    Rig rig(kGolden / "pooling" / "embedding", {.weights = weights});
    EXPECT_EQ(rig.info().pooling.use, model::PooledUse::kEmbedding);
    for (const Kind& kind : kKinds) {
      for (std::size_t i = 0; i < ids.size(); ++i) {
        SCOPED_TRACE(fmt::format("{} {}", kind.name, ids[i].size()));
        expect_close(rig.pool(ids[i], {kind.states, {}}), floats_of(golden.at(kind.name).at(i)),
                     tolerance);
      }
    }
  }
}

// The tokens of a step, threads, company and the prefix cache change no bit.
TEST(Pooling, TheSameBytesHoweverItIsComputed) {
  const fs::path path = kGolden / "pooling" / "embedding";
  const auto ids = lists_of(read_json(path / "golden.json").at("ids"));
  std::vector<Vector> first;
  for (const RigOptions& options :
       {RigOptions{}, RigOptions{.tokens = 1}, RigOptions{.tokens = 7, .threads = 1},
        RigOptions{.tokens = 16}, RigOptions{.tokens = 64, .pages = 20}}) {
    Rig rig(path, options);
    std::vector<engine::Ticket> tickets;
    for (int round = 0; round < 2; ++round) {  // the second finds the first one's pages
      for (const Kind& kind : kKinds) {
        for (const Ids& list : ids) tickets.push_back(rig.submit(list, {kind.states, {}}));
      }
    }
    std::vector<Vector> found;
    for (const engine::Ticket ticket : tickets) found.push_back(rig.wait(ticket));
    const std::size_t half = found.size() / 2;
    for (std::size_t i = 0; i < half; ++i) {
      EXPECT_TRUE(same_bytes(found[i], found[i + half])) << i;
      if (first.empty()) continue;
      EXPECT_TRUE(same_bytes(found[i], first[i])) << i << ", " << options.tokens;
    }
    if (!first.empty()) continue;
    for (const Kind& kind : kKinds) {  // alone
      for (const Ids& list : ids) first.push_back(rig.pool(list, {kind.states, {}}));
    }
    for (std::size_t i = 0; i < half; ++i) EXPECT_TRUE(same_bytes(found[i], first[i])) << i;
  }
}

TEST(Pooling, ClassifiersScore) {
  const fs::path path = kGolden / "pooling" / "classifier";
  const json::value golden = read_json(path / "golden.json");
  const auto ids = lists_of(golden.at("ids"));
  const Vector logits = floats_of(golden.at("logits"));
  Rig rig(path, {});
  ASSERT_EQ(rig.info().score.size(), static_cast<std::size_t>(rig.info().hidden));
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const Vector state = rig.pool(ids[i], {PooledStates::kLast, {}});
    EXPECT_NEAR(dot(state, rig.info().score), logits[i], 2e-4) << i;
  }
}

// Beside requests that answer in tokens, on a checkpoint that does both.
TEST(Pooling, LogitsInCompany) {
  const model::testing::TempFolder folder;
  for (const auto& file : fs::directory_iterator(kGolden / "qwen3")) {
    fs::copy(file.path(), folder.path());
  }
  folder.write("modules.json", R"([{"idx":0,"name":"0","path":"","type":"a.Transformer"},
                                   {"idx":1,"name":"1","path":"1_LogitScore",
                                    "type":"b.LogitScore"}])");
  fs::create_directory(folder.path() / "1_LogitScore");
  folder.write("1_LogitScore/config.json", R"({"true_token_id": 17, "false_token_id": 5})");
  const auto ids = lists_of(json::array{read_json(folder.path() / "golden.json").at("ids")});
  std::ifstream file(folder.path() / "logits.f32", std::ios::binary);
  constexpr std::size_t kVocabulary = 160;
  Vector all(ids[0].size() * kVocabulary);
  file.read(reinterpret_cast<char*>(all.data()),
            static_cast<std::streamsize>(all.size() * sizeof(float)));
  ASSERT_TRUE(file);
  Vector alone;
  for (const int tokens : {512, 9}) {
    Rig rig(folder.path(), {.tokens = tokens});
    EXPECT_EQ(rig.info().pooling.use, model::PooledUse::kTokenLogits);
    EXPECT_EQ(rig.info().pooling.true_token, 17);
    engine::Request talk;
    talk.prompt = Ids(ids[0].begin(), ids[0].begin() + 9);
    talk.sampling.max_tokens = 60;
    talk.sampling.ignore_eos = true;
    const engine::Ticket talking = rig.submit(std::move(talk));
    const engine::Pooling pooling{PooledStates::kLast, {17, 5}};
    const engine::Ticket other = rig.submit(ids[0], {PooledStates::kMean, {}});
    const Vector found = rig.pool(ids[0], pooling);
    EXPECT_NEAR(found.at(0), all[63 * kVocabulary + 17], 1e-3);
    EXPECT_NEAR(found.at(1), all[63 * kVocabulary + 5], 1e-3);
    EXPECT_EQ(rig.end_of(talking).usage.completion_tokens, 60);
    EXPECT_EQ(rig.wait(other).size(), static_cast<std::size_t>(rig.info().hidden));
    EXPECT_TRUE(same_bytes(found, rig.pool(ids[0], pooling))) << "alone";
    if (alone.empty()) alone = found;
    EXPECT_TRUE(same_bytes(found, alone));
  }
}

}  // namespace
}  // namespace vsurge
