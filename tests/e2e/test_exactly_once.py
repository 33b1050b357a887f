"""Killed at any moment and run again: every line once, in the table and in the accounts."""

import itertools
import os
import random
import re
import signal
import threading
import time

import events
import oracle
import pytest

from conftest import lines
from daemon import Daemon, wait_for

BUDGET_S = 18  # of the random kills
SEEDS = [int(seed) for seed in os.environ.get("PUNCHCARD_SEEDS", "1 2 3").split()]


def check(shop, text):
    """Table and accounts against a plain model of the lines."""
    orders = [oracle.classic_order(line) for line in text.splitlines()]
    assert shop.value("SELECT count(*) FROM transactions_cln") == len(orders)
    assert shop.value("SELECT count(DISTINCT event_id) FROM transactions_cln") == len(orders)
    assert shop.value("SELECT sum(odr_amt)::VARCHAR FROM transactions_cln") == oracle.money(
        sum(amount for _, _, amounts in orders for amount in amounts)
    )
    assert shop.sql(oracle.ACCOUNTS_SQL) == oracle.rows(oracle.fold(orders, shop.programme))


def collect_time(shop):
    """Seconds that a collect takes: kills are spread over it."""
    start = time.monotonic()
    shop.collect()
    return time.monotonic() - start


def start_and_kill(shop, delay):
    """Kills a collect after so many seconds; whether it was still running."""
    process = shop.start("collect", "--once")
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    code = process.wait()
    process.stdout.close()
    process.stderr.close()
    assert code in (0, -signal.SIGKILL)
    return code != 0


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_at_random_moments(shop, pc, seed):
    chance = random.Random(seed)
    text = ""
    text_of = {}
    deadline = time.monotonic() + BUDGET_S / len(SEEDS)
    rounds = kills = 0
    shop.put("warm-up.txt", lines(20_000, customers=300, step=7))
    text += lines(20_000, customers=300, step=7)
    reach = collect_time(shop) * 1.2
    while time.monotonic() < deadline or rounds < 2 or (kills == 0 and rounds < 50):
        rounds += 1
        for i in range(chance.randrange(1, 4)):
            n = chance.choice([1, 50, 2_000, 12_000])
            part = lines(n, customers=chance.randrange(1, 500), start=1_700_000_000 + chance.randrange(10**6), step=11)
            name = f"round-{rounds}-{i}.txt"
            text_of[name] = part
            shop.put(name, part)
            text += part
        for _ in range(chance.randrange(1, 5)):
            # The warm-up was slower than it mostly is, or the machine was busy then: nearer, until kills land again.
            killed = start_and_kill(shop, chance.random() * reach)
            kills += killed
            reach = max(reach * (1.1 if killed else 0.8), 0.005)
        if chance.random() < 0.3:  # a sender that sends again what it has sent
            name = chance.choice(sorted(text_of))
            if not (shop.spool / name).exists():
                shop.put(name, text_of[name])
    shop.collect()
    assert kills > 0
    assert [name for name in shop.names() if not re.search(r"\.COMPLETED(\.|$)", name)] == []
    check(shop, text)
    assert shop.reasons() == {}


def test_killed_with_all_kinds(shop):
    """Orders, refunds, redemptions and adjustments in any order; killed also while late ones are mended."""
    events.configure(shop)
    chance = random.Random(11)
    made = events.make(11, 900, 30, int(time.time()) - 60)
    sent = sorted(made, key=lambda pair: (pair[1].time if chance.random() < 0.8 else chance.randrange(pair[1].time)))
    kills = 0
    reach = 1.0
    for run in range(9):
        part = sent[run * 100 : (run + 1) * 100]
        shop.put(f"{run}-a.json", events.text(part[:50]))
        shop.put(f"{run}-b.json", events.text(part[50:]))
        for _ in range(3):
            killed = start_and_kill(shop, chance.random() * reach)
            kills += killed
            reach = max(reach * (1.1 if killed else 0.8), 0.005)
    shop.collect()
    assert kills > 0
    assert shop.reasons() == {}
    assert shop.value("SELECT count(DISTINCT event_id) FROM transactions_cln") == len(made)
    events.check(shop, made)


def start_with_lock(shop):
    """Starts a collect and waits until it has the lock."""
    process = shop.start("collect", "--once")
    lock = shop.dir / "data/collect.lock"
    deadline = time.monotonic() + 30
    while not lock.exists() or str(process.pid) not in lock.read_text():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    return process


def test_terminated(shop, pc):
    """SIGTERM and SIGINT end it between two blocks: exit 130, and the next run goes on."""
    text = ""
    for i in range(6):
        part = lines(20_000, customers=200, start=1_700_000_000 + i, step=6)
        shop.put(f"{i}.txt", part)
        text += part
    for how in (signal.SIGTERM, signal.SIGINT):
        process = start_with_lock(shop)
        time.sleep(0.2)
        process.send_signal(how)
        result = pc.end(process)
        result.check_health()
        assert result.code in (0, 130), result
    shop.collect()
    check(shop, text)


