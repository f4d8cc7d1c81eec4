# Language level, warnings, tools that are used where present, and the libraries of the system.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS ON) # VSURGE_TRY is a statement expression
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()

find_program(VSURGE_CCACHE ccache)
if(VSURGE_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${VSURGE_CCACHE})
endif()
find_program(VSURGE_MOLD mold)
if(VSURGE_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

add_library(vsurge_warnings INTERFACE)
target_compile_options(vsurge_warnings INTERFACE -Wall -Wextra -Wconversion -Wshadow)
if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  # g++'s -Wconversion does not include signs in C++; statement expressions are meant.
  target_compile_options(vsurge_warnings INTERFACE -Wno-sign-conversion
                                                   -Wno-gnu-statement-expression)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # g++ 12 sees overlaps in std::string's operator+ that cannot be (its bug 105651).
  target_compile_options(vsurge_warnings INTERFACE -Wno-restrict)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_FLAGS MATCHES "-fsanitize")
  # Instrumented code hides from g++ that a value is set; its manual says so.
  target_compile_options(vsurge_warnings INTERFACE -Wno-maybe-uninitialized)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_FLAGS MATCHES "-fsanitize=thread")
  # Asio has fences that the sanitizer does not know, and says so wherever they are inlined; every
  # hand-over takes a mutex as well.
  target_compile_options(vsurge_warnings INTERFACE -Wno-tsan)
endif()
if(VSURGE_WERROR)
  target_compile_options(vsurge_warnings INTERFACE -Werror)
endif()

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json)
find_package(OpenSSL REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(PkgConfig REQUIRED)

# The programs' malloc, which no symbol asks for by name; the library leaves it to its user, and
# sanitizers bring their own.
add_library(vsurge_allocator INTERFACE)
if(NOT CMAKE_CXX_FLAGS MATCHES "-fsanitize")
  pkg_check_modules(jemalloc REQUIRED IMPORTED_TARGET jemalloc)
  target_link_options(vsurge_allocator INTERFACE -Wl,--no-as-needed)
  target_link_libraries(vsurge_allocator INTERFACE PkgConfig::jemalloc)
  target_sources(vsurge_allocator INTERFACE ${PROJECT_SOURCE_DIR}/apps/malloc_options.cc)
endif()
if(VSURGE_TESTS)
  find_package(GTest REQUIRED)
  enable_testing()
  include(GoogleTest)
endif()
