#!/usr/bin/env python3
"""A day of a chain's orders in minutes: the daemon under a clock that runs fast (fast_clock.c), so that all that it does every few
seconds, and every hour, it does as often as in that day. At the end nothing may have grown but what has a reason to.

    ./dev soak                               24 hours, 10 orders a second, 240 times as fast: six minutes
    ./dev soak --hours 1 --speed 60          a quick look

What comes: files of lines and files of events (moved into spools), a log that is rotated every hour, requests by HTTP over
connections that come and go. Among the events are refunds, redemptions, some that were sent before and some that are days late, so that
accounts are mended. The programme changes every two hours, the configuration is read again between; customers' cards and SQL are asked
for meanwhile. What was put away is cleared up by hand, as in a shop.

Sampled, from /proc and by `status`: memory that is the process's own, descriptors, threads, blocks and bytes of the journal, files of
orders. Compared are the hours behind the first quarter of the run with the last hours. Afterwards every event must be in the tables
once, and `audit` agree.
"""

import argparse
import collections
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS / "e2e"))
sys.dont_write_bytecode = True

from conftest import ROOT, Punchcard, Shop, environment  # noqa: E402

HOUR_S = 3600
TICK_S = 30  # of the shop's time: so often files come
KEPT_S = 2 * HOUR_S  # files that were put away
WARM = 0.25  # of the run; what is used first is had by then: caches, the memory's arenas, all customers
LAST = 0.15
ITEMS = (("espresso", "65.00"), ("latte", "70.00"), ("mocha", "80.00"), ("greentea", "60.00"))
SHARES = {"till": 0.4, "app": 0.3, "log": 0.2, "web": 0.1}
SOURCES = [
    {"name": "till", "dir": "till", "format": "classic"},
    {"name": "app", "dir": "app", "format": "ndjson", "when_done": "delete"},
    {"name": "log", "type": "tail", "path": "log/orders.log", "format": "classic"},
    {"name": "web", "type": "http"},
]
PROGRAMME = {
    "version": 1,
    "name": "Soak",
    "currency": "THB",
    "timezone": "Asia/Bangkok",
    "ledgers": [{"name": "points", "expiry": {"days": 365}}],
    "earn": [{"per_amount": {"points": "1", "per": "25"}}],
    "late": {"days": 1, "open_events": 16},
}


class Clock:
    """The time in the shop."""

    def __init__(self, speed):
        self.speed, self.start = speed, time.time()

    def now(self):
        return self.start + (time.time() - self.start) * self.speed

    def sleep_until(self, when):
        time.sleep(max(0.0, (when - self.now()) / self.speed))

    def environment(self):
        return {"PUNCHCARD_FAST_SPEED": str(self.speed), "PUNCHCARD_FAST_FROM": str(int(self.start * 1e6))}


