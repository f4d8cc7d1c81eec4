#include "options.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>

namespace vsurge::apps {
namespace {

// A command with two options, filled from a command line, an environment and a file.
struct Command {
  CLI::App app{"", "serve"};
  OptionSet set{app};
  int port = 1;
  std::vector<std::string> names;
  std::map<std::string, std::string> variables;
  std::string config;

  Command() {
    set.add("--port", port, "");
    set.add("--served-model-name,--alias", names, "");
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
  void write_config(const std::string& text) {
    config = testing::TempDir() + "options_test.toml";
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

TEST(Options, UnderscoresInNamesCountAsDashes) {
  std::string program = "vsurge", name = "--max_length=a_b", rest = "--", file = "--a_b";
  char* argv[] = {program.data(), name.data(), rest.data(), file.data()};
  EXPECT_EQ(normalise_arguments(4, argv),
            (std::vector<std::string>{"--max-length=a_b", "--", "--a_b"}));
}

}  // namespace
}  // namespace vsurge::apps
