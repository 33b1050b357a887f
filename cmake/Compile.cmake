# Options of all our code: strict warnings as errors, and the sanitizers of the preset (PUNCHCARD_SANITIZE).
add_library(compile_options INTERFACE)
target_compile_features(compile_options INTERFACE c_std_17)
set(CMAKE_C_EXTENSIONS ON)
target_compile_definitions(compile_options INTERFACE _GNU_SOURCE)
target_compile_options(compile_options INTERFACE -Wall -Wextra -Werror -Wconversion -Wshadow -Wstrict-prototypes
  -Wmissing-prototypes -Wvla -Wcast-qual -Wundef -Wformat=2 -fno-common -fvisibility=hidden -fno-omit-frame-pointer)
set(PUNCHCARD_SANITIZE "" CACHE STRING "sanitizers, as for -fsanitize=")
if(PUNCHCARD_SANITIZE)
  target_compile_options(compile_options INTERFACE -fsanitize=${PUNCHCARD_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(compile_options INTERFACE -fsanitize=${PUNCHCARD_SANITIZE})
endif()
find_package(Threads REQUIRED)
target_link_libraries(compile_options INTERFACE Threads::Threads m)
