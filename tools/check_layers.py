#!/usr/bin/env python3
"""Holds the dependencies of src/: who may include whom, who may include which library, what nobody may call.

    tools/check_layers.py               check the tree; one line a violation, "file:line: what"; exit code 1 if any
    tools/check_layers.py --table       the table as ARCHITECTURE.md has it
    tools/check_layers.py --self-test   check that every rule can fail

The tables below are the rules. src/CMakeLists.txt links by the same table, and a table in ARCHITECTURE.md between the two
markers repeats it for readers: both are compared with it.
"""

import argparse
import pathlib
import re
import sys
import tempfile

# Which folders of src/ a folder may include.
LAYERS = {
    "base": [],
    "loyalty": ["base"],
    "net": ["base"],
    "config": ["base", "loyalty"],
    "fold": ["base", "loyalty", "config"],
    "store": ["base", "loyalty", "net"],
    "engine": ["base"],
    "batch": ["base", "loyalty", "net", "config", "fold", "store", "engine"],
    "cluster": ["base", "loyalty", "net", "config", "fold", "store", "engine", "batch"],
    "speed": ["base", "loyalty", "net", "config", "fold", "store", "engine", "batch", "cluster"],
    "serving": ["base", "loyalty", "net", "config", "fold", "store", "engine", "batch", "cluster", "speed"],
    "cli": ["base", "loyalty", "net", "config", "fold", "store", "engine", "batch", "cluster", "speed", "serving"],
}

# Libraries' headers that these folders alone may include: the others use those. JSON is read where it comes in: events in speed,
# answers of a cluster's servers in store, of Spark in engine.
LIBRARIES = {
    "duckdb.h": ("engine",),
    "lmdb.h": ("store",),
    "cyaml/cyaml.h": ("config",),
    "yaml.h": ("config",),
    "json-c/json.h": ("speed", "store", "engine"),
    "json.h": ("speed", "store", "engine"),
    "microhttpd.h": ("speed",),
    "curl/curl.h": ("net",),
    "librdkafka/rdkafka.h": ("net",),
}

# The kernel is pure: no I/O, no clock. Of the system it may include these, of base everything but what touches the outside.
PURE_FOLDER = "loyalty"
PURE_SYSTEM = {
    "assert.h", "errno.h", "inttypes.h", "limits.h", "stdalign.h", "stdarg.h", "stdbool.h", "stddef.h", "stdint.h",
    "stdlib.h", "string.h", "strings.h", "xxhash.h",
}  # fmt: skip
IMPURE_BASE = {"base/child.h", "base/clock.h", "base/file.h", "base/input.h", "base/log.h", "base/notify.h"}

BANNED = {
    "strcpy": "no bound: use struct buf or snprintf",
    "stpcpy": "no bound: use struct buf or snprintf",
    "strcat": "no bound: use struct buf or snprintf",
    "strncat": "its bound is not the buffer's size: use struct buf or snprintf",
    "strncpy": "may leave out the NUL: use snprintf or memcpy",
    "sprintf": "no bound: use snprintf",
    "vsprintf": "no bound: use vsnprintf",
    "gets": "no bound: use getline",
    "atoi": "no errors: use integer_parse",
    "atol": "no errors: use integer_parse",
    "atoll": "no errors: use integer_parse",
    "atof": "no errors: use decimal_parse",
    "strtok": "hidden state: use strtok_r or a loop over a slice",
    "localtime": "hidden state and zone: use base/tz.h",
    "gmtime": "hidden state: use base/tz.h",
    "asctime": "hidden state: use base/tz.h",
    "ctime": "hidden state: use base/tz.h",
    "mktime": "the process's zone: use base/tz.h",
    "system": "a shell: use posix_spawn",
    "popen": "a shell: use posix_spawn",
    "tmpnam": "a race: use mkstemp",
    "tempnam": "a race: use mkstemp",
    "mktemp": "a race: use mkstemp",
    "rand": "hidden state: use base/random.h",
    "srand": "hidden state: use base/random.h",
    "alloca": "no bound: use malloc",
}

TABLE_BEGIN = "<!-- layers: begin -->"
TABLE_END = "<!-- layers: end -->"

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.MULTILINE)
BANNED_USE = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\b|(?<=[^-]>)(" + "|".join(BANNED) + r")\b")
COMMENT_OR_LITERAL = re.compile(
    r"""//(?:\\\n|[^\n])* | /\*.*?\*/ | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'""", re.DOTALL | re.VERBOSE
)


