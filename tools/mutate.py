#!/usr/bin/env python3
"""Changes the loyalty kernel in one place at a time, and counts how many of the changes its tests notice.

    tools/mutate.py [--count 200] [--seed 1] [--jobs N] [--file earn.c]…

Operators and constants are turned, statements left out (src/loyalty/*.c; not asserts, texts and declarations). Each mutant is built
out of the tree and goes through the properties, the unit tests of the kernel, the oracle, and the tests once more under sanitizers
(as `./dev test` runs them), until one of them fails. What none notices is printed: a test is missing, or the mutant does the same as
the original. Of the latter, the compiler finds some (same object code), and tools/mutate_same.txt names others, with the reason.
Exit code 1 when less than 90 % of the rest were noticed.
"""

import argparse
import concurrent.futures
import os
import pathlib
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
KERNEL = ROOT / "src/loyalty"
SAME = ROOT / "tools/mutate_same.txt"
TARGET = 0.9
CC = os.environ.get("CC", "cc")
FLAGS = ["-std=gnu17", "-D_GNU_SOURCE", "-O1", "-w", "-fPIC", f'-DPUNCHCARD_SOURCE_DIR="{ROOT}"']
# A test that takes so much of a core hangs: mutants make loops endless. Others may be at work here, so a clock tells less; it is
# for what waits.
HANG_S = 60
WAIT_S = 20 * HANG_S
HISTORIES = 3000
ORACLE_S = 6


# --- the places -------------------------------------------------------------------------------------------------------

# What may be turned into what; the first group of a pattern is replaced.
TURNS = [
    (r"[\w\])] (<) [\w(*&-]", ["<="]),
    (r"[\w\])] (<=) [\w(*&-]", ["<"]),
    (r"[\w\])] (>) [\w(*&-]", [">="]),
    (r"[\w\])] (>=) [\w(*&-]", [">"]),
    (r" (==) ", ["!="]),
    (r" (!=) ", ["=="]),
    (r" (&&) ", ["||"]),
    (r" (\|\|) ", ["&&"]),
    (r"[\w\])] (\+) [\w(]", ["-"]),
    (r"[\w\])] (-) [\w(]", ["+"]),
    (r"[\w\])] (\*) [\w(]", ["/"]),
    (r"[\w\])] (/) [\w(]", ["*"]),
    (r"[\w\])] (%) [\w(]", ["/"]),
    (r"[\w\])] (&) [\w(~]", ["|"]),
    (r"[\w\])] (\|) [\w(]", ["&"]),
    (r" (<<) ", [">>"]),
    (r" (>>) ", ["<<"]),
    (r" (\+=) ", ["-="]),
    (r" (-=) ", ["+="]),
    (r" (\|=) ", ["&="]),
    (r" (&=) ", ["|="]),
    (r"(\+\+)", ["--"]),
    (r"(--)", ["++"]),
    (r"[( ](!)[\w(]", [""]),
    (r"(?<![\w.])(\d+)(?![\w.])", None),  # constants
    (r"\b(true)\b", ["false"]),
    (r"\b(false)\b", ["true"]),
    (r" (\?) ", ["|| true ?", "&& false ?"]),
]
# A statement of one line that is no declaration and no jump.
STATEMENT = re.compile(
    r"^\t+((?:[*(]*[a-z_][\w.>()*&\[\]-]*(?:\[.*?\])?(?:\+\+|--| (?:[-+*/|&]|<<|>>)?= .*)|[a-z_]\w*\(.*\)));$"
)
JUMP = re.compile(r"^\t+((?:break|continue));$")
LEFT_ALONE = re.compile(r"^\s*(#|static_assert|assert\(|case |default:)|error_set|error_no_memory|\bstatic_assert\b")


def blank(match):
    return re.sub(r"[^\n]", " ", match.group())


def code_of(text):
    """The text, with comments, strings and asserts made blank."""
    text = re.sub(r"/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])+'", blank, text, flags=re.S)
    return re.sub(r"\b(?:static_)?assert\([^;]*;|\berror_(?:set|no_memory)\([^;]*;", blank, text, flags=re.S)


class Mutant:
    def __init__(self, path, text, start, end, new):
        self.path = path
        self.name = path.name
        self.line = text.count("\n", 0, start) + 1
        line_start = text.rfind("\n", 0, start) + 1
        line_end = text.find("\n", end)
        self.before = text[line_start:line_end].strip()
        self.after = (text[line_start:start] + new + text[end:line_end]).strip()
        self.text = text[:start] + new + text[end:]

    def __str__(self):
        return f"src/loyalty/{self.name}:{self.line}: {self.before}\n    -> {self.after or '(left out)'}"


