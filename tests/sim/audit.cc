// All invariants of the state, recomputed from scratch.
#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_map>

#include "tests/sim/world.h"

namespace vsurge::engine::sim {
namespace {

class Audit {
 public:
  explicit Audit(World& world)
      : world_(world),
        scheduler_(world.scheduler),
        pool_(world.scheduler.pool()),
        cache_(world.scheduler.prefix_cache()) {}

  void run() {
    check_running();
    check_groups();
    check_holders();
    check_cache();
    check_queue();
    check_metrics();
    for (const std::string& fault : {pool_.audit(), cache_.audit()}) {
      if (!fault.empty()) world_.fault.report("{}", fault);
    }
  }

 private:
  void check_running();
  void check_groups();
  void check_search(const Search& search, const SearchStory& expected);
  void check_sequence(const Sequence& sequence, const Story& story, Choice& choice);
  void check_pages(const Sequence& sequence, const Story& story, const Choice& choice);
  void note_replaced(const Sequence& sequence, Choice& choice);
  void check_holders();
  void check_cache();
  void check_cached_page(std::int32_t page);
  void check_beginning(std::int32_t page, Chain before);
  void check_queue();
  void check_metrics();
  template <class A, class B>
  void equal(const char* what, A found, B expected) {
    if (static_cast<std::uint64_t>(found) == static_cast<std::uint64_t>(expected)) return;
    world_.fault.report("{}: {}, expected {}", what, found, expected);
  }

