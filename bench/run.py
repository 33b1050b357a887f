#!/usr/bin/python3
"""Measures the release build, each figure beside the plain DuckDB statement that does the same work, in one run.

    ./dev bench [--quick] [--repeats N] [--keep] [load | generate | collect | live | http | idle | fold | rebuild |
                simulate | refresh | customer]…

Ours and DuckDB's take turns; the figure is the median of the repeats, and every sample is in build/bench.json. Both are
measured as whole processes, from the start to the exit, files in the page cache, after a sync. All is made under
build/bench and removed again.
"""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import platform
import re
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
RELEASE = pathlib.Path(os.environ.get("BENCH_BUILD", ROOT / "build/release"))
PUNCHCARD = pathlib.Path(os.environ.get("PUNCHCARD", RELEASE / "src/punchcard"))
DUCK = RELEASE / "bench/bench_duck"
FOLD = RELEASE / "bench/bench_fold"
LIVE = RELEASE / "bench/bench_live"
HTTP_LOAD = RELEASE / "bench/bench_http_load"
WORK = ROOT / "build/bench"
OUT = ROOT / "build/bench.json"

DAYS = ("2026-09-01", "2026-09-30")
DAY_BEHIND = "2026-10-01"


# --- running ----------------------------------------------------------------------------------------------------------


class Failed(Exception):
    """A command that is measured failed: its figure would be none."""


class Sample:
    """One run: wall seconds, the most memory (when it was looked at; anonymous, and all that was resident), and what it
    printed."""

    def __init__(self, seconds, cpu_seconds, anon_mib, resident_mib, out):
        self.seconds = seconds
        self.cpu_seconds = cpu_seconds  # of all threads, user and system
        self.anon_mib = anon_mib
        self.resident_mib = resident_mib
        self.out = out


def memory_kib(pid):
    """(anonymous, the most that was resident so far)"""
    found = {"RssAnon": 0, "VmHWM": 0}
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status", encoding="ascii") as status:
        for line in status:
            key, _, value = line.partition(":")
            if key in found:
                found[key] = int(value.split()[0])
    return found["RssAnon"], found["VmHWM"]


