#include "api/messages.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "api/chat_request.h"

namespace vsurge::api {
namespace {

namespace json = boost::json;

std::string read(std::string_view messages) {
  const auto result = read_messages(json::parse(messages), {});
  return result ? *result : result.error().code + " " + result.error().param;
}

constexpr std::string_view kCall =
    R"({"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function",)"
    R"("function":{"name":"f","arguments":"{\"a\": 1.0}"}}]})";

std::string after_call(std::string_view message) {
  return fmt::format(R"([{},{}])", kCall, message);
}

TEST(Messages, RolesAndContent) {
  EXPECT_EQ(read(R"([{"role":"system","content":"s"},{"role":"developer","content":"d"},
                     {"role":"user","name":"me","content":"u\n\"😀"},
                     {"content":"a","role":"assistant"}])"),
            R"([{"role":"system","content":"s"},{"role":"developer","content":"d"},)"
            R"({"role":"user","content":"u\n\"😀","name":"me"},)"
            R"({"role":"assistant","content":"a"}])");
  EXPECT_EQ(read(R"([{"role":"user","content":[{"type":"text","text":"a\""},
                                               {"text":"b","type":"text"}]}])"),
            R"([{"role":"user","content":"a\"\nb"}])");
  EXPECT_EQ(read(R"([{"role":"user","content":""}])"), R"([{"role":"user","content":""}])");
}

TEST(Messages, ToolCalls) {
  EXPECT_EQ(read(after_call(R"({"role":"tool","tool_call_id":"c1","content":"42"})")),
            R"([{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function",)"
            R"("function":{"name":"f","arguments":{"a":1.0}}}]},)"
            R"({"role":"tool","content":"42","tool_call_id":"c1"}])");
  // Cut by a length limit, or not an object: as it came.
  for (const auto& [arguments, shown] : std::vector<std::pair<std::string, std::string>>{
           {R"({\"a\": )", R"("{\"a\": ")"}, {"", R"("")"}, {"[1]", R"("[1]")"}}) {
    EXPECT_EQ(read(fmt::format(R"([{{"role":"assistant","tool_calls":[{{"id":"c","function":)"
                               R"({{"name":"f","arguments":"{}"}}}}]}}])",
                               arguments)),
              fmt::format(R"([{{"role":"assistant","tool_calls":[{{"id":"c","type":"function",)"
                          R"("function":{{"name":"f","arguments":{}}}}}]}}])",
                          shown));
  }
}

TEST(Messages, WhatClientsSendBack) {
  EXPECT_EQ(read(R"([{"role":"assistant","content":"a","refusal":null,"annotations":[],
                      "audio":null,"function_call":null,"tool_calls":null}])"),
            R"([{"role":"assistant","content":"a"}])");
  EXPECT_EQ(read(R"([{"role":"assistant","content":"a","tool_calls":[],"reasoning":"r"}])"),
            R"([{"role":"assistant","content":"a","reasoning_content":"r"}])");
  EXPECT_EQ(read(R"([{"role":"assistant","content":"a",
                      "provider_specific_fields":{"refusal":null}}])"),
            R"([{"role":"assistant","content":"a"}])");
}

