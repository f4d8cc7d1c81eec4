// A function that a request offers to the model.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <vector>

namespace vsurge::api {

struct ToolSpec {
  std::string name;
  boost::json::object parameters = {};  // JSON schema of the arguments; empty: any object
  bool strict = false;                  // calls of it must fit the schema
};

using ToolSpecs = std::vector<ToolSpec>;

}  // namespace vsurge::api
