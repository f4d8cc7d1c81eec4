// ResponsesForm: responses and stream events of OpenAI's Responses API.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/answer.h"
#include "api/background.h"
#include "api/logprobs.h"
#include "api/response_store.h"
#include "api/service_core.h"

namespace vsurge::api {

// What is kept of a request until its response is whole.
struct ResponseFacts {
  boost::json::object echo;     // members of the response that tell of the request
  boost::json::array input;     // items of the request
  boost::json::array history;   // items before it
  std::string conversation_id;  // the items are added there
  std::string owner = {};       // of what is stored
  bool store = true;
  std::string id = {};                           // of the response
  std::shared_ptr<BackgroundRun> run = nullptr;  // where it goes on without its client
};

// One prompt with one choice. Stores the response before its end is told.
class ResponsesForm final : public AnswerForm {
 public:
  ResponsesForm(ServiceCore& core, ResponseFacts facts);

  void stream_begin(Answer& answer, std::string& out) override;
  void stream_choice(Answer& answer, std::size_t prompt, std::size_t choice,
                     std::string& out) override;
  void stream_end(Answer& answer, std::string& out) override;
  void stream_error(Answer& answer, const ApiError& error, std::string& out) override;
  std::string whole(Answer& answer) override;
  void abandoned(Answer& answer) override;
  std::shared_ptr<BackgroundRun> background() const override { return facts_.run; }

 private:
  struct Item {
    OutputEvent::Kind kind = OutputEvent::Kind::kContent;  // kCallBegin for a call
    std::string id;
    std::string text;  // or arguments
    std::string name, call_id;
    std::string logprobs;  // of its text, elements of a list
    bool done = false;
  };
  // A piece of output, and the logprobs of its tokens as a list.
  void take(const OutputEvent& event, std::string* out, std::string_view logprobs = "[]");
  void take_part(Answer& answer, std::size_t prompt, std::size_t choice, std::string* out);
  void tell_progress(const Answer& answer, std::string& out);
  void open_item(const OutputEvent& event, std::string* out);
  void close_item(bool cut, std::string* out);
  void event(std::string& out, std::string_view type, std::string_view members);
  std::string place(bool with_content) const;
  static std::string item_json(const Item& item, bool cut);
  void set_object(std::string object, bool final);
  std::string response_json(const Answer& answer, std::string_view status,
                            const ApiError* error) const;
  std::string_view end_status(const Answer& answer) const;
  void store(const std::string& object);

  ServiceCore& core_;
  ResponseFacts facts_;
  std::string id_;
  std::vector<Item> items_;  // the last may be open
  LogprobsJson logprobs_;
  bool in_progress_ = false;  // it is told so, in the background
  std::int64_t sequence_ = 0;
  bool obfuscation_ = false;
};

}  // namespace vsurge::api
