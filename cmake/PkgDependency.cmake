# punchcard_pkg_dependency(<target> <pkg-config module> <Debian package>): an interface target for a system library. A
# missing one stops the configuration with the package to install.
find_package(PkgConfig QUIET)

function(punchcard_pkg_dependency target module debian_package)
  if(NOT PKG_CONFIG_FOUND)
    message(FATAL_ERROR "pkg-config is missing: run ./dev deps, or install the package pkg-config")
  endif()
  pkg_check_modules(${target} QUIET IMPORTED_TARGET ${module})
  if(NOT ${target}_FOUND)
    message(FATAL_ERROR "${module} is missing: run ./dev deps, or install the Debian package ${debian_package}")
  endif()
  add_library(dep_${target} INTERFACE)
  target_link_libraries(dep_${target} INTERFACE PkgConfig::${target})
endfunction()
