// Sampling options of the program, shared by chat and generate.
#pragma once

#include "options.h"
#include "vsurge/sampling_params.h"

namespace vsurge::apps {

// `sampling` must outlive the command line.
void add_sampling_options(OptionSet& set, SamplingParams& sampling);

}  // namespace vsurge::apps
