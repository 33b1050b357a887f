# libcyaml, and libyaml below it (positions of keys in a file): configuration. Only src/config uses them.
punchcard_pkg_dependency(cyaml libcyaml libcyaml-dev)
punchcard_pkg_dependency(yaml yaml-0.1 libyaml-dev)
target_link_libraries(dep_cyaml INTERFACE dep_yaml)
