"""refresh: the loyalty partition of a day, against a fold in plain Python."""

import datetime
import hashlib
import random
import time

import oracle
import pytest

from conftest import classic, lines, make_shop

PEOPLE = '1,3,Anna,a@x.org,2019-01-04,"111",1990-05-29,F,1990\n2,3,Bo,b@x.org,2019-01-04,"222",1990-05-29,M,1990\n'


def loyalty(shop, day):
    return shop.sql(oracle.LOYALTY_SQL.format(day=day))


def partition(shop, day):
    """Name and content of the files of a partition."""
    directory = shop.warehouse / f"loyalty/data_dt={day}"
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.iterdir()}


def refresh(shop, day):
    return shop.json("refresh", "--data-dt", day)


@pytest.mark.parametrize(
    "programme",
    [
        {"timezone": "UTC", "earn": [{"per_amount": {"points": "1", "per": "25"}}]},
        {"timezone": "Asia/Bangkok", "earn": [{"per_amount": {"points": "1", "per": "30"}}]},
        {"timezone": "America/New_York", "earn": [{"per_amount": {"points": "1.234", "per": "0.07"}}]},
    ],
)
def test_as_the_oracle_has_it(shop, programme):
    shop.programme.update(programme)
    shop.write_config(menu=[{"name": "a", "price": "3.99"}, {"name": "b", "price": "0.01"}, {"name": "c", "price": "0"}])
    shop.ok("generate", "--orders", 3000, "--customers", 80, "--files", 3, "--from", "2021-03-01", "--to", "2021-03-31")
    text = "".join(path.read_text() for path in shop.spool.glob("orders-*"))
    orders = [oracle.classic_order(line) for line in text.splitlines()]
    shop.collect()
    for day in ("2021-02-28", "2021-03-01", "2021-03-14", "2021-03-31", "2021-12-31"):
        expected = oracle.rows(oracle.fold(orders, shop.programme, datetime.date.fromisoformat(day)))
        assert refresh(shop, day)["customers"] == len(expected)
        assert loyalty(shop, day) == expected
    assert shop.value("SELECT count(DISTINCT data_dt) FROM loyalty") == 4  # nobody had ordered on the first of the days


def test_columns_and_names(shop):
    shop.customers(PEOPLE)
    shop.put(
        "a.txt",
        classic(1, "latte", 70, 1_700_000_000)
        + classic(1, "latte", 55, 1_700_100_000)
        + classic(99, "latte", 70, 1_700_000_000)
        + classic(0, "latte", 1000, 1_700_000_000),
    )
    shop.collect()
    refresh(shop, "2023-11-16")
    columns = [name for (name,) in shop.sql("SELECT column_name FROM (DESCRIBE loyalty)")]
    assert columns[:4] == ["cust_id", "cust_name", "cust_member_card_no", "spnd_amt"]
    assert {"orders", "visits", "points_balance", "points_earned", "first_order", "last_order", "data_dt"} <= set(columns)
    query = "SELECT cust_id, cust_name, cust_member_card_no, spnd_amt::VARCHAR, visits FROM loyalty ORDER BY cust_id"
    # Bo has no order and so no account; 99 is in no customer file; the guest's 1,000 are nobody's.
    assert shop.sql(query) == [(1, "Anna", "111", "125.00", 2), (99, None, None, "70.00", 1)]


def test_again_gives_the_same_bytes(shop):
    shop.customers(PEOPLE)
    shop.put("a.txt", lines(3000, customers=400))
    shop.collect()
    refresh(shop, "2023-11-16")
    first = partition(shop, "2023-11-16")
    refresh(shop, "2023-11-16")
    assert partition(shop, "2023-11-16") == first


def test_same_bytes_whatever_the_way(shop, pc, tmp_path):
    """The same orders in other files, another order and another number of runs give the same partition."""
    text = lines(2000, customers=90, step=501).splitlines(keepends=True)
    other = make_shop(pc, tmp_path / "other")
    shop.put("a.txt", "".join(text))
    shop.collect()
    for i in range(4):
        other.put(f"part-{i}.txt", "".join(reversed(text[i::4])))
        other.collect()
    for day in ("2023-11-16", "2023-11-20"):
        refresh(shop, day)
        refresh(other, day)
        assert loyalty(shop, day) == loyalty(other, day)
        assert partition(shop, day) == partition(other, day)


def test_late_orders_and_names_change_it(shop):
    shop.put("a.txt", classic(1, "latte", 70, 1_700_000_000))
    shop.collect()
    refresh(shop, "2023-11-14")
    before = partition(shop, "2023-11-14")
    shop.put("b.txt", classic(1, "latte", 30, 1_600_000_000))
    shop.collect()
    assert partition(shop, "2023-11-14") == before  # until it is refreshed
    shop.customers(PEOPLE)
    refresh(shop, "2023-11-14")
    assert shop.sql("SELECT cust_name, spnd_amt::VARCHAR FROM loyalty") == [("Anna", "100.00")]


def test_takes_what_the_journal_has(shop):
    """What collect made durable counts, even where its table was not written any more."""
    shop.put("a.txt", lines(100))
    shop.collect()
    refresh(shop, "2023-11-15")
    assert shop.value("SELECT sum(orders)::BIGINT FROM loyalty") == 100


def test_days_beside_each_other(shop):
    shop.put("a.txt", lines(100, step=3600))
    shop.collect()
    for day in ("2023-11-15", "2023-11-16"):
        refresh(shop, day)
    first, second = partition(shop, "2023-11-15"), partition(shop, "2023-11-16")
    refresh(shop, "2023-11-16")
    assert partition(shop, "2023-11-15") == first and partition(shop, "2023-11-16") == second
    names = {path.name for path in (shop.warehouse / "loyalty").iterdir()}
    assert names == {"data_dt=2023-11-15", "data_dt=2023-11-16"}  # and no staging directory


