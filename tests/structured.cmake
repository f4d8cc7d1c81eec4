# Constrained output: answers of a random model against schemas, judged by Python's jsonschema.
add_executable(structured_sample structured/structured_sample.cc)
target_include_directories(structured_sample PRIVATE ${PROJECT_SOURCE_DIR}/src)
target_link_libraries(structured_sample PRIVATE vsurge_facade vsurge_text vsurge_model Boost::json
                                                vsurge_warnings)
foreach(row "schemas 1000" "keywords")
  separate_arguments(row)
  list(GET row 0 name)
  add_test(NAME structured.${name}
           COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/structured/check.py
                   $<TARGET_FILE:structured_sample> default ${row})
  set_tests_properties(structured.${name} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300)
endforeach()

# With the default model; structured_bench MODEL tells the cost in tokens a second.
set(structured_libraries vsurge_facade vsurge_api vsurge_engine vsurge_model vsurge_text Boost::json)
vsurge_test(structured_model SOURCES structured/structured_model_test.cc bytes_support.cc
            LIBS ${structured_libraries})
add_executable(structured_bench structured/structured_bench.cc bytes_support.cc)
target_include_directories(structured_bench PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR})
target_link_libraries(structured_bench PRIVATE ${structured_libraries} vsurge_warnings)
