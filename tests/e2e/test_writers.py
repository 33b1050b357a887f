"""Two kinds of writers beside each other: one that collects, and one that loads, refreshes or rebuilds.

The collector of these tests is held at a point where it has nothing to do but wait: its second file has a last line without an
end, and the source would wait for minutes for somebody to end it. What it took before is durable in the journal, and in no table.
"""

import fcntl
import os
import pty
import signal
import struct
import time

import pytest

from conftest import make_shop

DAY = "2023-11-14"
CUSTOMERS = "1,3,Anna,a@x.org,2019-01-04,1,1990-05-29,F,1990\n"
ORDERS = "1|latte 70|1700000000\n2|mocha 80|1700000001\n"
F_OFD_SETLK = 37


def wait_for(condition, process=None, limit_s=30):
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline
        assert process is None or process.poll() is None
        time.sleep(0.01)


def holds(shop, lock, process):
    path = shop.dir / "data" / lock
    return path.exists() and path.read_text().startswith(f"{process.pid} ")


@pytest.fixture
def held(pc, tmp_path):
    """A shop with a collector that has the first file in the journal, and waits for the second: (shop, process)."""
    till = {"name": "till", "dir": "spool", "format": "classic", "settle_ms": 600_000}
    shop = make_shop(pc, tmp_path / "shop", sources=[till])
    shop.put("a.txt", ORDERS)
    shop.put("b.txt", "3|half a li")
    process = shop.start("collect", "--once")
    wait_for(lambda: "a.txt.COMPLETED" in shop.names(), process)
    yield shop, process
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)
        process.kill()
    process.communicate()


def release(shop, process):
    """The collector is asked to end, which it does when its table is written."""
    process.send_signal(signal.SIGINT)
    result = shop.pc.end(process)
    result.check_health()
    assert result.code == 130, result


def start_waiting(shop, *words, **options):
    """A batch writer that has its lock."""
    process = shop.start(*words, **options)
    wait_for(lambda: holds(shop, "lock", process), process)
    return process


def rows(shop):
    return shop.value("SELECT count(*) FROM transactions_cln")


@pytest.mark.parametrize("stopped", [False, True])
def test_what_works_beside_a_collector(held, stopped):
    """Customers, readers: at once, also when the collector does not move at all."""
    shop, collector = held
    if stopped:
        collector.send_signal(signal.SIGSTOP)
    assert "1 customers" in shop.customers(CUSTOMERS).out
    assert shop.json("customer", 1)["name"] == "Anna"
    assert rows(shop) == 2
    assert shop.value("SELECT count(*) FROM customers_cln") == 1
    shop.ok("audit")
    shop.ok("status")
    assert collector.poll() is None
    if stopped:
        collector.send_signal(signal.SIGCONT)
    release(shop, collector)
    shop.customers(CUSTOMERS, "again.csv")
    assert shop.json("customer", 1)["name"] == "Anna"
    shop.ok("refresh", "--data-dt", DAY)
    assert shop.value("SELECT count(*) FROM loyalty WHERE cust_name = 'Anna'") == 1
    shop.ok("audit")


@pytest.mark.parametrize("command", ["refresh", "rebuild"])
def test_waiting_for_the_collector(held, command):
    """The history is read when the collector has written what it had; it goes on meanwhile."""
    shop, collector = held
    batch = start_waiting(shop, command, "--data-dt", DAY)
    wait_for(lambda: rows(shop) == 2, batch)
    assert batch.poll() is None
    release(shop, collector)
    result = shop.pc.end(batch)
    result.check_health()
    assert result.code == 0 and result.err == "", result
    assert shop.sql("SELECT cust_id FROM balances ORDER BY 1") == [(1,), (2,)]
    shop.ok("audit")


def test_it_tells_for_whom_it_waits(held):
    """At a terminal, after a moment."""
    shop, collector = held
    ours, theirs = pty.openpty()
    batch = start_waiting(shop, "refresh", "--data-dt", DAY, stderr=theirs)
    os.close(theirs)
    told = b""
    os.set_blocking(ours, False)

    def has_told():
        nonlocal told
        try:
            told += os.read(ours, 4096)
        except BlockingIOError:
            pass
        return f"waiting for the collector (process {collector.pid}) to write its table".encode() in told

    wait_for(has_told, batch)
    release(shop, collector)
    assert batch.wait(timeout=60) == 0
    assert told.count(b"waiting") == 1
    batch.communicate()
    os.close(ours)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_while_it_waits(held, how):
    shop, collector = held
    batch = start_waiting(shop, "refresh", "--data-dt", DAY)
    batch.send_signal(how)
    result = shop.pc.end(batch, timeout=10)
    result.check_health()
    assert result.code == 130 and "interrupted" in result.err, result
    assert not (shop.warehouse / "loyalty").exists() and collector.poll() is None
    release(shop, collector)
    shop.ok("refresh", "--data-dt", DAY)


