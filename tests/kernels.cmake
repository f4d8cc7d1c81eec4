vsurge_test(op SOURCES ${CMAKE_CURRENT_LIST_DIR}/op_test.cc ${CMAKE_CURRENT_LIST_DIR}/op_attention_test.cc
                       ${CMAKE_CURRENT_LIST_DIR}/op_greatest_test.cc ${CMAKE_CURRENT_LIST_DIR}/op_memory_test.cc
            LIBS vsurge_tensor)
