vsurge_test(engine_sim SOURCES engine_sim_test.cc engine_sim.cc engine_sim_oracle.cc
            LIBS vsurge_engine)
