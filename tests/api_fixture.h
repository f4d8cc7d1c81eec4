// A service whose model's tokens are really drawn.
#pragma once

#include "api/service_fixture.h"
#include "kernels/kernels.h"

namespace vsurge::api::testing {

class SamplingFixture : public ServiceFixture {
 public:
  explicit SamplingFixture(int speculative_tokens = 0)
      : ServiceFixture({.speculative_tokens = speculative_tokens,
                        .sample = kernels::scalar_kernels()->sample}) {}
};

}  // namespace vsurge::api::testing
