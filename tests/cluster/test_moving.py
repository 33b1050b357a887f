"""A deployment of one machine moved to real HDFS and HBase: all of it is there, and it goes on (tests/e2e/test_migrate.py has the rest)."""

import hashlib
import json

from cluster import get
from conftest import Shop, classic, make_shop

PEOPLE = "5,3,Anna,a@x.org,2019-01-04,1,1990-05-29,F,1990\n6,3,Bo,,,,,,\n"
DAY_S = 86_400
CUSTOMERS = range(1, 31)


def put(shop, name, day):
    shop.put(name, "".join(classic(customer, "latte", 70, 1_700_000_000 + day * DAY_S + customer) for customer in CUSTOMERS) + "broken\n")


def card(shop, customer):
    shown = shop.json("customer", customer)
    return {key: value for key, value in shown.items() if not key.startswith("last_orders")}


def files(hdfs, path):
    """Below that directory of HDFS: their names, and hashes of what is in them."""
    found = {}
    for status in hdfs.rest("GET", f"{path}?op=LISTSTATUS&user.name=punchcard")["FileStatuses"]["FileStatus"]:
        name = status["pathSuffix"]
        if status["type"] == "DIRECTORY":
            found.update({f"{name}/{below}": digest for below, digest in files(hdfs, f"{path}/{name}").items()})
        else:
            found[name] = hashlib.sha256(get(f"{hdfs.url}/webhdfs/v1{path}/{name}?op=OPEN&user.name=punchcard", 30) or b"").hexdigest()
    return found


def digests(directory, pattern):
    return sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.glob(pattern))


def test_migrate(pc, tmp_path, hdfs, hbase, home):
    old = make_shop(pc, tmp_path / "old")
    old.config["sources"][0]["settle_ms"] = 0
    old.write_config()
    old.customers(PEOPLE)
    for day in range(3):
        put(old, f"{day}.txt", day)
        old.collect()
    old.ok("refresh", "--data-dt", "2023-11-17")
    cards = {customer: card(old, customer) for customer in CUSTOMERS}

    assert pc("init", tmp_path / "new").code == 0
    new = Shop(pc, tmp_path / "new")
    new.config, new.programme = json.loads(json.dumps(old.config)), json.loads(json.dumps(old.programme))
    new.write_config(
        cluster={
            "edge": "moved",
            "hdfs": {"url": hdfs.url, "path": home, "user": "punchcard"},
            "hbase": {"url": hbase.url, "table_prefix": "moved_"},
        }
    )
    report = old.json("migrate", "--to", new.dir, timeout=300)
    assert (report["customers"], report["events"], report["was_done"]) == (2, 3 * len(CUSTOMERS), False)
    assert old.json("migrate", "--to", new.dir, timeout=300)["was_done"]
    assert {customer: card(new, customer) for customer in CUSTOMERS} == cards

    # Every file as it was; and what is collected behind it comes beside them.
    before = files(hdfs, home)
    for table in ("transactions_cln", "ledger", "balances", "loyalty", "customers_cln"):
        names = {name: digest for name, digest in before.items() if name.startswith(f"warehouse/{table}/")}
        assert names and sorted(names.values()) == digests(old.warehouse, f"{table}/**/*.parquet"), (table, names)
    put(new, "2.txt", 2)  # as it was collected before
    put(new, "3.txt", 3)
    new.ok("collect", "--once", timeout=300)
    assert all(card(new, customer)["orders"] == 4 for customer in CUSTOMERS)
    after = files(hdfs, home)
    kept = {name: digest for name, digest in before.items() if not name.startswith("edges/")}
    assert kept.items() <= after.items()
    assert [name for name in after if name not in kept and name.startswith("warehouse/transactions_cln/")] != []