def constants(line, word):
    """Callers only look whether a code is below 0."""
    value = int(word)
    if line.strip() == "return 0;":
        return ["-1"]
    if line.strip() == "return -1;":
        return ["0"]
    return {0: ["1"], 1: ["0", "2"]}.get(value, [str(value + 1), str(value - 1)])


def mutants_of(path):
    text = path.read_text(encoding="utf-8")
    found = []
    at = 0
    for line in code_of(text).splitlines(keepends=True):
        start, at = at, at + len(line)
        if LEFT_ALONE.search(line) or line[0] not in "\t":
            continue
        for pattern, news in TURNS:
            for match in re.finditer(pattern, line):
                old = match.group(1)
                for new in news or constants(line, old):
                    found.append(Mutant(path, text, start + match.start(1), start + match.end(1), new))
        for pattern in (STATEMENT, JUMP):
            match = pattern.match(line.rstrip("\n"))
            if match:
                found.append(Mutant(path, text, start + match.start(1), start + match.end(1), ""))
    return found


# --- building and testing ---------------------------------------------------------------------------------------------


def run(*words, **options):
    return subprocess.run([str(word) for word in words], capture_output=True, **options)


def must(*words):
    done = run(*words)
    if done.returncode:
        sys.exit(f"mutate: {' '.join(map(str, words))[:300]}\n{done.stderr.decode()}")


def libraries(*names):
    return shlex.split(run("pkg-config", "--libs", *names).stdout.decode())


class Workshop:
    """The tests, built once and linked with the kernel as a shared library, which each mutant replaces."""

    def __init__(self, place, src, *flags):
        """src: a copy of ours, which nobody changes in the meantime."""
        self.place = pathlib.Path(place)
        self.place.mkdir()
        self.src = src
        self.flags = [*flags, f"-I{src}"]
        self.sanitized = bool(flags)
        self.objects = {}
        base = [self.compile(path, self.place / f"base_{path.stem}.o") for path in sorted((src / "base").glob("*.c"))]
        for path in sorted((src / "loyalty").glob("*.c")):
            self.objects[path.name] = self.compile(path, self.place / f"kernel_{path.stem}.o")
        self.kernel = ["-Wl,--no-as-needed", f"-L{self.place}", "-lkernel", *libraries("libxxhash", "cmocka", "zlib"), "-lm"]
        self.base = self.place / "libbase.a"
        must("ar", "rcs", self.base, *base)
        self.link_kernel(self.place / "libkernel.so", self.objects.values())
        self.tests = [self.place / "properties"]
        self.link(self.place / "properties", *(ROOT / "tests/properties").glob("*.c"))
        for path in sorted((ROOT / "tests/unit/loyalty").glob("test_*.c")):
            self.link(self.place / path.stem, path)
            self.tests.append(self.place / path.stem)
        self.cases = None
        if not self.sanitized:
            self.link_cases()

    def link_cases(self):
        self.cases = self.place / "kernel_cases"
        config = [self.compile(path, self.place / f"config_{path.stem}.o") for path in sorted((self.src / "config").glob("*.c"))]
        must("ar", "rcs", self.place / "libconfig.a", *config)
        self.link(self.cases, ROOT / "tests/oracle/kernel_cases.c", self.place / "libconfig.a", *libraries("libcyaml"))

    def compile(self, source, target):
        must(CC, *FLAGS, *self.flags, "-c", source, "-o", target)
        return target

    def link(self, target, *sources):
        must(CC, *FLAGS, *self.flags, "-o", target, *sources, *self.kernel, self.base)

    def link_kernel(self, target, objects):
        must(CC, "-shared", *self.flags, "-o", target, *objects, self.base, *libraries("libxxhash", "zlib"))

    def original(self, name):
        """Its object code, well optimised, without names of files."""
        target = self.place / f"plain_{name}.o"
        if not target.exists():
            self.optimised(self.src / "loyalty" / name, target)
        return target.read_bytes()

    def optimised(self, source, target):
        return run(CC, *FLAGS, *self.flags, "-O2", "-DNDEBUG", "-c", source, "-o", target).returncode == 0

    def is_same(self, source, name):
        """True, False, or None: it does not compile."""
        target = source.with_suffix(".plain.o")
        return target.read_bytes() == self.original(name) if self.optimised(source, target) else None

    def judge(self, source, name):
        """What became of a mutant: 'noticed', 'hangs' or 'SURVIVED'; and by what."""
        place = source.with_suffix(".sanitized" if self.sanitized else ".kernel")
        place.mkdir()
        objects = [path for other, path in self.objects.items() if other != name]
        self.link_kernel(place / "libkernel.so", [*objects, self.compile(source, place / "mutant.o")])
        return self.test(place)

    def test(self, library):
        environment = {**os.environ, "LD_LIBRARY_PATH": str(library), "MALLOC_PERTURB_": "165"}
        # A loop that takes memory ends before the machine does; sanitizers reserve far more than they use.
        limit = f"ulimit -t {HANG_S};" + ("" if self.sanitized else f"ulimit -v {4 << 20};")
        for test in self.tests:
            words = ["bash", "-c", f'{limit} exec "$@"', "bash", test]
            if test.name == "properties":
                words += ["--count", HISTORIES, "--as-found"]
            try:
                code = run(*words, env=environment, timeout=WAIT_S).returncode
            except subprocess.TimeoutExpired:
                code = -signal.SIGXCPU
            if code in (-signal.SIGXCPU, -signal.SIGKILL):
                return "hangs", test.name
            if code:
                return "noticed", f"{test.name} under sanitizers" if self.sanitized else test.name
        return self.ask_oracle(environment) if self.cases else ("SURVIVED", "")

    def ask_oracle(self, environment):
        environment["KERNEL_CASES"] = str(self.cases)
        words = [sys.executable, ROOT / "tests/oracle/judge.py", "--seconds", ORACLE_S, "--seed", 1]
        try:
            if run(*words, env=environment, timeout=WAIT_S).returncode:
                return "noticed", "oracle"
        except subprocess.TimeoutExpired:
            return "hangs", "oracle"
        return "SURVIVED", ""