class Chain:
    """What the shops send; and how much of it is to be found."""

    def __init__(self, shop, clock, options):
        self.shop, self.clock, self.options = shop, clock, options
        self.chance = random.Random(options.seed)
        self.sent = collections.Counter()  # events, each once
        self.n_files = 0
        self.rest = collections.Counter()  # parts of an order, by source
        self.recent = collections.deque(maxlen=2000)  # (id, customer, amount) of orders that may be refunded
        self.old_lines = {"app": collections.deque(maxlen=2000), "web": collections.deque(maxlen=2000)}
        self.connection = None
        self.log = None
        self.log_since = 0.0

    def due(self, source, seconds):
        self.rest[source] += self.options.rate * SHARES[source] * seconds
        n = int(self.rest[source])
        self.rest[source] -= n
        return n

    def customer(self):
        return self.chance.randrange(1, self.options.customers + 1)

    def classic(self, source, n, when):
        self.sent[source] += n
        lines = []
        for _ in range(n):
            item, price = self.chance.choice(ITEMS)
            lines.append(f"{self.customer()}|{item} {price}|{int(when - self.chance.random() * TICK_S)}\n")
        return "".join(lines)

    def event(self, source, when):
        """A line of JSON: an order, or now and then something else."""
        chance = self.chance.random()
        if chance < 0.01 and self.old_lines[source]:
            return self.chance.choice(self.old_lines[source])  # again
        self.sent[source] += 1
        number = f"{source}-{self.sent[source]}"
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when - (3 * 86_400 if chance > 1 - self.options.late else 0)))
        common = {"event_id": number, "customer": self.customer(), "time": stamp}
        item, price = self.chance.choice(ITEMS)
        if chance < 0.03 and self.recent:
            order, customer = self.recent.popleft()
            event = {**common, "kind": "refund", "customer": customer, "order": order, "amount": 10}
        elif chance < 0.04:
            event = {**common, "kind": "redeem", "points": 1}
        else:
            event = {**common, "kind": "order", "lines": [{"menu": item, "qty": 1, "price": float(price)}]}
            if chance < 0.9:
                self.recent.append((number, common["customer"]))
        line = json.dumps(event) + "\n"
        self.old_lines[source].append(line)
        return line

    def write_log(self, n, when):
        path = self.shop.dir / "log/orders.log"
        if self.log and when - self.log_since > HOUR_S:
            self.log.close()
            path.rename(path.with_suffix(".log.1"))
            self.log = None
        if not self.log:
            self.log, self.log_since = path.open("a", encoding="utf-8"), when
        self.log.write(self.classic("log", n, when))
        self.log.flush()

    def post(self, n, when):
        body = "".join(self.event("web", when) for _ in range(n)).encode()
        for attempt in range(1000):
            try:
                self.connection = self.connection or http.client.HTTPConnection("127.0.0.1", self.shop.port, timeout=60)
                self.connection.request("POST", "/v1/events", body)
                answer = self.connection.getresponse()
                text = answer.read()
                if answer.status == 200:
                    break
                assert answer.status in (429, 503), (answer.status, text)
            except (OSError, http.client.HTTPException):  # the daemon starts again by a new configuration
                self.connection = None
            time.sleep(0.01 * min(attempt + 1, 20))
        else:
            raise AssertionError("http takes nothing any more")
        if self.chance.random() < 0.05 and self.connection:
            self.connection.close()
            self.connection = None

    def put(self, source, text):
        self.n_files += 1
        self.shop.put(f"{source}-{self.n_files}.txt", text, self.shop.dir / source)

    def send(self, seconds, when):
        for source in ("till", "app"):
            n = self.due(source, seconds)
            if n:
                self.put(source, self.classic(source, n, when) if source == "till" else "".join(self.event(source, when) for _ in range(n)))
        n = self.due("log", seconds)
        if n:
            self.write_log(n, when)
        n = self.due("web", seconds)
        if n:
            self.post(n, when)

    def clear_up(self):
        """What was put away so many of the shop's hours ago."""
        limit = time.time() - KEPT_S / self.clock.speed
        for path in self.shop.dir.joinpath("till").glob("*.COMPLETED"):
            if path.stat().st_mtime < limit:
                path.unlink()


class Sampler(threading.Thread):
    """What the daemon has, and what its directory."""

    def __init__(self, process, shop, clock, every_s):
        super().__init__(daemon=True)
        self.process, self.shop, self.clock, self.every_s = process, shop, clock, every_s
        self.samples, self.over, self.error = [], threading.Event(), None

    def sample(self):
        proc = pathlib.Path(f"/proc/{self.process.pid}")
        status = dict(line.split(":\t", 1) for line in (proc / "status").read_text().splitlines() if ":\t" in line)
        journal = self.shop.json("status")["journal"]
        orders = list((self.shop.warehouse / "transactions_cln").glob("data_dt=*/orders-*.parquet"))
        return {
            "at": self.clock.now() - self.clock.start,
            "own_kib": int(status["RssAnon"].split()[0]),
            "mapped_kib": int(status["RssFile"].split()[0]) + int(status["RssShmem"].split()[0]),
            "threads": int(status["Threads"]),
            "descriptors": len(list((proc / "fd").iterdir())),
            "journal_blocks": journal["blocks_kept"],
            "journal_bytes": journal["bytes"],
            "journal_file": journal["file_bytes"],
            "backlog_bytes": journal["backlog_bytes"],
            "files": len(orders),
            "view_file": (self.shop.dir / "data/view/data.mdb").stat().st_size,
            "cpu_s": sum(os.sysconf("SC_CLK_TCK") ** -1 * int(n) for n in (proc / "stat").read_text().rsplit(")")[-1].split()[11:13]),
        }

    def run(self):
        try:
            while not self.over.wait(self.every_s):
                self.samples.append(self.sample())
        except Exception as fault:  # pylint: disable=broad-except
            self.error = fault

    def stop(self):
        self.over.set()
        self.join()
        if self.error:
            raise self.error