def test_the_collector_is_killed_half_way(held):
    """Then who waits writes the table himself."""
    shop, collector = held
    batch = start_waiting(shop, "refresh", "--data-dt", DAY)
    collector.kill()
    result = shop.pc.end(batch)
    result.check_health()
    assert result.code == 0, result
    assert shop.sql("SELECT cust_id FROM balances ORDER BY 1") == [(1,), (2,)]
    # Both locks are free, and nothing was left behind.
    shop.put("b.txt", "3|latte 70|1700000002\n")
    shop.collect()
    shop.customers(CUSTOMERS)
    assert rows(shop) == 3
    assert not [path for path in (shop.dir / "data/tmp").rglob("*") if path.is_file()]


def test_second_of_each_kind(held):
    """It is told who is the first, and changes nothing; the other kind is in nobody's way."""
    shop, collector = held
    refused = shop.ok("collect", "--once", code=4)
    assert f"is being written by process {collector.pid} (collect, since 20" in refused.err, refused
    assert "UTC); wait for it or stop it" in refused.err
    batch = start_waiting(shop, "refresh", "--data-dt", DAY)
    path = shop.dir.parent / "customers.csv"
    path.write_text(CUSTOMERS)
    for words in (["load", "customers", path], ["refresh", "--data-dt", DAY], ["rebuild"]):
        refused = shop.ok(*words, code=4)
        assert f"is being written by process {batch.pid} (refresh, since 20" in refused.err, refused
    assert not (shop.warehouse / "customers").exists()
    batch.kill()
    batch.communicate()
    shop.ok("load", "customers", path)
    release(shop, collector)


def hold(path, text):
    """Takes a lock as a writer does; closing the file gives it back."""
    file = open(path, "r+" if path.exists() else "w+", encoding="utf-8")
    fcntl.fcntl(file, F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    file.truncate(0)
    file.write(text)
    file.flush()
    return file


def test_collect_beside_a_daemon(shop):
    """It takes the files by itself: nobody need."""
    shop.put("a.txt", ORDERS)
    shop.collect()
    shop.put("b.txt", "3|latte 70|1700000002\n")
    with hold(shop.dir / "data/collect.lock", f"{os.getpid()} run 2026-01-02 03:04:05\n"):
        refused = shop.ok("collect", "--once", code=4)
        assert f"has a daemon, process {os.getpid()} (run, since 2026-01-02 03:04:05 UTC)" in refused.err, refused
        assert "takes the files" in refused.err and "b.txt" in shop.names()
        # It has written its table, so these need not wait.
        shop.customers(CUSTOMERS)
        shop.ok("refresh", "--data-dt", DAY)
        shop.ok("rebuild")
        shop.ok("audit")
    shop.collect()
    assert rows(shop) == 3


def test_a_swap_that_a_batch_writer_has_in_hand(shop):
    """A collector leaves it alone; without a batch writer it finishes it."""
    shop.put("a.txt", ORDERS)
    shop.collect()
    (shop.dir / "data/swap").mkdir()
    with hold(shop.dir / "data/lock", f"{os.getpid()} rebuild 2026-01-02 03:04:05\n"):
        shop.put("b.txt", "3|latte 70|1700000002\n")
        shop.collect()
        assert (shop.dir / "data/swap").is_dir() and rows(shop) == 3
    shop.collect()
    assert not (shop.dir / "data/swap").exists()


def test_both_write_the_view(pc, tmp_path):
    """Profiles come in while accounts do, again and again, from the first moment on: none is lost."""
    shop = make_shop(pc, tmp_path / "shop")
    paths = []
    for n in range(6):
        paths.append(tmp_path / f"c{n}.csv")
        paths[n].write_text("".join(f"{c},3,Name {n},a@x.org,2019-01-0{n + 1},{c},1990-05-29,F,1990\n" for c in range(1, 500)))
    for n, path in enumerate(paths):
        text = "".join(f"{1 + i % 499}|latte 70|{1_700_000_000 + n * 100_000 + i}\n" for i in range(5000))
        shop.put(f"{n}.txt", text)
        both = [shop.start("collect", "--once"), shop.start("load", "customers", path)]
        for result in map(pc.end, both):
            result.check_health()
            assert result.code == 0, result
    assert shop.value("SELECT sum(orders)::BIGINT FROM accounts") == 30_000
    assert shop.json("customer", 7)["name"] == "Name 5"
    assert shop.value("SELECT count(*) FROM customers_cln WHERE cust_nm = 'Name 5'") == 499
    shop.ok("rebuild", "--data-dt", "2023-11-30")
    shop.ok("audit")
