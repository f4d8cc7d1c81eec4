# The HTTP server over loopback, with a fake handler and raw sockets.
vsurge_test(http SOURCES http_test.cc http_limits_test.cc http_tls_test.cc http_support.cc
            LIBS vsurge_server OpenSSL::SSL OpenSSL::Crypto)
