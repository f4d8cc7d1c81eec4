#include "api/grammar_cache.h"

#include <condition_variable>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

namespace vsurge::api {
namespace {

using GrammarPointer = std::shared_ptr<const text::Grammar>;
using Outcome = base::Result<GrammarPointer>;

// No two sources have the same: each part says how long it is or is the last.
std::string key_of(const text::GrammarSource& source) {
  return fmt::format("{} {} {}{}", static_cast<int>(source.kind), source.whitespace.size(),
                     source.whitespace, source.text);
}

// One that is being compiled, and who waits for it.
struct Flight {
  std::optional<Outcome> outcome;
  std::condition_variable ended;
};

struct Entry {
  std::string key;
  Outcome outcome;
  std::size_t bytes;
};

// A source that is wrong stays so; one that found the server busy does not.
bool lasts(const Outcome& outcome) {
  return outcome || outcome.error().code == base::ErrorCode::kInvalidRequest;
}

ApiResult<GrammarPointer> answer(const Outcome& outcome, std::string_view param) {
  if (outcome) return *outcome;
  ApiError error = from_base(outcome.error());
  error.param = param;
  return std::unexpected(std::move(error));
}

}  // namespace

struct GrammarCache::State {
  State(text::GrammarFactory factory_in, std::size_t bytes_max_in)
      : factory(std::move(factory_in)), bytes_max(bytes_max_in) {}

  const text::GrammarFactory factory;
  const std::size_t bytes_max;
  mutable std::mutex mutex;
  std::list<Entry> entries;  // most recently used first
  std::unordered_map<std::string_view, std::list<Entry>::iterator> places;  // keys are entries'
  std::unordered_map<std::string, std::shared_ptr<Flight>> flights;
  std::size_t bytes = 0;
  std::size_t compiled = 0;

  const Outcome* find(const std::string& key) {
    const auto place = places.find(key);
    if (place == places.end()) return nullptr;
    entries.splice(entries.begin(), entries, place->second);
    return &entries.front().outcome;
  }

  void keep(const std::string& key, const Outcome& outcome) {
    const std::size_t own = outcome ? (*outcome)->bytes() : outcome.error().message.size();
    const std::size_t size = own + 2 * key.size() + sizeof(Entry);
    if (!lasts(outcome) || size > bytes_max) return;
    entries.push_front({key, outcome, size});
    places.emplace(entries.front().key, entries.begin());
    bytes += size;
    while (bytes > bytes_max) {
      bytes -= entries.back().bytes;
      places.erase(entries.back().key);
      entries.pop_back();
    }
  }
};

GrammarCache::GrammarCache(text::GrammarFactory factory, std::size_t bytes_max)
    : state_(std::make_unique<State>(std::move(factory), bytes_max)) {}
GrammarCache::~GrammarCache() = default;

ApiResult<GrammarPointer> GrammarCache::get(const text::GrammarSource& source,
                                            std::string_view param) {
  State& state = *state_;
  const std::string key = key_of(source);
  std::unique_lock lock(state.mutex);
  if (const Outcome* known = state.find(key)) return answer(*known, param);
  if (const auto flown = state.flights.find(key); flown != state.flights.end()) {
    const std::shared_ptr<Flight> flight = flown->second;
    flight->ended.wait(lock, [&] { return flight->outcome.has_value(); });
    return answer(*flight->outcome, param);
  }
  const auto flight = std::make_shared<Flight>();
  state.flights.emplace(key, flight);
  lock.unlock();
  auto compiled = state.factory.compile(source);
  Outcome outcome = compiled ? Outcome(std::make_shared<const text::Grammar>(std::move(*compiled)))
                             : Outcome(std::unexpected(std::move(compiled).error()));
  lock.lock();
  ++state.compiled;
  state.keep(key, outcome);
  state.flights.erase(key);
  flight->outcome = outcome;
  flight->ended.notify_all();
  return answer(outcome, param);
}

GrammarCache::Stats GrammarCache::stats() const {
  const std::lock_guard lock(state_->mutex);
  return {state_->compiled, state_->entries.size(), state_->bytes};
}

const text::GrammarFactory& GrammarCache::factory() const {
  return state_->factory;
}

}  // namespace vsurge::api
