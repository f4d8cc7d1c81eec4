// The body of POST /v1/responses, checked.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <string>

#include "api/chat_request.h"

namespace vsurge::api {

struct ResponsesRequest {
  ChatRequest chat;          // but for its messages
  boost::json::array input;  // items of this request
  std::string instructions;
  std::string previous_id;      // of a response that this one goes on from
  std::string conversation_id;  // which it belongs to
  bool store = true;
  bool background = false;
  boost::json::object echo;  // what the response tells of the request
};

// The model's name is read, not compared.
ApiResult<ResponsesRequest> read_responses_request(const boost::json::value& body,
                                                   const RequestContext& context);

}  // namespace vsurge::api
