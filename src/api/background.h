// Responses that are made in the background: they go on when their client leaves, and whoever
// knows the id may look, listen or cancel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/http.h"
#include "api/response_store.h"
#include "base/worker_pool.h"

namespace vsurge::api {

class BackgroundResponses;

// The thread on which all of them live, in place of a connection's executor. Tasks that come after
// stop() are dropped.
class BackgroundQueue final : public TaskQueue {
 public:
  BackgroundQueue();
  void post(std::function<void()> task) override;
  void stop();

 private:
  std::mutex mutex_;
  std::unique_ptr<base::WorkerPool> pool_;  // guarded by mutex_
};

// One of them. Unless it says otherwise, called on the queue.
class BackgroundRun : public std::enable_shared_from_this<BackgroundRun> {
 public:
  // creator_streams: whoever asks for it wants its events.
  BackgroundRun(BackgroundResponses& all, StoredResponse begun, bool creator_streams);

  const std::string& id() const { return begun_.id; }        // any thread
  const std::string& owner() const { return begun_.owner; }  // any thread
  // The response as it stands: as it was begun, with the newest object. Any thread.
  StoredResponse response() const;
  bool is_final() const;   // any thread; it is in the store then, unless it was erased
  bool is_erased() const;  // any thread
  // Where its exchange writes. `creator` asked for it, and is told when it is taken on, or why it
  // was not. Once, before all else; any thread.
  std::shared_ptr<Responder> responder(std::shared_ptr<Responder> creator,
                                       const std::shared_ptr<BackgroundQueue>& queue);

  // By its form: the object as it stands now.
  void set_object(std::string object, bool final);

  // Any thread. Its events from number `first` on, those to come too, are a stream for `client`,
  // which has not been answered yet.
  void subscribe(std::shared_ptr<Responder> client, std::int64_t first, int keep_alive_ms);
  // Any thread. `then` runs on the queue, when it has ended one way or another.
  void cancel(std::function<void()> then);
  void erase();  // any thread: cancelled, and not stored

 private:
  friend class BackgroundResponder;
  friend class BackgroundResponses;
  struct Listener {
    std::shared_ptr<Responder> client;
    std::size_t next = 0;  // byte of the log
    bool behind = false;
    bool gone = false;
  };
  void begin(Headers headers);
  void append(const std::string& events);
  void refuse(int status, Headers headers, std::string body);
  void end(bool broken);
  void add_listener(std::shared_ptr<Responder> client, Headers headers, std::int64_t first,
                    int keep_alive_ms);
  void set_behind(const Responder* client, bool behind);
  void drop(const Responder* client);
  void pump();

  BackgroundResponses& all_;
  mutable std::mutex mutex_;
  StoredResponse begun_;  // its object is guarded by mutex_
  bool final_ = false;    // guarded by mutex_
  bool erased_ = false;   // guarded by mutex_

  // Of the queue alone.
  std::shared_ptr<Responder> creator_;
  const bool creator_streams_;
  Headers headers_;
  bool told_ = false;  // the creator
  bool ended_ = false;
  std::string log_;                  // all events
  std::vector<std::size_t> places_;  // of each, by its number
  std::vector<Listener> listeners_;
  std::function<void()> leave_;
};

// All of them, and those that have ended of late, for clients that come back for their events.
class BackgroundResponses {
 public:
  ~BackgroundResponses();

  const std::shared_ptr<BackgroundQueue>& queue() const { return queue_; }
  // Any thread. It is found once it has a responder().
  std::shared_ptr<BackgroundRun> make(StoredResponse begun, bool creator_streams);
  std::shared_ptr<BackgroundRun> find(std::string_view id) const;
  void remove(std::string_view id);
  // Drops the oldest ended ones beyond the limits. Any thread.
  void note_ended(std::string_view id, std::size_t log_bytes);

 private:
  friend class BackgroundRun;
  void add(std::shared_ptr<BackgroundRun> run);

  static constexpr std::size_t kEndedMax = 256;
  static constexpr std::size_t kEndedBytesMax = 64U << 20U;

  struct Entry {
    std::shared_ptr<BackgroundRun> run;
    std::optional<std::size_t> log_bytes;  // once it has ended
  };
  const std::shared_ptr<BackgroundQueue> queue_ = std::make_shared<BackgroundQueue>();
  mutable std::mutex mutex_;
  std::list<Entry> entries_;  // guarded by mutex_; the oldest first
};

// What GET says in its query: stream=true, starting_after=7. Others are nothing.
struct StreamQuery {
  bool stream = false;
  std::int64_t first = 0;  // number of the first event
};
std::optional<StreamQuery> read_stream_query(std::string_view query);  // none: not numbers

}  // namespace vsurge::api