def median_of(samples, key, begin, end):
    last = samples[-1]["at"]
    return statistics.median(s[key] for s in samples if begin * last <= s["at"] <= end * last)


class Verdict:
    """What was before, what is at the end, and what it may be."""

    def __init__(self, samples):
        self.samples, self.rows, self.wrong = samples, [], []

    def flat(self, key, share, more, unit=1, name=""):
        """May have grown by this share, and by so much more."""
        before = median_of(self.samples, key, WARM, WARM + LAST)
        after = median_of(self.samples, key, 1 - LAST, 1)
        most = before * (1 + share) + more
        good = after <= most
        most_ever = max(s[key] for s in self.samples)
        text = f"{before / unit:10.1f} {after / unit:10.1f}   at most {most / unit:.1f}; ever {most_ever / unit:.1f}"
        self.rows.append(f"{key + name:<22} {text} {'' if good else '  GROWS'}")
        if not good:
            self.wrong.append(key)

    def report(self):
        print(f"{'':<22} {'before':>10} {'at the end':>10}")
        for row in self.rows:
            print(row)
        return self.wrong


def judge(samples, chain):
    verdict = Verdict(samples)
    verdict.flat("own_kib", 0.10, 8 * 1024, 1024, ", MiB")
    verdict.flat("descriptors", 0, 4)
    verdict.flat("threads", 0, 2)
    # A small file of what came last is there until it is merged; a day has a few large ones.
    verdict.flat("files", 0.5, 40)
    verdict.flat("journal_blocks", 0.5, 200)
    # Each id is kept for ever, and a position of each file.
    ids = (chain.sent["app"] + chain.sent["web"]) * (1 - WARM) * 100
    positions = chain.n_files * (1 - WARM) * 600
    verdict.flat("journal_bytes", 0.5, ids + positions + (1 << 20), 1 << 20, ", MiB")
    verdict.flat("journal_file", 0.5, ids + positions + (8 << 20), 1 << 20, ", MiB")
    return verdict


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_shop(options, directory):
    shop = Shop(Punchcard(str(options.binary)), directory)
    shop.pc("init", directory)
    shop.programme = dict(PROGRAMME)
    shop.port = free_port()
    sources = [dict(source) for source in SOURCES]
    sources[3]["listen"] = f"127.0.0.1:{shop.port}"
    for name in ("till", "app", "log"):
        (shop.dir / name).mkdir()
    shop.config.update(sources=sources, journal={"retention_hours": 1})
    write(shop)
    return shop


def write(shop):
    for name, content in (("punchcard.yaml", shop.config), ("programme.yaml", shop.programme)):
        staged = shop.dir / f".{name}"
        staged.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        staged.rename(shop.dir / name)


def start(shop, clock, options):
    log = (shop.dir.parent / "daemon.log").open("wb")
    env = environment(LD_PRELOAD=str(options.libraries / "libfast_clock.so"), **clock.environment())
    process = shop.start("run", stderr=log, stdout=subprocess.DEVNULL, env=env)
    log.close()
    return process


