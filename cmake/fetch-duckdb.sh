#!/bin/sh
# Puts DuckDB's shared library and C header, of pinned versions and checked, into a directory:
#
#     cmake/fetch-duckdb.sh DIR            DIR/include/duckdb.h, DIR/lib/libduckdb.so, DIR/LICENSE, DIR/PINS
#     cmake/fetch-duckdb.sh --check DIR    only whether they are there: exit code 0 or 1
#
# Both come from DuckDB's own npm packages, by `npm pack`, whatever registry npm is set up for: the library from its Node
# bindings, the header (C API v1, which is stable) from the source in the older package. Does nothing, and needs no network,
# when DIR already has these versions. What is not whole is never seen under the name DIR.
set -eu

case $(uname -m) in
x86_64 | amd64)
	library=@duckdb/node-bindings-linux-x64@1.5.6-r.1
	library_sha512=21772b64913a904a8cd19e30c1d5671811d7fdface4b7dd53cd0300d743f43e16cf386f4e7c41ef78721ac208870d2651bc6375072145387817824315b998dd5
	;;
aarch64 | arm64)
	# The newest that is published for arm64; the release that x86_64 has is not. Take the same one when it is there.
	library=@duckdb/node-bindings-linux-arm64@1.5.5-r.5
	library_sha512=09a7c7d8022f5eda700f29c6dca07fe2e10e1d11a516807b6ae091308c07dc128d2286ec00d5792d2a43277b5fc9108522c2ba7bc013d5eb1e5959eed83bf773
	;;
*)
	echo "fetch-duckdb: DuckDB has no library for $(uname -m): build one and set DUCKDB_ROOT" >&2
	exit 1
	;;
esac
header=duckdb@1.4.4
header_sha512=844249e61c9517454b8f776638ba6c5ab411d1bddde1892ab72826ea25178c72430e74aa83f5122b171be6abcdace84560f824b5ac94e9d5c2b603ea7269a9a2
pins="$library $header"

check=false
if [ "${1-}" = --check ]; then
	check=true
	shift
fi
[ $# -eq 1 ] || {
	echo "usage: $0 [--check] DIR" >&2
	exit 2
}
target=$1
if [ -f "$target/lib/libduckdb.so" ] && [ -f "$target/include/duckdb.h" ] &&
	[ "$(cat "$target/PINS" 2>/dev/null)" = "$pins" ]; then
	exit 0
fi
if $check; then
	exit 1
fi

parent=$(dirname "$target")
mkdir -p "$parent"
tmp=$(mktemp -d "$parent/fetch.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# fetch PACKAGE SHA512: the checked package as $tmp/package.tgz
fetch() {
	echo "fetching $1"
	mkdir "$tmp/pack"
	if ! npm pack --silent --prefer-offline --ignore-scripts --pack-destination "$tmp/pack" \
		--fetch-retries 2 --fetch-retry-mintimeout 1000 --fetch-retry-maxtimeout 5000 "$1" >"$tmp/log" 2>&1; then
		# --silent hides the reason as well: ask again for it.
		npm view --loglevel error --fetch-retries 0 "$1" version >"$tmp/log" 2>&1 || :
		sed 's/^/  /' "$tmp/log" | head -n 8 >&2
		echo "fetch-duckdb: npm could not fetch $1. Is there a network? Without one, set DUCKDB_ROOT to a" >&2
		echo "directory that has include/duckdb.h and lib/libduckdb.so (a copy of another clone's .deps/duckdb)." >&2
		exit 1
	fi
	mv "$tmp"/pack/*.tgz "$tmp/package.tgz"
	rmdir "$tmp/pack"
	if ! echo "$2  $tmp/package.tgz" | sha512sum --check --status -; then
		echo "fetch-duckdb: $1 is not what was pinned (its SHA-512 is $(sha512sum <"$tmp/package.tgz"))." >&2
		echo "Nothing was unpacked. Try again; if it stays, the registry or the way to it changed the file." >&2
		exit 1
	fi
}

new=$tmp/duckdb
mkdir -p "$new/include" "$new/lib" "$tmp/unpacked"
fetch "$library" "$library_sha512"
tar -xzf "$tmp/package.tgz" -C "$tmp/unpacked" package/libduckdb.so package/LICENSE
fetch "$header" "$header_sha512"
tar -xzf "$tmp/package.tgz" -C "$tmp/unpacked" package/src/duckdb/src/include/duckdb.h
mv "$tmp/unpacked/package/libduckdb.so" "$new/lib/"
mv "$tmp/unpacked/package/LICENSE" "$new/"
mv "$tmp/unpacked/package/src/duckdb/src/include/duckdb.h" "$new/include/"
chmod 644 "$new/lib/libduckdb.so" "$new/include/duckdb.h" "$new/LICENSE"
echo "$pins" >"$new/PINS"

rm -rf "$target"
mv "$new" "$target"