def resident_kib(pid):
    """Resident now."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def watch_memory(process, peak):
    while process.poll() is None:
        peak[:] = map(max, peak, memory_kib(process.pid))
        time.sleep(0.01)


def run(*args, memory=False):
    """Runs a command to its end and measures it; raises Failed unless it exits 0."""
    words = [str(arg) for arg in args]
    peak = [0, 0]
    before = os.times()
    start = time.monotonic()
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        if memory:
            watcher = threading.Thread(target=watch_memory, args=(process, peak))
            watcher.start()
        out, err = process.communicate()
        seconds = time.monotonic() - start
        if memory:
            watcher.join()
    if process.returncode != 0:
        raise Failed(f"{' '.join(words)[:200]}\n  exit {process.returncode}: {err.strip()[:2000]}")
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Sample(seconds, cpu, peak[0] / 1024, peak[1] / 1024, out)


def timed(*args, **options):
    os.sync()  # what the run before left to be written is not this one's work
    return run(*args, **options)


def median(samples, key=lambda sample: sample.seconds):
    return statistics.median(key(sample) for sample in samples)


def remove(path):
    path = pathlib.Path(path)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


# --- figures ----------------------------------------------------------------------------------------------------------


class Report:
    """The figures, as they come in."""

    def __init__(self):
        self.rows = []

    def add(self, bench, figure, value, unit, target, good, **more):
        """target: text, or "" for a figure that only stands beside; good: True, False or None (without a target)."""
        verdict = {True: "pass", False: "SHORT", None: ""}[good]
        self.rows.append(
            dict(bench=bench, figure=figure, value=value, unit=unit, target=target, verdict=verdict, **more)
        )
        print(f"  {figure:<66} {number(value):>12} {unit:<8} {target:<14} {verdict}", flush=True)


def number(value):
    if value >= 10000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if value >= 100 else f"{value:.3g}"


def add_pair(report, bench, what, ours, theirs, limit, **more):
    """Seconds of both and their ratio, which is to be at most `limit` (None: no target)."""
    mine, other = median(ours), median(theirs)
    ratio = mine / other
    report.add(bench, f"{what}: punchcard", mine, "s", "", None, samples=[s.seconds for s in ours])
    report.add(bench, f"{what}: DuckDB, the same work", other, "s", "", None, samples=[s.seconds for s in theirs])
    good = None if limit is None else ratio <= limit
    target = "" if limit is None else f"<= {limit}"
    report.add(bench, f"{what}: ratio", ratio, "x", target, good, **more)


# --- data -------------------------------------------------------------------------------------------------------------


class Bench:
    def __init__(self, args, report):
        self.quick = args.quick
        self.repeats = args.repeats or (3 if args.quick else 5)
        self.report = report
        self.customers = 100_000 if args.quick else 1_000_000
        self.orders = 2_000_000 if args.quick else 20_000_000
        self.collected = None  # a deployment with customers and orders, for rebuild and what comes behind it
        self.rebuild_s = None  # how long its last day takes to be rebuilt

    def punchcard(self, deployment, *args):
        return [PUNCHCARD, "-C", deployment, *args]

    def fresh(self, name="shop"):
        deployment = WORK / name
        remove(deployment)
        run(PUNCHCARD, "init", deployment)
        return deployment

    def customer_file(self):
        """The classic customer file, about 100 bytes a line."""
        path = WORK / "customers.csv"
        if not path.exists():
            run(
                DUCK,
                f"""COPY (SELECT i AS id, 1 + i % 9 AS store, ' Member ' || (i * 7919 % 1000003) || ' of ' || i AS name,
                        'member' || i || '@example.org' AS email, DATE '2015-01-01' + (i % 3000)::INTEGER AS since,
                        format('{{:03d}}-{{:03d}}-{{:04d}}', i % 1000, i // 1000 % 1000, i % 10000) AS card,
                        DATE '1950-01-01' + (i * 13 % 20000)::INTEGER AS birth, ['M', 'F', 'N'][1 + i % 3] AS gender,
                        year(DATE '1950-01-01' + (i * 13 % 20000)::INTEGER) AS birth_year
                    FROM range(1, {self.customers} + 1) AS t(i))
                    TO '{path}' (HEADER false, FORCE_QUOTE (card))""",
            )
        return path

    def order_files(self):
        """A directory of classic order files."""
        path = WORK / "orders"
        if not path.exists():
            run(PUNCHCARD, "-C", self.fresh(), "generate", *self.generate_options(), "--files", 20, "--spool", path)
        return path

    def generate_options(self):
        return ["--orders", self.orders, "--customers", self.customers, "--from", DAYS[0], "--to", DAYS[1]]

    # --- load ---

    def load(self):
        """A file of customers into customers_cln; DuckDB reads, cleans and writes the same columns."""
        path = self.customer_file()
        columns = ", ".join(
            f"'{name}': 'VARCHAR'"
            for name in ("id", "store", "name", "email", "since", "card", "birth", "gender", "birth_year")
        )
        read = f"read_csv('{path}', header = false, auto_detect = false, delim = ',', quote = '\"', columns = {{{columns}}})"
        target = WORK / "customers.parquet"
        same = f"""COPY (
            SELECT id::BIGINT AS cust_id, trim(name) AS cust_nm, trim(email) AS cust_email,
                TRY_CAST(since AS DATE) AS cust_strt_dt, trim(card, '" ') AS cust_member_card_no,
                TRY_CAST(birth AS DATE) AS cust_birth_dt, TRY_CAST(birth_year AS INTEGER) AS cust_birth_yr,
                CASE gender WHEN 'M' THEN 'MALE' WHEN 'F' THEN 'FEMALE' ELSE 'NA' END AS cust_gender
            FROM (SELECT *, row_number() OVER () AS line FROM {read})
            WHERE regexp_full_match(id, '[0-9]{{1,18}}')
            QUALIFY row_number() OVER (PARTITION BY id ORDER BY line DESC) = 1
            ORDER BY cust_id) TO '{target}' (FORMAT parquet, COMPRESSION zstd)"""
        plain = f"COPY (SELECT * FROM {read}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)"
        ours, theirs, plains = [], [], []
        for _ in range(self.repeats):
            deployment = self.fresh()
            ours.append(timed(*self.punchcard(deployment, "load", "customers", path)))
            theirs.append(timed(DUCK, same))
            plains.append(timed(DUCK, plain))
            remove(target)
        what = f"load of {self.customers:,} customers"
        add_pair(self.report, "load", what, ours, theirs, 1.3)
        self.report.add("load", f"{what}: DuckDB, CSV to Parquet without cleaning", median(plains), "s", "", None)

    # --- generate ---

    def generate(self):
        """Order lines into a directory; DuckDB writes as many lines of the same form, without a shop's hours."""
        target = WORK / "generated"
        start = int(datetime.datetime(2026, 9, 1, tzinfo=datetime.timezone.utc).timestamp())
        menu = "['espresso 65', 'cappucino 90', 'mocha 80', 'latte 70', 'chocolate 60', 'greentea 60']"
        sql = f"""COPY (SELECT 1 + hash(i) % {self.customers}, {menu}[1 + (hash(i + 7) % 6)::BIGINT],
                {start} + i * 2592000 // {self.orders} FROM range({self.orders}) AS t(i))
            TO '{target}/duck.txt' (FORMAT csv, HEADER false, DELIMITER '|')"""
        deployment = self.fresh()
        ours, theirs = [], []
        for _ in range(self.repeats):
            remove(target)
            options = [*self.generate_options(), "--spool", target]
            ours.append(timed(*self.punchcard(deployment, "generate", *options)))
            remove(target)
            target.mkdir()
            theirs.append(timed(DUCK, sql))
        remove(target)
        what = f"generate {self.orders:,} lines"
        add_pair(self.report, "generate", what, ours, theirs, None)
        rate = self.orders / median(ours)
        self.report.add("generate", f"{what}: rate", rate, "lines/s", ">= 3,000,000", rate >= 3e6)

    # --- collect ---

    def orders_sql(self, source, target):
        """Classic lines to transactions_cln's columns and partitions; the menu's names are single words here."""
        return f"""COPY (
            SELECT filename || ':' || line AS event_id, 1 AS line_no, 'order' AS kind, cust_id,
                split_part(drink, ' ', 1) AS odr_menu, NULL::VARCHAR AS odr_sku, 1::DECIMAL(18,3) AS odr_qty,
                price AS odr_prc, price AS odr_amt, make_timestamp(secs * 1000000) AS odr_tms, NULL::VARCHAR AS store,
                'orders' AS source, make_timestamp((secs + 25200) * 1000000)::DATE AS data_dt
            FROM (SELECT *, split_part(drink, ' ', 2)::DECIMAL(18,2) AS price, row_number() OVER () AS line
                FROM read_csv('{source}/*.txt', header = false, auto_detect = false, delim = '|', quote = '',
                    escape = '', filename = true,
                    columns = {{'cust_id': 'BIGINT', 'drink': 'VARCHAR', 'secs': 'BIGINT'}})))
            TO '{target}' (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (data_dt))"""

    def fill_spool(self, deployment):
        """The order files, linked to where `generate` puts its own."""
        run(*self.punchcard(deployment, "generate", "--orders", 1))
        (probe,) = deployment.glob("**/orders-*.txt")
        spool = probe.parent
        probe.unlink()
        for path in self.order_files().iterdir():
            os.link(path, spool / path.name)

    def collect(self):
        """Order files through the journal into table and view; DuckDB reads them and writes the same table only."""
        source = self.order_files()
        target = WORK / "transactions"
        ours, theirs = [], []
        repeats = self.repeats if self.quick else min(self.repeats, 3)
        for _ in range(repeats):
            deployment = self.fresh("collected")
            run(*self.punchcard(deployment, "load", "customers", self.customer_file()))
            self.fill_spool(deployment)
            ours.append(timed(*self.punchcard(deployment, "collect", "--once"), memory=True))
            self.collected = deployment
            remove(target)
            theirs.append(timed(DUCK, self.orders_sql(source, target), memory=True))
        remove(target)
        what = f"collect of {self.orders:,} lines"
        add_pair(self.report, "collect", what, ours, theirs, None)
        rate = self.orders / median(ours)
        self.report.add("collect", f"{what}: rate", rate, "lines/s", ">= 1,000,000", rate >= 1e6)
        cpu = median(ours, key=lambda sample: sample.cpu_seconds) / self.orders * 1e6
        self.report.add("collect", f"{what}: CPU an event", cpu, "us", "", None)
        memory = max(sample.anon_mib for sample in ours)
        other = max(sample.anon_mib for sample in theirs)
        self.report.add("collect", f"{what}: most anonymous memory", memory, "MiB", "< 1024", memory < 1024)
        self.report.add("collect", f"{what}: DuckDB's", other, "MiB", "", None)

    def need_collected(self):
        """A deployment with all orders, when `collect` was not measured before."""
        if self.collected is None:
            deployment = self.fresh("collected")
            run(*self.punchcard(deployment, "load", "customers", self.customer_file()))
            self.fill_spool(deployment)
            run(*self.punchcard(deployment, "collect", "--once"))
            self.collected = deployment
        return self.collected

    # --- the daemon ---

    @contextlib.contextmanager
    def daemon(self, *sources):
        """A deployment with these sources, and `run` of it: (deployment, process id)."""
        deployment = self.fresh("live")
        path = deployment / "punchcard.yaml"
        text = path.read_text(encoding="utf-8")
        lines = "".join(f"  - {json.dumps(source)}\n" for source in sources)
        path.write_text(text.replace("sources:\n", "sources:\n" + lines, 1), encoding="utf-8")
        with open(WORK / "run.log", "w+", encoding="utf-8") as log, subprocess.Popen(
            [str(word) for word in self.punchcard(deployment, "run", "--log-format", "json")], stderr=log
        ) as process:
            try:
                for _ in range(200):
                    if '"started"' in (WORK / "run.log").read_text(encoding="utf-8"):
                        break
                    time.sleep(0.05)
                else:
                    raise Failed("the daemon did not start: " + (WORK / "run.log").read_text(encoding="utf-8"))
                yield deployment, process.pid
            finally:
                process.terminate()
                if process.wait(120) != 0:
                    raise Failed("the daemon did not stop well: " + (WORK / "run.log").read_text(encoding="utf-8"))

    def live(self):
        """Lines appended to a file at a steady rate: from write(2) to visible in SQL and in the customer view."""
        for rate, p50, p99 in ((10_000, 60, 120), (50_000, None, 250)):
            seconds = 5 if self.quick else 20
            with self.daemon({"name": "log", "type": "tail", "path": "till.log", "format": "classic"}) as (shop, pid):
                out = run(LIVE, shop, shop / "till.log", rate, seconds, self.customers, pid).out
            found = json.loads(out)
            what = f"live, {rate:,} orders/s"
            self.report.add("live", f"{what}: kept", found["lines_per_second"], "lines/s", "", None)
            for place in ("sql", "view"):
                for key, limit in (("p50_ms", p50), ("p99_ms", p99)):
                    value = found[place][key]
                    good = None if limit is None else value < limit
                    target = "" if limit is None else f"< {limit}"
                    self.report.add("live", f"{what}: visible in {place}, {key[:3]}", value, "ms", target, good)
            self.report.add("live", f"{what}: CPU of the daemon", found["daemon_cores"], "cores", "", None)
            self.report.add("live", f"{what}: resident", found["daemon_resident_kib"] / 1024, "MiB", "", None)

    def http(self):
        """Requests of 100 events with durable answers, over kept connections."""
        port = free_port()
        seconds = 5 if self.quick else 20
        rate = 20_000
        with self.daemon({"name": "web", "type": "http", "listen": f"127.0.0.1:{port}"}) as (_, _):
            out = run(HTTP_LOAD, "--port", port, "--connections", 32, "--batch", 100, "--rate", rate,
                      "--events", rate * seconds, "--seconds", seconds + 20).out  # fmt: skip
        found = json.loads(out)
        self.report.add("http", "http, 20,000 events/s asked for, in requests of 100", found["events_per_s"],
                        "events/s", ">= 19,800", found["events_per_s"] >= 19_800)  # fmt: skip
        self.report.add("http", "http: durable answer, p50", found["latency_ms"]["p50"], "ms", "", None)
        p99 = found["latency_ms"]["p99"]
        self.report.add("http", "http: durable answer, p99", p99, "ms", "< 50", p99 < 50)

    def idle(self):
        """The daemon after some work, when nothing comes."""
        with self.daemon() as (shop, pid):
            run(*self.punchcard(shop, "generate", "--orders", 100_000, "--customers", 20_000))
            time.sleep(20)  # the table is written after ten seconds
            before = cpu_seconds(pid)
            time.sleep(20)
            share = (cpu_seconds(pid) - before) / 20 * 100
            resident = resident_kib(pid) / 1024
        self.report.add("idle", "idle: CPU", share, "% of 1", "< 1", share < 1)
        self.report.add("idle", "idle: resident", resident, "MiB", "< 64", resident < 64)

    # --- fold ---

    def fold(self):
        """The loyalty kernel alone, on one core and in memory: facts of orders, and their fold."""
        customers = self.customers
        result = json.loads(run(FOLD, customers, 20, self.repeats).out)
        rate = result["events_per_second"]
        alone = result["fold_alone_per_second"]
        what = f"fold of {customers * 20:,} orders by {customers:,} customers"
        self.report.add("fold", f"{what}: facts and fold", rate, "events/s", "", None)
        self.report.add("fold", f"{what}: fold alone", alone, "events/s", ">= 15,000,000", alone >= 15e6)
        if not shutil.which("valgrind"):
            print("  (no valgrind here: instructions are not counted)")
            return
        for function, name in (("fold_rows", "facts and fold"), ("fold_facts", "fold alone")):
            log = WORK / "callgrind.log"
            run("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", f"--toggle-collect={function}",
                f"--log-file={log}", FOLD, 1000, 20, 1)  # fmt: skip
            instructions = int(re.search(r"Collected : (\d+)", log.read_text(encoding="utf-8"))[1])
            self.report.add("fold", f"one order: {name}", instructions / 20000, "instr.", "", None)

    # --- rebuild ---

    def duck_sums(self, deployment, target):
        """What the template's rule comes to without lots, ledger and tiers: points and sums of each customer."""
        warehouse = deployment / "data/warehouse"
        orders = f"read_parquet('{warehouse}/transactions_cln/**/*.parquet', hive_partitioning = true)"
        customers = f"read_parquet('{warehouse}/customers_cln/**/*.parquet')"
        points = "(odr_amt * 100)::BIGINT * 1000 // 1000"  # as in the template: a point per 10.00, floored to a thousandth
        return f"""COPY (
            SELECT t.cust_id, any_value(c.cust_nm) AS cust_name, any_value(c.cust_member_card_no) AS cust_member_card_no,
                sum(odr_amt)::DECIMAL(18,2) AS spnd_amt, count(*) AS orders, count(DISTINCT data_dt) AS visits,
                (sum({points}) / 1000)::DECIMAL(18,3) AS points_balance,
                (sum({points}) / 1000)::DECIMAL(18,3) AS points_earned,
                min(odr_tms) AS first_order, max(odr_tms) AS last_order
            FROM {orders} AS t LEFT JOIN {customers} AS c ON c.cust_id = t.cust_id
            WHERE t.cust_id IS NOT NULL AND data_dt <= DATE '{DAYS[1]}'
            GROUP BY t.cust_id ORDER BY t.cust_id) TO '{target}' (FORMAT parquet, COMPRESSION zstd)"""

    def rebuild(self):
        """Ledger, balances and loyalty out of the whole history; DuckDB earns and sums only, from the same Parquet files."""
        deployment = self.need_collected()
        target = WORK / "sums.parquet"
        ours, theirs = [], []
        repeats = self.repeats if self.quick else min(self.repeats, 3)
        for _ in range(repeats):
            ours.append(timed(*self.punchcard(deployment, "rebuild", "--data-dt", DAYS[1]), memory=True))
            theirs.append(timed(DUCK, self.duck_sums(deployment, target), memory=True))
        remove(target)
        self.rebuild_s = median(ours)
        what = f"rebuild of {self.orders:,} orders by {self.customers:,} customers"
        add_pair(self.report, "rebuild", what, ours, theirs, None)
        rate = self.orders / self.rebuild_s
        self.report.add("rebuild", f"{what}: rate", rate, "events/s", ">= 2,000,000", rate >= 2e6)
        memory = max(sample.resident_mib for sample in ours)
        other = max(sample.resident_mib for sample in theirs)
        self.report.add("rebuild", f"{what}: most resident memory", memory, "MiB", "< 2048", memory < 2048)
        self.report.add("rebuild", f"{what}: DuckDB's", other, "MiB", "", None)

    def need_rebuilt(self):
        """The same, rebuilt to its last day, when `rebuild` was not measured before."""
        deployment = self.need_collected()
        if self.rebuild_s is None:
            self.rebuild_s = timed(*self.punchcard(deployment, "rebuild", "--data-dt", DAYS[1])).seconds
        return deployment

    # --- simulate ---

    def simulate(self):
        """The whole history under two programmes, beside what a rebuild takes."""
        deployment = self.need_rebuilt()
        other = WORK / "other.yaml"
        text = (deployment / "programme.yaml").read_text(encoding="utf-8")
        other.write_text(text.replace("per: 10.00", "per: 12.50"), encoding="utf-8")
        words = self.punchcard(deployment, "simulate", "--programme", other, "--data-dt", DAYS[1])
        repeats = self.repeats if self.quick else min(self.repeats, 3)
        ours = [timed(*words, memory=True) for _ in range(repeats)]
        what = f"simulate over {self.orders:,} orders"
        ratio = median(ours) / self.rebuild_s
        self.report.add("simulate", what, median(ours), "s", "", None, samples=[s.seconds for s in ours])
        self.report.add("simulate", f"{what}: ratio to rebuild", ratio, "x", "<= 1", ratio <= 1)
        memory = max(sample.resident_mib for sample in ours)
        self.report.add("simulate", f"{what}: most resident memory", memory, "MiB", "", None)

    # --- refresh ---

    def refresh(self):
        """One day more: from the state of the day before and that day's orders."""
        deployment = self.need_rebuilt()
        orders = 100_000
        days = ["--from", DAY_BEHIND, "--to", DAY_BEHIND]
        run(*self.punchcard(deployment, "generate", "--orders", orders, "--customers", self.customers, *days, "--seed", 2))
        run(*self.punchcard(deployment, "collect", "--once"))
        words = self.punchcard(deployment, "refresh", "--data-dt", DAY_BEHIND, "--json")
        ours = [timed(*words, memory=True) for _ in range(self.repeats)]
        report = json.loads(ours[0].out)
        if report["events"] != orders or not report["from"]:
            raise Failed(f"refresh took another way than it was to be measured on: {ours[0].out}")
        what = f"refresh of a day of {orders:,} orders, {self.customers:,} accounts"
        seconds = median(ours)
        samples = [sample.seconds for sample in ours]
        self.report.add("refresh", what, seconds, "s", "<= 3", seconds <= 3, samples=samples)
        memory = max(sample.resident_mib for sample in ours)
        self.report.add("refresh", f"{what}: most resident memory", memory, "MiB", "", None)

    # --- customer ---

    def customer(self):
        """One lookup as a whole process, beside a process that does nothing, and one that only loads DuckDB."""
        deployment = self.need_collected()
        ours, nothing, loads = [], [], []
        for i in range(50):
            customer = 1 + i * 7919 % self.customers
            ours.append(run(*self.punchcard(deployment, "customer", customer)))
            nothing.append(run("/bin/true"))
            loads.append(run(DUCK))
        mine = median(ours) * 1e3
        self.report.add("customer", "customer, whole process", mine, "ms", "< 25", mine < 25)
        self.report.add("customer", "a process that only loads libduckdb.so", median(loads) * 1e3, "ms", "", None)
        self.report.add("customer", "/bin/true", median(nothing) * 1e3, "ms", "", None)


BENCHES = ["load", "generate", "collect", "live", "http", "idle", "fold", "rebuild", "simulate", "refresh", "customer"]


# --- all of it --------------------------------------------------------------------------------------------------------


def machine():
    def first(path, key):
        with contextlib.suppress(OSError), open(path, encoding="utf-8") as file:
            for line in file:
                if line.startswith(key):
                    return line.split(":", 1)[1].strip()
        return ""

    return dict(
        cpu=first("/proc/cpuinfo", "model name") or platform.processor(),
        cores=len(os.sched_getaffinity(0)),
        memory=first("/proc/meminfo", "MemTotal"),
        kernel=platform.release(),
        load=os.getloadavg()[0],
        punchcard=run(PUNCHCARD, "--version").out.strip(),
    )


def parse_arguments():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the data: 2 M orders of 100 k customers")
    parser.add_argument("--repeats", type=int, help="of each; 5 unless set (3 with --quick)")
    parser.add_argument("--keep", action="store_true", help="leave build/bench as it is at the end")
    parser.add_argument("bench", nargs="*", choices=[[], *BENCHES], metavar="NAME", help=", ".join(BENCHES))
    return parser.parse_args()


def main():
    args = parse_arguments()
    for binary in (PUNCHCARD, DUCK, FOLD, LIVE, HTTP_LOAD):
        if not binary.exists():
            sys.exit(f"bench: {binary} is missing: ./dev build release")
    remove(WORK)
    WORK.mkdir(parents=True)
    report = Report()
    bench = Bench(args, report)
    failed = 0
    about = machine()
    print(f"{about['punchcard']}, {about['cores']} cores, {about['cpu']}")
    if about["load"] > 0.5:
        print(f"others are at work here (load {about['load']:.1f}): the figures will be worse than they are")
    try:
        for name in BENCHES:
            if args.bench and name not in args.bench:
                continue
            print(f"\n{name}: {' '.join(getattr(bench, name).__doc__.split())}", flush=True)
            try:
                getattr(bench, name)()
            except Failed as error:
                failed += 1
                print(f"  FAILED: {error}", file=sys.stderr)
    finally:
        if not args.keep:
            remove(WORK)
    date = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    result = dict(date=date, quick=args.quick, machine=about, results=report.rows)
    OUT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    short = [row for row in report.rows if row["verdict"] == "SHORT"]
    print(f"\n{len(short)} short of their target; all figures are in {OUT.relative_to(ROOT)}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
