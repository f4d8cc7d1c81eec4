// Renders that jinja2 made under transformers' settings, byte for byte, and what it raised.
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "base/test_data.h"
#include "tests/text/test_support.h"
#include "text/chat_template.h"

namespace vsurge::text {
namespace {

namespace json = boost::json;

// 2026-01-02 03:04:05, the moment of all goldens.
constexpr std::int64_t kNow = 1'767'323'045;

// "TemplateError: text" is what raise_exception gives; of others the text names the class.
bool same_error(const base::Error& found, std::string_view wanted) {
  constexpr std::string_view kRaised = "TemplateError: ";
  if (wanted.starts_with(kRaised)) wanted.remove_prefix(kRaised.size());
  return found.code == base::ErrorCode::kTemplateError &&
         (found.message == wanted || found.message == "chat template: " + std::string(wanted));
}

// Empty when the render is as wanted.
std::string difference(const ChatTemplate& made, std::string_view context,
                       const json::object& wanted) {
  const auto text = made.render(context, kNow);
  if (const auto* error = wanted.if_contains("error")) {
    if (text) return "renders, but should raise " + std::string(error->as_string());
    if (same_error(text.error(), error->as_string())) return "";
    return "raises '" + text.error().message + "', not '" + std::string(error->as_string()) + "'";
  }
  if (!text) return "raises '" + text.error().message + "'";
  const std::string_view want = wanted.at("text").as_string();
  if (*text == want) return "";
  const auto at = static_cast<std::size_t>(
      std::mismatch(text->begin(), text->end(), want.begin(), want.end()).first - text->begin());
  const auto from = at < 30 ? 0 : at - 30;
  return "differs at byte " + std::to_string(at) + ": '" + text->substr(from, 90) + "', not '" +
         std::string(want.substr(from, 90)) + "'";
}

std::map<std::string, std::string> read_exceptions() {
  const auto file = test::read_json(std::filesystem::path(VSURGE_SOURCE_DIR) /
                                    "tests/text/template_exceptions.json");
  std::map<std::string, std::string> exceptions;
  for (const auto& entry : file.at("exceptions").as_array()) {
    EXPECT_FALSE(entry.at("reason").as_string().empty());
    exceptions.emplace(std::string(entry.at("template").as_string()) + "/" +
                           std::string(entry.at("case").as_string()),
                       std::string(entry.at("reason").as_string()));
  }
  return exceptions;
}

TEST(TemplateGoldens, TemplatesOfModels) {
  if (!base::test_data_path("chat-templates")) {
    GTEST_SKIP() << base::test_data_missing("chat-templates");
  }
  const auto folder = base::test_data_root() / "chat-templates";
  const auto goldens = test::read_json(folder / "golden_renders.json");
  const auto exceptions = read_exceptions();
  std::set<std::string> known;
  std::size_t equal = 0;
  for (const auto& [file, renders] : goldens.at("renders").as_object()) {
    const auto made = ChatTemplate::compile(test::read_file(folder / std::string_view(file)));
    ASSERT_TRUE(made) << file << ": " << made.error().message;
    for (const auto& [name, wanted] : renders.as_object()) {
      json::object context = goldens.at("cases").at(name).as_object();
      context["bos_token"] = "<BOS>";
      context["eos_token"] = "<EOS>";
      const auto key = std::string(file) + "/" + std::string(name);
      known.insert(key);
      const auto found = difference(*made, json::serialize(context), wanted.as_object());
      if (exceptions.contains(key)) {
        EXPECT_NE(found, "") << key << " is listed as an exception, but is equal";
      } else {
        EXPECT_EQ(found, "") << key;
        equal += found.empty();
      }
    }
  }
  for (const auto& [key, reason] : exceptions) {
    EXPECT_TRUE(known.contains(key)) << key << " is listed as an exception, but does not exist";
  }
  EXPECT_EQ(equal + exceptions.size(), known.size());
  EXPECT_GE(known.size(), 376u);
}

// Made by tools/oracle/template_goldens.py.
TEST(TemplateGoldens, OurOwn) {
  const auto goldens = test::read_json(std::filesystem::path(VSURGE_SOURCE_DIR) /
                                       "tests/text/template_goldens.json");
  std::size_t count = 0;
  for (const auto& entry : goldens.at("renders").as_array()) {
    const auto& source = entry.at("source").as_string();
    const auto made = ChatTemplate::compile(source);
    ASSERT_TRUE(made) << source << ": " << made.error().message;
    const auto& context = goldens.at("contexts").at(entry.at("context").as_string());
    EXPECT_EQ(difference(*made, context.as_string(), entry.as_object()), "") << source;
    ++count;
  }
  EXPECT_GE(count, 100u);
}

// Made from the templates of models with more conversations (tools null, content in parts, ...).
TEST(TemplateGoldens, MoreConversations) {
  if (!base::test_data_path("chat-templates")) {
    GTEST_SKIP() << base::test_data_missing("chat-templates");
  }
  const auto goldens = test::read_json(std::filesystem::path(VSURGE_SOURCE_DIR) /
                                       "tests/text/conversation_goldens.json");
  const auto folder = base::test_data_root() / "chat-templates";
  std::size_t count = 0;
  for (const auto& [file, renders] : goldens.at("renders").as_object()) {
    const auto made = ChatTemplate::compile(test::read_file(folder / std::string_view(file)));
    ASSERT_TRUE(made) << file << ": " << made.error().message;
    for (const auto& [name, wanted] : renders.as_object()) {
      const auto& context = goldens.at("cases").at(name).as_object();
      const auto text = made->render(json::serialize(context), kNow);
      const std::string_view want = wanted.as_string();
      // A digest of the text, or the error.
      if (want.starts_with("error: ")) {
        const auto error = want.substr(7);
        EXPECT_TRUE(!text && same_error(text.error(), error))
            << file << '/' << name << ": wanted " << error << ", found "
            << (text ? *text : text.error().message);
      } else {
        ASSERT_TRUE(text) << file << '/' << name << ": " << text.error().message;
        EXPECT_EQ(test::text_digest(*text), want) << file << '/' << name << '\n' << *text;
      }
      ++count;
    }
  }
  EXPECT_GE(count, 700u);
}

// Calls without content are shown, with no word for nothing, by every template that shows calls.
TEST(TemplateGoldens, CallsWithoutContent) {
  if (!base::test_data_path("chat-templates")) {
    GTEST_SKIP() << base::test_data_missing("chat-templates");
  }
  std::map<std::string, CallForm> forms;
  for (const auto& file :
       std::filesystem::directory_iterator(base::test_data_root() / "chat-templates")) {
    if (!file.path().extension().string().starts_with(".jinja")) continue;
    const auto made = ChatTemplate::compile(test::read_file(file.path()));
    ASSERT_TRUE(made) << file.path() << ": " << made.error().message;
    const CallForm form = made->call_form();
    const std::string content = form.null_content ? "null" : R"("")";
    const std::string arguments =
        form.text_arguments ? R"("{\"xs\":\"seldon\"}")" : R"({"xs":"seldon"})";
    const auto text = made->render(
        R"({"messages":[{"role":"user","content":"u"},{"role":"assistant","content":)" + content +
            R"(,"tool_calls":[{"id":"123456789","type":"function","function":{"name":"add_all",)"
            R"("arguments":)" +
            arguments +
            R"(}}]},{"role":"tool","tool_call_id":"123456789","content":"t"}],)"
            R"("tools":[{"type":"function","function":{"name":"add_all",)"
            R"("description":"Adds.","parameters":{"type":"object","properties":{"xs":)"
            R"({"type":"string","description":"X."}},"required":["xs"]}}}],)"
            R"("add_generation_prompt":true,"bos_token":"<s>","eos_token":"</s>"})",
        kNow);
    if (!text || !text->contains("seldon")) continue;
    forms.emplace(file.path().stem().string(), form);
    EXPECT_FALSE(text->contains("None")) << file.path() << '\n' << *text;
    EXPECT_FALSE(text->contains("\nnull") || text->contains(">null")) << *text;
  }
  EXPECT_GE(forms.size(), 38U);
  EXPECT_EQ(forms.at("deepseek-ai-DeepSeek-R1-Distill-Llama-8B"),
            (CallForm{.null_content = true, .text_arguments = true}));
  EXPECT_EQ(forms.at("Qwen-Qwen3-0.6B"),
            (CallForm{.null_content = false, .text_arguments = false}));
  EXPECT_EQ(forms.at("meetkai-functionary-medium-v3.2").text_arguments, true);
}

}  // namespace
}  // namespace vsurge::text
