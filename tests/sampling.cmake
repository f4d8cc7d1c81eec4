# Sampling, from the request's parameters to the token, against NumPy's distributions.
vsurge_test(sampling SOURCES sampling_golden_test.cc sampling_property_test.cc
            LIBS vsurge_engine vsurge_kernels Boost::json LABELS golden)
