# xxHash: checksums of journal blocks, names by content.
punchcard_pkg_dependency(xxhash libxxhash libxxhash-dev)
