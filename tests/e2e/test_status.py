"""status: what came in, what is there, and what lags."""

import datetime

from conftest import lines


def test_of_an_empty_deployment(shop):
    status = shop.json("status")
    assert status["programme"] == "Test"
    (source,) = status["sources"]
    assert (source["name"], source["files"], source["lines"], source["last_taken"]) == ("till", 0, 0, None)
    assert status["tables"]["transactions_cln"] == 0
    assert shop.ok("status").out


def test_what_came_in_and_what_is_there(shop):
    shop.customers('1,3,Anna,a@x.org,2019-01-04,"111",1990-05-29,F,1990\n')
    shop.put("a.txt", lines(100) + "bad\n")
    shop.put("b.txt", lines(50, start=1_710_000_000))
    before = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    shop.collect()
    shop.ok("refresh", "--data-dt", "2023-11-15")
    shop.put("c.txt", lines(10))
    status = shop.json("status")
    (source,) = status["sources"]
    assert (source["files"], source["files_waiting"]) == (2, 1)
    assert (source["lines"], source["rows"], source["duplicates"], source["quarantined"]) == (151, 150, 0, 1)
    assert datetime.datetime.fromisoformat(source["last_taken"].replace("Z", "+00:00")) >= before
    tables = status["tables"]
    assert (tables["customers_cln"], tables["transactions_cln"], tables["accounts"]) == (1, 150, 5)
    assert (status["loyalty"]["partitions"], status["loyalty"]["last_data_dt"]) == (1, "2023-11-15")
    for consumer in status["journal"]["consumers"].values():
        assert consumer["lag_lines"] == 0
    text = shop.ok("status").out
    for word in ("151", "150", "2023-11-15", "till"):
        assert word in text, word


def test_changes_nothing(shop):
    shop.put("a.txt", lines(10))
    shop.collect()
    shop.put("b.txt", lines(10))

    def times():  # lock.mdb is LMDB's table of readers
        return {path: path.stat().st_mtime_ns for path in shop.dir.rglob("*") if path.name != "lock.mdb"}

    before = times()
    shop.ok("status")
    assert times() == before


def test_a_spool_that_is_missing(shop):
    shop.spool.rmdir()
    (source,) = shop.json("status")["sources"]
    assert source["unreadable"] is True