  World& world_;
  Scheduler& scheduler_;
  const PagePool& pool_;
  const PrefixCache& cache_;
  std::unordered_map<PrefixId, std::int32_t> page_of_;  // in the cache
};

void Audit::check_running() {
  const auto& running = SchedulerPeer::running(scheduler_);
  equal("running", running.size(), world_.running.size());
  if (world_.fault.found()) return;
  for (std::size_t i = 0; i < running.size(); ++i) {
    const Runner& expected = world_.running[i];
    if (running[i]->group->ticket == expected.story->ticket &&
        running[i]->choice == expected.choice) {
      continue;
    }
    return world_.fault.report("ticket {}.{} runs in place {}, expected {}.{}",
                               running[i]->group->ticket, running[i]->choice, i,
                               expected.story->ticket, expected.choice);
  }
}

void Audit::check_groups() {
  const auto& groups = SchedulerPeer::groups(scheduler_);
  equal("requests", groups.size(), world_.alive.size());
  for (const auto& [ticket, group] : groups) {
    Story& story = *world_.stories.find(ticket);
    equal("choices alive", group->alive, story.alive);
    equal("held", group->held, story.held);
    equal("suspended", group->suspended, story.suspended);
    equal("searches", group->search != nullptr, story.search.has_value());
    if (story.search) check_search(*group->search, *story.search);
    for (std::size_t i = 0; i < group->choices.size(); ++i) {
      check_sequence(*group->choices[i], story, story.choices[i]);
      if (world_.fault.found()) return;
    }
  }
}

void Audit::check_sequence(const Sequence& sequence, const Story& story, Choice& choice) {
  constexpr std::array kPlaces = {Place::kHeld,      Place::kWaiting, Place::kRunning,
                                  Place::kSuspended, Place::kParked,  Place::kEnded};
  if (sequence.place != kPlaces[static_cast<std::size_t>(choice.state)]) {
    world_.fault.report("ticket {}.{} is in place {}, expected {}", story.ticket, sequence.choice,
                        static_cast<int>(sequence.place), static_cast<int>(choice.state));
  }
  choice.pages = static_cast<int>(sequence.pages.size()) - sequence.pages_gone;
  if (choice.state == State::kEnded) return equal("pages of the ended", sequence.pages.size(), 0);
  const bool same = sequence.tokens.size() == choice.tokens.size() &&
                    std::equal(choice.tokens.begin(), choice.tokens.end(), sequence.tokens.begin());
  if (!same || sequence.length != static_cast<int>(choice.tokens.size())) {
    world_.fault.report("ticket {}.{} has other tokens", story.ticket, sequence.choice);
  }
  equal("preemptions", sequence.preemptions, choice.preemptions);
  equal("scored", sequence.scored, choice.scored);
  if (choice.state != State::kRunning) {
    equal("computed of one that waits", sequence.computed, 0);
    return equal("pages of one that waits", sequence.pages.size(), 0);
  }
  equal("computed", sequence.computed, choice.computed);
  if (choice.computed >= sequence.length) {
    world_.fault.report("ticket {} has computed all of its tokens", story.ticket);
  }
  check_pages(sequence, story, choice);
  note_replaced(sequence, choice);
}

void Audit::check_search(const Search& search, const SearchStory& expected) {
  const bool same = std::ranges::equal(search.order, expected.order, [](std::size_t a, int b) {
    return a == static_cast<std::size_t>(b);
  });
  if (!same) world_.fault.report("the beams are in another order");
  for (std::size_t i = 0; i < search.slots.size(); ++i) {
    equal("ready", search.slots[i].ready, expected.ready[i]);
    const double score = search.slots[i].score;
    if (score == expected.scores[i]) continue;
    world_.fault.report("beam {} has score {}, expected {}", i, score, expected.scores[i]);
  }
  equal("beams ready", search.ready, std::ranges::count(expected.ready, true));
  const auto finished = search.beams.finished();
  equal("answers found", finished.size(), expected.finished.size());
  for (std::size_t i = 0; i < std::min(finished.size(), expected.finished.size()); ++i) {
    if (finished[i].answer == expected.finished[i].tokens) continue;
    world_.fault.report("answer {} of a search is another", i);
  }
}

// Exactly its computed tokens, and room for no more than it can come to.
void Audit::check_pages(const Sequence& sequence, const Story& story, const Choice& choice) {
  const int pages = static_cast<int>(sequence.pages.size());
  const int most = world_.pages_for(story.prompt + story.answer_max);
  if (pages < world_.pages_for(choice.computed) || pages > most) {
    world_.fault.report("ticket {} has {} pages for {} of {} tokens", story.ticket, pages,
                        choice.computed, story.prompt + story.answer_max);
  }
  const int gone = world_.pages_gone(choice.computed);
  for (int i = 0; i < pages; ++i) {
    const std::int32_t page = sequence.pages[static_cast<std::size_t>(i)];
    if ((page < 0) == (i < gone) && page < pool_.total()) continue;
    world_.fault.report("ticket {}.{}: page {} is {}, {} have left the window", story.ticket,
                        sequence.choice, i, page, gone);
  }
}

// Pages change within a sequence when an equal one is there already.
void Audit::note_replaced(const Sequence& sequence, Choice& choice) {
  const std::size_t size = std::min(sequence.pages.size(), choice.table.size());
  const bool same_run = choice.table_step >= choice.admitted_step;
  for (std::size_t i = 0; same_run && i < size; ++i) {
    const bool replaced = sequence.pages[i] >= 0 && sequence.pages[i] != choice.table[i];
    world_.seen.note_if(replaced, Situation::kPageReplacedByEqual);
  }
  choice.table.assign(sequence.pages.begin(), sequence.pages.end());
  choice.table_step = world_.plan_step;
}

// Who holds a page is who has it in his table; who is held by nobody is idle when it is in the
// cache, else free.
void Audit::check_holders() {
  std::vector<int> holders(static_cast<std::size_t>(pool_.total()), 0);
  for (const Sequence* sequence : SchedulerPeer::running(scheduler_)) {
    for (const std::int32_t page : sequence->pages) {
      if (page >= 0) ++holders[static_cast<std::size_t>(page)];
    }
  }
  int used = 0;
  for (std::int32_t page = 0; page < pool_.total(); ++page) {
    const int expected = holders[static_cast<std::size_t>(page)];
    used += expected > 0 ? 1 : 0;
    world_.seen.note_if(expected > 1, Situation::kPageShared);
    world_.seen.note_if(expected > 3, Situation::kPageSharedByFour);
    if (pool_.holders(page) != expected) {
      world_.fault.report("page {} has {} holders, {} have it", page, pool_.holders(page),
                          expected);
    }
    if (expected == 0 && pool_.is_idle(page) != cache_.contains(page)) {
      world_.fault.report("page {} is {}, and {} in the cache", page,
                          pool_.is_idle(page) ? "idle" : "free",
                          cache_.contains(page) ? "is" : "is not");
    }
  }
  equal("pages used", pool_.used(), used);
  equal("pages in all", pool_.used() + pool_.idle() + pool_.free(), world_.options().pages);
}

void Audit::check_cache() {
  std::array<std::uint64_t, 256> hashes{};  // + 1; a few of those seen
  int cached = 0;
  for (std::int32_t page = 0; page < pool_.total(); ++page) {
    if (!cache_.contains(page)) continue;
    ++cached;
    const auto index = static_cast<std::size_t>(page);
    page_of_[PrefixCachePeer::id(cache_, index)] = page;
    const std::uint64_t hash = PrefixCachePeer::hash(cache_, index) + 1;
    world_.seen.note_if(hashes[hash % 256] == hash, Situation::kHashCollision);
    hashes[hash % 256] = hash;
  }
  equal("pages in the cache", cache_.size(), cached);
  for (const auto& [id, page] : page_of_) {
    check_cached_page(page);
    if (world_.fault.found()) return;
  }
}

// The page holds what the cache says, and what comes before is what the cache says, too.
void Audit::check_cached_page(std::int32_t page) {
  const auto tokens = PrefixCachePeer::tokens(cache_, page);
  Chain chain = 0;
  for (int i = 0; i < PrefixCachePeer::count(cache_, page); ++i) {
    const Oracle::Slot& slot = world_.oracle.slot(page, i);
    const bool first = i == 0;
    if (slot.token != tokens[static_cast<std::size_t>(i)] ||
        slot.position % world_.options().page_size != i ||
        (!first && slot.chain != chain_after(chain, slot.token))) {
      return world_.fault.report("page {} of the cache holds token {} at {}, expected {}", page,
                                 slot.token, i, tokens[static_cast<std::size_t>(i)]);
    }
    if (slot.unsound) {
      return world_.fault.report("page {} of the cache gave logits that are not finite", page);
    }
    if (slot.weights != world_.oracle.weights()) {
      return world_.fault.report("page {} of the cache is older than the last clear", page);
    }
    chain = slot.chain;
  }
  const PrefixId before = PrefixCachePeer::before(cache_, static_cast<std::size_t>(page));
  if (const auto found = page_of_.find(before); found != page_of_.end()) {
    const int last = world_.options().page_size - 1;
    return check_beginning(page, world_.oracle.slot(found->second, last).chain);
  }
  bool found_root = false;
  for (const auto& [name, root] : PrefixCachePeer::roots(cache_)) {
    if (root != before) continue;
    found_root = true;
    const int number = name.empty() ? 0 : name.back() - '0';
    check_beginning(page, mix(static_cast<std::uint64_t>(number) + 1, world_.scenario.seed));
  }
  // What leaves the window is given back from the front, and roots are renamed by a clear.
  if (found_root || world_.options().window > 0 || world_.oracle.weights() > 0) return;
  world_.fault.report("page {} is cached, but what comes before it has gone", page);
}

void Audit::check_beginning(std::int32_t page, Chain before) {
  const Oracle::Slot& slot = world_.oracle.slot(page, 0);
  if (slot.chain == chain_after(before, slot.token)) return;
  world_.fault.report("page {} of the cache follows another beginning", page);
}

void Audit::check_queue() {
  const WaitingQueue& queue = SchedulerPeer::queue(scheduler_);
  const std::size_t forked = world_.queue.forked();
  equal("waiting", queue.requests(), world_.queue.entries().size() - forked);
  equal("beams that go on", queue.forked(), forked);
  equal("waiting tokens", queue.tokens(), world_.queue.tokens());
  equal("held", SchedulerPeer::held(scheduler_), world_.held);
  equal("waiting in all", scheduler_.waiting_requests(),
        world_.held + world_.queue.entries().size() - forked);
  queue.each([this](const Sequence& sequence) {
    const auto& entries = world_.queue.entries();
    const auto found = std::find_if(entries.begin(), entries.end(), [&](const auto& entry) {
      return entry.story->ticket == sequence.group->ticket && entry.choice == sequence.choice;
    });
    if (found == entries.end()) {
      return world_.fault.report("ticket {}.{} waits", sequence.group->ticket, sequence.choice);
    }
    equal("passes", sequence.passes, found->passes);
    equal("resumed", sequence.resumed, found->resumed);
    if (sequence.passes > world_.options().passes_max) {
      world_.fault.report("ticket {} was passed {} times", sequence.group->ticket, sequence.passes);
    }
    const double service = world_.queue.service(found->client());
    if (sequence.group->client->service != service) {
      world_.fault.report("client '{}' has had {}, expected {}", sequence.group->client->name,
                          sequence.group->client->service, service);
    }
  });
  std::optional<base::Nanoseconds> next;
  for (const Story* story : world_.alive) {
    for (const base::Nanoseconds deadline : {story->deadline, story->queue_deadline}) {
      if (deadline != 0 && (!next || deadline < *next)) next = deadline;
    }
  }
  if (scheduler_.next_deadline() != next) world_.fault.report("another deadline is the next");
}

void Audit::check_metrics() {
  const EngineMetrics& metrics = scheduler_.metrics();
  const Ledger& ledger = world_.ledger;
  equal("metrics: running", metrics.requests_running,
        world_.running.size() + world_.queue.forked());
  equal("metrics: waiting", metrics.requests_waiting,
        scheduler_.waiting_requests() + world_.suspended);
  equal("metrics: suspended", metrics.requests_suspended, world_.suspended);
  equal("metrics: pages", metrics.pages_total, world_.options().pages);
  equal("metrics: used", metrics.pages_used, pool_.used());
  equal("metrics: cached", metrics.pages_cached, pool_.idle());
  equal("metrics: finished", metrics.requests_finished, ledger.finished);
  equal("metrics: stopped", metrics.requests_stopped, ledger.stopped);
  equal("metrics: cancelled", metrics.requests_cancelled, ledger.cancelled);
  equal("metrics: failed", metrics.requests_failed, ledger.failed);
  equal("metrics: prompt tokens", metrics.prompt_tokens, ledger.prompt_tokens);
  equal("metrics: tokens", metrics.generation_tokens, ledger.generation_tokens);
  equal("metrics: preemptions", metrics.preemptions, ledger.preemptions);
  equal("metrics: queries", metrics.prefix_queries, ledger.prefix_queries);
  equal("metrics: hits", metrics.prefix_hits, ledger.prefix_hits);
  equal("metrics: guesses", metrics.guessed_tokens, ledger.guessed);
  equal("metrics: accepted", metrics.accepted_tokens, ledger.accepted);
  equal("metrics: steps", metrics.steps, ledger.steps);
  equal("metrics: answers", metrics.answer_length.count(), ledger.finished);
  equal("metrics: prompts", metrics.prompt_length.count(), ledger.started);
  equal("metrics: first tokens", metrics.first_token_time.count(), ledger.first_tokens);
  const double seconds = 1e-9 * static_cast<double>(ledger.first_token_ns);
  if (std::abs(metrics.first_token_time.sum() - seconds) > 1e-9 + 1e-6 * seconds) {
    world_.fault.report("metrics: first tokens after {} s in all, expected {} s",
                        metrics.first_token_time.sum(), seconds);
  }
  world_.seen.note_if(metrics.pages_evicted > 0, Situation::kPageEvicted);
}

}  // namespace

void audit(World& world) {
  if (!world.fault.found()) Audit(world).run();
}

}  // namespace vsurge::engine::sim
