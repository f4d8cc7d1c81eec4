#include "api/responses.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <memory>
#include <utility>

#include "api/chat.h"
#include "api/guard.h"
#include "api/json.h"
#include "api/response_items.h"
#include "api/responses_form.h"
#include "api/responses_request.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;
using base::ErrorCode;

std::unexpected<ApiError> not_stored(std::string_view what, std::string_view id,
                                     std::string param = {}) {
  ApiError error =
      from_base({ErrorCode::kRouteNotFound,
                 fmt::format("The {} {} is not stored here.", what, in_quotes(id)), ""});
  error.param = std::move(param);
  return std::unexpected(std::move(error));
}

// One that is not whole yet is not in the store.
ApiResult<StoredResponse> find_response(const StoredCall& call, std::string param = {}) {
  const auto run = call.hub.background.find(call.id);
  if (run != nullptr && !run->is_final() && may_see(call.key, run->owner())) {
    return run->response();
  }
  auto found = VSURGE_TRY(as_api(call.hub.store.response(call.id)));
  if (!found || !may_see(call.key, found->owner)) {
    return not_stored("response", call.id, std::move(param));
  }
  return std::move(*found);
}

ApiResult<StoredConversation> find_conversation(const StoredCall& call, std::string param = {}) {
  auto found = VSURGE_TRY(as_api(call.hub.store.conversation(call.id)));
  if (!found || !may_see(call.key, found->owner)) {
    return not_stored("conversation", call.id, std::move(param));
  }
  return std::move(*found);
}

void append_all(json::array& to, const json::value& from) {
  for (const json::value& each : from.get_array()) to.push_back(each);
}

// Items before those of the request.
ApiResult<json::array> past_items(const PrepareCall& call, const ResponsesRequest& request) {
  json::array out;
  if (!request.previous_id.empty()) {
    const auto run = call.core.hub.background.find(request.previous_id);
    const StoredResponse previous = VSURGE_TRY(
        find_response({call.core.hub, request.previous_id, call.key}, "previous_response_id"));
    if (run != nullptr && !run->is_final()) {
      return bad_value("previous_response_id", fmt::format("The response {} is not whole yet.",
                                                           in_quotes(request.previous_id)));
    }
    append_all(out, json::parse(previous.history));
    append_all(out, json::parse(previous.output));
  } else if (!request.conversation_id.empty()) {
    const StoredConversation conversation = VSURGE_TRY(
        find_conversation({call.core.hub, request.conversation_id, call.key}, "conversation"));
    append_all(out, json::parse(conversation.items));
  }
  return out;
}

ApiResult<PreparedRequest> prepare(const PrepareCall& call) {
  const json::value body = VSURGE_TRY(parse_json(call.body, call.core.hub.options.json));
  std::vector<std::string> ignored;
  ResponsesRequest request =
      VSURGE_TRY(read_responses_request(body, request_context(call.core, ignored)));
  json::array history = VSURGE_TRY(past_items(call, request));
  ResponseFacts facts{.echo = std::move(request.echo),
                      .input = std::move(request.input),
                      .history = std::move(history),
                      .conversation_id = request.conversation_id,
                      .owner = owner_of(call.key),
                      .store = request.store,
                      .id = call.core.new_id("resp_")};
  json::array all = facts.history;
  for (const json::value& each : facts.input) all.push_back(each);
  if (all.empty()) return missing("input");
  request.chat.messages_json = VSURGE_TRY(messages_of_items(all, request.instructions));
  PreparedRequest out = VSURGE_TRY(prepare_chat_request(call, std::move(request.chat), "input"));
  if (request.background) {
    facts.run = call.core.hub.background.make({.id = facts.id,
                                               .owner = facts.owner,
                                               .object = {},
                                               .input = json::serialize(facts.input),
                                               .history = "[]",
                                               .output = "[]"},
                                              out.generation.stream);
    out.generation.stream = true;
  }
  out.form = std::make_unique<ResponsesForm>(call.core, std::move(facts));
  out.ignored = std::move(ignored);
  return out;
}

// {"object":"list","data":[...]}; OpenAI's lists name their first and last.
std::string list_json(const json::array& items) {
  const auto id_of = [](const json::value& item) {
    const json::value* id = item.get_object().if_contains("id");
    return id == nullptr ? json::value(nullptr) : *id;
  };
  return json::serialize(
      json::object{{"object", "list"},
                   {"data", items},
                   {"first_id", items.empty() ? json::value(nullptr) : id_of(items.front())},
                   {"last_id", items.empty() ? json::value(nullptr) : id_of(items.back())},
                   {"has_more", false}});
}

// Items of input have no ids of their own until they are told.
json::array with_ids(ServiceHub& hub, json::array items) {
  for (json::value& each : items) {
    json::object& item = each.get_object();
    if (item.contains("id")) continue;
    const bool message = item.at("type") == "message";
    item["id"] = hub.new_id(message ? "msg_" : "item_");
    if (!item.contains("status")) item["status"] = "completed";
  }
  return items;
}

std::string conversation_json(const StoredConversation& conversation) {
  return json::serialize(json::object{{"id", conversation.id},
                                      {"object", "conversation"},
                                      {"created_at", conversation.created},
                                      {"metadata", json::parse(conversation.metadata)}});
}

