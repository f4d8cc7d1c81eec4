#include "options.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <map>

namespace vsurge::apps {
namespace {

// A command with two options, filled from a command line, an environment and a file.
struct Command {
  CLI::App app{"", "serve"};
  OptionSet set{app};
  int port = 1;
  bool loud = false;
  std::vector<std::string> names;
  std::map<std::string, std::string> variables;
  std::string config;

  Command() {
    set.add("--port", port, "");
    set.add("--loud", loud, "");
    set.add("--served-model-name,--alias", names, "")->delimiter(',');
  }
  base::Status run(std::vector<std::string> arguments) {
    std::reverse(arguments.begin(), arguments.end());
    app.parse(arguments);
    return set.fill_from(
        [this](const char* name) -> const char* {
          const auto found = variables.find(name);
          return found == variables.end() ? nullptr : found->second.c_str();
        },
        config);
  }
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;
  ~Command() {
    if (!config.empty()) ::unlink(config.c_str());
  }
  void write_config(const std::string& text) {
    // Tests run side by side, each in a process of its own.
    config = fmt::format("{}{}_options_test.toml", testing::TempDir(), ::getpid());
    std::ofstream(config) << text;
  }
};

TEST(Options, CommandLineWinsOverEnvironmentWinsOverFile) {
  Command c;
  c.write_config("port = 4\nserved_model_name = ['a', 'b']\n");
  ASSERT_TRUE(c.run({}));
  EXPECT_EQ(c.port, 4);
  EXPECT_EQ(c.names, (std::vector<std::string>{"a", "b"}));

  Command d;
  d.write_config("[serve]\nport = 4\n");
  d.variables["VSURGE_PORT"] = "3";
  ASSERT_TRUE(d.run({}));
  EXPECT_EQ(d.port, 3);

  Command e;
  e.variables["VSURGE_PORT"] = "3";
  ASSERT_TRUE(e.run({"--port", "2"}));
  EXPECT_EQ(e.port, 2);
}

TEST(Options, ErrorsNameTheirSource) {
  Command c;
  c.variables["VSURGE_PORT"] = "many";
  auto status = c.run({});
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("VSURGE_PORT"), std::string::npos);

  Command d;
  d.write_config("prot = 4\n");
  status = d.run({});
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("'prot'"), std::string::npos);

  Command e;
  e.write_config("port = [[1]]\n");
  ASSERT_FALSE(e.run({}));

  Command f;
  f.write_config("port = \n");
  status = f.run({});
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("options_test.toml:1"), std::string::npos);

  Command g;
  g.config = "no/such/file.toml";
  ASSERT_FALSE(g.run({}));
}

TEST(Options, EveryNameWorksEverywhere) {
  Command c;
  c.variables["VSURGE_ALIAS"] = "a,b";
  ASSERT_TRUE(c.run({}));
  EXPECT_EQ(c.names, (std::vector<std::string>{"a", "b"}));

  Command d;
  d.write_config("alias = 'a'\n");
  ASSERT_TRUE(d.run({}));
  EXPECT_EQ(d.names, (std::vector<std::string>{"a"}));

  Command e;
  e.write_config("alias = 'a'\nserved-model-name = 'b'\n");
  const auto status = e.run({});
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("'alias'"), std::string::npos);
}

TEST(Options, EmptyVariablesCountAsNone) {
  Command c;
  c.variables["VSURGE_PORT"] = "";
  c.write_config("port = 4\n");
  ASSERT_TRUE(c.run({}));
  EXPECT_EQ(c.port, 4);
}

TEST(Options, BooleansAreFlags) {
  Command bare;
  ASSERT_TRUE(bare.run({"--loud", "--port", "2"}));
  EXPECT_TRUE(bare.loud);
  EXPECT_EQ(bare.port, 2);
  Command off;
  off.variables["VSURGE_LOUD"] = "true";
  ASSERT_TRUE(off.run({"--loud=false"}));
  EXPECT_FALSE(off.loud);
  Command variable;
  variable.variables["VSURGE_LOUD"] = "1";
  ASSERT_TRUE(variable.run({}));
  EXPECT_TRUE(variable.loud);
  Command file;
  file.write_config("loud = true\n");
  ASSERT_TRUE(file.run({}));
  EXPECT_TRUE(file.loud);
  Command wrong;
  wrong.variables["VSURGE_LOUD"] = "loudly";
  EXPECT_FALSE(wrong.run({}));
}

TEST(Options, ListsDoNotTakeWhatFollows) {
  Command c;
  std::string model;
  c.set.add("model", model, "");
  ASSERT_TRUE(c.run({"--served-model-name", "a", "/model", "--served-model-name", "b"}));
  EXPECT_EQ(model, "/model");
  EXPECT_EQ(c.names, (std::vector<std::string>{"a", "b"}));
}

TEST(Options, TablesOfOtherSubcommandsAreTheirs) {
  CLI::App program;
  CLI::App* serve = program.add_subcommand("serve", "");
  program.add_subcommand("chat", "");
  OptionSet set(*serve);
  int port = 1;
  set.add("--port", port, "");
  Command file;
  const auto none = [](const char*) -> const char* { return nullptr; };
  file.write_config("[serve]\nport = 4\n[chat]\ntop_k = 1\n");
  ASSERT_TRUE(set.fill_from(none, file.config));
  EXPECT_EQ(port, 4);
  file.write_config("[sevre]\nport = 4\n");
  EXPECT_FALSE(set.fill_from(none, file.config));
  EXPECT_FALSE(set.fill_from(none, testing::TempDir()));  // a folder
}

TEST(Options, WrongNumbersSayWhatIsExpected) {
  for (const char* value : {"true", "'many'", "1.5", "99999999999", "''"}) {
    Command c;
    c.write_config(std::string("port = ") + value + "\n");
    const auto status = c.run({});
    ASSERT_FALSE(status) << value;
    EXPECT_NE(status.error().message.find("expected an integer from -2147483648 to 2147483647"),
              std::string::npos)
        << status.error().message;
  }
  EXPECT_EQ(integer_fault("-1", 0, 9), "expected an integer from 0 to 9, found '-1'");
  EXPECT_EQ(integer_fault("9", 0, 9), "");
  EXPECT_EQ(real_fault("0.5"), "");
  EXPECT_EQ(real_fault("half"), "expected a number, found 'half'");
}

TEST(Options, UnderscoresInNamesCountAsDashes) {
  std::string program = "vsurge", name = "--max_length=a_b", rest = "--", file = "--a_b";
  char* argv[] = {program.data(), name.data(), rest.data(), file.data()};
  EXPECT_EQ(normalise_arguments(4, argv),
            (std::vector<std::string>{"--max-length=a_b", "--", "--a_b"}));
}

}  // namespace
}  // namespace vsurge::apps
