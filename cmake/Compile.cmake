# Options of all our code: strict warnings as errors, and what the preset asks for.
set(PUNCHCARD_SANITIZE "" CACHE STRING "sanitizers, as for -fsanitize=")
option(PUNCHCARD_COVERAGE "count the lines and branches that run (gcov)" OFF)
option(PUNCHCARD_TESTS "build the tests" ON)
option(PUNCHCARD_FUZZ "build the fuzz targets as libFuzzer programs (clang) instead of replaying their corpora" OFF)

set(CMAKE_C_EXTENSIONS ON)
add_library(compile_options INTERFACE)
target_compile_features(compile_options INTERFACE c_std_17)
target_compile_definitions(compile_options INTERFACE _GNU_SOURCE)
target_compile_options(compile_options INTERFACE -Wall -Wextra -Werror -Wconversion -Wshadow -Wstrict-prototypes
  -Wmissing-prototypes -Wvla -Wcast-qual -Wundef -Wformat=2 -fno-common -fvisibility=hidden -fno-omit-frame-pointer
  -UNDEBUG) # asserts stay on, whatever the build type
if(PUNCHCARD_SANITIZE)
  target_compile_options(compile_options INTERFACE -fsanitize=${PUNCHCARD_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(compile_options INTERFACE -fsanitize=${PUNCHCARD_SANITIZE})
endif()
if(PUNCHCARD_COVERAGE)
  target_compile_options(compile_options INTERFACE --coverage -fprofile-update=atomic)
  target_link_options(compile_options INTERFACE --coverage)
endif()
find_package(Threads REQUIRED)
target_link_libraries(compile_options INTERFACE Threads::Threads m)
