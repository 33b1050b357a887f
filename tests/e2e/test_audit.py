"""audit: whatever was changed by hand is named; what is as it should be passes. And the reserve report, by the judge."""

import json
import shutil
import signal
import time
from decimal import Decimal

import pytest

import history
import parquet
from conftest import classic, environment, lines, make_shop
from history import CLUB, History, as_ndjson, history_shop, judge

SEED, FIRST_DAY, DAYS, CUSTOMERS, EVENTS = 5, "2024-02-20", 40, 30, 700
TABLES = ["transactions_cln", "ledger", "account_state", "balances", "loyalty", "customer view"]


@pytest.fixture(scope="module")
def story():
    return History(SEED, FIRST_DAY, DAYS, CUSTOMERS, EVENTS)


@pytest.fixture(scope="module")
def made(pc, tmp_path_factory, story):
    """A deployment with all kinds of events, refreshed day by day, with some that came late. Its tests copy it."""
    shop = history_shop(pc, tmp_path_factory.mktemp("audit") / "shop")
    late = [(i, event) for i, event in enumerate(story.events) if i % 23 == 0]
    early = [(i, event) for i, event in enumerate(story.events) if i % 23]
    shop.put("a.json", as_ndjson(event for _, event in early))
    assert shop.collect()["quarantined"] == 0
    days = story.days()
    for day in (days[10], days[20], days[30]):
        shop.ok("refresh", "--data-dt", history.date_text(day))
    shop.put("b.json", as_ndjson(event for _, event in late))
    assert shop.collect()["quarantined"] == 0
    shop.last = days[-1]
    shop.ok("refresh", "--data-dt", history.date_text(shop.last))
    return shop


@pytest.fixture
def copy(pc, made, tmp_path):
    shop = type(made)(pc, tmp_path / "shop")
    shutil.copytree(made.dir, shop.dir)
    shop.config, shop.programme, shop.last = made.config, json.loads(json.dumps(made.programme)), made.last
    return shop


def audit(shop, *args, code=1, **options):
    """The report."""
    report = shop.ok("audit", "--json", *args, code=code, **options).json()
    assert report["agree"] == (code == 0) == (report["differences"] == 0)
    assert report["differences"] == sum(report["by_table"].values())
    return report


def found(report, table, kind=None):
    return [one for one in report["findings"] if one["table"] == table and kind in (None, one["kind"])]


def tables(report):
    return {table for table, n in report["by_table"].items() if n}


def part(shop, table, day, prefix=""):
    (path,) = (shop.warehouse / table / f"data_dt={day}").glob(f"{prefix}*.parquet")
    return path


def newest(shop):
    return history.date_text(shop.last)


def follow_advice(shop, *args):
    """Does what the audit says is to be done."""
    out = shop.ok("audit", *args, code=1).out
    for line in out[out.index("What to do:") :].splitlines()[1:]:
        words = line.split()
        if words[0] == "move":
            shutil.rmtree(shop.dir / words[1])
        elif words[0] != "and":
            assert words[0] == "punchcard"
            shop.ok(*words[1:])


def value_of(finding, column):
    (one,) = [value for value in finding["values"] if value["column"] == column]
    return one["is"], one["should"]


