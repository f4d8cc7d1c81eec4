// What all models of the service share. Internal to api.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "api/api_error.h"
#include "api/background.h"
#include "api/model_set.h"
#include "api/request_metrics.h"
#include "api/response_store.h"
#include "api/service.h"
#include "base/clock.h"

namespace vsurge::api {

// Any thread. Requests hold it, and may outlive the service.
struct ServiceHub {
  explicit ServiceHub(ServiceOptions options_in, std::unique_ptr<ResponseStore> store_in = nullptr);

  const ServiceOptions options;
  const std::unique_ptr<ResponseStore> store_owner;
  ResponseStore& store = *store_owner;
  const base::SteadyClock clock;
  const base::Nanoseconds started = clock.now();

  ModelSet models;
  RequestMetrics metrics;  // of all requests
  BackgroundResponses background;
  std::atomic<bool> loading{false};
  std::atomic<bool> shutting_down{false};
  std::atomic<int> active_requests{0};           // completions and chats in work
  std::atomic<std::size_t> text_queue_bytes{0};  // bodies that wait for a text worker

  // To the metrics and all observers.
  void tell_ended(const RequestRecord& record);
  // error_headers(), with clients that were refused at the same time spread over some seconds.
  Headers error_headers(const ApiError& error);
  // The prefix and 24 hex digits, never the same twice.
  std::string new_id(std::string_view prefix);

 private:
  const std::uint64_t id_key_;
  std::atomic<std::uint64_t> id_count_{0};
  std::atomic<std::uint64_t> error_count_{0};
};

}  // namespace vsurge::api
