"""Small files of orders are merged: nobody sees a difference, whoever reads meanwhile, and whenever it is killed."""

import concurrent.futures
import fcntl
import os
import pathlib
import random
import re
import select
import shutil
import signal
import struct
import subprocess
import threading
import time

import pytest

from conftest import PUNCHCARD, Shop, classic, environment, lines, make_shop

COMPACT = pathlib.Path(
    os.environ.get("PUNCHCARD_COMPACT", pathlib.Path(PUNCHCARD).resolve().parent.parent / "tests/compact_steps")
)
START = 1_700_000_000  # 2023-11-14
DAYS = ("2023-11-15", "2023-11-17")
MIN_FILES = 4

# What is served of the orders; hashes of rows: any order will do.
ORDERS = """
SELECT 'transactions_cln' AS name, count(*) AS n, sum(hash(t)::HUGEINT)::VARCHAR AS hash FROM transactions_cln AS t
UNION ALL SELECT 'quarantine', count(*), sum(hash(t)::HUGEINT)::VARCHAR FROM quarantine AS t
"""
LINES = "SELECT event_id, line_no, order_id, odr_amt::VARCHAR FROM transactions_cln WHERE data_dt = DATE '2023-11-14'"


def put_batch(shop, i, start):
    """A batch of all that there is: orders of two sources, refunds, a late order, and a bad line."""
    shop.put(f"a{i}.txt", lines(20, customers=9, start=start) + "bad\n" + classic(1 + i % 9, "tea", 90, START + i))
    if i % 2:
        head = f'"customer":{1 + i % 5},"time":{start + 60}'
        text = f'{{"event_id":"o{i}","kind":"order",{head},"lines":[{{"menu":"tea","amount":90}}]}}\n'
        text += f'{{"event_id":"r{i}","kind":"refund",{head},"order":"o{i - 2}","amount":20}}\n'
        shop.put(f"b{i}.json", text, shop.dir / "pos")
    shop.collect()


@pytest.fixture(scope="module")
def base(pc, tmp_path_factory):
    """A deployment with many small files, of before and behind a refresh."""
    shop = make_shop(
        pc,
        tmp_path_factory.mktemp("compact") / "base",
        sources=[
            {"name": "till", "dir": "spool", "format": "classic", "settle_ms": 0},
            {"name": "pos", "dir": "pos", "format": "ndjson", "settle_ms": 0},
        ],
    )
    for i in range(6):
        put_batch(shop, i, START + i * 900)
    shop.ok("refresh", "--data-dt", DAYS[0])
    for i in range(6, 12):
        put_batch(shop, i, START + 100_000 + i * 900)
    return shop


@pytest.fixture
def copy(base, tmp_path):
    shutil.copytree(base.dir, tmp_path / "copy", symlinks=True)
    return Shop(base.pc, tmp_path / "copy")


def start(shop, *args):
    command = [COMPACT, shop.dir, *map(str, args or [MIN_FILES])]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())


def compact(shop, *args):
    """(merged, removed, covered)"""
    process = start(shop, *args)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err.decode()
    return tuple(int(number) for number in re.findall(r"\d+", out.decode()))


def ranges(shop):
    """{directory: [(first, last), …]} of the files of orders."""
    found = {}
    for directory in (shop.warehouse / "transactions_cln", shop.dir / "data/quarantine"):
        for path in directory.rglob("orders-*.parquet"):
            first, last = re.fullmatch(r"orders-(\d{12})-(\d{12})\.parquet", path.name).groups()
            found.setdefault(path.parent.name, []).append((int(first), int(last)))
    return {name: sorted(files) for name, files in found.items()}


def state_offsets(shop):
    names = [path.name for path in (shop.warehouse / "account_state").rglob("account-*")]
    return [int(name.split("-")[2]) for name in names]


def tables(shop):
    """Names of the batch layer's files: they are made of contents."""
    names = ("account_state", "balances", "ledger", "loyalty")
    return {name: sorted(str(path.relative_to(shop.warehouse)) for path in (shop.warehouse / name).rglob("*.parquet")) for name in names}


def check_ranges(shop, offsets):
    for files in ranges(shop).values():
        for (_, last), (first, _) in zip(files, files[1:]):
            assert last < first, files
        for offset in offsets:
            assert not any(first < offset <= last for first, last in files), (files, offset)


