#include "capacity/machine.h"

#include <gtest/gtest.h>

namespace vsurge::capacity {
namespace {

TEST(Machine, TheLongerOfReadingAndMultiplying) {
  const auto machine = parse_machine("m", R"({"read_gb_s": 100, "gop_s": 1000, "memory_gb": 8})");
  ASSERT_TRUE(machine.has_value()) << machine.error().message;
  EXPECT_EQ(machine->memory_bytes, 8e9);
  const engine::StepCost cost = machine->cost_of({.weight_bytes = 1e9,
                                                  .layer_ops = 1e9,
                                                  .head_ops = 1e8,
                                                  .key_bytes = 1e5,
                                                  .prompt_key_ops = 1e5});
  EXPECT_NEAR(cost.predict_ns({.tokens = 1, .rows = 1}), 10e6, 1) << "reads 1 GB";
  EXPECT_NEAR(cost.predict_ns({.tokens = 1024, .rows = 1}), 1024.1e6, 1) << "multiplies";
  EXPECT_NEAR(cost.row_ns, 1e5, 1e-3);
  EXPECT_NEAR(cost.decode_key_ns, 1000, 1e-6);
  EXPECT_NEAR(cost.prompt_key_ns, 100, 1e-6);
}

TEST(Machine, ReadsWhatItWrites) {
  engine::StepCost cost;
  cost.tokens_ns = {1e6, 1.5e6, 2e6};
  cost.row_ns = 12.5;
  cost.decode_key_ns = 1.25;
  cost.prompt_key_ns = 0.5;
  const auto machine = parse_machine("m", machine_json(cost, 4e9));
  ASSERT_TRUE(machine.has_value()) << machine.error().message;
  EXPECT_EQ(machine->memory_bytes, 4e9);
  EXPECT_EQ(machine->measured.tokens_ns, cost.tokens_ns);
  EXPECT_EQ(machine->cost_of({}).row_ns, 12.5);
}

TEST(Machine, RefusesWhatItDoesNotKnow) {
  for (const char* text :
       {"", "[]", "{}", R"({"read_gb_s": 10})", R"({"read_gb_s": -1, "gop_s": 5})",
        R"({"read_gb_s": "10", "gop_s": 5})", R"({"read_gb_s": 1, "gop_s": 5, "cores": 4})",
        R"({"step": 1})", R"({"step": {}})", R"({"step": {"tokens_ns": []}})",
        R"({"step": {"tokens_ns": [0]}})", R"({"step": {"tokens_ns": [1e300]}})",
        R"({"step": {"tokens_ns": [1], "speed": 2}})", R"({"read_gb_s": 1e-300, "gop_s": 5})",
        R"({"read_gb_s": 1, "gop_s": 5, "memory_gb": 1e18})",
        R"({"step": {"tokens_ns": [1], "decode_key_ns": 1e18}})",
        R"({"step": {"tokens_ns": [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}})"}) {
    const auto machine = parse_machine("m.json", text);
    ASSERT_FALSE(machine.has_value()) << text;
    EXPECT_EQ(machine.error().code, base::ErrorCode::kUsage);
    EXPECT_NE(machine.error().message.find("m.json"), std::string::npos);
  }
}

}  // namespace
}  // namespace vsurge::capacity
