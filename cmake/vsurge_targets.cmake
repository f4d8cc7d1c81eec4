# How targets of this project are made, so that each folder's CMakeLists.txt is a short list.

# vsurge_library(NAME SOURCES a.cc ... [PUBLIC lib ...] [PRIVATE lib ...])
# A static library vsurge_NAME with the sources of one folder.
function(vsurge_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(vsurge_${name} STATIC ${arg_SOURCES})
  target_include_directories(vsurge_${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src>)
  target_link_libraries(vsurge_${name} PUBLIC ${arg_PUBLIC} PRIVATE ${arg_PRIVATE}
                                              $<BUILD_INTERFACE:vsurge_warnings>)
  set_property(GLOBAL APPEND PROPERTY VSURGE_LIBRARIES vsurge_${name})
  foreach(library IN LISTS arg_PUBLIC arg_PRIVATE)
    if(NOT library MATCHES "^vsurge_|^text_bridge$")
      set_property(GLOBAL APPEND PROPERTY VSURGE_EXTERNAL_LIBRARIES ${library})
    endif()
  endforeach()
endfunction()

# vsurge_test(NAME SOURCES a_test.cc ... [LIBS lib ...] [LABELS l ...] [TIMEOUT s])
# A GoogleTest program NAME_test; each of its tests is one ctest test.
function(vsurge_test name)
  if(NOT VSURGE_TESTS)
    return()
  endif()
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;LIBS;LABELS" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  add_executable(${name}_test ${arg_SOURCES})
  target_include_directories(${name}_test PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name}_test PRIVATE ${arg_LIBS} GTest::gtest GTest::gmock
                                             GTest::gtest_main vsurge_warnings)
  target_compile_definitions(${name}_test PRIVATE VSURGE_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  gtest_discover_tests(${name}_test DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
                       PROPERTIES TIMEOUT ${arg_TIMEOUT} LABELS "${arg_LABELS}")
endfunction()

# vsurge_fuzz(NAME SOURCES x_fuzz.cc [LIBS lib ...])
# The source defines LLVMFuzzerTestOneInput. With VSURGE_FUZZ it becomes a libFuzzer program;
# always it becomes a test that replays fuzz/corpus/NAME.
function(vsurge_fuzz name)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBS" ${ARGN})
  if(VSURGE_FUZZ)
    add_executable(${name}_fuzz ${arg_SOURCES})
    target_link_options(${name}_fuzz PRIVATE -fsanitize=fuzzer)
  else()
    add_executable(${name}_fuzz ${arg_SOURCES} ${PROJECT_SOURCE_DIR}/fuzz/replay_main.cc)
  endif()
  target_include_directories(${name}_fuzz PRIVATE ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(${name}_fuzz PRIVATE ${arg_LIBS} vsurge_warnings)
  if(NOT VSURGE_FUZZ)
    add_test(NAME fuzz_replay.${name}
             COMMAND ${name}_fuzz ${PROJECT_SOURCE_DIR}/fuzz/corpus/${name})
  endif()
endfunction()
