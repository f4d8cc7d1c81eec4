# Two of our servers behind routers that others made; each is skipped aloud when it is not there.
foreach(router sglang vllm nginx)
  add_test(NAME router.${router}
           COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/router/run.py
                   $<TARGET_FILE:vsurge> ${router})
  set_tests_properties(router.${router} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300)
endforeach()
