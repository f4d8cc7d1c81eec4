// A runner that knows what every slot of the KV cache holds, and checks every page it is told to
// read or write.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "engine/page_pool.h"
#include "engine/prefix_cache.h"
#include "tests/sim/model.h"

namespace vsurge::engine::sim {

// The first fault of a run.
class Fault {
 public:
  template <class... Args>
  void report(fmt::format_string<Args...> format, Args&&... args) {
    if (text_.empty()) text_ = fmt::format(format, std::forward<Args>(args)...);
  }
  bool found() const { return !text_.empty(); }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// By ticket: 1, 2, 3 ...
class Stories {
 public:
  Story& add(Story story) { return stories_.emplace_back(std::move(story)); }
  Story* find(Ticket ticket) {
    return ticket >= 1 && ticket <= stories_.size() ? &stories_[ticket - 1] : nullptr;
  }
  Ticket next_ticket() const { return stories_.size() + 1; }
  std::size_t size() const { return stories_.size(); }
  auto begin() { return stories_.begin(); }
  auto end() { return stories_.end(); }

 private:
  std::deque<Story> stories_;
};

// The next token is a hash of all tokens before it and of all that decides the row, as found in
// the slots through the tables of the plan: a wrong token, page, position, order or parameter
// anywhere changes all that follows.
class Oracle final : public StepRunner {
 public:
  struct Slot {
    Chain chain = 0;
    TokenId token = -1;  // -1 = worth nothing
    std::int32_t position = -1;
    std::uint32_t weights = 0;  // of which it was computed
    bool unsound = false;       // its logits were not finite
  };

  Oracle(const Scenario& scenario, const Model& model, Stories& stories, Fault& fault);
  void watch(const PagePool& pool, const PrefixCache& cache) {
    pool_ = &pool;
    cache_ = &cache;
  }

  // Copies, then writes all slots of the step, then reads all pages of every sequence as attention
  // would, then draws.
  void run(const StepPlan& plan, StepResult& result) override;
  // What a free page holds must not be read by anyone.
  void poison_free_pages();
  // What was computed so far must not be shared with anyone who comes later.
  void change_weights() { ++weights_; }
  std::uint32_t weights() const { return weights_; }
  const Slot& slot(std::int32_t page, int offset) const {
    return slots_[static_cast<std::size_t>(page) * size_ + static_cast<std::size_t>(offset)];
  }

 private:
  // One planned sequence.
  struct Part {
    const PlannedSequence& planned;
    Story& story;
    Choice& choice;
    int end;    // of its tokens
    int known;  // tokens that are no guesses
  };

  void copy_pages(const StepPlan& plan);
  void write(const Part& part);
  bool may_write(const Part& part, std::int32_t page);
  void read(const Part& part, std::uint64_t step);
  void pool(const Part& part, std::uint64_t step);
  void check_age(const Part& part, const Slot& slot);
  void draw_rows(const Part& part, const StepPlan& plan, StepResult& result, std::size_t index);
  void check_row(const Part& part, const kernels::SampleRow& row, int position);
  kernels::SampleResult draw(const Part& part, const kernels::SampleRow& row, int position,
                             const std::uint32_t* mask) const;
  kernels::SampleResult draw_search(const Part& part, const Slot& last,
                                    const kernels::SampleRow& row) const;
  TokenId edited_token(const Slot& slot, const kernels::SampleRow& row, std::uint64_t draw,
                       const std::uint32_t* mask) const;
  base::Status status_of(const Part& part) const;
  Part part_of(const PlannedSequence& planned);

  const Scenario& scenario_;
  const Model& model_;
  Stories& stories_;
  Fault& fault_;
  const PagePool* pool_ = nullptr;
  const PrefixCache* cache_ = nullptr;
  const std::size_t size_;  // of a page
  std::vector<Slot> slots_;
  std::vector<bool> poisoned_;
  std::span<kernels::TopLogprob> room_;  // for the alternatives of the rows to come
  std::uint32_t weights_ = 0;
};

}  // namespace vsurge::engine::sim
