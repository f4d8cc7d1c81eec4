// Command line of vsurge_load.
#pragma once

#include <string>
#include <vector>

#include "schedule.h"

namespace vsurge::load {

struct Options {
  int port = 11556;
  int clients = 8;
  long requests = 0;   // in all; 0 = one per client, or what fits into `seconds`
  double seconds = 0;  // no request begins after; 0 = any time
  double rate = 0;     // requests begun per second, by whoever is free; 0 = each client at once
  int prompt_words = 64;
  int answer_tokens = 64;
  bool stream = true;
  bool fresh = false;    // a connection for each request, none before it
  bool tls = false;      // any certificate is taken
  double turn_ms = 0;    // reads once in so long: the server's sends wake nobody on this machine
  int retries = 0;       // of a request that is refused, as the SDKs do it
  int cancel_every = 0;  // every n-th request is left amid its answer; 0 = none
  int bad_every = 0;     // every n-th request is malformed; 0 = none
  std::string key;       // Authorization: Bearer
  std::string members;   // more of the request's JSON: "\"logprobs\":true"
  std::string model;     // empty = the first of /v1/models
  std::vector<Arrival> schedule;  // when each request begins, and how long it is; empty = as above
  std::string records;            // file for a line of each request
  std::string json;               // file for the figures
  bool floor = false;             // only: how soon bare sends follow each other
  bool yardstick = false;         // against a server in this program that sends answers made before
};

// Ends the program with a message when the line is not in order.
Options parse_options(int argc, char** argv);

}  // namespace vsurge::load
