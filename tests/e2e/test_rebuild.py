"""rebuild: ledger, balances and loyalty out of the whole history; the same bytes as refreshing day by day."""

import datetime
import hashlib
import json
import random
import signal
import time

import pytest

import history
from conftest import classic, lines, make_shop
from history import CLUB, History, as_ndjson, history_shop, judge

TABLES = ("ledger", "balances", "loyalty", "account_state")


def tree(shop, *tables, day=None):
    """{path: hash} of the tables' files."""
    out = {}
    for table in tables or TABLES:
        root = shop.warehouse / table
        for path in sorted(root.rglob("*")) if root.exists() else []:
            if path.is_file() and (day is None or path.parent.name == f"data_dt={day}"):
                out[str(path.relative_to(shop.warehouse))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return out


def rebuild(shop, day, *args, **options):
    return shop.json("rebuild", "--data-dt", day, *args, **options)


def refresh(shop, day):
    return shop.json("refresh", "--data-dt", day)


def check_tables(shop, events, programme, until):
    """All rows against the judge's."""
    day = history.date_text(until)
    accounts = history.fold(events, programme, until)
    assert shop.sql(history.LEDGER_SQL) == history.ledger_rows(accounts, programme)
    assert shop.sql(history.BALANCES_SQL.format(day=day)) == history.balance_rows(accounts, programme)
    assert shop.sql(history.LOYALTY_SQL.format(day=day)) == history.loyalty_rows(accounts, events, programme, until)
    return accounts


def check_same(shop, pc, directory, day, programme=None):
    """The shop's tables of the day, and its whole ledger, are those that a rebuild of a copy makes."""
    before = tree(shop, "ledger"), tree(shop, "balances", "loyalty", "account_state", day=day)
    rebuild(shop, day)
    assert (tree(shop, "ledger"), tree(shop, "balances", "loyalty", "account_state", day=day)) == before
    assert not (shop.dir / "data/swap").exists()


@pytest.mark.parametrize("seed", [1, 2])
def test_as_the_judge_has_it(pc, tmp_path, seed):
    """Every column of every row, over a winter with a change of clocks."""
    story = History(seed, "2024-02-20", 60, 40, 900)
    shop = history_shop(pc, tmp_path / "shop")
    shop.put("a.json", as_ndjson(story.events))
    assert shop.collect()["quarantined"] == 0
    last = story.days()[-1]
    for until in (last - 30, last, last + 45):
        report = rebuild(shop, history.date_text(until))
        accounts = check_tables(shop, story.events, CLUB, until)
        assert report["customers"] == len(accounts)
        assert report["events"] == sum(account.events for account in accounts.values())
        assert report["postings"] == sum(len(account.entries) for account in accounts.values())
        assert sum(report["rejected"].values()) == sum(account.rejected for account in accounts.values())
    kinds = {kind for (kind,) in shop.sql("SELECT DISTINCT kind FROM ledger")}
    assert kinds == {"earn", "reverse", "redeem", "expire", "adjust", "tier", "reject"}
    assert len({segment for (segment,) in shop.sql("SELECT DISTINCT segment FROM loyalty")}) >= 6
    # Partitions are what they say, and every row has the programme's hash.
    assert shop.value("SELECT count(DISTINCT programme) FROM ledger") == 1
    assert shop.value("SELECT count(*) FROM ledger WHERE epoch_us(posted_at) IS NULL") == 0


def test_text_ids(pc, tmp_path):
    story = History(3, "2024-01-01", 20, 30, 200)
    events = [(f"Kundin {customer} ä'", event) for customer, event in story.events]
    shop = history_shop(pc, tmp_path / "shop", customer_id="text")
    shop.put("a.json", as_ndjson(events))
    assert shop.collect()["quarantined"] == 0
    until = story.days()[-1]
    rebuild(shop, history.date_text(until - 3))
    refresh(shop, history.date_text(until))
    accounts = history.fold(events, CLUB, until)
    accounts = dict(sorted(accounts.items(), key=lambda item: item[0].encode()))
    assert shop.sql(history.LEDGER_SQL) == history.ledger_rows(accounts, CLUB)
    check_same(shop, pc, tmp_path, history.date_text(until))


@pytest.mark.parametrize("seed", [4, 5])
def test_refreshed_day_by_day(pc, tmp_path, seed):
    """Events come late, refunds reach over days; after each refresh the tables are those of a rebuild."""
    story = History(seed, "2024-03-20", 16, 25, 320)
    chance = random.Random(seed)
    arrivals = {}
    first, last = story.days()[0], story.days()[-1]
    for customer, event in story.events:
        day = judge.local_day(CLUB["timezone"], event.time)
        arrivals.setdefault(day + (chance.choice([1, 2, 5]) if chance.random() < 0.06 else 0), []).append((customer, event))
    shop = history_shop(pc, tmp_path / "shop")
    other = history_shop(pc, tmp_path / "other")
    had, from_state, marked, rewritten = [], 0, 0, 0
    for day in range(first, last + 6):
        new = arrivals.get(day, [])
        had += new
        for one in (shop, other):
            if new:
                one.put(f"{day}.json", as_ndjson(new))
            one.collect()
        if chance.random() < 0.15 and day < last + 5:
            continue
        date = history.date_text(day)
        report = refresh(shop, date)
        from_state += report["from"] is not None
        marked += report["marked"]
        rewritten += report["rewritten"]
        rebuild(other, date)
        assert tree(shop, "ledger") == tree(other, "ledger"), date
        for table in ("balances", "loyalty", "account_state"):
            assert tree(shop, table, day=date) == tree(other, table, day=date), (table, date)
    assert from_state > 8 and marked > 0 and rewritten > 0
    check_tables(shop, had, CLUB, last + 5)
    states = list((shop.warehouse / "account_state").iterdir())
    assert len(states) == 3


def test_a_day_again_and_an_earlier_one(pc, tmp_path):
    """Refreshing an earlier day changes that day, and loses nothing of later ones."""
    story = History(6, "2024-03-01", 12, 20, 150)
    shop = history_shop(pc, tmp_path / "shop")
    shop.put("a.json", as_ndjson(story.events))
    shop.collect()
    days = [history.date_text(day) for day in story.days()]
    for day in days[-3:]:
        refresh(shop, day)
    before = tree(shop)
    assert refresh(shop, days[-1])["unchanged"]
    assert tree(shop) == before
    assert refresh(shop, days[2])["whole"] == "no_state"
    after = tree(shop)
    assert {path: name for path, name in after.items() if path in before} == before
    assert set(after) - set(before) == {path for path in after if f"data_dt={days[2]}/" in path and "ledger" not in path}
    refresh(shop, days[-1])
    check_tables(shop, story.events, CLUB, story.days()[-1])


def test_another_programme(pc, tmp_path):
    """All is folded by the new one, and nothing of the old one is left in the ledger, nor when it comes back."""
    story = History(7, "2024-03-01", 10, 15, 120)
    shop = history_shop(pc, tmp_path / "shop")
    shop.put("a.json", as_ndjson(story.events))
    shop.collect()
    until = story.days()[-1]
    day, before, after = (history.date_text(until + i) for i in (0, -1, 1))
    refresh(shop, before)
    other = json.loads(json.dumps(CLUB))
    other["earn"][0]["per_amount"]["points"] = "2"
    shop.programme = other
    shop.write_config()
    report = refresh(shop, day)
    assert report["whole"] == "other_programme" and report["from"] is None
    check_tables(shop, story.events, other, until)
    assert len(list((shop.dir / "data/programmes").iterdir())) == 2
    shop.programme = json.loads(json.dumps(CLUB))
    shop.write_config()
    assert refresh(shop, after)["whole"] == "other_programme"
    check_tables(shop, story.events, CLUB, until + 1)
    assert shop.value("SELECT count(DISTINCT programme) FROM ledger") == 1


def test_nothing_collected(pc, tmp_path):
    shop = history_shop(pc, tmp_path / "shop")
    assert rebuild(shop, "2024-01-01") == {
        "data_dt": "2024-01-01",
        "customers": 0,
        "events": 0,
        "postings": 0,
        "rejected": {},
        "unchanged": False,
    }
    for table in ("ledger", "balances", "loyalty"):
        assert shop.value(f"SELECT count(*) FROM {table}") == 0


def test_yesterday_unless_said(shop):
    shop.put("a.txt", lines(10))
    shop.collect()
    report = shop.json("rebuild")
    today = datetime.datetime.now(datetime.timezone.utc).date()
    assert report["data_dt"] in {str(today - datetime.timedelta(days=n)) for n in (1, 2)}
    assert report["events"] == 10
    assert "10 events" in shop.ok("rebuild").out


def test_the_newest_unless_said(shop):
    """Today, when that was refreshed: a rebuild up to yesterday would remove its ledger."""
    now = int(time.time())
    shop.put("a.txt", classic(1, "latte", 70, now))
    shop.collect()
    today = shop.value(f"SELECT CAST(make_timestamp({now}000000) AS DATE)::VARCHAR")
    refresh(shop, today)
    assert shop.json("rebuild")["data_dt"] == today


def test_no_earlier_day_than_the_newest(shop):
    """The ledger would end there."""
    shop.put("a.txt", lines(50, step=7200))
    shop.collect()
    refresh(shop, "2023-11-18")
    before = tree(shop)
    result = shop.ok("rebuild", "--data-dt", "2023-11-16", code=2)
    assert "rebuild --data-dt 2023-11-18" in result.err and "refresh --data-dt 2023-11-16" in result.err
    assert tree(shop) == before
    # Nor by a refresh, when the later days are of another programme.
    shop.programme["earn"][0]["per_amount"]["points"] = "2"
    shop.write_config()
    result = shop.ok("refresh", "--data-dt", "2023-11-16", code=2)
    assert "rebuild --data-dt 2023-11-18" in result.err
    assert tree(shop) == before
    rebuild(shop, "2023-11-18")
    refresh(shop, "2023-11-16")


@pytest.mark.parametrize("command", ["rebuild", "refresh"])
def test_a_day_that_has_not_begun(shop, command):
    shop.put("a.txt", lines(10))
    shop.collect()
    today = datetime.datetime.now(datetime.timezone.utc).date()
    result = shop.ok(command, "--data-dt", str(today + datetime.timedelta(days=2)), code=2)
    assert "not begun" in result.err
    assert not (shop.warehouse / "loyalty").exists()
    shop.ok(command, "--data-dt", str(today))


def test_a_changed_file_is_replaced(shop):
    """Its name is that of what was in it."""
    shop.put("a.txt", lines(50, step=7200))
    shop.collect()
    rebuild(shop, "2023-11-18")
    before = tree(shop)
    for table in TABLES:
        for path in (shop.warehouse / table).rglob("*.parquet"):
            path.write_bytes(b"x")
    assert tree(shop) != before
    rebuild(shop, "2023-11-18")
    assert tree(shop) == before


def test_ids_of_another_type(pc, tmp_path):
    """What is in the tables is not read as what it is not."""
    shop = history_shop(pc, tmp_path / "shop", customer_id="text")
    shop.put("a.json", as_ndjson((f"Kundin {customer}", event) for customer, event in History(3, "2024-01-01", 9, 9, 50).events))
    shop.collect()
    refresh(shop, "2024-01-05")
    shop.write_config(customer_id="integer")
    for args in (["rebuild"], ["refresh", "--data-dt", "2024-01-06"], ["simulate", "--programme", shop.dir / "programme.yaml"], ["audit"]):
        result = shop.run(*args)
        assert result.code in (1, 2) and "customer_id" in result.err, result


def test_wrong_input(shop):
    for args in (["--data-dt"], ["--data-dt", "yesterday"], ["--data-dt", "2024-02-30"], ["--all"], ["2024-01-01"]):
        result = shop.run("rebuild", *args)
        assert result.code == 2 and "rebuild" in result.err, result
    assert not (shop.warehouse / "ledger").exists()


def test_killed_at_any_moment(shop):
    """Whoever comes after a crash, at whatever moment, finds the old tables or the new ones, and whole ones."""
    shop.put("a.txt", lines(6000, customers=700, step=3000))
    shop.collect()
    rebuild(shop, "2023-12-31")
    old = tree(shop, "ledger", "loyalty", "balances")
    shop.put("b.txt", lines(3000, customers=900, start=1_700_000_500, step=6000))
    shop.collect()
    counts = "SELECT (SELECT count(*) FROM ledger), (SELECT sum(orders)::BIGINT FROM loyalty)"
    (before,) = shop.sql(counts)
    started = time.monotonic()
    chance = random.Random(1)
    seen = set()
    for attempt in range(12):
        process = shop.start("rebuild", "--data-dt", "2023-12-31")
        time.sleep(chance.random() * (1.2 if attempt else 0.05))
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()
        seen.add(shop.sql(counts)[0])
    rebuild(shop, "2023-12-31")
    (after,) = shop.sql(counts)
    assert after[0] > before[0] and after[1] > before[1]
    assert {ledger for ledger, _ in seen} <= {before[0], after[0]}, (seen, time.monotonic() - started)
    assert {loyalty for _, loyalty in seen} <= {before[1], after[1]}
    new = tree(shop, "ledger", "loyalty", "balances")
    assert new != old
    assert not any(path.name == ".new" for path in shop.warehouse.rglob(".*"))
    assert not (shop.dir / "data/swap").exists()
    rebuild(shop, "2023-12-31")
    assert tree(shop, "ledger", "loyalty", "balances") == new


@pytest.mark.parametrize("moment", ["nothing exchanged", "first exchanged", "all exchanged"])
def test_a_swap_that_was_interrupted(shop, moment):
    """The next writer completes what was decided."""
    shop.put("a.txt", lines(200, customers=20, step=7200))
    shop.collect()
    rebuild(shop, "2023-11-30")
    good = tree(shop)
    swap = shop.dir / "data/swap"
    for table in ("tables/ledger", "tables/account_state", "partitions/loyalty/data_dt=2023-11-30"):
        staged, live = swap / table, shop.warehouse / table.split("/", 1)[1]
        staged.parent.mkdir(parents=True, exist_ok=True)
        live.rename(staged)
        (staged / ".new").touch()
        live.mkdir()
        if moment == "all exchanged" or (moment == "first exchanged" and "ledger" in table):
            live.rmdir()
            staged.rename(live)
            if moment == "first exchanged":
                staged.mkdir()  # what served before, without a mark
    assert refresh(shop, "2023-11-30")["unchanged"]
    assert tree(shop) == good
    assert not swap.exists()
    assert not list(shop.warehouse.rglob(".new"))


def test_readers_see_whole_tables(shop, pc):
    shop.put("a.txt", lines(4000, customers=500, step=600))
    shop.collect()
    rebuild(shop, "2023-12-31")
    query = "SELECT count(*), sum(points)::VARCHAR FROM ledger"
    old = shop.sql(query)
    shop.put("b.txt", lines(4000, customers=800, start=1_700_000_300, step=600))
    shop.collect()
    seen = set()
    for _ in range(2):
        writer = shop.start("rebuild", "--data-dt", "2023-12-31")
        while writer.poll() is None:
            seen.update(shop.sql(query))
        assert pc.end(writer).code == 0
    new = shop.sql(query)
    assert old != new
    assert seen <= {*old, *new}


def test_late_orders_change_earlier_days(shop):
    """A late order moves what was earned behind it to other lots, and so rows of days that were made long ago."""
    shop.programme["ledgers"] = [{"name": "points", "expiry": {"days": 2}}]
    shop.write_config()
    shop.put("a.txt", classic(1, "latte", 100, 1_700_000_000) + classic(2, "latte", 100, 1_700_000_000))
    shop.collect()
    for day in ("2023-11-14", "2023-11-17", "2023-11-20"):
        refresh(shop, day)
    assert shop.value("SELECT count(*) FROM ledger") == 4
    before = tree(shop, "ledger")
    shop.put("b.txt", classic(1, "latte", 50, 1_690_000_000))
    shop.collect()
    report = refresh(shop, "2023-11-21")
    assert report["from"] == "2023-11-20" and report["marked"] == 1 and report["rewritten"] == 4, report
    assert shop.value("SELECT count(*) FROM ledger") == 6
    assert tree(shop, "ledger") != before
    assert shop.sql("SELECT entry_no FROM ledger WHERE cust_id = 1 ORDER BY entry_no") == [(1,), (2,), (3,), (4,)]
    after = tree(shop, "ledger")
    rebuild(shop, "2023-11-21")
    assert tree(shop, "ledger") == after


def test_a_damaged_state_is_no_loss(shop):
    shop.put("a.txt", lines(50, step=7200))
    shop.collect()
    refresh(shop, "2023-11-16")
    for path in (shop.warehouse / "account_state").rglob("account-*"):
        content = bytearray(path.read_bytes())
        content[len(content) // 3 : len(content) // 2] = b"x" * (len(content) // 2 - len(content) // 3)
        path.write_bytes(content)
    report = refresh(shop, "2023-11-17")
    assert report["whole"] == "damaged_state"
    assert report["damage"]
    before = tree(shop, "ledger", "loyalty")
    rebuild(shop, "2023-11-17")
    assert tree(shop, "ledger") == {path: name for path, name in before.items() if path.startswith("ledger")}


@pytest.mark.parametrize("table", ["loyalty", "balances", "ledger", "account_state"])
def test_a_refresh_mends_a_damaged_file(shop, table):
    shop.put("a.txt", lines(50, step=7200))
    shop.collect()
    refresh(shop, "2023-11-16")
    good = tree(shop)
    (path,) = (shop.warehouse / table / "data_dt=2023-11-16").glob("*.parquet")
    content = path.read_bytes()
    path.write_bytes(content[:40] + bytes([content[40] ^ 1]) + content[41:])
    assert not refresh(shop, "2023-11-16")["unchanged"] or table != "loyalty"
    assert path.read_bytes() == content
    assert tree(shop) == good
    assert refresh(shop, "2023-11-16")["unchanged"]


def test_a_refresh_without_a_file_of_the_ledger(shop):
    """A late order of a day whose file is gone: the message says what makes it again."""
    shop.put("a.txt", lines(50, step=7200))
    shop.collect()
    refresh(shop, "2023-11-16")
    (path,) = (shop.warehouse / "ledger/data_dt=2023-11-15").glob("ledger-*")
    path.unlink()
    shop.put("late.txt", classic(1, "latte", 70, 1_700_000_000 + 86400))
    shop.collect()
    result = shop.run("refresh", "--data-dt", "2023-11-17")
    assert result.code == 1 and "ledger/data_dt=2023-11-15" in result.err, result
    assert "punchcard rebuild" in result.err
    rebuild(shop, "2023-11-17")
    shop.ok("audit")


def test_models_are_there(shop):
    """Names come from customers_cln, by an edited model, in a rebuild too."""
    shop.customers('1,3,Anna,a@x.org,2019-01-04,"111",1990-05-29,F,1990\n')
    shop.put("a.txt", classic(1, "latte", 70, 1_700_000_000))
    shop.collect()
    rebuild(shop, "2023-11-15")
    # Of one customer alone no number is above a quantile.
    assert shop.sql("SELECT cust_name, favourite, r, f, m, segment FROM loyalty") == [("Anna", "latte", 5, 1, 1, "New")]


@pytest.mark.parametrize("command, how", [("refresh", signal.SIGINT), ("rebuild", signal.SIGTERM)])
def test_interrupted(pc, tmp_path, command, how):
    """It ends soon, changes nothing, and leaves nothing behind; a second run does it."""
    shop = make_shop(pc, tmp_path / "shop")
    shop.put("a.txt", lines(100_000, customers=20_000, step=400))
    shop.collect()
    day = "2025-10-01"
    shop.ok("rebuild", "--data-dt", "2023-11-20")
    before = tree(shop)
    codes = set()
    # At other moments each time; it may be done before it hears of it.
    delay_s = 0.02
    while 130 not in codes or delay_s < 0.5:
        process = shop.start(command, "--data-dt", day)
        # Before it listens, a signal ends it like any program; it has the lock after that.
        while process.poll() is None and str(process.pid) not in (shop.dir / "data/lock").read_text():
            time.sleep(0.001)
        time.sleep(delay_s)
        process.send_signal(how)
        sent = time.monotonic()
        result = pc.end(process)
        result.check_health()
        codes.add(result.code)
        assert result.code in (0, 130), result
        if result.code == 0:
            break
        assert time.monotonic() - sent < 5 and result.out == "" and "interrupted" in result.err, result
        assert tree(shop) == before and not (shop.dir / "data/swap").exists()
        assert not [path for path in (shop.dir / "data/tmp").rglob("*") if path.is_file()]
        delay_s *= 2.2
    assert 130 in codes
    shop.ok(command, "--data-dt", day)
    assert tree(shop) != before
