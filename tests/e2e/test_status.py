"""status: what came in, what is there, and what lags."""

import datetime

from conftest import environment, lines
from daemon import wait_for


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


def test_a_tree_of_waiting_files(shop):
    """As collect would take them: in directories below, but not hidden ones, and not where files are moved to."""
    shop.config["sources"][0] |= {"recursive": True, "pattern": "*.txt", "when_done": "move", "move_to": "spool/done"}
    shop.write_config()
    for name in ("a.txt", "b.log", ".c.txt", "x/a.txt", "x/y/z/a.txt", "x/y/b.txt.tmp", ".h/a.txt", "done/a.txt"):
        path = shop.spool / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(lines(1), encoding="utf-8")
    (source,) = shop.json("status")["sources"]
    assert (source["files_waiting"], source["unreadable"]) == (3, False)
    assert len(shop.collect()["files"]) == 3
    (source,) = shop.json("status")["sources"]
    assert (source["files"], source["files_waiting"]) == (3, 0)


def test_a_sink_that_lags(shop, tmp_path):
    """One that was killed keeps its place, and its lag is told as that of the table and the view."""
    spool = tmp_path / "in"
    spool.mkdir()
    conf = tmp_path / "a.conf"
    conf.write_text(
        f"""a.sources = s
a.channels = c
a.sinks = k
a.sources.s.type = spooldir
a.sources.s.spoolDir = {spool}
a.sources.s.channels = c
a.channels.c.type = memory
a.sinks.k.type = file_roll
a.sinks.k.channel = c
a.sinks.k.sink.directory = {tmp_path}/out
a.sinks.k.sink.rollInterval = 3600
""",
        encoding="utf-8",
    )
    process = shop.start("collect", "--flume-conf", conf, "--agent", "a", env=environment())
    hidden = spool / ".tmp"
    hidden.write_text(lines(7), encoding="utf-8")
    hidden.rename(spool / "a.txt")
    wait_for("taken", lambda: (spool / "a.txt.COMPLETED").exists())
    process.kill()
    process.communicate()
    consumers = shop.json("status")["journal"]["consumers"]
    assert list(consumers) == ["transactions_cln", "view", "a/k"]
    assert consumers["a/k"] == {"offset": 1, "lag_lines": 7, "lag_blocks": 1}
    assert "7 lines (1 block) behind," in [
        " ".join(line.split()[1:6]) for line in shop.ok("status").out.splitlines() if line.strip().startswith("a/k")
    ]
    shop.ok("collect", "--once", "--flume-conf", conf, "--agent", "a")
    assert list(shop.json("status")["journal"]["consumers"]) == ["transactions_cln", "view"]
