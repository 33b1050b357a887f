"""The daemon when the system fails it: calls and memory that fail for a while, a disk that is slow or hangs, a clock that jumps.

Faults come by libraries of tests/crash, preloaded into the release binary (the sanitizers' runtime must come first in another), and
begin and end with a file: what happens is that a daemon at work is struck, says so, loses and doubles nothing, and goes on by itself.
"""

import http.client
import json
import os
import pathlib
import random
import socket

import pytest
from conftest import PUNCHCARD, ROOT, Punchcard, classic, lines, make_shop
from daemon import Daemon, wait_for
from test_http import TOKEN, event, free_port, send, taken

RELEASE = os.environ.get("PUNCHCARD_RELEASE", str(ROOT / "build/release/src/punchcard"))
LIBRARIES = pathlib.Path(
    os.environ.get("PUNCHCARD_LIBRARIES", pathlib.Path(PUNCHCARD).resolve().parent.parent / "tests")
)
T0 = 1_700_000_000
KEYS = {"table": "transactions_cln", "view": "view"}  # of consumers, as status has them


@pytest.fixture
def shop(tmp_path):
    """A spool, a log that is followed, and http; small batches, so that there are many."""
    made = make_shop(Punchcard(RELEASE), tmp_path / "shop")
    made.port = free_port()
    (made.dir / "token").write_text(TOKEN + "\n", encoding="utf-8")
    (made.dir / "token").chmod(0o600)
    (made.dir / "log").mkdir()
    made.config["sources"] += [
        {"name": "log", "type": "tail", "path": "log/orders.log", "format": "classic"},
        {"name": "web", "type": "http", "listen": f"127.0.0.1:{made.port}", "token_file": "token"},
    ]
    made.config["tables"] = {"max_delay_s": 1}
    made.path = made.dir / "punchcard.yaml"
    made.path.write_text(json.dumps(made.config), encoding="utf-8")
    made.fault = tmp_path / "fault"
    made.sent = 0
    return made


def preload(shop, library, **variables):
    return {
        "LD_PRELOAD": str(LIBRARIES / f"lib{library}.so"),
        **{f"PUNCHCARD_{name}": str(value) for name, value in variables.items()},
    }


def start(shop, env):
    return Daemon(shop, binary=RELEASE, env=env)


def feed(shop, n=20):
    """So many orders by the spool and by the log."""
    shop.put(f"orders-{shop.sent}.txt", lines(n, start=T0 + shop.sent * 100))
    with (shop.dir / "log/orders.log").open("a", encoding="utf-8") as log:
        log.write(lines(n, start=T0 + shop.sent * 100 + 7))
    shop.sent += 2 * n


def feed_http(shop, n=10):
    body = "\n".join(event(shop.sent + i) for i in range(n))
    assert send(shop, body) == taken(n)
    shop.sent += n


def in_sql(shop):
    return shop.value("SELECT count(*) FROM transactions_cln")


def in_view(shop):
    return shop.value("SELECT coalesce(sum(orders), 0)::BIGINT FROM accounts")


def lag(shop, consumer):
    return shop.json("status")["journal"]["consumers"][KEYS[consumer]]["lag_lines"]


def wait_all(shop):
    wait_for(f"{shop.sent} in SQL", lambda: in_sql(shop) == shop.sent)
    wait_for(f"{shop.sent} in the accounts", lambda: in_view(shop) == shop.sent)


def check_after(shop):
    """Of a daemon that has stopped in order: all is in files, each once."""
    assert in_sql(shop) == shop.sent
    assert shop.value("SELECT count(DISTINCT (source, event_id)) FROM transactions_cln") == shop.sent
    assert all(consumer["lag_lines"] == 0 for consumer in shop.json("status")["journal"]["consumers"].values())
    assert shop.reasons() == {}
    shop.ok("audit")


