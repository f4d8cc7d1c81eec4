// vSurge: the engine. Include this for the whole library.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vsurge/api_keys.h"
#include "vsurge/api_server.h"
#include "vsurge/auto_model.h"
#include "vsurge/auto_tokenizer.h"
#include "vsurge/capacity_plan.h"
#include "vsurge/doctor.h"
#include "vsurge/error.h"
#include "vsurge/model_map.h"
#include "vsurge/sampling_params.h"
#include "vsurge/surge.h"
