#include "base/side_thread.h"

#include <atomic>
#include <thread>

#include "base/error.h"

namespace vsurge::base {

struct SideThread::State {
  enum Turn : int { kIdle, kJob, kStop };

  std::atomic<int> turn{kIdle};
  void (*job)(void*) = nullptr;
  void* context = nullptr;
  std::thread thread;

  void run() {
    for (;;) {
      turn.wait(kIdle, std::memory_order_acquire);
      if (turn.load(std::memory_order_acquire) == kStop) return;
      job(context);
      turn.store(kIdle, std::memory_order_release);
      turn.notify_all();
    }
  }
};

SideThread::SideThread() : state_(std::make_unique<State>()) {
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

SideThread::~SideThread() {
  wait();
  state_->turn.store(State::kStop, std::memory_order_release);
  state_->turn.notify_all();
  state_->thread.join();
}

void SideThread::start(void (*job)(void*), void* context) {
  CHECK(state_->turn.load(std::memory_order_acquire) == State::kIdle);
  state_->job = job;
  state_->context = context;
  state_->turn.store(State::kJob, std::memory_order_release);
  state_->turn.notify_all();
}

void SideThread::wait() {
  while (state_->turn.load(std::memory_order_acquire) == State::kJob) {
    state_->turn.wait(State::kJob, std::memory_order_acquire);
  }
}

}  // namespace vsurge::base