def judge(workshops, mutant):
    """One after the other, in a directory of its own."""
    with tempfile.TemporaryDirectory(dir=workshops[0].place) as directory:
        source = pathlib.Path(directory) / mutant.name
        source.write_text(mutant.text, encoding="utf-8")
        same = workshops[0].is_same(source, mutant.name)
        if same or same is None:
            return "does not compile" if same is None else "same", ""
        for workshop in workshops:
            verdict, test = workshop.judge(source, mutant.name)
            if verdict != "SURVIVED":
                break
        return verdict, test


# --- all of it --------------------------------------------------------------------------------------------------------


def known_same():
    """(file, before, after) of mutants that do the same, as mutate_same.txt has them: three lines each, and an empty one."""
    known = set()
    if SAME.exists():
        for entry in SAME.read_text(encoding="utf-8").split("\n\n"):
            lines = [line for line in entry.strip().splitlines() if not line.startswith("#")]
            if lines:
                name, before, after = (line.strip() for line in lines[:3])
                known.add((name.split(":")[0], before, after.removeprefix("-> ")))
    return known


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--count", type=int, default=200, help="how many mutants, drawn from all (200)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--file", action="append", default=[], help="only of this file of src/loyalty")
    parser.add_argument("--list", action="store_true", help="only print the mutants that would be tried")
    args = parser.parse_args()
    files = [KERNEL / name for name in args.file] or sorted(KERNEL.glob("*.c"))
    everything = [mutant for path in files for mutant in mutants_of(path)]
    drawn = random.Random(args.seed).sample(everything, min(args.count, len(everything)))
    known = known_same()
    if args.list:
        print(*drawn, sep="\n")
        return
    counts = {}
    by_whom = {}
    survivors = []
    with tempfile.TemporaryDirectory(prefix="mutate-") as directory:
        place = pathlib.Path(directory)
        src = shutil.copytree(ROOT / "src", place / "src")
        sanitizers = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
        workshops = [Workshop(place / "plain", src), Workshop(place / "sanitized", src, *sanitizers)]
        for workshop in workshops:
            verdict, test = workshop.test(workshop.place)
            if verdict != "SURVIVED":
                sys.exit(f"mutate: without any change, {test}: {verdict}")
        fresh = []
        for mutant in drawn:
            if (mutant.name, mutant.before, mutant.after or "(left out)") in known:
                counts["same"] = counts.get("same", 0) + 1
            else:
                fresh.append(mutant)
        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            for mutant, (verdict, test) in zip(fresh, pool.map(lambda one: judge(workshops, one), fresh)):
                counts[verdict] = counts.get(verdict, 0) + 1
                if test:
                    by_whom[test] = by_whom.get(test, 0) + 1
                if verdict == "SURVIVED":
                    survivors.append(mutant)
                    print(f"SURVIVED {mutant}", flush=True)
    noticed = counts.get("noticed", 0) + counts.get("hangs", 0)
    of = noticed + counts.get("SURVIVED", 0)
    print(f"{len(everything)} mutants there are, {len(drawn)} drawn: " + ", ".join(f"{n} {k}" for k, n in sorted(counts.items())))
    print("first noticed by: " + ", ".join(f"{test} {n}" for test, n in sorted(by_whom.items(), key=lambda item: -item[1])))
    print(f"noticed: {noticed} of {of}, {100 * noticed / max(of, 1):.1f} %")
    sys.exit(0 if noticed >= TARGET * of else 1)


if __name__ == "__main__":
    main()
