# The endpoints over the engine and a scripted model, with real sampling.
vsurge_test(api_sampling
  SOURCES api_choices_test.cc api_logprobs_test.cc api_sampling_test.cc
          ${PROJECT_SOURCE_DIR}/src/api/service_fixture.cc
  LIBS vsurge_api vsurge_kernels Boost::json)
