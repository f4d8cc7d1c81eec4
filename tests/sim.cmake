# The engine's simulation: tests/sim against the scheduler, without a model.
add_library(engine_sim STATIC sim/audit.cc sim/describe.cc sim/event_checks.cc sim/generate.cc sim/idle_pages.cc sim/model.cc
            sim/oracle.cc sim/plan_checks.cc sim/queue_model.cc sim/search_checks.cc sim/search_model.cc sim/seen.cc
            sim/shrink.cc sim/simulation.cc sim/world.cc)
target_include_directories(engine_sim PUBLIC ${PROJECT_SOURCE_DIR})
target_link_libraries(engine_sim PUBLIC vsurge_engine PRIVATE vsurge_warnings)
add_executable(vsurge_sim sim/sim_main.cc)
target_link_libraries(vsurge_sim PRIVATE engine_sim vsurge_warnings)
vsurge_test(sim SOURCES sim/directed_test.cc sim/small_scope_test.cc sim/swarm_test.cc
            LIBS engine_sim LABELS sim)
# It has an operator new of its own.
vsurge_test(sim_memory SOURCES sim/memory_test.cc LIBS engine_sim LABELS sim)
# Each listed fault still has its place; ./dev mutants tries them.
find_package(Python3 3.10 REQUIRED COMPONENTS Interpreter)
add_test(NAME mutants.apply
         COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tools/mutants.py --check)
