#include "api/background.h"

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <limits>
#include <utility>

namespace vsurge::api {

namespace json = boost::json;

namespace {

// The answer to the client that asked has its own.
void drop_request_id(Headers& headers) {
  std::erase_if(headers, [](const auto& header) { return header.first == "X-Request-ID"; });
}

}  // namespace

BackgroundQueue::BackgroundQueue()
    : pool_(std::make_unique<base::WorkerPool>(1, std::numeric_limits<std::size_t>::max())) {}

void BackgroundQueue::post(std::function<void()> task) {
  const std::scoped_lock lock(mutex_);
  if (pool_ != nullptr && pool_->post(std::move(task))) return;
}

void BackgroundQueue::stop() {
  std::unique_ptr<base::WorkerPool> pool;
  {
    const std::scoped_lock lock(mutex_);
    pool = std::move(pool_);
  }
}

// What an exchange takes for a connection.
class BackgroundResponder final : public Responder {
 public:
  BackgroundResponder(std::shared_ptr<BackgroundRun> run, std::shared_ptr<BackgroundQueue> queue)
      : run_(std::move(run)), queue_(std::move(queue)) {}

  void send(int status, Headers headers, std::string body) override {
    run_->refuse(status, std::move(headers), std::move(body));
  }
  void begin_stream(int /*status*/, Headers headers) override { run_->begin(std::move(headers)); }
  void write(std::string bytes) override { run_->append(bytes); }
  void end() override { run_->end(false); }
  void abort() override { run_->end(true); }
  TaskQueue& queue() override { return *queue_; }
  void on_gone(std::function<void()> callback) override { run_->leave_ = std::move(callback); }
  // Nobody is waited for.
  void on_pressure(std::function<void(bool)> /*callback*/) override {}
  void on_quiet(int /*after_ms*/, std::function<void()> /*callback*/) override {}

