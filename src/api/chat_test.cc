// Chats that are refused before the engine hears of them.
#include "api/chat.h"

#include <gtest/gtest.h>

#include "api/service_fixture.h"

namespace vsurge::api {
namespace {

using testing::chat_body;
using testing::error_of;
using testing::kChat;
using testing::ServiceFixture;

// No answer could end.
TEST(Chat, SchemasThatRequireThemselves) {
  ServiceFixture fixture;
  const std::string schema =
      R"({"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]})";
  for (const auto& [members, param] :
       {std::pair(R"("response_format":{"type":"json_schema","json_schema":{"name":"x","schema":)" +
                      schema + "}}",
                  "response_format.json_schema.schema"),
        {R"("guided_json":)" + schema, "guided_json"}}) {
    const auto error = error_of(*fixture.answer(kChat, chat_body(members)), 400);
    EXPECT_EQ(error.at("param").as_string(), param);
    EXPECT_NE(error.at("message").as_string().find("'#'"), boost::json::string::npos);
  }
}

}  // namespace
}  // namespace vsurge::api
