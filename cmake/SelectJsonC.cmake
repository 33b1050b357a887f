# json-c: events in JSON (src/speed), and answers of a cluster's servers (src/store) and of Spark (src/engine).
punchcard_pkg_dependency(jsonc json-c libjson-c-dev)
