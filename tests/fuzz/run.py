#!/usr/bin/env python3
"""Runs the fuzz targets one after another, each for so long, and says how far they came.

    ./dev fuzz                               all, a minute each
    ./dev fuzz --seconds 600 block csv       two of them, ten minutes each
    ./dev fuzz --rounds 0 --seconds 60       all again and again, until Ctrl-C
    ./dev fuzz --keep                        and what reached new code goes into tests/fuzz/corpus, as little of it as will do

What a target learns stays in build/fuzz-corpus/<target>, and the next run goes on from there. An input that a target fails on,
hangs with (10 s) or needs 2 GiB for is a finding: it is left in build/fuzz-findings, its report printed, and the exit code is 1.
"""

import argparse
import collections
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CORPUS = ROOT / "tests/fuzz/corpus"
DICTIONARIES = ROOT / "tests/fuzz/dictionaries"
LEARNED = ROOT / "build/fuzz-corpus"
FINDINGS = ROOT / "build/fuzz-findings"
TARGETS = sorted(path.stem.removeprefix("fuzz_") for path in (ROOT / "tests/fuzz").glob("fuzz_*.c"))
REPORT_BYTES = 6000


class Fuzzer:
    def __init__(self, name, options):
        self.name = name
        self.program = options.binaries / f"fuzz_{name}"
        self.seconds = options.seconds
        self.learned = LEARNED / name
        self.learned.mkdir(parents=True, exist_ok=True)
        self.seen = {path.name for path in FINDINGS.glob(f"{name}-*")}
        self.executions = self.ran = 0
        self.edges = self.features = 0
        self.findings = []

    def run(self):
        arguments = [
            f"-max_total_time={self.seconds}",
            "-timeout=10",
            "-rss_limit_mb=2048",
            "-print_final_stats=1",
            "-verbosity=1",
            f"-artifact_prefix={FINDINGS}/{self.name}-",
        ]
        dictionary = DICTIONARIES / f"{self.name}.dict"
        if dictionary.exists():
            arguments.append(f"-dict={dictionary}")
        begin = time.monotonic()
        log = FINDINGS / f".{self.name}.log"
        with log.open("wb") as out:
            code = subprocess.run(
                [self.program, *arguments, self.learned, CORPUS / self.name], stdout=out, stderr=out, check=False
            ).returncode
        self.ran += time.monotonic() - begin
        text = log.read_text(errors="replace")
        executed = re.search(r"stat::number_of_executed_units:\s*(\d+)", text)
        reached = re.findall(r"cov: (\d+) ft: (\d+)", text)
        self.executions += int(executed[1]) if executed else 0
        if reached:
            self.edges, self.features = map(int, reached[-1])
        if code != 0:
            found = [path for path in FINDINGS.glob(f"{self.name}-*") if path.name not in self.seen]
            self.seen.update(path.name for path in found)
            self.findings.append(code)
            print(f"FOUND by {self.name} (exit {code}): {', '.join(map(str, found)) or 'no input'}")
            print(text[-REPORT_BYTES:], flush=True)

    def keep(self):
        """Moves into the corpus what reaches code that nothing there reaches."""
        before = set(CORPUS.joinpath(self.name).iterdir())
        command = [self.program, "-merge=1", "-use_counters=0", CORPUS / self.name, self.learned]
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        return len(set(CORPUS.joinpath(self.name).iterdir()) - before)

    def __str__(self):
        rate = self.executions / self.ran if self.ran else 0
        found = f"{len(self.findings)} FINDINGS" if self.findings else "no finding"
        return (
            f"{self.name:<20} {self.ran:7.0f} s {self.executions:>13,} executions {rate:>8,.0f}/s"
            f" {self.edges:>6} edges {self.features:>7} features  {found}"
        )


def parse():
    parser = argparse.ArgumentParser(description="Fuzzing.", epilog="Targets: " + ", ".join(TARGETS))
    parser.add_argument("--seconds", type=int, default=60, help="of each target in each round (default: 60)")
    parser.add_argument("--rounds", type=int, default=1, help="how often all are run; 0: until Ctrl-C (default: 1)")
    parser.add_argument("--keep", action="store_true", help="put what reached new code into tests/fuzz/corpus")
    parser.add_argument("--binaries", type=pathlib.Path, default=ROOT / "build/fuzz/tests")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="which (default: all)")
    options = parser.parse_args()
    unknown = set(options.targets) - set(TARGETS)
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))} (there are: {', '.join(TARGETS)})")
    return options


def main():
    options = parse()
    FINDINGS.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    fuzzers = [Fuzzer(name, options) for name in options.targets or TARGETS]
    rounds = collections.deque(range(options.rounds)) if options.rounds else None
    try:
        while rounds is None or rounds:
            for fuzzer in fuzzers:
                fuzzer.run()
                print(fuzzer, flush=True)
            if rounds:
                rounds.popleft()
    except KeyboardInterrupt:
        print("stopped; in all:")
        for fuzzer in fuzzers:
            print(fuzzer)
    if options.keep:
        for fuzzer in fuzzers:
            print(f"{fuzzer.name}: {fuzzer.keep()} inputs added to its corpus", flush=True)
    ran = sum(fuzzer.ran for fuzzer in fuzzers)
    found = sum(len(fuzzer.findings) for fuzzer in fuzzers)
    executions = sum(fuzzer.executions for fuzzer in fuzzers)
    print(f"{len(fuzzers)} targets, {ran:.0f} s, {executions:,} executions: {found or 'no'} finding{'s' if found > 1 else ''}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
