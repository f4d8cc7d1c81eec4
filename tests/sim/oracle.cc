#include "tests/sim/oracle.h"

#include <algorithm>
#include <limits>

namespace vsurge::engine::sim {

Oracle::Oracle(const Scenario& scenario, const Model& model, Stories& stories, Fault& fault)
    : scenario_(scenario),
      model_(model),
      stories_(stories),
      fault_(fault),
      size_(static_cast<std::size_t>(scenario.options.page_size)),
      slots_(size_ * static_cast<std::size_t>(scenario.options.pages)),
      poisoned_(static_cast<std::size_t>(scenario.options.pages), true) {}

Oracle::Part Oracle::part_of(const PlannedSequence& planned) {
  Story& story = *stories_.find(planned.ticket);
  Choice& choice = story.choices[static_cast<std::size_t>(planned.choice)];
  return {planned, story, choice, planned.first + static_cast<int>(planned.tokens.size()),
          static_cast<int>(choice.tokens.size())};
}

// The plan has passed Checks::plan: tickets, choices and ranges are right.
void Oracle::run(const StepPlan& plan, StepResult& result) {
  room_ = result.top;
  copy_pages(plan);
  for (const PlannedSequence& planned : plan.sequences) write(part_of(planned));
  if (fault_.found()) return;
  for (std::size_t i = 0; i < plan.sequences.size(); ++i) {
    const Part part = part_of(plan.sequences[i]);
    read(part, plan.step);
    if (fault_.found()) return;
    draw_rows(part, plan, result, i);
    pool(part, plan.step);
    if (!result.sequences[i]) result.sequences[i] = fault_of(status_of(part));
    if (result.sequences[i] && result.sequences[i]->code == kStatusFault) {
      part.choice.injected = true;
    }
  }
}

void Oracle::copy_pages(const StepPlan& plan) {
  for (const PageCopy& copy : plan.copies) {
    for (const PageCopy& other : plan.copies) {
      if (other.from == copy.to) fault_.report("page {} is copied from and to", copy.to);
      if (&other != &copy && other.to == copy.to) {
        fault_.report("two pages are copied to page {}", copy.to);
      }
    }
    const int pages = pool_->total();
    if (copy.from < 0 || copy.from >= pages || copy.to < 0 || copy.to >= pages) {
      return fault_.report("page {} is copied to {} of {}", copy.from, copy.to, pages);
    }
    if (pool_->holders(copy.from) < 1) fault_.report("copied page {} is free", copy.from);
    if (pool_->holders(copy.to) != 1 || cache_->contains(copy.to)) {
      fault_.report("page {} is copied over, but is shared", copy.to);
    }
    if (slot(copy.from, 0).token < 0) fault_.report("page {} is copied, but empty", copy.from);
    const auto from = slots_.begin() +
                      static_cast<std::ptrdiff_t>(copy.from) * static_cast<std::ptrdiff_t>(size_);
    std::copy(
        from, from + static_cast<std::ptrdiff_t>(size_),
        slots_.begin() + static_cast<std::ptrdiff_t>(copy.to) * static_cast<std::ptrdiff_t>(size_));
    poisoned_[static_cast<std::size_t>(copy.to)] = false;
  }
}

// A page that is written to has one owner, and nobody else can have found it.
bool Oracle::may_write(const Part& part, std::int32_t page) {
  if (page < 0 || page >= pool_->total()) {
    fault_.report("ticket {} writes to page {}", part.planned.ticket, page);
    return false;
  }
  if (pool_->holders(page) != 1) {
    fault_.report("ticket {} writes to page {} of {} holders", part.planned.ticket, page,
                  pool_->holders(page));
  }
  if (cache_->contains(page)) {
    fault_.report("ticket {} writes to page {} that is in the cache", part.planned.ticket, page);
  }
  poisoned_[static_cast<std::size_t>(page)] = false;
  return true;
}

void Oracle::write(const Part& part) {
  Chain chain = part.planned.first > 0
                    ? part.choice.chain[static_cast<std::size_t>(part.planned.first) - 1]
                    : part.story.root;
  std::int32_t page = -1;
  for (int position = part.planned.first; position < part.end; ++position) {
    const auto place = static_cast<std::size_t>(position);
    const TokenId token = part.planned.tokens[place - static_cast<std::size_t>(part.planned.first)];
    if (position < part.known && token != part.choice.tokens[place]) {
      return fault_.report("ticket {} computes token {} at {}, its own is {}", part.planned.ticket,
                           token, position, part.choice.tokens[place]);
    }
    if (page < 0 || place % size_ == 0) {
      page = part.planned.pages[place / size_];
      if (!may_write(part, page)) return;
    }
    chain = chain_after(chain, token);
    slots_[static_cast<std::size_t>(page) * size_ + place % size_] = {chain, token, position,
                                                                      weights_, false};
  }
}

// All keys that any of its queries can see, up to its first: the rest it has just written.
void Oracle::read(const Part& part, std::uint64_t step) {
  const int window = scenario_.options.window;
  int position = window > 0 ? std::max(0, part.planned.first - window + 1) : 0;
  const bool is_new = part.choice.admitted_step == step;
  while (position < part.planned.first) {
    const std::size_t index = static_cast<std::size_t>(position) / size_;
    const int page_end = std::min(static_cast<int>((index + 1) * size_), part.planned.first);
    const std::int32_t page = part.planned.pages[index];
    if (page < 0 || page >= pool_->total()) {
      return fault_.report("ticket {} reads page {} at {}", part.planned.ticket, page, position);
    }
    for (; position < page_end; ++position) {
      const Slot& slot = slots_[static_cast<std::size_t>(page) * size_ +
                                static_cast<std::size_t>(position) % size_];
      if (slot.chain != part.choice.chain[static_cast<std::size_t>(position)]) {
        return fault_.report(
            "ticket {}.{} reads page {} at {}: expected token {}, found {} of position {} ({})",
            part.planned.ticket, part.planned.choice, page, position,
            part.choice.tokens[static_cast<std::size_t>(position)], slot.token, slot.position,
            slot.token < 0 ? "never written" : "other text or beginning");
      }
      if (is_new) check_age(part, slot);
    }
  }
}

// From the slots, as a model would.
void Oracle::pool(const Part& part, std::uint64_t step) {
  Pooled* pooled = part.planned.pooled;
  if (pooled == nullptr) return;
  const auto slot_at = [&](int position) -> const Slot& {
    const auto place = static_cast<std::size_t>(position);
    return slot(part.planned.pages[place / size_], static_cast<int>(place % size_));
  };
  if (!pooled->logits_of().empty()) {
    if (part.planned.rows == 0) return;
    std::vector<float> logits;
    for (const TokenId token : pooled->logits_of()) {
      logits.push_back(Model::pooled_logit(slot_at(part.end - 1).chain, token));
    }
    return pooled->add_logits(logits);
  }
  const RequestSpec& spec = *part.story.spec;
  if (part.end == part.known && spec.fault == FaultKind::kNotFinite &&
      Model::is_pooled(part.story, spec.fault_at)) {
    part.choice.unsound_step = step;
  }
  for (int position = part.planned.first; position < part.end; ++position) {
    if (!pooled->wants(position)) continue;
    auto state = Model::state_of(slot_at(position).chain);
    if (Model::fails_at(part.story, 0, position, FaultKind::kNotFinite)) {
      state[0] = std::numeric_limits<float>::quiet_NaN();
    }
    pooled->add(position, state);
  }
}

// After the cache was cleared nobody finds what was computed before. Choices of one request share
// by right.
void Oracle::check_age(const Part& part, const Slot& slot) {
  if (slot.weights == weights_ || part.story.choices.size() > 1) return;
  fault_.report("ticket {} finds what was computed before the cache was cleared",
                part.planned.ticket);
}

void Oracle::check_row(const Part& part, const kernels::SampleRow& row, int position) {
  const SamplingParams& sampling = part.story.spec->sampling;
  const bool scored = position + 1 < part.story.prompt;
  if (row.position != static_cast<std::uint64_t>(position) + 1) {
    fault_.report("ticket {} has a row for {} instead of {}", part.planned.ticket, row.position,
                  position + 1);
  }
  const TokenId wanted =
      scored ? part.choice.tokens[static_cast<std::size_t>(position) + 1] : TokenId{-1};
  const Alternatives named = alternatives_of(sampling).value_or(Alternatives{});
  const int logprobs = part.story.search ? search_row_logprobs(part.story)
                       : scored          ? sampling.prompt_logprobs.value_or(-2)
                                         : named.count;
  if (row.scored_token != wanted || row.logprobs != logprobs) {
    fault_.report("ticket {} at {}: the row scores {} with {} logprobs, expected {} with {}",
                  part.planned.ticket, position, row.scored_token, row.logprobs, wanted, logprobs);
  }
  const bool same = row.told_tokens == nullptr
                        ? scored || named.tokens == nullptr
                        : !scored && std::equal(row.told_tokens, row.told_tokens + row.logprobs,
                                                sampling.logprob_token_ids.begin(),
                                                sampling.logprob_token_ids.end());
  if (!same) fault_.report("ticket {} at {}: other tokens are told", part.planned.ticket, position);
  if (Model::draw_of(row) != part.choice.draw) {
    fault_.report("ticket {}.{}: the row has other parameters", part.planned.ticket,
                  part.planned.choice);
  }
}

void Oracle::draw_rows(const Part& part, const StepPlan& plan, StepResult& result,
                       std::size_t index) {
  std::array<std::uint32_t, (kVocabularyMax + 31) / 32> mask{};
  const bool masked = part.planned.constraint != nullptr && part.planned.samples;
  if (masked) result.sequences[index] = fault_of(part.planned.constraint->fill_mask(mask));
  for (int i = 0; i < part.planned.rows; ++i) {
    const auto at = static_cast<std::size_t>(part.planned.first_row + i);
    const kernels::SampleRow row = plan.rows[at].sample_row();
    const int position = part.end - part.planned.rows + i;
    check_row(part, row, position);
    const bool last = i + 1 == part.planned.rows;
    const auto room = static_cast<std::size_t>(std::max(0, row.logprobs));
    if (room > room_.size()) return fault_.report("no room for {} alternatives", room);
    result.rows[at] = draw(part, row, position, masked && last ? mask.data() : nullptr);
    room_ = room_.subspan(room);
    if (result.rows[at].status != kernels::SampleStatus::kNotFinite) continue;
    part.choice.unsound_step = plan.step;
    const auto place = static_cast<std::size_t>(position);
    const auto page = static_cast<std::size_t>(part.planned.pages[place / size_]);
    slots_[page * size_ + place % size_].unsound = true;
  }
}

kernels::SampleResult Oracle::draw(const Part& part, const kernels::SampleRow& row, int position,
                                   const std::uint32_t* mask) const {
  const auto fails = [&](FaultKind kind) {
    return part.planned.pooled == nullptr &&
           Model::fails_at(part.story, part.planned.choice, position + 1, kind);
  };
  kernels::SampleResult failed{};
  failed.token = -1;
  if (fails(FaultKind::kNotFinite)) {
    failed.status = kernels::SampleStatus::kNotFinite;
    return failed;
  }
  if (fails(FaultKind::kNothingAllowed)) {
    failed.status = kernels::SampleStatus::kNothingAllowed;
    return failed;
  }
  const auto place = static_cast<std::size_t>(position);
  const Slot& last = slot(part.planned.pages[place / size_], static_cast<int>(place % size_));
  if (part.story.search) return draw_search(part, last, row);
  TokenId token = row.scored_token;
  if (token < 0) {
    const std::uint64_t draw = Model::draw_at(Model::draw_of(row), row.position);
    token = part.story.edited ? edited_token(last, row, draw, mask)
                              : model_.plain_token(last.chain, last.token, draw);
    if (token < 0) {
      failed.status = kernels::SampleStatus::kNothingAllowed;
      return failed;
    }
    if (fails(FaultKind::kBadToken)) token = scenario_.options.vocabulary + part.planned.choice;
  }
  return Model::scores(last.chain, token, {row.logprobs, row.told_tokens},
                       scenario_.options.vocabulary, room_.data());
}

kernels::SampleResult Oracle::draw_search(const Part& part, const Slot& last,
                                          const kernels::SampleRow& row) const {
  const auto likeliest = likeliest_after(last.chain, scenario_.options.vocabulary);
  const auto count = std::min(static_cast<std::size_t>(row.logprobs), likeliest.size());
  std::copy_n(likeliest.begin(), count, room_.begin());
  kernels::SampleResult result{};
  const int position = part.known;
  if (Model::fails_at(part.story, part.planned.choice, position, FaultKind::kBadToken)) {
    room_.front().token = scenario_.options.vocabulary + part.planned.choice;
  }
  result.token = room_.front().token;
  result.top = room_.data();
  result.top_count = static_cast<std::int32_t>(count);
  return result;
}

// As kernels/sample.h says.
TokenId Oracle::edited_token(const Slot& slot, const kernels::SampleRow& row, std::uint64_t draw,
                             const std::uint32_t* mask) const {
  constexpr float kBanned = -std::numeric_limits<float>::infinity();
  const int vocabulary = scenario_.options.vocabulary;
  std::array<float, kVocabularyMax> logits;
  for (TokenId token = 0; token < vocabulary; ++token) {
    logits[static_cast<std::size_t>(token)] = Model::logit(slot.chain, draw, token);
  }
  const auto apply = [&](const kernels::LogitEdit* edits, int count) {
    std::uint64_t seen = 0;
    for (int i = 0; i < count; ++i) {
      const kernels::LogitEdit& edit = edits[i];
      if (edit.token < 0 || edit.token >= vocabulary || (seen >> edit.token & 1) != 0) {
        return fault_.report("token {} is edited twice", edit.token);
      }
      seen |= std::uint64_t{1} << edit.token;
      float& logit = logits[static_cast<std::size_t>(edit.token)];
      logit += edit.bias;
      logit = logit > 0 ? logit / edit.repetition : logit * edit.repetition;
      logit -= edit.subtract;
    }
  };
  apply(row.edits, row.edits_count);
  apply(row.step_edits, row.step_edits_count);
  const auto allows = [](const std::uint32_t* words, TokenId token) {
    return words == nullptr || (words[token / 32] >> (token % 32) & 1) != 0;
  };
  TokenId best = -1;
  for (TokenId token = 0; token < vocabulary; ++token) {
    const float value = logits[static_cast<std::size_t>(token)];
    if (value == kBanned || !allows(mask, token) || !allows(row.allowed_tokens, token)) continue;
    if (best < 0 || value > logits[static_cast<std::size_t>(best)]) best = token;
  }
  return best;
}

base::Status Oracle::status_of(const Part& part) const {
  const RequestSpec& spec = *part.story.spec;
  if (spec.fault == FaultKind::kNone || spec.fault_choice != part.planned.choice) return {};
  const bool in_row =
      spec.fault == FaultKind::kRowStatus && part.planned.samples && part.known == spec.fault_at;
  const bool in_chunk = spec.fault == FaultKind::kChunkStatus &&
                        part.planned.first <= spec.fault_at && spec.fault_at < part.end;
  if (!in_row && !in_chunk) return {};
  return base::fail(kStatusFault, "planted");
}

void Oracle::poison_free_pages() {
  for (std::int32_t page = 0; page < pool_->total(); ++page) {
    const auto index = static_cast<std::size_t>(page);
    if (poisoned_[index] || pool_->holders(page) > 0 || pool_->is_idle(page)) continue;
    poisoned_[index] = true;
    std::fill_n(slots_.begin() + static_cast<std::ptrdiff_t>(index * size_), size_, Slot{});
  }
}

}  // namespace vsurge::engine::sim