 private:
  const std::shared_ptr<BackgroundRun> run_;
  const std::shared_ptr<BackgroundQueue> queue_;
};

BackgroundRun::BackgroundRun(BackgroundResponses& all, StoredResponse begun, bool creator_streams)
    : all_(all), begun_(std::move(begun)), creator_streams_(creator_streams) {}

StoredResponse BackgroundRun::response() const {
  const std::scoped_lock lock(mutex_);
  return begun_;
}

bool BackgroundRun::is_final() const {
  const std::scoped_lock lock(mutex_);
  return final_;
}

bool BackgroundRun::is_erased() const {
  const std::scoped_lock lock(mutex_);
  return erased_;
}

std::shared_ptr<Responder> BackgroundRun::responder(std::shared_ptr<Responder> creator,
                                                    const std::shared_ptr<BackgroundQueue>& queue) {
  creator_ = std::move(creator);
  all_.add(shared_from_this());
  return std::make_shared<BackgroundResponder>(shared_from_this(), queue);
}

void BackgroundRun::set_object(std::string object, bool final) {
  const std::scoped_lock lock(mutex_);
  begun_.object = std::move(object);
  final_ = final_ || final;
}

void BackgroundRun::begin(Headers headers) {
  headers_ = std::move(headers);
  drop_request_id(headers_);
}

// Whole events.
void BackgroundRun::append(const std::string& events) {
  for (std::size_t at = 0; at < events.size();) {
    const std::size_t end = events.find("\n\n", at);
    places_.push_back(log_.size() + at);
    if (end == std::string::npos) break;
    at = end + 2;
  }
  log_ += events;
  if (!std::exchange(told_, true) && creator_ != nullptr) {
    Headers headers = headers_;
    if (creator_streams_) {
      add_listener(std::exchange(creator_, nullptr), std::move(headers), 0, 0);
    } else {
      for (auto& [name, value] : headers) {
        if (name == "Content-Type") value = "application/json";
      }
      creator_->post(
          [creator = creator_, headers = std::move(headers), body = response().object]() mutable {
            creator->send(200, std::move(headers), std::move(body));
          });
      creator_.reset();
    }
  }
  pump();
}

// It was never taken on.
void BackgroundRun::refuse(int status, Headers headers, std::string body) {
  ended_ = true;
  drop_request_id(headers);
  all_.remove(id());
  const auto creator = std::exchange(creator_, nullptr);
  if (creator == nullptr) return;
  creator->post([creator, status, headers = std::move(headers), body = std::move(body)]() mutable {
    creator->send(status, std::move(headers), std::move(body));
  });
}

void BackgroundRun::end(bool broken) {
  if (std::exchange(ended_, true)) return;
  leave_ = nullptr;
  if (broken && !is_final()) {
    boost::system::error_code error;
    json::value object = json::parse(response().object, error);
    if (!error && object.is_object()) {
      object.get_object()["status"] = "failed";
      object.get_object()["error"] =
          json::object{{"code", "server_error"}, {"message", "The response was given up."}};
      set_object(json::serialize(object), true);
    }
  }
  pump();
  all_.note_ended(id(), log_.size());
}

void BackgroundRun::subscribe(std::shared_ptr<Responder> client, std::int64_t first,
                              int keep_alive_ms) {
  all_.queue()->post(
      [self = shared_from_this(), client = std::move(client), first, keep_alive_ms]() mutable {
        self->add_listener(std::move(client), self->headers_, first, keep_alive_ms);
        self->pump();
      });
}

// Its callbacks run on its own executor, and come back to the queue.
void BackgroundRun::add_listener(std::shared_ptr<Responder> client, Headers headers,
                                 std::int64_t first, int keep_alive_ms) {
  const auto number = static_cast<std::size_t>(std::max<std::int64_t>(first, 0));
  const std::size_t next = number < places_.size() ? places_[number] : log_.size();
  const Responder* key = client.get();
  client->post([weak = weak_from_this(), client, key, headers = std::move(headers), keep_alive_ms,
                queue = all_.queue()]() mutable {
    client->on_gone([weak, key, queue] {
      queue->post([weak, key] {
        if (const auto self = weak.lock()) self->drop(key);
      });
    });
    client->on_pressure([weak, key, queue](bool behind) {
      queue->post([weak, key, behind] {
        if (const auto self = weak.lock()) self->set_behind(key, behind);
      });
    });
    if (keep_alive_ms > 0) {
      client->on_quiet(keep_alive_ms, [to = std::weak_ptr(client)] {
        if (const auto still = to.lock()) still->write(": keep-alive\n\n");
      });
    }
    client->begin_stream(200, std::move(headers));
  });
  listeners_.push_back({.client = std::move(client), .next = next});
}

void BackgroundRun::set_behind(const Responder* client, bool behind) {
  for (Listener& each : listeners_) {
    if (each.client.get() == client) each.behind = behind;
  }
  if (!behind) pump();
}

void BackgroundRun::drop(const Responder* client) {
  std::erase_if(listeners_, [&](const Listener& each) { return each.client.get() == client; });
}

// What each listener has not got, and the end.
void BackgroundRun::pump() {
  for (Listener& each : listeners_) {
    if (each.behind) continue;
    if (each.next < log_.size()) {
      each.client->post([client = each.client, bytes = log_.substr(each.next)]() mutable {
        client->write(std::move(bytes));
      });
      each.next = log_.size();
    }
    if (!ended_) continue;
    each.client->post([client = each.client] { client->end(); });
    each.gone = true;
  }
  std::erase_if(listeners_, [](const Listener& each) { return each.gone; });
}

void BackgroundRun::cancel(std::function<void()> then) {
  all_.queue()->post([self = shared_from_this(), then = std::move(then)] {
    if (const auto leave = std::exchange(self->leave_, nullptr)) leave();
    self->end(false);
    then();
  });
}

void BackgroundRun::erase() {
  {
    const std::scoped_lock lock(mutex_);
    erased_ = true;
  }
  cancel([self = shared_from_this()] { self->all_.remove(self->id()); });
}

BackgroundResponses::~BackgroundResponses() {
  queue_->stop();
}

std::shared_ptr<BackgroundRun> BackgroundResponses::make(StoredResponse begun,
                                                         bool creator_streams) {
  return std::make_shared<BackgroundRun>(*this, std::move(begun), creator_streams);
}

void BackgroundResponses::add(std::shared_ptr<BackgroundRun> run) {
  const std::scoped_lock lock(mutex_);
  entries_.push_back({std::move(run), std::nullopt});
}

std::shared_ptr<BackgroundRun> BackgroundResponses::find(std::string_view id) const {
  const std::scoped_lock lock(mutex_);
  const auto found =
      std::ranges::find_if(entries_, [&](const Entry& entry) { return entry.run->id() == id; });
  return found == entries_.end() ? nullptr : found->run;
}

void BackgroundResponses::remove(std::string_view id) {
  std::list<Entry> removed;  // freed without the lock
  const std::scoped_lock lock(mutex_);
  const auto found =
      std::ranges::find_if(entries_, [&](const Entry& entry) { return entry.run->id() == id; });
  if (found != entries_.end()) removed.splice(removed.end(), entries_, found);
}

void BackgroundResponses::note_ended(std::string_view id, std::size_t log_bytes) {
  std::list<Entry> removed;
  const std::scoped_lock lock(mutex_);
  std::size_t count = 0, bytes = 0;
  for (Entry& entry : entries_) {
    if (entry.run->id() == id) entry.log_bytes = log_bytes;
    if (!entry.log_bytes) continue;
    ++count;
    bytes += *entry.log_bytes;
  }
  for (auto at = entries_.begin();
       at != entries_.end() && (count > kEndedMax || bytes > kEndedBytesMax);) {
    const auto next = std::next(at);
    if (at->log_bytes) {
      --count;
      bytes -= *at->log_bytes;
      removed.splice(removed.end(), entries_, at);
    }
    at = next;
  }
}

std::optional<StreamQuery> read_stream_query(std::string_view query) {
  StreamQuery out;
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view each = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    constexpr std::string_view kAfter = "starting_after=";
    if (each == "stream=true" || each == "stream=True") out.stream = true;
    if (!each.starts_with(kAfter)) continue;
    const std::string_view digits = each.substr(kAfter.size());
    std::int64_t number = 0;
    const auto [stop, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error != std::errc() || stop != digits.data() + digits.size() || number < 0 ||
        number > std::numeric_limits<int>::max()) {
      return std::nullopt;
    }
    out.first = number + 1;
  }
  return out;
}

}  // namespace vsurge::api
