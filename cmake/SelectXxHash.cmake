find_package(PkgConfig REQUIRED)
pkg_check_modules(XxHash REQUIRED IMPORTED_TARGET libxxhash)
add_library(dep_xxhash INTERFACE)
target_link_libraries(dep_xxhash INTERFACE PkgConfig::XxHash)
