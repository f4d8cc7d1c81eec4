// TaskQueue: one thread that runs tasks in the order in which they came.
#pragma once

#include <functional>

namespace vsurge::api {

class TaskQueue {
 public:
  virtual ~TaskQueue() = default;
  virtual void post(std::function<void()> task) = 0;  // any thread
};

}  // namespace vsurge::api