def test_nothing_collected(shop):
    assert refresh(shop, "2024-01-01")["customers"] == 0
    assert shop.value("SELECT count(*) FROM loyalty") == 0


def test_model_with_an_error(shop):
    shop.put("a.txt", lines(10))
    shop.collect()
    refresh(shop, "2023-11-15")
    before = partition(shop, "2023-11-15")
    model = shop.dir / "models/loyalty.sql"
    good = model.read_text()
    number = good[: good.index("a.spend")].count("\n") + 1
    for bad in (good.replace("a.spend", "a.spent"), good.replace("\nSELECT\n", "\nSELEKT\n"), ""):
        model.write_text(bad)
        result = shop.run("refresh", "--data-dt", "2023-11-15")
        assert result.code == 1 and "loyalty.sql" in result.err, result
        if "a.spent" in bad:
            assert f"loyalty.sql:{number}:" in result.err, result
        assert partition(shop, "2023-11-15") == before
    model.unlink()
    result = shop.ok("refresh", "--data-dt", "2023-11-15", code=1)
    assert "loyalty.sql" in result.err
    model.write_text(good)
    refresh(shop, "2023-11-15")
    assert partition(shop, "2023-11-15") == before


def test_an_edited_model_holds(shop):
    shop.put("a.txt", lines(10))
    shop.collect()
    model = shop.dir / "models/loyalty.sql"
    model.write_text(model.read_text().replace("FROM accounts", ", 'gold' AS club\nFROM accounts"))
    refresh(shop, "2023-11-15")
    assert shop.value("SELECT DISTINCT club FROM loyalty") == "gold"


def test_readers_see_the_old_or_the_new_one(shop, pc):
    """While it is swapped, every reader finds one whole partition."""
    shop.put("a.txt", lines(5000, customers=1000, step=1))
    shop.collect()
    refresh(shop, "2023-11-15")
    old = shop.sql("SELECT count(*), sum(orders)::BIGINT FROM loyalty")
    shop.put("b.txt", lines(5000, customers=2000, start=1_700_000_500, step=1))
    shop.collect()
    seen = set()
    for _ in range(3):
        writer = shop.start("refresh", "--data-dt", "2023-11-15")
        while writer.poll() is None:
            (row,) = shop.sql("SELECT count(*), sum(orders)::BIGINT FROM loyalty")
            seen.add(row)
        assert pc.end(writer).code == 0
    new = shop.sql("SELECT count(*), sum(orders)::BIGINT FROM loyalty")
    assert new == [(2000, 10_000)]
    assert seen <= {*old, *new}


def test_killed(shop):
    shop.put("a.txt", lines(5000, customers=1000, step=1))
    shop.collect()
    refresh(shop, "2023-11-15")
    before = partition(shop, "2023-11-15")
    chance = random.Random(1)
    for _ in range(6):
        process = shop.start("refresh", "--data-dt", "2023-11-15")
        time.sleep(chance.random() * 0.5)
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()
        assert partition(shop, "2023-11-15") == before
        assert shop.value("SELECT count(*) FROM loyalty") == 1000
    refresh(shop, "2023-11-15")
    assert {path.name for path in (shop.warehouse / "loyalty").iterdir()} == {"data_dt=2023-11-15"}


def test_full_disk(shop, small_disk):
    shop.put("a.txt", lines(4000, customers=4000, step=1))
    shop.collect()
    ballast = shop.move_data(small_disk, 100_000)
    result = shop.run("refresh", "--data-dt", "2023-11-16")
    assert result.code == 1 and "space" in result.err.lower(), result
    assert shop.value("SELECT count(*) FROM loyalty") == 0
    ballast.unlink()
    assert refresh(shop, "2023-11-16")["customers"] == 4000


def test_a_model_that_scans_the_accounts_twice(shop):
    """Each scan has all accounts, whatever the engine does first."""
    shop.ok("generate", "--orders", 40000, "--customers", 9000)
    shop.collect()
    day = str(datetime.date.today())
    once = refresh(shop, day)["customers"]
    model = shop.dir / "models/loyalty.sql"
    whole = model.read_text()
    model.write_text(whole.replace("a.orders              AS orders", "(SELECT count(*) FROM accounts) AS orders"))
    refresh(shop, day)
    assert shop.sql("SELECT count(*), min(orders), max(orders) FROM loyalty") == [(once, once, once)]
    model.write_text(whole.replace("FROM accounts AS a", "FROM (FROM accounts UNION ALL FROM accounts) AS a"))
    for _ in range(3):
        refresh(shop, day)
        assert shop.value("SELECT count(*) FROM loyalty") == 2 * once


def test_another_time_zone_holds_for_the_whole_history(shop):
    """20:00 UTC is the next day in Bangkok; afterwards it is the same day."""
    shop.programme["timezone"] = "Asia/Bangkok"
    shop.write_config()
    shop.put("a.txt", classic(7, "latte", 70, 1_600_027_200))  # 2020-09-13 20:00 UTC
    shop.collect()
    assert refresh(shop, "2020-09-13")["customers"] == 0
    assert refresh(shop, "2020-09-14")["customers"] == 1
    shop.programme["timezone"] = "UTC"
    shop.write_config()
    shop.collect()
    assert refresh(shop, "2020-09-14")["customers"] == 1
    assert refresh(shop, "2020-09-12")["customers"] == 0
    assert refresh(shop, "2020-09-13")["customers"] == 1
