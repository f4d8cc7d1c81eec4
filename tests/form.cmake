# The form of the sources: tools/tidy.py, its own tests, clang-format, headers that stand alone.
find_package(Python3 3.10 REQUIRED COMPONENTS Interpreter)
add_test(NAME tidy.tree COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tools/tidy.py)
add_test(NAME tidy.rules
         COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tests/tidy/tidy_test.py)
add_test(NAME bench.report
         COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tests/tidy/bench_report_test.py)
if(NOT CMAKE_CXX_FLAGS MATCHES "-fsanitize") # sanitizers add symbols of their own
  add_test(NAME tidy.isa_symbols
           COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tools/tidy.py --nm
                   ${PROJECT_BINARY_DIR})
endif()

find_program(VSURGE_CLANG_FORMAT NAMES clang-format-19)
if(VSURGE_CLANG_FORMAT)
  add_test(NAME format COMMAND ${PROJECT_SOURCE_DIR}/dev fmt --check)
endif()

# Every header compiles alone: one source for each, which holds its #include and nothing else.
file(GLOB_RECURSE headers RELATIVE ${PROJECT_SOURCE_DIR} CONFIGURE_DEPENDS
     ${PROJECT_SOURCE_DIR}/src/*.h ${PROJECT_SOURCE_DIR}/include/*.h)
list(FILTER headers EXCLUDE REGEX "-inl\\.h$") # for inclusion into an ISA unit, after its macros
set(header_sources "")
foreach(header IN LISTS headers)
  string(REGEX REPLACE "^(src|include)/" "" name ${header})
  string(REPLACE "/" "." source ${name})
  set(source ${CMAKE_CURRENT_BINARY_DIR}/headers/${source}.cc)
  file(CONFIGURE OUTPUT ${source} CONTENT "#include \"${name}\"  // IWYU pragma: keep\n")
  list(APPEND header_sources ${source})
endforeach()
add_library(headers_alone OBJECT EXCLUDE_FROM_ALL ${header_sources})
target_include_directories(headers_alone PRIVATE ${PROJECT_SOURCE_DIR}/src
                                                 ${PROJECT_SOURCE_DIR}/include)
target_compile_definitions(headers_alone PRIVATE VSURGE_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
target_compile_options(headers_alone PRIVATE -O0 -g0)
target_link_libraries(headers_alone PRIVATE vsurge_warnings text_bridge fmt::fmt spdlog::spdlog
                                            Boost::json OpenSSL::SSL GTest::gtest)
add_test(NAME headers.compile_alone
         COMMAND ${CMAKE_COMMAND} --build ${PROJECT_BINARY_DIR} --target headers_alone)
set_tests_properties(headers.compile_alone PROPERTIES TIMEOUT 900 RESOURCE_LOCK build_tree)