def change(shop, process, hour):
    """Every second hour another programme, every other one the configuration again."""
    if hour % 2 == 0:
        shop.programme["earn"] = [{"per_amount": {"points": str(1 + hour // 2 % 2), "per": "25"}}]
        write(shop)
    else:
        process.send_signal(signal.SIGHUP)


def wait_drained(shop, chain, limit_s):
    """Until all is in the tables and in the accounts."""
    deadline = time.monotonic() + limit_s
    expected = sum(chain.sent.values())
    while True:
        status = shop.json("status")
        lag = sum(consumer["lag_lines"] for consumer in status["journal"]["consumers"].values())
        tables = status["tables"]
        found = tables["transactions_cln"]
        if found >= expected and lag == 0 and not tables["accounts_marked"] and not tables["accounts_being_recomputed"]:
            return
        assert time.monotonic() < deadline, f"not all came: {found} of {expected}, lag {lag}, {tables}"
        time.sleep(0.2)


def soak(options, directory):
    shop = make_shop(options, directory / "shop")
    clock = Clock(options.speed)
    chain = Chain(shop, clock, options)
    process = start(shop, clock, options)
    sampler = Sampler(process, shop, clock, max(0.5, options.hours * HOUR_S / options.speed / 200))
    sampler.start()
    begin, ticks, hour = clock.now(), 0, 0
    try:
        while ticks * TICK_S < options.hours * HOUR_S:
            clock.sleep_until(begin + ticks * TICK_S)
            assert process.poll() is None, f"the daemon ended with {process.returncode}"
            chain.send(TICK_S, clock.now())
            ticks += 1
            if ticks % 20 == 0:
                chain.clear_up()
                shop.run("customer", chain.customer())
            if ticks * TICK_S // HOUR_S > hour:
                hour = ticks * TICK_S // HOUR_S
                change(shop, process, hour)
                print(f"hour {hour}: {sum(chain.sent.values())} events, {sampler.samples[-1] if sampler.samples else ''}", flush=True)
        took = time.time() - clock.start
        sampler.stop()
        wait_drained(shop, chain, options.patience)
        process.send_signal(signal.SIGTERM)
        assert process.wait(options.patience) == 0, "it did not end in order"
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    found = shop.value("SELECT count(DISTINCT (source, event_id)) FROM transactions_cln")
    assert found == sum(chain.sent.values()), f"{found} of {chain.sent}"
    reasons = shop.reasons()
    assert reasons == {}, reasons
    audit = shop.ok("audit", timeout=600)
    verdict = judge(sampler.samples, chain)
    print(f"{options.hours} hours in {took:.0f} s: {found} events ({dict(chain.sent)}), {chain.n_files} files,")
    print(f"{len(sampler.samples)} samples, {sampler.samples[-1]['cpu_s']:.0f} s of CPU; audit: {audit.out.strip().splitlines()[-1]}")
    return verdict, sampler.samples


def parse():
    parser = argparse.ArgumentParser(description="A day in fast motion.")
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--speed", type=int, default=240, help="how many times as fast (default: 240)")
    parser.add_argument("--rate", type=float, default=10, help="events a second of the shop's time (default: 10)")
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--late", type=float, default=0.0003, help="share of events that are three days late")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--patience", type=float, default=300, help="seconds that the rest may take at the end")
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "build/release/src/punchcard")
    parser.add_argument("--libraries", type=pathlib.Path, default=ROOT / "build/dev/tests")
    parser.add_argument("--json", type=pathlib.Path, help="writes all samples there")
    parser.add_argument("--place", type=pathlib.Path, help="where the deployment is made")
    return parser.parse_args()


def main():
    options = parse()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="punchcard-soak-", dir=options.place))
    verdict, samples = soak(options, directory)
    if options.json:
        options.json.write_text(json.dumps(samples), encoding="utf-8")
    wrong = verdict.report()
    if wrong:
        print(f"FAILED: {', '.join(wrong)} grew; left in {directory}")
        return 1
    shutil.rmtree(directory)
    print("all flat")
    return 0


if __name__ == "__main__":
    sys.exit(main())