TEST(Messages, Refused) {
  const std::pair<std::string_view, std::string_view> rows[] = {
      {"{}", "invalid_type messages"},
      {"[]", "invalid_value messages"},
      {"[1]", "invalid_type messages[0]"},
      {R"([{"role":"user","content":"a","provider_specific_fields":{}}])",
       "unknown_parameter messages[0].provider_specific_fields"},
      {"[{}]", "missing_required_parameter messages[0].role"},
      {R"([{"role":1,"content":"x"}])", "invalid_type messages[0].role"},
      {R"([{"role":"function","content":"x"}])", "invalid_value messages[0].role"},
      {R"([{"role":"User","content":"x"}])", "invalid_value messages[0].role"},
      {R"([{"role":"user"}])", "missing_required_parameter messages[0].content"},
      {R"([{"role":"user","content":null}])", "invalid_type messages[0].content"},
      {R"([{"role":"assistant","content":null}])", "invalid_type messages[0].content"},
      {R"([{"role":"assistant","content":null,"tool_calls":[]}])",
       "invalid_type messages[0].content"},
      {R"([{"role":"user","content":7}])", "invalid_type messages[0].content"},
      {R"([{"role":"user","content":{}}])", "invalid_type messages[0].content"},
      {R"([{"role":"user","content":[]}])", "invalid_value messages[0].content"},
      {R"([{"role":"user","content":["x"]}])", "invalid_type messages[0].content[0]"},
      {R"([{"role":"user","content":[{"text":"x"}]}])",
       "missing_required_parameter messages[0].content[0].type"},
      {R"([{"role":"user","content":[{"type":"text"}]}])",
       "missing_required_parameter messages[0].content[0].text"},
      {R"([{"role":"user","content":[{"type":"text","text":1}]}])",
       "invalid_type messages[0].content[0].text"},
      {R"([{"role":"user","content":[{"type":"text","text":"x"},
           {"type":"image_url","image_url":{"url":"file:///etc/passwd"}}]}])",
       "unsupported_value messages[0].content[1].type"},
      {R"([{"role":"user","content":[{"type":"text","text":"x","cache":1}]}])",
       "unknown_parameter messages[0].content[0].cache"},
      {R"([{"role":"user","content":"x","name":1}])", "invalid_type messages[0].name"},
      {R"([{"role":"user","content":"x","nme":"a"}])", "unknown_parameter messages[0].nme"},
      {R"([{"role":"user","content":"x","tool_calls":[]}])",
       "unknown_parameter messages[0].tool_calls"},
      {R"([{"role":"user","content":"x","tool_call_id":"c"}])",
       "unknown_parameter messages[0].tool_call_id"},
      {R"([{"role":"assistant","content":"x","audio":{"id":"a"}}])",
       "unsupported_value messages[0].audio"},
      {R"([{"role":"assistant","content":"x","reasoning_content":1}])",
       "invalid_type messages[0].reasoning_content"},
      {R"([{"role":"tool","content":"x"}])", "missing_required_parameter messages[0].tool_call_id"},
      {R"([{"role":"tool","content":"x","tool_call_id":"c"}])",
       "invalid_value messages[0].tool_call_id"},
      {R"([{"role":"assistant","tool_calls":{}}])", "invalid_type messages[0].tool_calls"},
      {R"([{"role":"assistant","tool_calls":[1]}])", "invalid_type messages[0].tool_calls[0]"},
      {R"([{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":""}}]}])",
       "missing_required_parameter messages[0].tool_calls[0].id"},
      {R"([{"role":"assistant","tool_calls":[{"id":"c","type":"custom"}]}])",
       "unsupported_value messages[0].tool_calls[0].type"},
      {R"([{"role":"assistant","tool_calls":[{"id":"c"}]}])",
       "missing_required_parameter messages[0].tool_calls[0].function"},
      {R"([{"role":"assistant","tool_calls":[{"id":"c","function":{"arguments":""}}]}])",
       "missing_required_parameter messages[0].tool_calls[0].function.name"},
      {R"([{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f","arguments":{}}}]}])",
       "invalid_type messages[0].tool_calls[0].function.arguments"},
  };
  for (const auto& [messages, expected] : rows) EXPECT_EQ(read(messages), expected) << messages;
}

TEST(Messages, CountsAtAndPastTheirEnds) {
  const auto repeat = [](std::string_view head, std::string_view each, std::size_t times,
                         std::string_view tail) {
    std::string out(head);
    for (std::size_t i = 0; i < times; ++i) {
      if (i > 0) out += ',';
      out += each;
    }
    return out.append(tail);
  };
  const base::JsonLimits limits;
  const auto messages = [&](std::size_t n) {
    return read(repeat("[", R"({"role":"user","content":"x"})", n, "]"));
  };
  EXPECT_TRUE(messages(limits.messages_max).starts_with("[{"));
  EXPECT_EQ(messages(limits.messages_max + 1), "invalid_value messages");
  const auto parts = [&](std::size_t n) {
    return read(
        repeat(R"([{"role":"user","content":[)", R"({"type":"text","text":"x"})", n, "]}]"));
  };
  EXPECT_TRUE(parts(limits.content_parts_max).starts_with("[{"));
  EXPECT_EQ(parts(limits.content_parts_max + 1), "invalid_value messages[0].content");
  const auto calls = [&](std::size_t n) {
    return read(repeat(R"([{"role":"assistant","tool_calls":[)",
                       R"({"id":"c","function":{"name":"f","arguments":"{}"}})", n, "]}]"));
  };
  EXPECT_TRUE(calls(128).starts_with("[{"));
  EXPECT_EQ(calls(129), "invalid_value messages[0].tool_calls");
}

TEST(TemplateContext, SpecialTokensAndKwargs) {
  const auto context = [](std::string_view kwargs) {
    const auto request = read_chat_request(
        json::parse(fmt::format(R"({{"model":"m","messages":[{{"role":"user","content":"x"}}],)"
                                R"("chat_template_kwargs":{}}})",
                                kwargs)),
        {});
    if (!request) return request.error().code + " " + request.error().param;
    return template_context(*request, {{"bos_token", "<s>"}, {"eos_token", "</s>"}});
  };
  const std::string head =
      R"({"messages":[{"role":"user","content":"x"}],"tools":null,"documents":null,)";
  EXPECT_EQ(context("null"), head + R"("add_generation_prompt":true,"bos_token":"<s>",)"
                                    R"("eos_token":"</s>"})");
  EXPECT_EQ(context(R"({"enable_thinking":false,"eos_token":"E","add_generation_prompt":false})"),
            head + R"("add_generation_prompt":false,"bos_token":"<s>","enable_thinking":false,)"
                   R"("eos_token":"E"})");
  EXPECT_EQ(context("[]"), "invalid_type chat_template_kwargs");
  EXPECT_EQ(context(R"({"messages":[]})"), "unsupported_value chat_template_kwargs.messages");
  EXPECT_EQ(context(R"({"add_generation_prompt":1})"),
            "invalid_type chat_template_kwargs.add_generation_prompt");
}

}  // namespace
}  // namespace vsurge::api