def some_row(shop, where="points > 0"):
    """An entry somewhere in the middle: (day, customer, entry, event, ledger, points, balance)."""
    rows = shop.sql(
        f"""SELECT data_dt::VARCHAR, cust_id, entry_no, event_id, ledger, points::VARCHAR, balance::VARCHAR FROM ledger
            WHERE {where} ORDER BY data_dt, cust_id, entry_no"""
    )
    return rows[len(rows) // 2]


# --- what is as it should be ---


def test_nothing_yet(shop):
    report = audit(shop, code=0)
    assert report["empty"] and report["findings"] == []
    assert "nothing" in shop.ok("audit").out


def test_only_collected(shop):
    shop.put("a.txt", lines(50) + classic(0, "latte", 70, 1_700_000_000))
    shop.collect()
    report = audit(shop, code=0)
    assert (report["transactions"], report["events"], report["customers"], report["accounts"]) == (51, 50, 5, 5)
    assert report["data_dt"] is None and not report["empty"] and report["sums"] == []


def test_clean(made, story):
    """Four kinds of events, late ones, refunds, on the days that were refreshed one by one."""
    report = audit(made, code=0)
    accounts = history.fold(story.events, CLUB, made.last)
    assert report["data_dt"] == newest(made)
    assert report["customers"] == len(accounts) == report["accounts"]
    assert report["events"] == sum(account.events for account in accounts.values())
    assert report["entries"] == sum(len(account.entries) for account in accounts.values())
    assert report["transactions"] == made.value("SELECT count(*) FROM transactions_cln")
    assert not report["stale"] and not report["ledger_alone"] and report["waiting_events"] == 0
    for i, sums in enumerate(report["sums"]):
        balances = [account.balance(i) for account in accounts.values()]
        of = {key: sum(Decimal(b[key]) for b in balances) / 1000 for key in balances[0] if key != "next_expiry"}
        assert sums["ledger"] == CLUB["ledgers"][i]["name"]
        for key in ("issued", "reversed", "redeemed", "expired", "pending", "debt"):
            assert sums[key] == of[key], key
        assert sums["spendable"] == of["balance"] + of["debt"]
        assert sums["difference"] == 0 and sums["issued"] > 0


def test_text_ids(pc, tmp_path):
    story = History(3, "2024-01-01", 20, 30, 200)
    shop = history_shop(pc, tmp_path / "shop", customer_id="text")
    shop.put("a.json", as_ndjson((f"Kundin {customer} ä'", event) for customer, event in story.events))
    shop.collect()
    shop.ok("rebuild", "--data-dt", "2024-01-15")
    audit(shop, code=0)
    path = part(shop, "balances", "2024-01-15")
    parquet.change(path, "UPDATE t SET balance = balance + 1 WHERE cust_id = 'Kundin 2 ä''' AND ledger = 'stamps'")
    report = audit(shop)
    assert {one["cust_id"] for one in report["findings"]} == {"Kundin 2 ä'"}
    assert tables(report) == {"balances", "ledger"}


def test_an_earlier_day(made, story):
    """Also one whose tables were made before late events came, and one whose state is no longer kept."""
    days = story.days()
    report = audit(made, "--data-dt", history.date_text(days[30]), code=0)
    assert report["data_dt"] == history.date_text(days[30])
    assert report["stale"] and report["ledger_alone"]
    assert {sums["difference"] for sums in report["sums"]} == {0}


def test_a_day_that_was_not_refreshed(made):
    result = made.ok("audit", "--data-dt", "2024-01-01", code=1)
    assert "2024-01-01" in result.err and newest(made) in result.err


def ledger_files(shop):
    return {path: path.read_bytes() for path in (shop.warehouse / "ledger").rglob("*.parquet")}


def test_an_older_day_refreshed_again(copy, story):
    """The ledger stays that of the newest state, of whatever events the older day's tables are made."""
    day = history.date_text(story.days()[35])
    late = judge.Event(judge.ADJUST, "late", history.DAY_US * story.days()[34], points=7000)
    copy.put("c.json", as_ndjson([(1, late)]))
    copy.collect()
    ledger = ledger_files(copy)
    report = copy.json("refresh", "--data-dt", day)
    assert report["from"] == history.date_text(story.days()[30]) and report["ledger_data_dt"] == newest(copy)
    assert ledger_files(copy) == ledger
    assert audit(copy, "--data-dt", day, code=0)["ledger_alone"]
    assert audit(copy, code=0)["stale"]
    # It goes on from that day's state, which has more events than the ledger.
    report = copy.json("refresh", "--data-dt", newest(copy))
    assert report["from"] == day and report["marked"] > 0 and report["rewritten"] > 0
    assert copy.value("SELECT count(*) FROM ledger WHERE event_id = 'late'") == 1
    assert not audit(copy, code=0)["stale"]
    before = ledger_files(copy)
    copy.ok("rebuild", "--data-dt", newest(copy))
    assert ledger_files(copy) == before


def test_a_day_whose_state_is_gone(copy, story):
    """Nobody knows what its tables were made of."""
    day = history.date_text(story.days()[10])
    shutil.rmtree(copy.warehouse / "account_state" / f"data_dt={day}", ignore_errors=True)
    parquet.change(part(copy, "balances", day), "UPDATE t SET balance = balance + 1")
    report = audit(copy, "--data-dt", day, code=0)
    assert report["day_unknown"] and report["ledger_alone"] and report["entries"] > 0
    assert "no longer known" in copy.ok("audit", "--data-dt", day).out
    copy.ok("refresh", "--data-dt", day)
    assert not audit(copy, "--data-dt", day, code=0)["day_unknown"]


def test_advice_for_an_earlier_day(copy, story):
    """Following it loses nothing of later days."""
    day = history.date_text(story.days()[30])
    parquet.change(part(copy, "balances", day), "UPDATE t SET balance = balance + 1 WHERE cust_id = 3")
    row, *_ = some_row(copy, f"data_dt < '{day}'")
    path = part(copy, "ledger", row)
    path.write_bytes(path.read_bytes()[:-20])
    entries = audit(copy)["entries"]
    result = copy.ok("rebuild", "--data-dt", day, code=2)
    assert newest(copy) in result.err and "refresh" in result.err
    follow_advice(copy, "--data-dt", day)
    audit(copy, "--data-dt", day, code=0)
    assert audit(copy, code=0)["entries"] >= entries


def test_stale_is_no_difference(copy):
    copy.put("c.json", as_ndjson([(1, judge.Event(judge.ADJUST, "late", history.DAY_US * (copy.last - 2), points=7000))]))
    copy.collect()
    report = audit(copy, code=0)
    assert report["stale"]
    assert "came in since" in copy.ok("audit").out
    copy.ok("refresh", "--data-dt", newest(copy))
    assert not audit(copy, code=0)["stale"]
    assert "All agree." in copy.ok("audit").out


def test_no_tiers_many_ledgers_nobody(shop):
    """Only guests: tables without rows."""
    shop.put("a.txt", classic(0, "latte", 70, 1_700_000_000))
    shop.collect()
    shop.ok("rebuild", "--data-dt", "2023-11-16")
    assert audit(shop, code=0)["transactions"] == 1


# --- the ledger ---


def test_a_changed_row(copy):
    day, customer, entry, event, ledger, points, balance = some_row(copy)
    parquet.change(
        part(copy, "ledger", day), f"UPDATE t SET points = points + 1 WHERE cust_id = {customer} AND entry_no = {entry}"
    )
    report = audit(copy)
    (one,) = found(report, "ledger", "changed")
    assert (one["data_dt"], one["cust_id"], one["entry_no"], one["ledger"]) == (day, str(customer), entry, ledger)
    assert one["event_id"] == event
    assert value_of(one, "points") == (str(Decimal(points) + 1), points) and len(one["values"]) == 1
    # The rows alone tell it, too: of the row, of the account, and in total.
    assert {one["entry_no"] for one in found(report, "ledger", "sums")} == {entry, None}
    assert {sums["ledger"]: sums["difference"] for sums in report["sums"]}[ledger] == 1
    out = copy.run("audit").out
    assert f"customer {customer}" in out and "rebuild" in out and f"--data-dt {newest(copy)}" in out
    follow_advice(copy)
    audit(copy, code=0)


def test_a_removed_row(copy):
    day, customer, entry, event, ledger, points, _ = some_row(copy, "kind = 'redeem' AND points < 0")
    parquet.change(part(copy, "ledger", day), f"DELETE FROM t WHERE cust_id = {customer} AND entry_no = {entry}")
    report = audit(copy)
    (one,) = found(report, "ledger", "missing")
    assert (one["data_dt"], one["cust_id"], one["entry_no"], one["event_id"]) == (day, str(customer), entry, event)
    assert value_of(one, "points") == (None, points)
    assert found(report, "ledger", "sums") and not found(report, "balances")


def test_a_doubled_row(copy):
    day, customer, entry, *_ = some_row(copy)
    parquet.change(
        part(copy, "ledger", day), f"INSERT INTO t SELECT * FROM t WHERE cust_id = {customer} AND entry_no = {entry}"
    )
    report = audit(copy)
    (one,) = found(report, "ledger", "foreign")
    assert (one["data_dt"], one["cust_id"], one["entry_no"]) == (day, str(customer), entry)
    assert found(report, "ledger", "sums")


def test_columns_that_add_up_nowhere(copy):
    values = {"note": "'made up'", "rule": "NULL", "lot": "DATE '2030-01-01'"}
    rows = copy.sql(
        """SELECT data_dt::VARCHAR, cust_id, entry_no FROM ledger WHERE kind = 'earn' AND points > 0
           ORDER BY data_dt, cust_id, entry_no"""
    )
    for (day, customer, entry), (column, value) in zip(rows[:: len(rows) // 3], values.items()):
        where = f"cust_id = {customer} AND entry_no = {entry}"
        parquet.change(part(copy, "ledger", day), f"UPDATE t SET {column} = {value} WHERE {where}")
    found = audit(copy)["findings"]
    assert sorted(value["column"] for one in found for value in one["values"]) == sorted(values)


def test_a_whole_partition(copy):
    day, *_ = some_row(copy)
    rows = copy.value(f"SELECT count(*) FROM ledger WHERE data_dt = '{day}'")
    shutil.rmtree(copy.warehouse / f"ledger/data_dt={day}")
    report = audit(copy)
    (one,) = found(report, "ledger", "missing")
    assert (one["data_dt"], one["rows"], one["partition"], one["cust_id"]) == (day, rows, True, None)


def test_foreign_partitions(copy):
    """Of a day without entries, and of one behind the newest."""
    day, *_ = some_row(copy)
    rows = copy.value(f"SELECT count(*) FROM ledger WHERE data_dt = '{day}'")
    for other in ("1999-01-01", "2031-01-01"):
        shutil.copytree(copy.warehouse / f"ledger/data_dt={day}", copy.warehouse / f"ledger/data_dt={other}")
    report = audit(copy)
    foreign = found(report, "ledger", "foreign")
    assert [(one["data_dt"], one["rows"]) for one in foreign] == [("1999-01-01", rows), ("2031-01-01", rows)]


def test_a_damaged_file(copy):
    day, *_ = some_row(copy)
    path = part(copy, "ledger", day)
    path.write_bytes(path.read_bytes()[:-20])
    report = audit(copy)
    assert [one["data_dt"] for one in found(report, "ledger", "unreadable")] == [day, None]


def test_another_file_beside_it(copy):
    """Readers would read it, too."""
    day, *_ = some_row(copy)
    path = part(copy, "ledger", day)
    shutil.copy(path, path.with_name("x.parquet"))
    rows = copy.value(f"SELECT count(*) FROM ledger WHERE data_dt = '{day}'")
    report = audit(copy)
    assert report["by_table"]["ledger"] >= rows // 2


def test_many_differences(copy):
    """A hundred are named, all are counted."""
    for path in (copy.warehouse / "ledger").glob("*/*.parquet"):
        parquet.change(path, "UPDATE t SET note = 'x'")
    report = audit(copy)
    assert report["differences"] == report["entries"] > 100
    out = copy.run("audit").out
    assert out.count("note is x") == 100
    assert f"{report['differences']:,} in all" in out


# --- the day's tables ---


CHANGES = [
    ("balances", "3", "UPDATE t SET debt = debt + 1 WHERE cust_id = 3 AND ledger = 'points'", "changed"),
    ("balances", "4", "UPDATE t SET expiring_30d = 99 WHERE cust_id = 4 AND ledger = 'stamps'", "changed"),
    ("balances", "5", "DELETE FROM t WHERE cust_id = 5 AND ledger = 'stamps'", "missing"),
    ("balances", "777", "INSERT INTO t SELECT * REPLACE (777 AS cust_id) FROM t WHERE cust_id = 3", "foreign"),
    ("loyalty", "3", "UPDATE t SET points_balance = points_balance - 0.001 WHERE cust_id = 3", "changed"),
    ("loyalty", "4", "UPDATE t SET points_pending = NULL WHERE cust_id = 4", "changed"),
    ("loyalty", "6", "UPDATE t SET tier = 'none' WHERE cust_id = 6", "changed"),
    ("loyalty", "5", "DELETE FROM t WHERE cust_id = 5", "missing"),
    ("account_state", "3", "UPDATE t SET state = 'x'::BLOB WHERE cust_id = 3", "changed"),
    ("account_state", "5", "DELETE FROM t WHERE cust_id = 5", "missing"),
]


def test_rows_of_the_day(copy):
    for table, _, statement, _ in CHANGES:
        parquet.change(part(copy, table, newest(copy), "account-" if table == "account_state" else ""), statement)
    report = audit(copy)
    assert tables(report) == {"balances", "loyalty", "account_state", "ledger"}
    there = {(one["table"], one["cust_id"], one["kind"]) for one in report["findings"] if one["table"] != "ledger"}
    assert there == {(table, customer, kind) for table, customer, _, kind in CHANGES}
    follow_advice(copy)
    audit(copy, code=0)


def test_partitions_of_the_day(copy):
    for table in ("balances", "loyalty", "account_state"):
        shutil.rmtree(copy.warehouse / table / f"data_dt={newest(copy)}")
        if table != "account_state":
            (copy.warehouse / table / f"data_dt={newest(copy)}").mkdir()
    report = audit(copy)
    for table in ("balances", "loyalty", "account_state"):
        (one,) = found(report, table)
        assert one["kind"] == "missing" and one["partition"]


def test_an_edited_model(copy):
    """Whoever leaves a column out has no difference."""
    path = copy.dir / "models/loyalty.sql"
    text = path.read_text()
    path.write_text("\n".join(line for line in text.splitlines() if "points_expired      AS" not in line))
    copy.ok("rebuild", "--data-dt", newest(copy))
    assert copy.value(f"SELECT count(points_expired) FROM loyalty WHERE data_dt = '{newest(copy)}'") == 0
    audit(copy, code=0)


def test_balances_that_do_not_add_up(copy):
    """Both tables are as they were folded but for one number: named by comparing, and by the sums."""
    parquet.change(
        part(copy, "balances", newest(copy)), "UPDATE t SET earned = earned + 5 WHERE cust_id = 2 AND ledger = 'points'"
    )
    report = audit(copy)
    (one,) = found(report, "balances")
    (sums,) = found(report, "ledger", "sums")
    assert sums["cust_id"] == "2" and sums["ledger"] == "points"
    there, should = value_of(sums, "earned")
    assert Decimal(should) == Decimal(there) + 5


# --- orders ---


def test_a_removed_partition_of_orders(copy, story):
    day = history.date_text(story.days()[15])
    lost = copy.value(f"SELECT count(*) FROM transactions_cln WHERE data_dt = '{day}'")
    shutil.rmtree(copy.warehouse / f"transactions_cln/data_dt={day}")
    report = audit(copy)
    (one,) = found(report, "transactions_cln")
    assert one["kind"] == "sums"
    there, should = value_of(one, "rows")
    assert int(should) - int(there) == lost
    assert {"transactions_cln", "ledger", "customer view"} <= tables(report)
    assert "backup" in copy.run("audit").out


def test_doubled_orders(copy, story):
    day = history.date_text(story.days()[15])
    paths = sorted((copy.warehouse / f"transactions_cln/data_dt={day}").glob("orders-*.parquet"))
    parquet.change(paths[0], "INSERT INTO t SELECT * FROM t LIMIT 1")
    report = audit(copy)
    assert {one["kind"] for one in found(report, "transactions_cln")} == {"sums", "unreadable"}


@pytest.mark.parametrize("share", [0.1, 0.33, 0.6, 0.75, 1])
def test_a_damaged_file_of_events_is_named(copy, story, share):
    """Wherever it cannot be read, also in a column that no fold reads."""
    day = history.date_text(story.days()[15])
    path = sorted((copy.warehouse / f"transactions_cln/data_dt={day}").glob("orders-*.parquet"))[0]
    content = bytearray(path.read_bytes())
    if share == 1:
        del content[-20:]
    else:
        at = int(len(content) * share)
        content[at : at + 40] = bytes(byte ^ 255 for byte in content[at : at + 40])
    path.write_bytes(content)
    result = copy.run("audit")
    assert result.code == 1, result
    assert result.out.count(str(path)) == 1, result.out


def test_the_tail_counts(shop):
    """Events that are in the journal only, for the table cannot be written, are on their way."""
    shop.put("a.txt", lines(100))
    shop.collect()
    shop.ok("rebuild", "--data-dt", "2023-11-16")
    # The partition of the new ones leads nowhere.
    target = shop.warehouse / "transactions_cln/data_dt=2023-11-20"
    target.symlink_to(shop.dir / "missing/directory")
    shop.put("b.txt", lines(60, customers=2, start=1_700_500_000))
    assert shop.run("collect", "--once").code == 1
    target.unlink()
    report = audit(shop, code=0)
    assert report["transactions"] == 160
    assert report["waiting_events"] == 60
    assert report["waiting_customers"] == 2 and report["accounts"] == 3
    shop.collect()
    report = audit(shop, code=0)
    assert report["waiting_events"] == 0 and report["accounts"] == 5


# --- the view ---


def test_no_view(copy):
    shutil.rmtree(copy.dir / "data/view")
    report = audit(copy)
    assert found(report, "customer view", "missing") and tables(report) == {"customer view"}
    copy.collect()
    audit(copy, code=0)


def test_a_view_of_other_orders(copy, made, tmp_path, pc):
    """As if somebody had put a backup back: records of the same customers, and of one that nobody knows."""
    other = history_shop(pc, tmp_path / "other")
    other.put("a.json", as_ndjson([(1, judge.Event(judge.ADJUST, "z-1", history.DAY_US, points=1000)),
                                   (999, judge.Event(judge.ADJUST, "z-2", history.DAY_US, points=2000))]))
    other.collect()
    # The same number of blocks, so that nothing seems to be on its way.
    other.put("b.json", as_ndjson([(1, judge.Event(judge.ADJUST, "z-3", history.DAY_US, points=1000))]))
    other.collect()
    shutil.rmtree(copy.dir / "data/view")
    shutil.copytree(other.dir / "data/view", copy.dir / "data/view")
    report = audit(copy)
    assert tables(report) == {"customer view"}
    of = {(one["cust_id"], one["kind"]) for one in found(report, "customer view")}
    assert {("1", "changed"), ("999", "foreign"), ("2", "missing")} <= of
    (one,) = [one for one in report["findings"] if one["cust_id"] == "1"]
    assert value_of(one, "events")[0] == "2"
    follow_advice(copy)
    audit(copy, code=0)


def test_accounts_that_wait(copy, story):
    """An event came late, and collect did not come to its end: what it is still to do is no difference."""
    first = history.DAY_US * story.days()[0]
    copy.put("c.json", as_ndjson([(1, judge.Event(judge.ADJUST, "late", first, points=7000))]))
    path = sorted(copy.warehouse.glob("transactions_cln/*/*.parquet"))[0]
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    assert copy.run("collect", "--once").code == 1
    path.write_bytes(whole)
    report = audit(copy, code=0)
    assert report["waiting_accounts"] == 1 and report["findings"] == []
    assert "collect --once" in copy.ok("audit").out
    copy.collect()
    assert audit(copy, code=0)["waiting_accounts"] == 0


# --- the programme ---


def test_a_changed_programme(copy):
    copy.programme["earn"][0]["per_amount"]["points"] = "2"
    copy.write_config()
    report = audit(copy)
    assert {(one["table"], one["kind"]) for one in report["findings"]} == {
        ("ledger", "other_programme"),
        ("customer view", "other_programme"),
    }
    assert "programme.yaml was changed" in copy.run("audit").out
    copy.collect()
    copy.ok("rebuild", "--data-dt", newest(copy))
    audit(copy, code=0)


# --- how it runs ---


def test_reads_only(copy):
    def state():
        return {
            path.relative_to(copy.dir): (path.stat().st_mtime_ns, path.stat().st_size)
            for path in copy.dir.rglob("*")
            if path.is_file() and path.name != "lock.mdb"
        }

    before = state()
    tmp = copy.dir.parent / "tmp"
    tmp.mkdir()
    audit(copy, code=0, env=environment(TMPDIR=str(tmp)))
    assert state() == before
    assert list(tmp.iterdir()) == []


def test_while_another_writes(copy):
    """It needs no lock: who holds it, in the middle of its work, is in nobody's way."""
    adjust = [(3000 + i, judge.Event(judge.ADJUST, f"c-{i}", history.DAY_US, points=1000)) for i in range(40000)]
    copy.put("c.json", as_ndjson(adjust))
    process = copy.start("collect", "--once")
    lock = copy.dir / "data/collect.lock"
    while not lock.exists() or str(process.pid) not in lock.read_text():
        assert process.poll() is None
        time.sleep(0.001)
    process.send_signal(signal.SIGSTOP)
    try:
        audit(copy, code=0)
    finally:
        process.send_signal(signal.SIGCONT)
        assert copy.pc.end(process).code == 0
    assert audit(copy, code=0)["accounts"] > 40000


def test_a_swap_that_is_not_done(copy):
    (copy.dir / "data/swap").mkdir()
    result = copy.ok("audit", code=4)
    assert "again" in result.err and "collect" in result.err
    copy.ok("collect", "--once")
    assert not (copy.dir / "data/swap").exists()
    audit(copy, code=0)


def test_tables_that_change_meanwhile(copy):
    """Then nothing is known, and nothing is said but that."""
    day, *_ = some_row(copy)
    shutil.rmtree(copy.warehouse / f"ledger/data_dt={day}")
    codes = []
    for n, pause in enumerate((0.05, 0.1, 0.2, 0.3, 0.45)):
        tmp = copy.dir.parent / f"tmp{n}"
        tmp.mkdir()
        process = copy.start("audit", env=environment(TMPDIR=str(tmp)))
        while not list(tmp.iterdir()) and process.poll() is None:
            time.sleep(0.002)
        time.sleep(pause)
        process.send_signal(signal.SIGSTOP)
        (copy.dir / "data/swap").mkdir()
        process.send_signal(signal.SIGCONT)
        result = copy.pc.end(process)
        (copy.dir / "data/swap").rmdir()
        assert result.code in (1, 4) and (result.out == "") == (result.code == 4), result
        codes.append(result.code)
    assert 4 in codes


def test_interrupted(pc, tmp_path):
    shop = make_shop(pc, tmp_path / "shop")
    shop.ok("generate", "--orders", 60000, "--customers", 3000, "--files", 1, "--from", "2021-03-01", "--to", "2021-03-31")
    shop.collect()
    shop.ok("rebuild", "--data-dt", "2021-03-31")
    for pause in (0.1, 0.4, 0.8):
        tmp = tmp_path / f"tmp{pause}"
        tmp.mkdir()
        process = shop.start("audit", env=environment(TMPDIR=str(tmp)))
        deadline = time.monotonic() + 20
        while not list(tmp.iterdir()) and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.01)
        time.sleep(pause)
        process.send_signal(signal.SIGINT)
        result = pc.end(process)
        assert result.code in (0, 130), result
        assert list(tmp.iterdir()) == []


@pytest.mark.parametrize("args", [["x"], ["--data-dt", "1.2.2020"], ["--data-dt"], ["--wrong"], ["--reserve", "x"]])
def test_usage(shop, args):
    result = shop.run("audit", *args)
    assert result.code == 2 and "audit" in result.err


# --- the reserve ---


def month_of(day):
    return history.date_text(day)[:7]


def expected_reserve(events, programme, until):
    """By the judge: per ledger ({month: thousandths}, never, pending, debt, customers)."""
    accounts = history.fold(events, programme, until)
    out = []
    for i in range(len(programme["ledgers"])):
        months, never, pending, debt, customers = {}, 0, 0, 0, 0
        for account in accounts.values():
            pot = account.pots[i]
            debt += pot.debt
            customers += bool(pot.lots or pot.debt)
            for lot in pot.lots:
                if lot.available != judge.SPENDABLE:
                    pending += lot.remaining
                elif lot.expires == judge.NEVER:
                    never += lot.remaining
                else:
                    months[month_of(lot.expires)] = months.get(month_of(lot.expires), 0) + lot.remaining
        out.append((months, never, pending, debt, customers))
    return len(accounts), out


def cost(points, value):
    """Half up, in hundredths."""
    return (points * value * 2 + 10_000_000) // 20_000_000


def points(number):
    return Decimal(number) / 1000


def check_reserve(report, events, programme, until):
    customers, of = expected_reserve(events, programme, until)
    assert report["data_dt"] == history.date_text(until)
    assert report["customers"] == customers
    for rules, ledger, (months, never, pending, debt, holders) in zip(programme["ledgers"], report["ledgers"], of):
        value = int(Decimal(rules.get("value", "0")) * 1_000_000)

        def amounts(one):
            return one["points"], one["cost"]

        def expected(number):
            return points(number), Decimal(cost(number, value)) / 100 if value else None

        assert ledger["ledger"] == rules["name"] and ledger["customers"] == holders
        assert [(one["month"], *amounts(one)) for one in ledger["expires"]] == [
            (month, *expected(number)) for month, number in sorted(months.items())
        ]
        assert amounts(ledger["never"]) == expected(never)
        assert amounts(ledger["pending"]) == expected(pending)
        assert amounts(ledger["debt"]) == expected(debt)
        assert amounts(ledger["outstanding"]) == expected(sum(months.values()) + never + pending)
        assert ledger["by_inactivity"] == ("inactivity" in rules.get("expiry", {}))


def test_reserve(pc, tmp_path):
    programme = json.loads(json.dumps(CLUB))
    programme["ledgers"][0]["value"] = "0.0375"
    programme["ledgers"].append({"name": "cash", "value": "1"})
    programme["earn"].append({"name": "back", "ledger": "cash", "per_amount": {"points": "1", "per": "100"}})
    story = History(8, "2024-02-20", 60, 40, 900)
    shop = history_shop(pc, tmp_path / "shop", programme)
    shop.put("a.json", as_ndjson(story.events))
    shop.collect()
    last = story.days()[-1]
    # Nothing was refreshed yet: out of the history.
    report = shop.json("audit", "--reserve", "--data-dt", history.date_text(last - 20))
    assert report["from"] == "history"
    check_reserve(report, story.events, programme, last - 20)
    shop.ok("rebuild", "--data-dt", history.date_text(last))
    # Out of the state, which is the newest one.
    report = shop.json("audit", "--reserve")
    assert report["from"] == "account_state"
    check_reserve(report, story.events, programme, last)
    assert any(ledger["debt"]["points"] for ledger in report["ledgers"])
    assert any(ledger["pending"]["points"] for ledger in report["ledgers"])
    assert report["ledgers"][2]["never"]["cost"] == report["ledgers"][2]["never"]["points"].quantize(Decimal("0.01"))
    # And of a day to come, when some will have expired.
    check_reserve(
        shop.json("audit", "--reserve", "--data-dt", history.date_text(last + 15)), story.events, programme, last + 15
    )
    # Both ways of one day say the same.
    shutil.rmtree(shop.warehouse / "account_state")
    again = shop.json("audit", "--reserve", "--data-dt", history.date_text(last))
    assert again["from"] == "history" and again["ledgers"] == report["ledgers"]
    out = shop.ok("audit", "--reserve", "--data-dt", history.date_text(last)).out
    for word in ("points:", "stamps:", "cash:", "never", "pending", "debt", "outstanding", "cost EUR", "without an order"):
        assert word in out


def test_reserve_of_a_damaged_state(copy):
    parquet.change(part(copy, "account_state", newest(copy), "account-"), "UPDATE t SET state = 'x'::BLOB")
    result = copy.ok("audit", "--reserve", code=1)
    assert "rebuild" in result.err
