# Installs the package and builds examples/serve.cpp against it, outside the tree.
if(NOT CMAKE_CXX_FLAGS MATCHES "-fsanitize")
  add_test(NAME package.install_and_use
           COMMAND ${CMAKE_COMMAND} -DBUILD=${PROJECT_BINARY_DIR} -DSOURCE=${PROJECT_SOURCE_DIR}
                   -DCOMPILER=${CMAKE_CXX_COMPILER} -DFLAGS=${CMAKE_CXX_FLAGS}
                   -DWORK=${CMAKE_CURRENT_BINARY_DIR}/package
                   -P ${CMAKE_CURRENT_SOURCE_DIR}/package/install_and_use.cmake)
  set_tests_properties(package.install_and_use PROPERTIES TIMEOUT 300 RESOURCE_LOCK build_tree)

  find_package(Python3 COMPONENTS Interpreter REQUIRED)
  add_test(NAME package.image_libraries
           COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/package/image_libraries.py
                   $<TARGET_FILE:vsurge> ${PROJECT_SOURCE_DIR}/deploy/Containerfile)
  set_tests_properties(package.image_libraries PROPERTIES SKIP_RETURN_CODE 77)
endif()
