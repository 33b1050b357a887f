#!/usr/bin/env python3
"""The fault harness: random deployments, random faults, restarts with more faults, and at last a clean run, after which every
event that was sent is there exactly once, in the table and in the accounts, and `audit` agrees.

    tests/crash/harness.py --seconds 60             both cores, all kinds of faults, for a minute
    tests/crash/harness.py --seeds 2000             so many cases
    tests/crash/harness.py --kinds power --first 4711 --seeds 1       one again

    kill     SIGKILL at a random moment
    call     SIGKILL in the n-th call that writes
    errno    the n-th such call, or m in a row, fail: EIO, ENOSPC, half a write; EMFILE where descriptors are made
    memory   the n-th request for memory, or m in a row, get none
    slow     flushes that take their time, a clock that is set back or forward, and then a kill
    power    a power loss at several moments of a run that may have been killed or broken before: of what was not flushed a
             random part survives (power.py)

A case is its kind and its seed; that a kill falls into the same moment again nobody can promise, so kill and slow may need
several goes. A case that fails leaves its directory, and is printed with the command that repeats it.
"""

import argparse
import collections
import multiprocessing
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS / "e2e"), str(TESTS / "crash")]
sys.dont_write_bytecode = True

import drivers  # noqa: E402
import events  # noqa: E402
import power  # noqa: E402
import shops  # noqa: E402
from conftest import ROOT, Shop  # noqa: E402

KINDS = ("kill", "call", "errno", "memory", "slow", "power")
RELEASE = pathlib.Path(os.environ.get("PUNCHCARD_RELEASE", ROOT / "build/release/src/punchcard"))
LIBRARIES = pathlib.Path(os.environ.get("PUNCHCARD_LIBRARIES", ROOT / "build/dev/tests"))
CUTS = 4  # power losses of one run