std::string deleted_json(std::string_view id, std::string_view object) {
  return json::serialize(json::object{{"id", id}, {"object", object}, {"deleted", true}});
}

ApiResult<std::string> erase_response(const StoredCall& call) {
  VSURGE_TRY(find_response(call));
  const auto run = call.hub.background.find(call.id);
  const bool unfinished = run != nullptr && !run->is_final();
  if (run != nullptr) run->erase();
  if (unfinished) return deleted_json(call.id, "response");
  if (!VSURGE_TRY(as_api(call.hub.store.erase_response(call.id)))) {
    return not_stored("response", call.id);
  }
  return deleted_json(call.id, "response");
}

ApiResult<std::string> response_input_items(const StoredCall& call) {
  const StoredResponse response = VSURGE_TRY(find_response(call));
  return list_json(with_ids(call.hub, json::parse(response.input).get_array()));
}

ApiResult<std::string> erase_conversation(const StoredCall& call) {
  VSURGE_TRY(find_conversation(call));
  if (!VSURGE_TRY(as_api(call.hub.store.erase_conversation(call.id)))) {
    return not_stored("conversation", call.id);
  }
  return deleted_json(call.id, "conversation.deleted");
}

ApiResult<std::string> conversation_items(const StoredCall& call) {
  const StoredConversation conversation = VSURGE_TRY(find_conversation(call));
  return list_json(with_ids(call.hub, json::parse(conversation.items).get_array()));
}

}  // namespace

const GenerationEndpoint kResponsesEndpoint = {"responses", "input", prepare, error_json};

ApiResult<std::string> count_response_tokens(const PrepareCall& call) {
  const PreparedRequest prepared = VSURGE_TRY(prepare(call));
  return fmt::format(R"({{"object":"response.input_tokens","input_tokens":{}}})",
                     prepared.prompts.front().ids.size());
}

std::span<const PlainField> conversation_fields() {
  static constexpr PlainField kFields[] = {{"items"}, {"metadata"}};
  return kFields;
}

ApiResult<std::string> create_conversation(ServiceHub& hub, std::string_view body,
                                           const access::ApiKey* key) {
  json::value parsed = json::object();
  if (!body.empty()) parsed = VSURGE_TRY(parse_object(hub, body));
  const json::object& object = parsed.get_object();
  VSURGE_TRY(check_plain_fields(object, conversation_fields()));
  StoredConversation conversation;
  conversation.id = hub.new_id("conv_");
  conversation.owner = owner_of(key);
  conversation.created = base::unix_seconds();
  const json::value* metadata = object.if_contains("metadata");
  if (metadata != nullptr && !metadata->is_null() && !metadata->is_object()) {
    return wrong_type("metadata", "an object", type_name(*metadata));
  }
  conversation.metadata =
      metadata == nullptr || metadata->is_null() ? "{}" : json::serialize(*metadata);
  json::array items;
  if (const json::value* given = object.if_contains("items");
      given != nullptr && !given->is_null()) {
    items = VSURGE_TRY(read_input_items(*given, hub.options.json));
  }
  conversation.items = json::serialize(with_ids(hub, std::move(items)));
  std::string out = conversation_json(conversation);
  if (const auto status = hub.store.put(std::move(conversation)); !status) {
    return std::unexpected(from_base(status.error()));
  }
  return out;
}

ApiResult<std::shared_ptr<BackgroundRun>> run_to_cancel(const StoredCall& call) {
  const StoredResponse found = VSURGE_TRY(find_response(call));
  const auto run = call.hub.background.find(call.id);
  if (run != nullptr && !run->is_final()) return run;
  const json::value object = json::parse(found.object);
  const json::value* background = object.get_object().if_contains("background");
  if (background != nullptr && *background == true) return nullptr;
  return bad_value("response_id",
                   "Only responses made with 'background': true can be cancelled; to stop another, "
                   "close its connection.");
}

ApiResult<WantedEvents> events_of_store(const StoredCall& call, std::string_view query) {
  const auto wanted = read_stream_query(query);
  if (!wanted) {
    return bad_value("starting_after", "'starting_after' must be the number of an event.");
  }
  if (!wanted->stream) return WantedEvents{};
  VSURGE_TRY(find_response(call));
  auto run = call.hub.background.find(call.id);
  if (run == nullptr) {
    return bad_value("stream",
                     "Events are kept of responses made with 'background': true alone, and for a "
                     "while; send this request without 'stream'.");
  }
  return WantedEvents{std::move(run), wanted->first};
}

ApiResult<std::string> answer_of_store(Target target, const StoredCall& call) {
  switch (target) {
    case Target::kResponse:
      return VSURGE_TRY(find_response(call)).object;
    case Target::kResponseErase:
      return erase_response(call);
    case Target::kResponseCancel:  // of one that has ended
      return VSURGE_TRY(find_response(call)).object;
    case Target::kResponseItems:
      return response_input_items(call);
    case Target::kConversation:
      return conversation_json(VSURGE_TRY(find_conversation(call)));
    case Target::kConversationErase:
      return erase_conversation(call);
    case Target::kConversationItems:
      return conversation_items(call);
    default:
      CHECK(false, "not a route of the store");
  }
}

}  // namespace vsurge::api
