"""migrate: a deployment of one machine goes on on a cluster, of which directories take the place."""

import signal
import time

import events
import pytest
from lake import make_edge

import parquet
from conftest import classic, make_shop

PEOPLE = "5,3,Anna,a@x.org,2019-01-04,1,1990-05-29,F,1990\n6,3,Bo,,,,,,\n"


def lake_ids(lake):
    """Of all orders on the cluster."""
    out = lake.parent / "ids.csv"
    parquet.run(f"COPY (SELECT event_id FROM '{lake}/p/warehouse/transactions_cln/**/orders-*.parquet') TO '{out}' (HEADER false)")
    return sorted(out.read_text().split())


@pytest.fixture(scope="module")
def moved(pc, tmp_path_factory):
    """Random people with names, some guests and bad lines, in several files; and where they were moved to."""
    root = tmp_path_factory.mktemp("moved")
    old = events.configure(make_shop(pc, root / "old"))
    old.customers(PEOPLE)
    made = events.make(7, 150, 8, int(time.time()) - 3600, days=30)
    lines = [events.line(customer, event) for customer, event in made]
    for i in range(3):
        old.put(f"{i}.json", "".join(lines[i::3]) + "broken\n")
        old.collect()
    new = make_edge(pc, root / "new", root / "lake", like=old)
    old.people = sorted({customer for customer, _ in made})
    old.cards = {person: old.json("customer", person) for person in old.people}
    old.lines = lines
    report = old.json("migrate", "--to", new.dir / "punchcard.yaml")
    return old, new, report


def test_all_is_there(moved):
    old, new, report = moved
    assert report["customers"] == 2 and report["events"] == 150 and not report["was_done"]
    for person in old.people:
        card, was = new.json("customer", person), old.cards[person]
        for each in (card, was):
            for key in ("last_orders", "last_orders_since"):
                each.pop(key, None)
        if not was["being_recomputed"]:
            assert card == was
    assert lake_ids(new.lake)[0] and len(set(lake_ids(new.lake))) == len({line.split('"')[3] for line in old.lines})
    assert new.json("status")["journal"]["consumers"] == {
        name: {"offset": 4, "lag_lines": 0, "lag_blocks": 0} for name in ("hbase", "hdfs-raw", "hdfs-table")
    }


def test_the_old_one_is_closed(moved):
    old, new, _ = moved
    for command in (("collect", "--once"), ("run",), ("rebuild",), ("refresh", "--data-dt", "2024-01-01")):
        assert f"goes on in {new.dir}" in old.ok(*command, code=2).err
    old.ok("status")
    assert old.sql("SELECT count(*) FROM transactions_cln")[0][0] > 0
    assert old.json("migrate", "--to", new.dir)["was_done"] is True


def test_it_goes_on(moved):
    """What was collected before is had, and new events are shipped."""
    old, new, _ = moved
    before = lake_ids(new.lake)
    new.put("again.json", "".join(old.lines[:20]))
    new.collect()
    assert lake_ids(new.lake) == before
    new.put("new.json", f'{{"event_id":"new","kind":"order","customer":1,"time":{int(time.time())},"lines":[{{"menu":"tea","amount":1}}]}}\n')
    new.collect()
    assert sorted([*before, "new"]) == lake_ids(new.lake)
    assert new.json("customer", 1)["last_orders"][0]["event_id"] == "new"
    names = sorted(path.name.rsplit("-", 1)[0] for path in (new.lake / "p/edges/e1").iterdir())
    assert names == ["hdfs-raw", "hdfs-table", "migrated"]


def test_interrupted_and_damaged(pc, tmp_path):
    """Killed at any moment, it goes on; and what is not what was put is found."""
    old = make_shop(pc, tmp_path / "old")
    for i in range(4):
        old.put(f"{i}.txt", "".join(classic(c, "latte", 70, 1_700_000_000 + i * 86400 + c) for c in range(1, 60)))
        old.collect()
    new = make_edge(pc, tmp_path / "new", tmp_path / "lake", like=old)
    for wait in (0.05, 0.3, 0.8):
        process = old.start("migrate", "--to", new.dir)
        time.sleep(wait)  # wherever that is
        process.send_signal(signal.SIGKILL)
        process.communicate()
    if not (new.dir / "data/journal/data.mdb").exists():
        # The old one is closed from the beginning, and something that is not ours is told.
        target = next((tmp_path / "lake/p").rglob("orders-*.parquet"), None)
        if target:
            content = target.read_bytes()
            target.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
            assert target.name in old.ok("migrate", "--to", new.dir, code=1).err
            target.write_bytes(content)
        report = old.json("migrate", "--to", new.dir)
        assert report["events"] == 4 * 59
    assert len(lake_ids(new.lake)) == len(set(lake_ids(new.lake))) == 4 * 59
    new.collect()
    assert new.json("customer", 7)["orders"] == 4


def test_what_does_not_fit(pc, tmp_path):
    old = make_shop(pc, tmp_path / "old")
    old.put("a.txt", classic(1, "latte", 70, 1_700_000_000))
    old.collect()
    new = make_edge(pc, tmp_path / "new", tmp_path / "lake", like=old)
    assert old.run("migrate").code == 2
    other = make_shop(pc, tmp_path / "other")
    assert "no section cluster" in old.ok("migrate", "--to", other.dir, code=2).err
    new.programme["earn"][0]["per_amount"]["per"] = "50"
    new.write_config()
    assert "programme.yaml" in old.ok("migrate", "--to", new.dir, code=2).err
    new.programme = old.programme
    new.write_config(customer_id="text")
    assert "customer_id" in old.ok("migrate", "--to", new.dir, code=2).err
    del new.config["customer_id"]
    new.write_config()
    new.put("a.txt", classic(1, "latte", 70, 1_700_000_000))
    new.collect()
    assert "has collected already" in old.ok("migrate", "--to", new.dir, code=1).err
    # An edge's name that is in use.
    third = make_edge(pc, tmp_path / "third", tmp_path / "lake", like=old)
    assert "give this one a name of its own" in old.ok("migrate", "--to", third.dir, code=1).err
    # Nothing of that has closed it.
    old.collect()