class Case:
    def __init__(self, kind, seed, directory, options, days=None):
        self.kind, self.seed = kind, seed
        self.dir = pathlib.Path(directory)
        self.chance = random.Random(f"{kind} {seed}")
        self.libraries = options.libraries
        self.deaf_to = {"": (), "files": power.File, "directories": power.Directory}[options.deaf_to]
        self.driver = drivers.DRIVERS[options.driver](options.binary)
        # A loss gives a file another inode, by which it is followed.
        self.world = shops.World(self.chance, days, follows=not self.driver.ends_by_itself and kind != "power")
        self.driver.senders = self.world.senders
        self.shop = Shop(self.driver.pc, self.dir / "shop")
        self.shop.dir.mkdir()
        shutil.copytree(ROOT / "models", self.shop.dir / "models")
        self.world.configure(self.shop)
        self.story = []  # what was done, for who reads of a failure
        self.n_runs = 0
        self.day = None  # that was refreshed
        self.tally = collections.Counter()

    # -- disturbances

    def number(self, most):
        """A number up to `most`; small ones are as likely as large ones are together."""
        return int(most ** self.chance.random())

    def how_long(self):
        return self.chance.choice((1, 1, 2, self.chance.randrange(3, 50), -1))

    def disturbance(self, kind, library=None):
        """A new one. The libraries that fail come before the one that records."""
        self.n_runs += 1
        made = drivers.Disturbance(self.libraries, self.dir / f"fault-{self.n_runs}.log")
        chance = self.chance
        if kind == "kill":
            us = 1000 * self.number(150)
            made.add("disturb", f"SIGKILL after {us} µs of work", KILL_US=us).fatal = True
        elif kind == "call":
            n = self.number(400)
            made.add("fail_call", f"SIGKILL in call {n}", FAIL_AT=n, FAIL_HOW="KILL").fatal = True
        elif kind == "errno":
            how, n, m = chance.choice(("EIO", "ENOSPC", "ENOSPC", "SHORT", "EMFILE")), self.number(400), self.how_long()
            made.add("fail_call", f"{how} in call {n}, {m} in a row", FAIL_AT=n, FAIL_HOW=how, FAIL_FOR=m)
        elif kind == "memory":
            n, m = self.number(20_000), self.how_long()
            made.add("fail_memory", f"no memory at request {n}, {m} in a row", NOMEM_AT=n, NOMEM_FOR=m)
        elif kind == "slow":
            us = chance.choice((0, 1000, 20_000))
            at, by = self.number(100), chance.choice((-300, 40, 1, -1)) * 86_400 + chance.randrange(-100, 100)
            made.add("disturb", f"flushes of {us} µs, from reading {at} on {by} s later", SLOW_US=us, CLOCK_AT=at, CLOCK_BY=by)
            if chance.random() < 0.5:
                made.kill_after, made.fatal = chance.random() * 0.5, True
        if library:
            made.add(library[0], library[0], **library[1])
        if not self.driver.ends_by_itself:
            self.choose_end(made, kind)
        return made

    def choose_end(self, made, kind):
        """How a daemon ends that was not struck."""
        made.patience = self.chance.choice((0.0, 0.2, 1.5, 3.0))
        if kind in ("kill", "call", "slow") and self.chance.random() < 0.3:
            made.end_by, made.fatal = self.chance.choice(("SIGKILL", "both")), True
            made.end_after = self.chance.random() ** 2 * 0.1

    def run(self, disturbance):
        result = self.driver.run(self.shop, disturbance, *self.meanwhile())
        self.story.append(f"{disturbance!r}: exit {result.code} {result.err.strip()[:200]}")
        self.tally["runs"] += 1
        self.tally["struck"] += result.code != 0 or disturbance.fired()
        return result

    def meanwhile(self):
        """What else is done while a daemon runs: nothing, or more files come (of which a record of its own writes would have none)."""
        if self.driver.ends_by_itself or self.kind == "power" or self.chance.random() < 0.5:
            return ()

        def feed():
            for _ in range(self.chance.randrange(1, 4)):
                time.sleep(self.chance.random() ** 2 * 0.2)
                self.feed(self.chance.random() * 0.5)

        return (feed,)

    # -- what is there

    def is_all_there(self):
        """Whether nothing more is to come of what was sent: the tables have it, and no account waits."""
        rows, quarantined = self.ask(self.shop, shops.ROWS_SQL, shops.QUARANTINE_SQL)
        try:
            self.world.check_all(rows, quarantined)
        except AssertionError:
            return False
        tables = self.shop.json("status")["tables"]
        return tables["accounts_marked"] == 0 and not tables["accounts_being_recomputed"]

    def ask(self, shop, *statements):
        return shops.parse_all(shop.ok("sql", "--json", ";".join(statements)).out)

    def check_acknowledged(self, shop):
        """What a reader sees of a state that nobody has mended yet."""
        if (shop.dir / "data/journal/data.mdb").exists():
            (rows,) = self.ask(shop, shops.ROWS_SQL)
        else:
            rows = []
        self.world.check_acknowledged(rows)

    def check_all(self, shop):
        rows, quarantined, accounts, balances = self.ask(
            shop, shops.ROWS_SQL, shops.QUARANTINE_SQL, events.ACCOUNTS_SQL, events.BALANCES_SQL
        )
        chosen = self.world.check_all(rows, quarantined)
        expected_accounts, expected_balances = self.world.expected_accounts(chosen)
        for name, found, expected in (("accounts", accounts, expected_accounts), ("balances", balances, expected_balances)):
            wrong = [(a, b) for a, b in zip(found, expected) if a != b]
            assert found == expected, f"{name}: {len(found)} of {len(expected)}, first wrong (found, expected): {wrong[:1]}"
        shop.ok("audit")
        unread = self.world.unread(shop)
        assert unread == [], f"left in the spool: {unread}"
        self.check_emptied(shop, "collect")
        self.tally["checked"] += 1

    @staticmethod
    def check_emptied(shop, writer):
        """The writer of that kind that was the last one was not disturbed: it has removed what others left."""
        left = [path for path in (shop.dir / "data/tmp" / writer).rglob("*") if path.is_file()]
        assert left == [], f"left in data/tmp: {left}"

    def settle(self):
        """A clean run; afterwards everything was acknowledged."""
        self.world.end_lines(self.shop)
        self.driver.clean(self.shop, self.is_all_there)
        self.story.append("clean run")
        self.world.was_settled()
        self.world.acknowledge_by(self.shop)

    def feed(self, share):
        self.world.acknowledge_by(self.shop)
        before = len(self.world.files)
        self.world.feed(self.shop, share)
        self.story.append(f"{len(self.world.files) - before} new files; unread {self.world.unread(self.shop)}")

    # -- kinds

    def broken(self):
        rounds = self.chance.randrange(1, 4)
        for i in range(rounds):
            self.feed(1 / (rounds - i))
            for _ in range(self.chance.randrange(1, 4)):
                kind = self.kind if self.chance.random() < 0.8 else self.chance.choice(("kill", "call", "errno"))
                disturbance = self.disturbance(kind)
                result = self.run(disturbance)
                self.world.acknowledge_by(self.shop)
                if result.code == 0 and self.driver.ends_by_itself and disturbance.fired() and kind in ("errno", "memory"):
                    unread = self.world.unread(self.shop)
                    assert unread == [], f"exit 0, and left in the spool: {unread}"
                if self.chance.random() < 0.3:
                    self.check_acknowledged(self.shop)
            if self.chance.random() < 0.2:
                self.settle()
            if self.chance.random() < 0.1:
                self.refresh()
        self.settle()
        self.check_all(self.shop)

    def refresh(self, disturbance=None):
        """Of a day; of the same again when one was broken off."""
        self.day = self.day or time.strftime("%Y-%m-%d", time.gmtime(shops.END_S - self.chance.randrange(5) * 86_400))
        env = (disturbance or drivers.Disturbance(".")).environment()
        result = self.shop.run("refresh", "--data-dt", self.day, env=env)
        self.story.append(f"refresh of {self.day}: exit {result.code} {result.err.strip()[:200]}")
        assert result.code == 0, result
        self.check_emptied(self.shop, "batch")

    def power(self):
        if self.chance.random() < 0.6:
            self.feed(0.5)
            self.settle()
            if self.chance.random() < 0.2:
                self.refresh()
        self.feed(1)
        self.shop = self.lose(self.shop, CUTS, "0")

    def recorded_runs(self, shop, log):
        """One run, or some that broke off and one more. None is killed by time: that may be between a call and its record."""
        library = ("power", {"POWER_ROOT": shop.dir, "POWER_LOG": log})
        for kind in (*self.chance.choices(("call", "errno"), k=self.chance.choice((0, 0, 1, 2))), "none"):
            self.run(self.disturbance(kind, library))
        if self.chance.random() < 0.25:
            self.refresh(self.disturbance("none", library))

    def lose(self, shop, cuts, name):
        """Lets it run, recorded; then, for each of some moments: the power goes, and comes back."""
        log = self.dir / f"power-{name}.log"
        disk = power.Disk(shop.dir, self.deaf_to)
        self.shop = shop
        self.recorded_runs(shop, log)
        records = power.read_log(log)
        done, lost = 0, shop
        for n, moment in enumerate(power.moments(records, self.chance, cuts)):
            disk.play(records[done:moment])
            done = moment
            where = self.dir / f"lost-{name}-{n}"
            self.story.append(f"power loss at record {moment} of {len(records)} of {log.name}, leaves {where.name}")
            disk.write_survivors(where, self.chance)
            keep = [(file, file.done) for file in self.world.files]
            self.world.acknowledge(disk.tree_names())
            self.recover(where, f"{name}-{n}")
            for file, was in keep:
                file.done = was
            if n:
                shutil.rmtree(lost.dir)
            lost = self.shop_at(where)
            self.tally["losses"] += 1
        disk.play(records[done:])
        missing = power.difference(disk, shop.dir)
        assert missing == [], f"the record has not all that was done to {missing}"
        return lost

    def shop_at(self, where):
        """What the loss has left of this one."""
        shop = Shop(self.driver.pc, where)
        shop.config, shop.programme = self.shop.config, self.shop.programme
        return shop

    def recover(self, where, name):
        shop = self.shop_at(where)
        if self.chance.random() < 0.3:
            self.check_acknowledged(shop)
        usual, self.shop = self.shop, shop
        if self.chance.random() < 0.2:
            self.run(self.disturbance(self.chance.choice(("call", "errno"))))
        if name.count("-") < 2 and self.chance.random() < 0.15:
            self.shop = shop = self.lose(shop, 1, name)
        self.driver.clean(shop, self.is_all_there)
        if self.day and self.chance.random() < 0.7:
            self.refresh()
        self.check_all(shop)
        self.shop = usual

    def play(self):
        if self.kind == "power":
            self.power()
        else:
            self.broken()
        if self.world.senders:
            self.tally["answers"] += self.world.senders.answers