CALLS = [
    ("ENOSPC", {}, ""),
    ("EMFILE", {}, "Too many open files"),
    ("EIO", {"FAIL_ONLY": "rename"}, "Input/output error"),
    ("EIO", {"FAIL_ONLY": "renameat2"}, "Input/output error"),
    ("EIO", {"FAIL_ONLY": "fdatasync"}, "Input/output error"),
]


@pytest.mark.parametrize("how, only, says", CALLS)
def test_calls_that_fail_for_a_while(shop, how, only, says):
    """All calls that write (or make a descriptor) fail, in a daemon at work; it goes on when they do no more."""
    env = preload(shop, "fail_call", FAIL_AT=1, FAIL_FOR=-1, FAIL_HOW=how, FAIL_WHILE=shop.fault, **only)
    with start(shop, env) as daemon:
        feed(shop)
        feed_http(shop)
        wait_all(shop)
        shop.fault.touch()
        feed(shop)
        failed = wait_for("an error that is told", lambda: daemon.errors() + [e for e in daemon.log if e["level"] == "warning"])
        assert says in failed[0].get("error", "")
        shop.fault.unlink()
        feed_http(shop)
        wait_all(shop)
        assert daemon.process.poll() is None
    check_after(shop)


def test_connections_that_take_all_descriptors(shop):
    """What has its files goes on; what needs more says so and tries again, until there are some."""
    daemon = Daemon(shop, binary=RELEASE, start=False)
    daemon.words = ["prlimit", "--nofile=40:40", *daemon.words]
    with daemon:
        daemon.start()
        own = http.client.HTTPConnection("127.0.0.1", shop.port, timeout=60)
        own.connect()
        idle = [socket.create_connection(("127.0.0.1", shop.port)) for _ in range(60)]
        wait_for("no descriptors", lambda: len(os.listdir(f"/proc/{daemon.process.pid}/fd")) == 40)
        own.request("POST", "/v1/events", event(0), {"Authorization": f"Bearer {TOKEN}"})
        assert own.getresponse().status == 200
        shop.sent = 1
        wait_for("the view", lambda: in_view(shop) == 1)
        wait_for("the table, which says why it is not", lambda: any("Too many open files" in e.get("error", "") for e in daemon.log))
        for connection in idle:
            connection.close()
        own.close()
        feed(shop)
        wait_all(shop)
        wait_for("the table", lambda: lag(shop, "table") == 0)
    check_after(shop)


@pytest.mark.parametrize("n", range(1, 5))
def test_a_write_that_fails_once(shop, n):
    """By LMDB, of a page or of the root: it goes on, or, where nobody can say what is on the disk, ends; then the next one goes on."""
    env = preload(shop, "fail_call", FAIL_AT=n, FAIL_HOW="EIO", FAIL_ONLY="pwrite64", FAIL_WHILE=shop.fault)
    daemon = start(shop, {**env, "PUNCHCARD_FAIL_LOG": str(shop.dir.parent / "struck")})
    feed(shop)
    wait_all(shop)
    shop.fault.touch()
    for _ in range(3):
        feed(shop)
        wait_for("the fault", lambda: (shop.dir.parent / "struck").exists() or in_sql(shop) == shop.sent)
    wait_for("all, or the end", lambda: daemon.process.poll() is not None or in_view(shop) == shop.sent)
    shop.fault.unlink()
    if daemon.process.poll() is None:
        daemon.stop()
    else:
        assert daemon.process.returncode == 1
        daemon.reader.join()
        assert daemon.log[-1]["message"].startswith("punchcard: ") and daemon.errors()
        with start(shop, {}):
            wait_all(shop)
    check_after(shop)


