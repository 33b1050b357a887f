find_package(PkgConfig REQUIRED)
pkg_check_modules(Cyaml REQUIRED IMPORTED_TARGET cyaml)
add_library(dep_cyaml INTERFACE)
target_link_libraries(dep_cyaml INTERFACE PkgConfig::Cyaml yaml)
