"""Killed between a change of names and its flush, started again, and then the power goes: the second run must not have taken
what it found for flushed. What it made, and what it went on from, is there whatever was not flushed is lost.

Every single flush of a first run is the place of the kill. The loss is the strictest one: no name survives that was not flushed.
"""

import argparse
import concurrent.futures
import os
import random
import shutil

import harness
from harness import drivers, power

OPTIONS = argparse.Namespace(libraries=harness.LIBRARIES, deaf_to="", driver="once", binary=harness.RELEASE)


class Strictest(random.Random):
    """Chooses what loses most: nothing unflushed survives."""

    def random(self):
        return 0.999999

    def choice(self, seq):
        return seq[0]


class Flush:
    """A deployment whose first collect is killed in its n-th flush."""

    def __init__(self, directory, n):
        self.dir = directory / str(n)
        self.dir.mkdir()
        self.n = n
        self.case = harness.Case("power", 1, self.dir, OPTIONS, days=1)
        self.case.feed(1)
        self.disk = power.Disk(self.case.shop.dir)
        self.library = ("power", {"POWER_ROOT": self.case.shop.dir, "POWER_LOG": self.dir / "log"})

    def killed_run(self):
        """Whether it came so far."""
        kill = drivers.Disturbance(OPTIONS.libraries, self.dir / "fault")
        kill.add("fail_call", "", FAIL_AT=self.n, FAIL_HOW="KILL", FAIL_ONLY="fsync").fatal = True
        kill.add(self.library[0], "", **self.library[1])
        return self.case.run(kill).code != 0

    def lost(self):
        """Files below data that are not there, or not as they were, behind one more run and the loss."""
        self.case.run(self.case.disturbance("none", self.library))
        self.disk.play(power.read_log(self.dir / "log"))
        self.disk.write_survivors(self.dir / "lost", Strictest())
        there = {path: path.read_bytes() for path in (self.dir / "lost").rglob("*") if path.is_file()}
        return [
            path
            for path, content in self.disk.tree().items()
            if path.startswith("data/") and "lock" not in path and there.get(self.dir / "lost" / path) != content
        ]


def test_what_a_killed_process_did_not_flush(tmp_path):
    def try_one(n):
        flush = Flush(tmp_path, n)
        came_so_far = flush.killed_run()
        lost = flush.lost()
        shutil.rmtree(flush.dir)
        return came_so_far, lost

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        tried = list(pool.map(try_one, range(1, 60)))
    assert sum(came_so_far for came_so_far, _ in tried) > 20
    assert {n: lost for n, (_, lost) in enumerate(tried, 1) if lost} == {}