def test_two_writers(shop, pc):
    """The second is told who has the lock, and changes nothing."""
    shop.put("a.txt", lines(300_000, customers=1000, step=1))
    first = start_with_lock(shop)
    refused = shop.ok("collect", "--once", code=4)
    assert pc.end(first).code == 0
    assert str(first.pid) in refused.err and "collect" in refused.err, refused
    assert shop.value("SELECT count(*) FROM transactions_cln") == 300_000


def test_the_lock_dies_with_its_process(shop):
    process = shop.start("collect", "--once")
    process.kill()
    process.wait()
    process.stdout.close()
    process.stderr.close()
    shop.collect()


def test_readers_while_writing(shop):
    """Readers are neither stopped nor shown a half: what they see is each line once, of the lines so far."""
    size, most, looks = 500, 2_000, 4
    prices = (60, 65, 70, 80, 90)
    orders = [(1 + t % 500, prices[t * 7 % 11 % 5], t) for t in range(1_700_000_000, 1_700_000_000 + most * size)]
    # The files are taken in order, line by line: after so many lines this is the sum.
    sums = [0, *itertools.accumulate(price for _, price, _ in orders)]
    query = "SELECT count(*), count(DISTINCT event_id), coalesce(sum(odr_amt), 0)::BIGINT FROM transactions_cln"
    seen = [0]
    enough = threading.Event()
    sent = []

    def send():
        while not enough.is_set() and len(sent) < most:
            part = orders[len(sent) * size : (len(sent) + 1) * size]
            shop.put(f"{len(sent):04d}.txt", "".join(f"{customer}|latte {price}|{t}\n" for customer, price, t in part))
            sent.append(size)
            time.sleep(0.03)  # a minute for all, if the readers should need it

    def look():
        rows, events, amount = shop.sql(query)[0]
        assert rows == events
        assert amount == sums[rows]
        orders = shop.value("SELECT coalesce(sum(orders), 0)::BIGINT FROM accounts")
        assert 0 <= orders <= sum(sent)
        assert rows >= seen[-1], "what was seen has gone"
        seen.append(rows)
        if len(seen) % 4 == 0:
            shop.ok("status")
            assert shop.run("customer", 1).code in (0, 1)
        return rows

    with Daemon(shop):
        sender = threading.Thread(target=send)
        sender.start()
        try:
            # Each time there is more, and more is on its way.
            wait_for("several looks at different lines", lambda: look() and len(set(seen)) > looks)
            assert sender.is_alive(), f"the readers came too late: {seen}"
        finally:
            enough.set()
            sender.join()
        n = sum(sent)
        wait_for("all lines", lambda: look() == n)
        wait_for("all accounts", lambda: shop.value("SELECT sum(orders)::BIGINT FROM accounts") == n)
    assert shop.sql(query)[0] == (n, n, sums[n])


def test_a_sender_at_work(shop):
    """Files keep coming while it collects; nothing is lost, nothing doubled."""
    text = []
    stop = threading.Event()

    def send():
        for i in range(60):
            part = lines(500, customers=50, start=1_700_000_000 + i, step=13)
            shop.put(f"{i:03d}.txt", part)
            text.append(part)
            time.sleep(0.02)
        stop.set()

    sender = threading.Thread(target=send)
    sender.start()
    while not stop.is_set():
        shop.collect()
    sender.join()
    shop.collect()
    check(shop, "".join(text))


def test_live_feed(shop, pc):
    """generate --rate beside collect, as in a shop."""
    feed = shop.start("generate", "--rate", 400, "--orders", 1000, "--json")
    while feed.poll() is None:
        shop.collect()
    assert pc.end(feed).code == 0
    shop.collect()
    text = "".join(path.read_text() for path in sorted(shop.spool.glob("orders-*")))
    assert text.count("\n") == 1000
    check(shop, text)


def test_killed_loads(shop, pc, tmp_path):
    """load, killed at random moments: customers_cln is the old or the new one, and a run to the end is right."""
    chance = random.Random(4)
    row = '{0},3,{1},m@x.org,2019-01-04,"1",1990-05-29,F,1990\n'
    shop.customers("".join(row.format(i, "first") for i in range(1, 3001)))
    path = tmp_path / "second.csv"
    path.write_text("".join(row.format(i, "second") for i in range(1, 3001)))
    for _ in range(6):
        process = shop.start("load", "customers", path)
        time.sleep(chance.random() * 0.6)
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()
        counts = shop.sql("SELECT cust_nm, count(*) FROM customers_cln GROUP BY 1")
        assert counts in ([("first", 3000)], [("second", 3000)]), counts
    shop.ok("load", "customers", path)
    assert shop.sql("SELECT cust_nm, count(*) FROM customers_cln GROUP BY 1") == [("second", 3000)]
    assert shop.json("customer", 3000)["name"] == "second"
