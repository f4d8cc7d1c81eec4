# The catalogue of robustness against the real program, with a tiny checkpoint that the test makes.
foreach(group json fields text template http crowd tls process models)
  add_test(NAME robustness.${group}
           COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/robustness/run.py
                   $<TARGET_FILE:vsurge> ${group})
  set_tests_properties(robustness.${group} PROPERTIES TIMEOUT 300)
endforeach()
