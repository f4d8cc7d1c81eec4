# Constrained output: answers of a random model against schemas, judged by Python's jsonschema.
add_executable(structured_sample structured/structured_sample.cc)
target_include_directories(structured_sample PRIVATE ${PROJECT_SOURCE_DIR}/src)
target_link_libraries(structured_sample PRIVATE vsurge_facade vsurge_text vsurge_model Boost::json
                                                vsurge_warnings)
foreach(row "schemas 100" "keywords")
  separate_arguments(row)
  list(GET row 0 name)
  add_test(NAME structured.${name}
           COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/structured/check.py
                   $<TARGET_FILE:structured_sample> default ${row})
  set_tests_properties(structured.${name} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300)
endforeach()
