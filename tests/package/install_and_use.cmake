# cmake -DBUILD= -DSOURCE= -DCOMPILER= -DFLAGS= -DWORK= -P: the steps of the test, each must succeed.
cmake_minimum_required(VERSION 3.25)
file(REMOVE_RECURSE ${WORK})

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE out ERROR_VARIABLE out)
  if(NOT status EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}: exit ${status}\n${out}")
  endif()
  set(out "${out}" PARENT_SCOPE)
endfunction()

run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/prefix)
file(COPY ${SOURCE}/tests/package/CMakeLists.txt ${SOURCE}/examples/serve.cpp
     DESTINATION ${WORK}/source)
run(${CMAKE_COMMAND} -G Ninja -S ${WORK}/source -B ${WORK}/build
    -DCMAKE_PREFIX_PATH=${WORK}/prefix -DCMAKE_CXX_COMPILER=${COMPILER}
    -DCMAKE_CXX_FLAGS=${FLAGS})
run(${CMAKE_COMMAND} --build ${WORK}/build)

# The installed program runs from its place, and says the version of the package.
run(${WORK}/prefix/bin/vsurge version)
if(NOT out MATCHES "[0-9]+\\.[0-9]+\\.[0-9]+")
  message(FATAL_ERROR "vsurge version: expected a version, found '${out}'")
endif()
# The consumer is linked whole: it gets as far as refusing a model that is not there, with 3.
execute_process(COMMAND ${WORK}/build/serve ${WORK}/no-such-model 1
                RESULT_VARIABLE status ERROR_VARIABLE error)
if(NOT status EQUAL 3 OR NOT error MATCHES "no-such-model")
  message(FATAL_ERROR "serve of no-such-model: expected exit 3 that names it, found ${status}\n"
                      "${error}")
endif()
file(REMOVE_RECURSE ${WORK})
