# cmocka: unit tests.
punchcard_pkg_dependency(cmocka cmocka libcmocka-dev)