def run_case(kind, seed, options):
    """None, or the report of a failure; and what was counted."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix=f"{kind}-{seed}-", dir=options.place))
    case = None
    try:
        case = Case(kind, seed, directory, options)
        case.play()
    except Exception:  # pylint: disable=broad-except
        story = "\n".join(f"  {line}" for line in case.story) if case else ""
        again = f"tests/crash/harness.py --kinds {kind} --first {seed} --seeds 1 --driver {options.driver}"
        report = f"FAILED {kind} {seed}, left in {directory}; again: {again}\n{story}\n{traceback.format_exc()[-6000:]}"
        return report, case.tally if case else collections.Counter()
    shutil.rmtree(directory)
    return None, case.tally


class Plan:
    """Which cases, and until when."""

    def __init__(self, options):
        self.options = options
        self.deadline = time.monotonic() + options.seconds if options.seconds else None

    def cases(self):
        kinds = self.options.kinds
        n = 0
        while self.options.seeds is None or n < self.options.seeds * len(kinds):
            yield kinds[n % len(kinds)], self.options.first + n // len(kinds)
            n += 1


def work(tasks, results, options):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for kind, seed in iter(tasks.get, None):
        results.put((kind, seed, *run_case(kind, seed, options)))


def run_all(options):
    """Counts, and reports of failures."""
    plan = Plan(options)
    tasks, results = multiprocessing.Queue(2 * options.jobs), multiprocessing.Queue()
    workers = [multiprocessing.Process(target=work, args=(tasks, results, options), daemon=True) for _ in range(options.jobs)]
    for worker in workers:
        worker.start()
    counts, tallies, reports, going = collections.Counter(), collections.Counter(), [], 0

    def take():
        kind, _, report, tally = results.get(timeout=600)
        counts[kind] += 1
        tallies.update(tally)
        if report:
            reports.append(report)
            print(report, flush=True)

    cases = plan.cases()
    begin = said = time.monotonic()
    for kind, seed in cases:
        if plan.deadline and time.monotonic() > plan.deadline or len(reports) >= options.failures:
            break
        while going >= 2 * options.jobs:
            take()
            going -= 1
        tasks.put((kind, seed))
        going += 1
        if time.monotonic() - said > 30:
            said = time.monotonic()
            print(f"{sum(counts.values())} cases in {said - begin:.0f} s", flush=True)
    for _ in range(going):
        take()
    for _ in workers:
        tasks.put(None)
    for worker in workers:
        worker.join()
    return counts, tallies, reports


def parse(arguments):
    parser = argparse.ArgumentParser(description="The fault harness.", epilog="Kinds: " + ", ".join(KINDS))
    parser.add_argument("--seeds", type=int, help="so many of each kind; without --seconds 100")
    parser.add_argument("--seconds", type=float, help="no new case begins after so long")
    parser.add_argument("--kinds", default=",".join(KINDS), help="which, separated by commas (default: all)")
    parser.add_argument("--first", type=int, default=1, help="the first seed (default: 1)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--driver", choices=drivers.DRIVERS, default="once")
    parser.add_argument("--failures", type=int, default=1, help="stops after so many (default: 1)")
    parser.add_argument("--binary", type=pathlib.Path, default=RELEASE)
    parser.add_argument("--libraries", type=pathlib.Path, default=LIBRARIES, help="where libfail_call.so and the others are")
    deaf = "power: flushes of these do nothing, to see whether the harness notices"
    parser.add_argument("--deaf-to", choices=("", "files", "directories"), default="", help=deaf)
    parser.add_argument("--place", type=pathlib.Path, help="where deployments are made (default: in memory, if possible)")
    options = parser.parse_args(arguments)
    options.kinds = options.kinds.split(",")
    for kind in options.kinds:
        if kind not in KINDS:
            parser.error(f"'{kind}' is no kind of fault: {', '.join(KINDS)}")
    if options.seeds is None and options.seconds is None:
        options.seeds = 100
    return options


def main(arguments=None):
    options = parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # its workers end with it
    memory = pathlib.Path("/dev/shm")
    place = options.place or (memory if os.access(memory, os.W_OK) else pathlib.Path(tempfile.gettempdir()))
    options.place = pathlib.Path(tempfile.mkdtemp(prefix="punchcard-crash-", dir=place))
    begin = time.monotonic()
    counts, tallies, reports = run_all(options)
    if not reports:
        options.place.rmdir()
    kinds = ", ".join(f"{counts[kind]} {kind}" for kind in options.kinds)
    what = f"{tallies['runs']} runs, {tallies['struck']} struck, {tallies['losses']} power losses"
    if tallies["answers"]:
        what += f", {tallies['answers']} requests answered"
    verdict = f"{len(reports)} FAILED" if reports else "all good"
    print(
        f"{sum(counts.values())} cases (seeds {options.first} to {options.first + max(counts.values(), default=1) - 1}: {kinds}),"
        f" {what}, {time.monotonic() - begin:.0f} s: {verdict}"
    )
    return 1 if reports else 0


if __name__ == "__main__":
    sys.exit(main())
