"""Killed between a change of names and its flush, started again, and then the power goes: the second run must not have taken
what it found for flushed. What it made, and what it went on from, is there whatever was not flushed is lost.

Every flush of a first run (or some of them, drawn) is the place of the kill. The loss is the strictest one: no name survives
that was not flushed.
"""

import argparse
import concurrent.futures
import os
import random
import shutil

import harness
import pytest
from harness import Shop, drivers, power

OPTIONS = argparse.Namespace(libraries=harness.LIBRARIES, deaf_to="", driver="once", binary=harness.RELEASE)
PEOPLE = "".join(f'{i},3,Name {i},m{i}@x.org,2019-01-04,"1",1990-05-29,F,1990\n' for i in range(1, 9))
DAY = "2025-10-08"
COMMANDS = {
    "collect": (["collect", "--once"], range(1, 50)),
    "load": (["load", "customers", "people.csv"], range(1, 30)),
    "refresh": (["refresh", "--data-dt", DAY], range(1, 50)),
    "refresh again": (["refresh", "--data-dt", DAY], range(1, 50)),
}
SAMPLE = 12


class Strictest(random.Random):
    """Chooses what loses most: nothing unflushed survives."""

    def random(self):
        return 0.999999

    def choice(self, seq):
        return seq[0]


def make_base(name, directory):
    """A deployment, as it is before the command."""
    case = harness.Case("power", 1, directory, OPTIONS, days=1)
    case.feed(0.5 if name == "refresh again" else 1)
    (case.shop.dir / "people.csv").write_text(PEOPLE)
    if "refresh" in name:
        case.shop.ok("load", "customers", case.shop.dir / "people.csv")
        case.settle()
    if name == "refresh again":
        case.shop.ok("refresh", "--data-dt", DAY)
        case.feed(1)
        case.settle()
    return case.shop


class Flush:
    """A copy of the deployment, in which a command is killed in its n-th flush."""

    def __init__(self, base, command, directory, n):
        self.dir = directory / str(n)
        self.command = command
        self.n = n
        shutil.copytree(base.dir, self.dir / "shop")
        self.shop = Shop(base.pc, self.dir / "shop")
        self.disk = power.Disk(self.shop.dir)
        self.library = ("power", {"POWER_ROOT": self.shop.dir, "POWER_LOG": self.dir / "log"})

    def run(self, disturbance):
        disturbance.add(self.library[0], "", **self.library[1])
        words = [self.shop.dir / word if word == "people.csv" else word for word in self.command]
        return self.shop.pc.end(self.shop.start(*words, env=disturbance.environment()))

    def killed_run(self):
        """Whether it came so far."""
        kill = drivers.Disturbance(OPTIONS.libraries, self.dir / "fault")
        return self.run(kill.add("fail_call", "", FAIL_AT=self.n, FAIL_HOW="KILL", FAIL_ONLY="fsync")).code != 0

    def lost(self):
        """Files below data that are not there, or not as they were, behind one more run and the loss."""
        result = self.run(drivers.Disturbance(OPTIONS.libraries))
        assert result.code == 0, result
        self.disk.play(power.read_log(self.dir / "log"))
        self.disk.write_survivors(self.dir / "lost", Strictest())
        there = {path: path.read_bytes() for path in (self.dir / "lost").rglob("*") if path.is_file()}
        return [
            path
            for path, content in self.disk.tree().items()
            if path.startswith("data/") and "lock" not in path and there.get(self.dir / "lost" / path) != content
        ]


@pytest.mark.parametrize("name", COMMANDS)
def test_what_a_killed_process_did_not_flush(tmp_path, name):
    command, places = COMMANDS[name]
    base = make_base(name, tmp_path)

    def try_one(n):
        flush = Flush(base, command, tmp_path, n)
        came_so_far = flush.killed_run()
        lost = flush.lost()
        shutil.rmtree(flush.dir)
        return came_so_far, lost

    if not os.environ.get("PUNCHCARD_ALL_CALLS"):
        places = sorted(random.Random(name).sample(places, SAMPLE))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        tried = list(pool.map(try_one, places))
    assert sum(came_so_far for came_so_far, _ in tried) > 3
    assert {n: lost for n, (_, lost) in zip(places, tried) if lost} == {}
