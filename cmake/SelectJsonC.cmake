# json-c: events in JSON. Only src/speed uses it.
punchcard_pkg_dependency(jsonc json-c libjson-c-dev)