def test_nobody_sees_a_difference(base, copy, tmp_path):
    before = ranges(copy)
    offsets = state_offsets(copy)
    assert len(before["data_dt=2023-11-14"]) == 12 and len(offsets) == 1
    merged, removed, covered = compact(copy)
    assert merged == removed > 20 and covered == 0
    after = ranges(copy)
    assert sum(map(len, after.values())) <= sum(map(len, before.values())) - merged + merged / MIN_FILES
    assert len(after["data_dt=2023-11-14"]) == 2  # of before the refresh, and behind it
    check_ranges(copy, offsets)
    assert copy.sql(ORDERS) == base.sql(ORDERS)
    assert copy.sql(LINES) == base.sql(LINES)  # as they stand
    assert copy.json("status")["tables"] == base.json("status")["tables"]
    copy.ok("audit")
    explained = [shop.ok("explain", "3").out.split("\n", 1)[1] for shop in (copy, base)]  # without the moment
    assert explained[0] == explained[1]
    plain = Shop(base.pc, tmp_path / "plain")
    shutil.copytree(base.dir, plain.dir, symlinks=True)
    # Late orders of days before the state: who has them is known by the files' names.
    reports = [shop.json("refresh", "--data-dt", DAYS[1]) for shop in (copy, plain)]
    assert reports[0] == reports[1] and reports[0]["from"] == DAYS[0] and reports[0]["marked"] > 0
    assert tables(copy) == tables(plain)
    copy.ok("audit")
    compact(copy)
    check_ranges(copy, state_offsets(copy))
    copy.ok("rebuild", "--data-dt", DAYS[1])
    assert tables(copy)["ledger"] == tables(plain)["ledger"] and tables(copy)["loyalty"][-1:] == tables(plain)["loyalty"][-1:]
    put_batch(copy, 12, START + 200_000)
    put_batch(plain, 12, START + 200_000)
    assert copy.sql(ORDERS)[0] == plain.sql(ORDERS)[0] != base.sql(ORDERS)[0]
    copy.ok("audit")


def test_a_quiet_day(copy):
    copy.ok("rebuild", "--data-dt", DAYS[1])  # no state is left but the one behind all files
    for path in [*(copy.warehouse / "transactions_cln").rglob("*.parquet"), *(copy.dir / "data/quarantine").iterdir()]:
        os.utime(path, (START, START))
    expected = copy.sql(ORDERS)
    compact(copy, 16, 60)
    assert {len(files) for files in ranges(copy).values()} == {1}
    assert copy.sql(ORDERS) == expected


def test_who_reads_keeps_the_files(copy):
    """A statement whose output nobody takes is still going on."""
    process = copy.start("sql", "--csv", "SELECT t.* FROM transactions_cln AS t, range(500)", bufsize=0)
    assert select.select([process.stdout], [], [], 60)[0]
    there = ranges(copy)
    merged, removed, covered = compact(copy, MIN_FILES, 0, "leave")
    assert merged == covered > 20 and removed == 0
    assert all(set(files) <= set(ranges(copy)[name]) for name, files in there.items())
    n = copy.value("SELECT count(*) FROM transactions_cln")
    result = copy.pc.end(process)
    assert result.code == 0, result
    assert result.out.count("\n") == 1 + 500 * n
    assert compact(copy)[1] == covered


def flock(kind, byte):
    return struct.pack("hhqqi4x", kind, os.SEEK_SET, byte, 1, 0)


@pytest.mark.parametrize("command", [("refresh", "--data-dt", DAYS[1]), ("rebuild", "--data-dt", DAYS[1]), ("audit",)])
def test_batch_commands_and_a_merge(copy, command):
    """Who may record the offset that is read waits for the merge that is going on; others do not."""
    with open(copy.dir / "data/compact.lock", "r+b") as file:
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, flock(fcntl.F_WRLCK, 0))  # a merge
        process = copy.start(*command)
        limit = time.monotonic() + 60
        while struct.unpack("hhqqi4x", fcntl.fcntl(file, fcntl.F_OFD_GETLK, flock(fcntl.F_WRLCK, 1)))[0] == fcntl.F_UNLCK:
            assert process.poll() is None and time.monotonic() < limit
            time.sleep(0.01)
        assert copy.sql(ORDERS)
        assert process.poll() is None
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, flock(fcntl.F_UNLCK, 0))
        assert copy.pc.end(process).code == 0


def read_always(shop, expected, stop, reads):
    while not stop.is_set():
        assert shop.sql(ORDERS) == expected
        reads.append(1)


def test_readers_and_kills(copy):
    expected = copy.sql(ORDERS)
    chance = random.Random(1)
    stop = threading.Event()
    reads = []
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read_always, copy, expected, stop, reads) for _ in range(2)]
        try:
            for _ in range(8):
                process = start(copy)
                time.sleep(chance.uniform(0, 0.5))
                process.send_signal(signal.SIGKILL)
                process.communicate()
            compact(copy)
            seen = len(reads)
            while len(reads) < seen + 2 and not any(reader.done() for reader in readers):
                time.sleep(0.01)
        finally:
            stop.set()
        for reader in readers:
            reader.result()
    check_ranges(copy, state_offsets(copy))
    assert len(ranges(copy)["data_dt=2023-11-14"]) == 2
    assert copy.sql(ORDERS) == expected
    copy.ok("audit")
    copy.collect()
    assert [path for path in (copy.dir / "data/tmp").rglob("*") if path.is_file()] == []