def blank(text, literals):
    """The text with comments (and, if asked, literals) blanked out; lines and columns stay."""

    def replace(match):
        found = match.group(0)
        if found[0] == "/" or literals:
            return re.sub(r"[^\n]", " ", found)
        return found

    return COMMENT_OR_LITERAL.sub(replace, text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def check_include(folder, kind, name):
    """What is wrong with this include in this folder, or None."""
    owners = LIBRARIES.get(name)
    if owners:
        return None if folder in owners else f"only src/{' and src/'.join(owners)} may include {name}"
    if kind == "<" and name.split("/")[0] not in LAYERS:
        if folder == PURE_FOLDER and name not in PURE_SYSTEM:
            return f"src/{folder} is pure (no I/O, no clock) and may not include <{name}>"
        return None
    target, slash, file = name.partition("/")
    if kind == "<":
        return f"our own headers are included with quotes: {name}"
    if not slash or target not in LAYERS or ".." in name:
        return f'"{name}" does not name its folder below src/'
    if target == folder:
        return None
    if target not in LAYERS[folder]:
        return f"src/{folder} may not use src/{target} (it may use: {', '.join(LAYERS[folder]) or 'nothing'})"
    if file.endswith("_internal.h"):
        return f"{name} stays inside src/{target}"
    if folder == PURE_FOLDER and name in IMPURE_BASE:
        return f"src/{folder} is pure (no I/O, no clock) and may not include {name}"
    return None


def check_file(root, path):
    shown = path.relative_to(root)
    folder = path.relative_to(root / "src").parts[0]
    text = path.read_text(encoding="utf-8")
    code = blank(text, literals=False)
    for match in INCLUDE.finditer(code):
        problem = check_include(folder, match.group(1), match.group(2))
        if problem:
            yield f"{shown}:{line_of(code, match.start(1))}: {problem}"
    code = blank(text, literals=True)
    for match in BANNED_USE.finditer(code):
        name = match.group(1) or match.group(2)
        yield f"{shown}:{line_of(code, match.start())}: {name} is banned ({BANNED[name]})"


def check_sources(root):
    for path in sorted((root / "src").rglob("*")):
        relative = path.relative_to(root / "src")
        if path.suffix not in (".c", ".h"):
            continue
        if len(relative.parts) != 2 or relative.parts[0] not in LAYERS:
            yield f"src/{relative}:1: not in a folder of the table (tools/check_layers.py)"
            continue
        yield from check_file(root, path)


def check_cmake(root):
    """src/CMakeLists.txt links each folder with exactly what it may use."""
    path = root / "src" / "CMakeLists.txt"
    text = path.read_text(encoding="utf-8")
    seen = set()
    for match in re.finditer(r"^punchcard_library\(([^)]*)\)", text, re.MULTILINE):
        folder, *links = match.group(1).split()
        seen.add(folder)
        links = {link for link in links if not link.startswith("dep_")}
        if folder not in LAYERS or links != set(LAYERS[folder]):
            yield f"src/CMakeLists.txt:{line_of(text, match.start())}: {folder} does not link what the table has"
    for folder in sorted(set(LAYERS) - seen):
        yield f"src/CMakeLists.txt:1: no punchcard_library({folder} …)"


def table():
    rows = [f"| `src/{folder}` | {', '.join(uses) or 'nothing'} |" for folder, uses in LAYERS.items()]
    return "\n".join([TABLE_BEGIN, "| folder | may use |", "|---|---|", *rows, TABLE_END])


def check_architecture(root):
    """The table in ARCHITECTURE.md, where the marker is, has these rows; blanks do not count."""
    path = root / "ARCHITECTURE.md"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    begin = text.find(TABLE_BEGIN)
    if begin < 0:
        return
    end = text.find(TABLE_END, begin)
    line = line_of(text, begin)
    found = text[begin : end + len(TABLE_END)] if end > 0 else ""
    if found.split() != table().split():
        yield f"ARCHITECTURE.md:{line}: the table is not that of tools/check_layers.py (its --table prints it)"


def check(root):
    return [*check_sources(root), *check_cmake(root), *check_architecture(root)]


# --- self test --------------------------------------------------------------------------------------------------------

GOOD = {
    "src/base/buf.h": '/* strcpy( */\n#include <stdio.h>\nconst char *s = "system(1)"; // atoi(x)\n',
    "src/loyalty/fold.c": '#include "base/buf.h"\n#include <stdint.h>\nint x = a.ctime + b->system;\n',
    "src/engine/run.c": '#include <duckdb.h>\n#include "engine/run_internal.h"\nint st_ctime = my_atoi(1);\n',
    "src/cli/main.c": '#include "serving/api.h"\n#include "base/buf.h"\nstrtok_r(a, b, c);\n',
}

BAD = [  # file, text, the line and a part of what must be said
    ("src/base/a.c", '#include "loyalty/event.h"\n', 1, "may not use src/loyalty"),
    ("src/engine/a.c", '\n#include "store/view.h"\n', 2, "may not use src/store"),
    ("src/speed/a.c", '#include "serving/api.h"\n', 1, "may not use src/serving"),
    ("src/loyalty/a.c", "#include <stdint.h>\n#  include <time.h>\n", 2, "pure"),
    ("src/loyalty/a.c", "#include <sys/stat.h>\n", 1, "pure"),
    ("src/loyalty/a.c", '#include "base/file.h"\n', 1, "pure"),
    ("src/store/a.c", "#include <duckdb.h>\n", 1, "only src/engine"),
    ("src/cli/a.c", '#include "lmdb.h"\n', 1, "only src/store"),
    ("src/speed/a.c", "#include <cyaml/cyaml.h>\n", 1, "only src/config"),
    ("src/serving/a.c", "#include <json-c/json.h>\n", 1, "only src/speed"),
    ("src/serving/a.c", "#include <microhttpd.h>\n", 1, "only src/speed"),
    ("src/store/a.c", "#include <curl/curl.h>\n", 1, "only src/net"),
    ("src/net/a.c", '#include "store/view.h"\n', 1, "may not use src/store"),
    ("src/batch/a.c", '#include "store/env_internal.h"\n', 1, "stays inside"),
    ("src/batch/a.c", '#include "load.h"\n', 1, "does not name its folder"),
    ("src/batch/a.c", '#include "../engine/engine_internal.h"\n', 1, "does not name its folder"),
    ("src/batch/a.c", "#include <store/view.h>\n", 1, "quotes"),
    ("src/batch/a.c", "/* a\n*/ int x;\nvoid f(void) { strcpy(a, b); }\n", 3, "strcpy is banned"),
    ("src/batch/a.c", "int n = x >atoi(y);\n", 1, "atoi is banned"),
    ("src/batch/a.c", "int (*f)(const char *) = system;\n", 1, "system is banned"),
    ("src/batch/a.c", "char *s = \"\\\"\"; t = gmtime(&x); // \"\n", 1, "gmtime is banned"),
    ("src/other/a.c", "int x;\n", 1, "not in a folder of the table"),
    ("src/CMakeLists.txt", "punchcard_library(base engine)\n", 1, "base does not link"),
    ("ARCHITECTURE.md", f"text\n{TABLE_BEGIN}\n| folder | may use |\n{TABLE_END}\n", 2, "table"),
]  # fmt: skip


def make_tree(root, files):
    links = [f"punchcard_library({folder} {' '.join(uses)} dep_x)" for folder, uses in LAYERS.items()]
    base = {"src/CMakeLists.txt": "\n".join(links) + "\n", "ARCHITECTURE.md": f"# x\n{table()}\n", **GOOD}
    for name, text in {**base, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def self_test():
    with tempfile.TemporaryDirectory() as scratch:
        tree = pathlib.Path(scratch) / "good"
        make_tree(tree, {})
        assert check(tree) == [], check(tree)
        for i, (name, text, line, part) in enumerate(BAD):
            tree = pathlib.Path(scratch) / str(i)
            make_tree(tree, {name: text})
            found = check(tree)
            expected = f"{name}:{line}: "
            assert any(f.startswith(expected) and part in f for f in found), (name, text, expected + part, found)
    print(f"layers: the check sees all of {len(BAD)} planted violations")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true", help="print the table for ARCHITECTURE.md")
    parser.add_argument("--self-test", action="store_true", help="check that every rule can fail")
    arguments = parser.parse_args()
    root = pathlib.Path(__file__).resolve().parent.parent
    if arguments.table:
        print(table())
        return 0
    if arguments.self_test:
        self_test()
        return 0
    problems = check(root)
    for problem in problems:
        print(problem)
    print(f"layers: {len(problems)} violations" if problems else "layers: hold")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
