# The catalogue of robustness against the real program, with a tiny checkpoint that the test makes.
foreach(group json fields text template http crowd tls process models listen manager overload audit
        crash)
  add_test(NAME robustness.${group}
           COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/robustness/run.py
                   $<TARGET_FILE:vsurge> ${group})
  set_tests_properties(robustness.${group} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300)
  if(CMAKE_CXX_FLAGS MATCHES "-fsanitize")
    set_property(TEST robustness.${group} PROPERTY TIMEOUT 1200)
  endif()
endforeach()
