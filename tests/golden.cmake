# The decoder against transformers' results, which tools/oracle makes.
add_library(golden_runner STATIC golden_runner.cc)
target_include_directories(golden_runner PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(golden_runner PUBLIC vsurge_model PRIVATE vsurge_warnings)
vsurge_test(golden SOURCES golden_test.cc golden_rope_test.cc golden_decoder_test.cc
            LIBS golden_runner vsurge_model Boost::json LABELS golden TIMEOUT 300)
vsurge_test(pooling SOURCES pooling_test.cc LIBS vsurge_engine vsurge_model Boost::json
            LABELS golden)
vsurge_test(golden_memory SOURCES golden_memory_test.cc LIBS vsurge_engine vsurge_model
            LABELS golden)
