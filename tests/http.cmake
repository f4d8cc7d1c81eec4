# The HTTP server over loopback, with a fake handler and raw sockets.
vsurge_test(http SOURCES http_test.cc http_disconnect_test.cc http_limits_test.cc http_listeners_test.cc
                         http_tls_test.cc http_support.cc
            LIBS vsurge_server OpenSSL::SSL OpenSSL::Crypto)

# The real program with the default model and unpatched clients; each is skipped aloud when the model
# or the client is not there.
find_package(Python3 COMPONENTS Interpreter REQUIRED)
set(clients python node sampling responses anthropic anthropic_node langchain litellm vercel retries
            shapes embeddings openapi signals faults)
if(CMAKE_CXX_FLAGS MATCHES "-fsanitize")
  list(REMOVE_ITEM clients langchain) # 80 tests, which sanitizers make twenty times as long
endif()
foreach(client ${clients})
  add_test(NAME clients.${client}
           COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/clients/run.py
                   $<TARGET_FILE:vsurge> ${client})
  set_tests_properties(clients.${client} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300)
endforeach()

# Clients and a server without a model, for measurements: ./dev bench server.
find_package(CLI11 REQUIRED)
set(load ${PROJECT_SOURCE_DIR}/tools/load)
add_executable(vsurge_load ${load}/load.cc ${load}/options.cc ${load}/run.cc ${load}/answer.cc
                           ${load}/connection.cc ${load}/schedule.cc
                           ${load}/yardstick.cc)
target_link_libraries(vsurge_load PRIVATE OpenSSL::SSL OpenSSL::Crypto CLI11::CLI11 vsurge_warnings)
add_test(NAME load.schedule
         COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/load/run.py
                 $<TARGET_FILE:vsurge_load>)
set(mock ${PROJECT_SOURCE_DIR}/tools/mock)
add_executable(vsurge_mock ${mock}/mock_server.cc ${mock}/mock_runner.cc ${mock}/send_times.cc)
target_include_directories(vsurge_mock PRIVATE ${PROJECT_SOURCE_DIR}/src)
target_link_libraries(vsurge_mock PRIVATE vsurge_facade vsurge_server vsurge_allocator CLI11::CLI11
                                          vsurge_warnings)

# The same bytes alone and among 32 streams, of which some leave; ./dev bench bytes is the same.
# Sanitizers take twenty times as long: fewer there.
set(streams 32)
if(CMAKE_CXX_FLAGS MATCHES "-fsanitize")
  set(streams 6)
endif()
add_test(NAME bytes.streams
         COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tools/bench/bytes.py
                 --program $<TARGET_FILE:vsurge> --streams ${streams} --patience 600)
set_tests_properties(bytes.streams PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 600)
if(CMAKE_CXX_FLAGS MATCHES "-fsanitize")
  # The rehearsal of the largest step alone would take minutes.
  list(TRANSFORM clients PREPEND clients.)
  set_property(TEST ${clients} bytes.streams PROPERTY ENVIRONMENT
               VSURGE_MAX_NUM_BATCHED_TOKENS=64 VSURGE_TEST_SANITIZED=1)
  set_property(TEST ${clients} PROPERTY TIMEOUT 1200)
endif()