@pytest.mark.parametrize("seed", range(2))
def test_memory_that_is_not_there_for_a_while(shop, seed):
    """Some requests in a row get none, at different places; once it has begun, the daemon does not end for that."""
    chance = random.Random(seed)
    env = preload(shop, "fail_memory", NOMEM_AT=chance.randrange(1, 40), NOMEM_FOR=chance.choice((1, 2)), NOMEM_WHILE=shop.fault)
    with start(shop, env) as daemon:
        feed(shop)
        wait_all(shop)
        shop.fault.touch()
        for _ in range(5):
            feed(shop)
            wait_for("SQL", lambda: in_sql(shop) == shop.sent)
        shop.fault.unlink()
        feed_http(shop)
        wait_all(shop)
        assert daemon.process.poll() is None
    check_after(shop)


HANGING = [
    ("table", "/data/tmp/collect/", "view", in_view),
    ("view", "/data/view/", "table", in_sql),
]


@pytest.mark.parametrize("consumer, path, other, seen", HANGING)
def test_a_consumer_that_hangs(shop, consumer, path, other, seen):
    """The other one goes on, and so do the sources; status tells which it is. Afterwards it takes what waits."""
    env = preload(shop, "disturb", HANG_WHILE=shop.fault, HANG_ON=path)
    with start(shop, env) as daemon:
        feed(shop)
        wait_all(shop)
        wait_for("rest", lambda: lag(shop, "table") == lag(shop, "view") == 0)
        shop.fault.touch()
        for _ in range(3):
            feed(shop)
            feed_http(shop)
            wait_for("SQL", lambda: in_sql(shop) == shop.sent)
            wait_for(f"the {other}", lambda: seen(shop) == shop.sent and lag(shop, other) == 0)
        assert lag(shop, consumer) > 0
        assert daemon.errors() == []
        shop.fault.unlink()
        wait_for(f"the {consumer}", lambda: lag(shop, consumer) == 0)
        wait_all(shop)
    check_after(shop)


def test_a_consumer_that_hangs_is_back_pressure(shop):
    """When what waits for it is as much as is allowed, sources wait; nothing is refused for good, and all comes afterwards."""
    shop.config["journal"] = {"backlog_mib": 16}
    shop.path.write_text(json.dumps(shop.config), encoding="utf-8")
    env = preload(shop, "disturb", HANG_WHILE=shop.fault, HANG_ON="/data/tmp/collect/")
    with start(shop, env):
        feed(shop)
        wait_for("the table", lambda: lag(shop, "table") == 0)
        shop.fault.touch()
        # Long names, so that few orders are enough.
        for i in range(12):
            shop.put(f"many-{i:02}.txt", "".join(classic(1 + k % 5, f"{i}{k}".ljust(230, "x"), 70, T0 + k) for k in range(8000)))
        shop.sent += 12 * 8000
        wait_for("http that refuses", lambda: send(shop, event(0))[0] == 429)
        kept = in_sql(shop)
        assert kept < shop.sent
        shop.fault.unlink()
        shop.sent += 1
        wait_for("http that takes", lambda: send(shop, event(0))[0] == 200)
        wait_all(shop)
    check_after(shop)


def test_a_slow_disk(shop):
    """Each flush takes up to 0.1 s. All comes, batches are larger, and it stops in order."""
    with start(shop, preload(shop, "disturb", SLOW_US=100_000)) as daemon:
        for _ in range(5):
            feed(shop)
            feed_http(shop)
        wait_all(shop)
        assert daemon.errors() == []
    check_after(shop)


@pytest.mark.parametrize("days", [-400, 1])
def test_a_clock_that_jumps(shop, days):
    """While it runs, and back again: it goes on at its pace, and what it takes is taken once."""
    by = shop.dir.parent / "by"
    with start(shop, preload(shop, "disturb", CLOCK_FILE=by)) as daemon:
        feed(shop)
        wait_all(shop)
        by.write_text(str(days * 86_400 + 3), encoding="ascii")
        feed(shop)
        feed_http(shop)
        wait_all(shop)
        wait_for("the table", lambda: lag(shop, "table") == 0)
        by.unlink()
        feed(shop)
        feed_http(shop)
        wait_all(shop)
        wait_for("the table", lambda: lag(shop, "table") == 0)
        assert daemon.errors() == []
    check_after(shop)
