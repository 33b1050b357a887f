"""collect --once: order files through the journal into transactions_cln and the accounts, every line once."""

import array
import csv
import datetime
import fcntl
import gzip
import os
import shutil
import signal
import subprocess
import tempfile
import termios
import threading
import time
import zoneinfo
from decimal import Decimal

import oracle
import pytest

from conftest import COFFEE, Shop, classic, lines, make_shop

COLUMNS = (
    "event_id, line_no, kind, cust_id, odr_menu, odr_sku, odr_qty::VARCHAR, odr_prc::VARCHAR, odr_amt::VARCHAR,"
    " odr_tms::VARCHAR, store, source, data_dt::VARCHAR"
)
RECEIPTS = {
    "name": "receipts",
    "timezone": "America/New_York",
    "event_id": ["transaction_date", "sales_outlet_id", "transaction_id", "order"],
    "line": "line_item_id",
    "customer": "customer_id",
    "date": "transaction_date",
    "date_format": "%Y/%m/%d",
    "time": "transaction_time",
    "time_format": "%H:%M:%S",
    "store": "sales_outlet_id",
    "sku": "product_id",
    "quantity": "quantity",
    "price": "unit_price",
    "amount": "line_item_amount",
}
SIMPLE = {
    "name": "simple",
    "event_id": ["receipt"],
    "line": "line",
    "customer": "member",
    "date": "time",
    "date_format": "%Y-%m-%d %H:%M:%S",
    "menu": "item",
    "quantity": "qty",
    "price": "price",
    "amount": "amount",
}
SIMPLE_HEADER = "receipt,line,member,time,item,qty,price,amount\n"


def table(shop):
    return shop.sql(f"SELECT {COLUMNS} FROM transactions_cln ORDER BY source, event_id, line_no")


def rows(shop):
    return shop.value("SELECT count(*) FROM transactions_cln")


def accounts(shop):
    return shop.sql(oracle.ACCOUNTS_SQL)


def expected(shop, text):
    return oracle.rows(oracle.fold([oracle.classic_order(line) for line in text.splitlines()], shop.programme))


def check_sums(told):
    """Per file and in total: every line that was read is somewhere."""
    for part in [told, *told["files"]]:
        assert part["lines"] == part["rows"] + part["duplicates"] + part["quarantined"], part
    for key in ("lines", "rows", "orders", "duplicates", "quarantined"):
        assert told[key] == sum(part[key] for part in told["files"]), key


def collect(shop, *args, **options):
    told = shop.collect(*args, **options)
    check_sums(told)
    return told


def simple_shop(shop, **changes):
    shop.write_config(
        order_mappings=[{**SIMPLE, **changes}],
        sources=[{"name": "till", "dir": "spool", "format": "simple", "settle_ms": 0}],
    )
    return shop


# --- right numbers ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def coffee(pc, tmp_path_factory):
    shop = make_shop(pc, tmp_path_factory.mktemp("coffee") / "shop")
    shop.programme.update(timezone="America/New_York", currency="USD")
    shop.write_config(
        order_mappings=[RECEIPTS], sources=[{"name": "till", "dir": "spool", "format": "receipts", "settle_ms": 0}]
    )
    shop.ok("load", "customers", COFFEE / "customer.csv")
    shutil.copy(COFFEE / "receipts.csv", shop.spool / "receipts.csv")
    shop.told = shop.collect()
    return shop


def test_the_coffee_receipts(coffee):
    check_sums(coffee.told)
    assert (coffee.told["lines"], coffee.told["rows"]) == (49_894, 49_894)
    assert coffee.names() == ["receipts.csv.COMPLETED"]
    sums = "SELECT count(*), sum(odr_amt)::VARCHAR FROM transactions_cln"
    assert coffee.sql(sums) == [(49_894, "233635.95")]
    assert coffee.sql(f"{sums} WHERE cust_id IS NULL") == [(25_033, "119312.72")]
    assert coffee.sql(f"{sums} WHERE cust_id IN (5000, 8000)") == [(9, "43.00")]
    assert coffee.sql(f"{sums} WHERE cust_id IN (SELECT cust_id FROM customers_cln)") == [(24_852, "114280.23")]
    known = "SELECT cust_id FROM customers_cln"
    assert coffee.value(f"SELECT count(DISTINCT cust_id) FROM transactions_cln WHERE cust_id IN ({known})") == 2245
    top = "SELECT cust_id, spend::VARCHAR FROM accounts ORDER BY spend DESC LIMIT 3"
    assert coffee.sql(top) == [(8311, "459.75"), (3, "188.90"), (5026, "168.75")]
    assert coffee.value("SELECT count(*) FROM accounts") == 2247
    assert coffee.sql("SELECT * FROM accounts WHERE cust_id = 0 OR cust_id IS NULL OR cust_id = 5937") == []


def test_coffee_accounts_as_the_oracle_has_them(coffee):
    zone = zoneinfo.ZoneInfo("America/New_York")
    orders = {}
    with open(COFFEE / "receipts.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            key = tuple(row[column] for column in RECEIPTS["event_id"])
            at = datetime.datetime.strptime(f"{row['transaction_date']} {row['transaction_time']}", "%Y/%m/%d %H:%M:%S")
            micros = int(at.replace(tzinfo=zone).timestamp()) * 1_000_000
            order = orders.setdefault(key, (int(row["customer_id"]) or None, micros, []))
            order[2].append(int(Decimal(row["line_item_amount"]) * 100))
    assert accounts(coffee) == oracle.rows(oracle.fold(orders.values(), coffee.programme))
    assert coffee.told["orders"] == len(orders)


def test_coffee_row(coffee):
    """One receipt line, column for column: 12:04:43 in New York in April is four hours behind UTC."""
    query = f"SELECT {COLUMNS} FROM transactions_cln WHERE event_id = '2019/04/01/3/7/1'"
    ((event, line, kind, customer, menu, sku, quantity, price, amount, at, store, source, day),) = coffee.sql(query)
    assert (event, line, kind, customer, sku, store, source) == ("2019/04/01/3/7/1", 1, "order", 558, "52", "3", "till")
    assert (price, amount, at, day) == ("2.50", "2.50", "2019-04-01 16:04:43", "2019-04-01")
    assert Decimal(quantity) == 1
    assert menu in (None, "")


def test_coffee_again_and_same_file_again(coffee):
    before = accounts(coffee)
    assert collect(coffee)["lines"] == 0
    shutil.copy(COFFEE / "receipts.csv", coffee.spool / "receipts.csv")
    told = collect(coffee)
    assert told["rows"] == 0
    shutil.copy(COFFEE / "receipts.csv", coffee.spool / "copy.csv")  # under another name: the ids tell
    told = collect(coffee)
    assert (told["rows"], told["duplicates"], told["quarantined"]) == (0, 49_894, 0)
    assert rows(coffee) == 49_894
    assert accounts(coffee) == before


def test_partitions_are_local_days(coffee):
    partitions = sorted(path.name for path in (coffee.warehouse / "transactions_cln").iterdir() if path.is_dir())
    assert [name for name in partitions if name.startswith("data_dt=")] == [
        f"data_dt=2019-04-{day:02d}" for day in range(1, 30)
    ]


# --- the classic form -------------------------------------------------------------------------------------------------


def test_classic_rows(shop):
    shop.put("a.txt", classic(7, "flat white", "3.50", 1_700_000_000) + classic(0, "latte", 70, 1_700_000_061))
    told = collect(shop)
    assert (told["lines"], told["rows"], told["orders"]) == (2, 2, 2)
    found = [(*row[:4], row[4], Decimal(row[6]), *row[7:10], row[11], row[12]) for row in table(shop)]
    assert found == [
        ("a.txt:1", 1, "order", 7, "flat white", 1, "3.50", "3.50", "2023-11-14 22:13:20", "till", "2023-11-14"),
        ("a.txt:2", 1, "order", None, "latte", 1, "70.00", "70.00", "2023-11-14 22:14:21", "till", "2023-11-14"),
    ]
    types = dict(shop.sql("SELECT column_name, column_type FROM (DESCRIBE transactions_cln)"))
    assert types["cust_id"] == "BIGINT" and types["odr_tms"] == "TIMESTAMP" and types["data_dt"] == "DATE"
    assert types["odr_prc"] == types["odr_amt"] == "DECIMAL(18,2)"


def test_text_customers(shop):
    shop.write_config(customer_id="text")
    shop.put("a.txt", classic("B-7", "latte", 70, 1_700_000_000) + classic("007", "latte", 70, 1_700_000_000))
    collect(shop)
    assert [row[0] for row in accounts(shop)] == ["007", "B-7"]
    assert shop.value("SELECT count(*) FROM transactions_cln WHERE cust_id = '007'") == 1


def test_accounts_as_the_oracle_has_them(shop):
    shop.programme.update(timezone="Asia/Bangkok", earn=[{"per_amount": {"points": "1", "per": "30"}}])
    shop.write_config()
    shop.ok("generate", "--orders", 4000, "--customers", 60, "--files", 5, "--from", "2021-01-01", "--to", "2021-02-28")
    text = "".join(path.read_text() for path in shop.spool.glob("orders-*"))
    assert collect(shop)["orders"] == 4000
    assert accounts(shop) == expected(shop, text)


FORMS = {
    "crlf": lambda text: text.replace("\n", "\r\n").encode(),
    "bom": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "gzip": lambda text: gzip.compress(text.encode()),
    "blank_lines": lambda text: text.replace("\n", "\n\n").encode(),
    "no_last_newline": lambda text: text.rstrip("\n").encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_files(shop, form):
    shop.config["sources"][0]["settle_ms"] = 0
    shop.write_config()
    shop.put("a.txt", FORMS[form](lines(50)))
    told = collect(shop)
    assert (told["rows"], told["quarantined"]) == (50, 0)
    assert accounts(shop) == expected(shop, lines(50))


# --- files that come again --------------------------------------------------------------------------------------------


def test_collect_again(shop):
    shop.put("a.txt", lines(10))
    collect(shop)
    before = table(shop)
    assert collect(shop)["lines"] == 0
    assert table(shop) == before and len(before) == 10


def test_nothing_to_collect(shop):
    told = collect(shop)
    assert told["files"] == [] and told["lines"] == 0
    assert rows(shop) == 0 and accounts(shop) == []


def test_same_file_again(shop):
    shop.put("a.txt", lines(10))
    collect(shop)
    shop.put("a.txt", lines(10))
    told = collect(shop)
    assert told["rows"] == 0 and told["quarantined"] == 0
    assert rows(shop) == 10
    assert "a.txt" not in shop.names()


def test_other_content_under_an_old_name(shop):
    shop.put("a.txt", lines(10))
    collect(shop)
    before = accounts(shop)
    shop.put("a.txt", lines(7, start=1_710_000_000))
    told = collect(shop)
    assert (told["rows"], told["quarantined"]) == (0, 7)
    assert shop.reasons() == {"file_name_reused": 7}
    assert rows(shop) == 10 and accounts(shop) == before
    assert "a.txt" not in shop.names()
    contents = sorted(path.read_text() for path in shop.spool.iterdir())
    assert contents == sorted([lines(10), lines(7, start=1_710_000_000)])  # neither is lost


def test_a_file_that_grew_after_it_was_completed(shop):
    shop.put("a.txt", lines(10))
    collect(shop)
    with open(shop.spool / "a.txt.COMPLETED", "a", encoding="utf-8") as file:
        file.write(classic(3, "late line", 70, 1_700_000_500))
    os.rename(shop.spool / "a.txt.COMPLETED", shop.spool / "a.txt")
    assert collect(shop)["rows"] == 1
    assert rows(shop) == 11


def test_a_growing_file_waits_for_its_end(shop, pc):
    """The last line has no end yet: it is waited for, and then taken whole and once."""
    shop.config["sources"][0]["settle_ms"] = 1500
    shop.write_config()
    whole = lines(20)
    path = shop.put("a.txt", whole[:-9])
    process = shop.start("collect", "--once")
    for at in (-9, -6, -3):
        time.sleep(0.4)
        assert process.poll() is None, "it did not wait"
        with open(path, "a", encoding="utf-8") as file:
            file.write(whole[at : at + 3 or None])
    result = pc.end(process, timeout=20)
    result.check_health()
    assert result.code == 0, result
    assert shop.reasons() == {}
    assert accounts(shop) == expected(shop, whole)
    assert shop.names() == ["a.txt.COMPLETED"]


def test_a_last_line_without_an_end_is_one(shop):
    """Nobody writes any more: what is there is all."""
    shop.config["sources"][0]["settle_ms"] = 200
    shop.write_config()
    shop.put("a.txt", lines(20).rstrip("\n"))
    assert collect(shop)["rows"] == 20
    assert shop.names() == ["a.txt.COMPLETED"]


def test_a_file_that_grows_while_it_is_read(shop):
    text = lines(30_000, customers=100, step=1)
    path = shop.spool / "a.txt"
    stop = threading.Event()

    def write():
        with open(path, "w", encoding="utf-8", buffering=1) as file:
            for at in range(0, len(text), 7_777):
                file.write(text[at : at + 7_777])
                file.flush()
                time.sleep(0.005)
        stop.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not stop.is_set():
        collect(shop)
    writer.join()
    # What was renamed while the writer still had it open is given back under its name.
    if not path.exists():
        os.rename(shop.spool / "a.txt.COMPLETED", path)
    collect(shop)
    assert shop.reasons() == {}
    assert rows(shop) == 30_000
    assert accounts(shop) == expected(shop, text)


def test_ids_from_columns(shop):
    simple_shop(shop)
    order = "r1,1,5,2024-02-29 12:00:00,latte,2,3.50,7.00\nr1,2,5,2024-02-29 12:00:00,tea,1,2.00,1.50\n"
    shop.put("a.csv", SIMPLE_HEADER + order)
    told = collect(shop)
    assert (told["orders"], told["rows"]) == (1, 2)
    assert shop.sql("SELECT orders, spend::VARCHAR FROM accounts") == [(1, "8.50")]
    shop.put("b.csv", SIMPLE_HEADER + order)
    told = collect(shop)
    assert (told["rows"], told["duplicates"], told["quarantined"]) == (0, 2, 0)
    shop.put("c.csv", SIMPLE_HEADER + order.replace("3.50,7.00", "3.50,9.00"))
    told = collect(shop)
    assert (told["rows"], told["duplicates"], told["quarantined"]) == (0, 0, 2)
    assert shop.reasons() == {"id_conflict": 2}
    assert rows(shop) == 2


@pytest.mark.parametrize(
    "header, line, amount",
    [
        ("receipt,member,time,item,qty,price\n", "r1,5,2024-01-01 00:00:00,tea,3,2.50\n", "7.50"),
        ("receipt,member,time,item,price\n", "r1,5,2024-01-01 00:00:00,tea,2.50\n", "2.50"),
        ("receipt,member,time,item,amount\n", "r1,5,2024-01-01 00:00:00,tea,2.50\n", "2.50"),
    ],
)
def test_columns_that_are_not_there(shop, header, line, amount):
    names = header.strip().split(",")
    simple_shop(shop)
    mapping = {key: value for key, value in SIMPLE.items() if key in ("name", "date_format") or value in names}
    mapping["event_id"] = ["receipt"]
    shop.write_config(order_mappings=[mapping])
    shop.put("a.csv", header + line)
    collect(shop)
    assert shop.sql("SELECT odr_amt::VARCHAR FROM transactions_cln") == [(amount,)]


def test_decimal_comma_and_semicolons(shop):
    simple_shop(shop, delimiter=";", decimal_mark=",", date_format="%d.%m.%Y %H:%M", timezone="Europe/Berlin")
    shop.put("a.csv", SIMPLE_HEADER.replace(",", ";") + "r1;1;5;01.07.2024 08:30;Milchkaffee;1,5;3,10;4,65\n")
    collect(shop)
    assert shop.sql("SELECT odr_prc::VARCHAR, odr_amt::VARCHAR, odr_tms::VARCHAR FROM transactions_cln") == [
        ("3.10", "4.65", "2024-07-01 06:30:00")
    ]


# --- when it is done --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes, left, moved",
    [
        ({}, ["a.txt.COMPLETED"], None),
        ({"suffix": ".done"}, ["a.txt.done"], None),
        ({"when_done": "move", "move_to": "taken"}, [], ["a.txt"]),
        ({"when_done": "delete"}, [], None),
    ],
)
def test_when_done(shop, changes, left, moved):
    shop.config["sources"][0].update(changes)
    shop.write_config()
    shop.put("a.txt", lines(5))
    collect(shop)
    assert shop.names() == left
    if moved is not None:
        assert sorted(os.listdir(shop.dir / "taken")) == moved
    assert rows(shop) == 5
    shop.put("a.txt", lines(5))
    collect(shop)
    assert rows(shop) == 5 and "a.txt" not in shop.names()


def test_a_file_with_bad_lines_is_never_deleted(shop):
    shop.config["sources"][0]["when_done"] = "delete"
    shop.write_config()
    shop.put("a.txt", lines(5) + "bad\n")
    collect(shop)
    assert [path.read_text() for path in shop.spool.iterdir()] == [lines(5) + "bad\n"]
    assert collect(shop)["lines"] == 0


def test_which_files(shop):
    shop.config["sources"][0]["pattern"] = "*.txt"
    shop.write_config()
    shop.put("a.txt", lines(5))
    for name in ("b.csv", ".hidden.txt", "c.txt.tmp", "d.txt.COMPLETED"):
        (shop.spool / name).write_text(lines(3, start=1_710_000_000))
    collect(shop)
    assert rows(shop) == 5
    assert shop.names() == ["a.txt.COMPLETED", "b.csv", "c.txt.tmp", "d.txt.COMPLETED"]


def test_two_sources_may_have_files_of_one_name(shop):
    other = {"name": "bar", "dir": "spool2", "format": "classic"}
    shop.write_config(sources=[*shop.config["sources"], other])
    shop.put("a.txt", lines(3))
    shop.put("a.txt", lines(4, start=1_710_000_000), shop.dir / "spool2")
    told = collect(shop)
    assert told["rows"] == 7
    assert shop.sql("SELECT source, count(*) FROM transactions_cln GROUP BY 1 ORDER BY 1") == [("bar", 4), ("till", 3)]


def test_a_file_is_moved_when_it_has_settled(shop, pc):
    """Lines that come between its reading and the moving are in."""
    shop.config["sources"][0].update(when_done="move", move_to="taken", settle_ms=1000)
    shop.write_config()
    path = shop.put("a.txt", lines(20))
    process = shop.start("collect", "--once")
    time.sleep(0.5)
    assert process.poll() is None, "it did not wait"
    with open(path, "a", encoding="utf-8") as file:
        file.write(lines(5, start=1_710_000_000))
    result = pc.end(process, timeout=20)
    result.check_health()
    assert result.code == 0 and "25 lines read" in result.out, result
    assert rows(shop) == 25
    assert (shop.dir / "taken/a.txt").read_text() == lines(20) + lines(5, start=1_710_000_000)


def test_a_daily_export_under_one_name(shop):
    """The ids of its orders tell what is new."""
    simple_shop(shop)
    order = "r{0},1,5,2024-02-29 12:00:00,latte,1,3.50,3.50\n"
    shop.put("export.csv", SIMPLE_HEADER + "".join(order.format(i) for i in range(10)))
    assert collect(shop)["rows"] == 10
    shop.put("export.csv", SIMPLE_HEADER + "".join(order.format(i) for i in range(8, 20)))
    told = collect(shop)
    assert (told["rows"], told["duplicates"], told["quarantined"]) == (10, 2, 0)
    assert [part["outcome"] for part in told["files"]] == ["taken"]
    with open(shop.spool / "export.csv.COMPLETED.2", "a", encoding="utf-8") as file:
        file.write(order.format(20))
    assert collect(shop)["rows"] == 1
    assert rows(shop) == 21 and shop.reasons() == {}
    shop.put("export.csv.COMPLETED", SIMPLE_HEADER + "".join(order.format(i) for i in range(30, 90)))
    result = shop.ok("collect", "--once")
    assert "grown or changed" in result.err and rows(shop) == 21, result
    assert "grown or changed" not in shop.ok("collect", "--once").err


def test_an_order_that_is_being_written(shop, pc):
    simple_shop(shop)
    shop.config["sources"][0]["settle_ms"] = 1000
    shop.write_config()
    order = "r1,{0},5,2024-02-29 12:00:00,latte,1,3.50,3.50\n"
    path = shop.put("a.csv", SIMPLE_HEADER + order.format(1))
    process = shop.start("collect", "--once")
    time.sleep(0.5)
    assert process.poll() is None, "it did not wait"
    with open(path, "a", encoding="utf-8") as file:
        file.write(order.format(2))
    result = pc.end(process, timeout=20)
    result.check_health()
    assert result.code == 0, result
    assert shop.sql("SELECT orders, spend::VARCHAR FROM accounts") == [(1, "7.00")]
    assert shop.reasons() == {}


def wait_until(condition, what):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def catches(pid, number):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        caught = next(int(line.split()[1], 16) for line in file if line.startswith("SigCgt"))
    return bool(caught >> (number - 1) & 1)


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_twice(shop, second):
    """The first asks it to end; the second ends it, whatever it is doing: here it writes to a pipe that nobody reads."""
    for i in range(1500):
        (shop.spool / f"{i:04d}-{'long' * 20}.txt").write_text("bad\n")
    process = shop.start("collect", "--once")
    try:
        have = array.array("i", [0])

        def is_full():
            fcntl.ioctl(process.stdout, termios.FIONREAD, have)
            assert process.poll() is None
            return have[0] > 60_000

        wait_until(is_full, "the pipe did not fill")
        process.send_signal(signal.SIGINT)
        wait_until(lambda: not catches(process.pid, second), "it did not take the signal")
        time.sleep(0.1)
        assert process.poll() is None
        process.send_signal(second)
        assert process.wait(timeout=20) == -second
    finally:
        process.kill()
        process.communicate()
    shop.collect()
    assert shop.reasons() == {"column_count": 1500}


# --- bad input --------------------------------------------------------------------------------------------------------

GOOD = classic(1, "latte", 70, 1_700_000_000)
BAD = {
    "empty fields": (b"||\n", None),
    "two columns": (b"1|latte 70\n", "column_count"),
    "four columns": (b"1|latte 70|1700000000|x\n", "column_count"),
    "text as customer": (b"abc|latte 70|1700000000\n", "customer_id"),
    "customer with a fraction": (b"1.5|latte 70|1700000000\n", "customer_id"),
    "customer of 30 digits": (b"9" * 30 + b"|latte 70|1700000000\n", "customer_id"),
    "no price": (b"1|latte|1700000000\n", None),
    "price 10^30": (b"1|latte 1" + b"0" * 30 + b"|1700000000\n", "price"),
    "price nan": (b"1|latte nan|1700000000\n", "price"),
    "price inf": (b"1|latte inf|1700000000\n", "price"),
    "price 1e3": (b"1|latte 1e3|1700000000\n", "price"),
    "price 0x10": (b"1|latte 0x10|1700000000\n", "price"),
    "negative price": (b"1|latte -70|1700000000\n", "price"),
    "three decimals": (b"1|latte 7.005|1700000000\n", "price"),
    "time nan": (b"1|latte 70|nan\n", "time"),
    "time with a fraction": (b"1|latte 70|1700000000.5x\n", "time"),
    "year 1": (b"1|latte 70|-62135596800\n", "time_range"),
    "year 9999": (b"1|latte 70|253402300799\n", "time_range"),
    "time of 30 digits": (b"1|latte 70|" + b"9" * 30 + b"\n", None),
    "next year": (b"1|latte 70|%d\n" % (time.time() + 366 * 86400), "time_range"),
    "latin-1": (b"1|caf\xe9 70|1700000000\n", "encoding"),
    "cut utf-8": (b"1|caf\xc3 70|1700000000\n", "encoding"),
    "nul": (b"1|la\0tte 70|1700000000\n", "nul_byte"),
    "10 MB line": (b"1|" + b"x" * 10_000_000 + b" 70|1700000000\n", "too_long"),
    "10 MB of nul": (b"\0" * 10_000_000 + b"\n", "too_long"),
    "long name": (b"1|" + b"x" * 1000 + b" 70|1700000000\n", "name"),
}


@pytest.fixture(scope="module")
def bad(pc, tmp_path_factory):
    """A file for each of BAD, the line between two good ones; all collected at once."""
    shop = make_shop(pc, tmp_path_factory.mktemp("bad") / "shop")
    for i, (line, _) in enumerate(BAD.values()):
        shop.put(f"{i:02d}.txt", GOOD.encode() + line + GOOD.encode())
    told = collect(shop)
    shop.told = {part["file"]: part for part in told["files"]}
    shop.quarantined = {}
    for file, *rest in shop.sql("SELECT file, line, reason, text FROM quarantine"):
        shop.quarantined.setdefault(os.path.basename(file), []).append(rest)
    shop.rows = table(shop)
    return shop


@pytest.mark.parametrize("what", BAD)
def test_bad_lines_are_set_aside(bad, what):
    name = f"{list(BAD).index(what):02d}.txt"
    _, reason = BAD[what]
    told = bad.told[name]
    assert (told["lines"], told["rows"], told["quarantined"]) == (3, 2, 1)
    ((line, found, text),) = bad.quarantined[name]
    assert line == 2
    assert found == reason or reason is None, found
    assert len(text) <= 16 * 1024 + 10
    assert [row[0] for row in bad.rows if row[0].startswith(name)] == [f"{name}:1", f"{name}:3"]


def test_bad_lines_count_for_nobody(bad):
    assert accounts(bad) == expected(bad, GOOD * 2 * len(BAD))


def test_strict(shop):
    shop.put("a.txt", GOOD + "bad\n" + GOOD)
    told = collect(shop, "--strict", code=3)
    assert told["quarantined"] == 1 and rows(shop) == 2
    shop.put("b.txt", GOOD)
    collect(shop, "--strict")


def test_quarantine_columns(shop):
    shop.put("a.txt", "bad\n")
    collect(shop)
    columns = dict(shop.sql("SELECT column_name, column_type FROM (DESCRIBE quarantine)"))
    assert {"file", "line", "reason", "text", "quarantined_at"} <= set(columns)
    assert columns["quarantined_at"] == "TIMESTAMP"
    age = shop.value("SELECT abs(epoch(quarantined_at) - epoch(now()::TIMESTAMP)) < 600 FROM quarantine")
    assert age in (True, "true")


def test_empty_files(shop):
    shop.put("a.txt", b"")
    shop.put("b.txt", b"\n\n")
    shop.put("c.txt", b"\xef\xbb\xbf")
    told = collect(shop)
    assert told["lines"] == 0
    assert rows(shop) == 0 and shop.reasons() == {}
    assert collect(shop)["lines"] == 0


def test_header_only(shop):
    simple_shop(shop)
    shop.put("a.csv", SIMPLE_HEADER)
    shop.put("b.csv", SIMPLE_HEADER.rstrip())
    assert collect(shop)["lines"] == 0
    assert shop.names() == ["a.csv.COMPLETED", "b.csv.COMPLETED"]


BAD_MAPPED = [
    ("r1,1,5,2024-02-30 12:00:00,tea,1,1.00,1.00\n", "time"),
    ("r1,1,5,0001-01-01 12:00:00,tea,1,1.00,1.00\n", "time_range"),
    ("r1,1,5,9999-01-01 12:00:00,tea,1,1.00,1.00\n", "time_range"),
    ("r1,1,5,2024-02-01 12:00:00,tea,many,1.00,1.00\n", "quantity"),
    ("r1,1,5,2024-02-01 12:00:00,tea,1,1.00,nan\n", "amount"),
    ("r1,1,5,2024-02-01 12:00:00,tea,1,1.00\n", "column_count"),
    (",1,5,2024-02-01 12:00:00,tea,1,1.00,1.00\n", "event_id"),
    ("r" * 100 + ",1,5,2024-02-01 12:00:00,tea,1,1.00,1.00\n", "event_id"),
    ('r1,1,5,2024-02-01 12:00:00,"te"a,1,1.00,1.00\n', "bad_quote"),
]


def test_bad_lines_of_a_mapping(shop):
    simple_shop(shop)
    good = "g{0},1,5,2024-02-01 12:00:00,tea,1,1.00,1.00\n"
    for i, (line, _) in enumerate(BAD_MAPPED):
        shop.put(f"{i}.csv", SIMPLE_HEADER + good.format(2 * i) + line + good.format(2 * i + 1))
    told = collect(shop)
    assert (told["rows"], told["quarantined"]) == (2 * len(BAD_MAPPED), len(BAD_MAPPED))
    found = {os.path.basename(file): rest for file, *rest in shop.sql("SELECT file, line, reason FROM quarantine")}
    assert found == {f"{i}.csv": [3, reason] for i, (_, reason) in enumerate(BAD_MAPPED)}


def test_missing_column(shop):
    """A header without a mapped column: an error about the file, nothing taken, the other files go on."""
    simple_shop(shop)
    shop.put("a.csv", SIMPLE_HEADER.replace("amount", "total") + "r1,1,5,2024-02-01 12:00:00,tea,1,1.00,1.00\n")
    shop.put("b.csv", SIMPLE_HEADER + "r2,1,5,2024-02-01 12:00:00,tea,1,1.00,1.00\n")
    result = shop.run("collect", "--once")
    assert result.code == 1, result
    assert "a.csv" in result.err and "amount" in result.err
    assert rows(shop) == 1
    assert "a.csv" in shop.names()


def test_utf_16(shop):
    shop.put("a.txt", GOOD.encode("utf-16"))
    shop.put("b.txt", GOOD)
    result = shop.run("collect", "--once")
    assert rows(shop) == 1
    assert result.code == 1 and "a.txt" in result.err and "UTF-16" in result.err, result


def test_damaged_gzip(shop):
    shop.put("a.txt", gzip.compress(lines(20_000).encode())[:-2000])
    shop.put("b.txt", classic(9, "latte", 70, 1_700_000_000))
    for _ in range(2):
        result = shop.run("collect", "--once")
        assert result.code == 1 and "a.txt" in result.err, result
    assert shop.value("SELECT count(*) FROM transactions_cln WHERE cust_id = 9") == 1
    # The whole file under the same name: what was read of it before does not come twice.
    shop.put("a.txt", gzip.compress(lines(20_000).encode()))
    collect(shop)
    assert rows(shop) == 20_001


def test_what_is_no_file(shop):
    """A directory, a FIFO, a socket, a link to nowhere: said, left there, and no hang; the others go on."""
    (shop.spool / "directory").mkdir()
    os.mkfifo(shop.spool / "fifo")
    (shop.spool / "nowhere").symlink_to("/nonexistent/file")
    shop.put("z.txt", lines(5))
    result = shop.run("collect", "--once", timeout=20)
    assert result.code in (0, 1), result
    assert rows(shop) == 5
    for name in ("directory", "fifo", "nowhere"):
        assert name in result.err + result.out, result
        assert name in shop.names()


@pytest.mark.parametrize("name", ["a.txt", "a.txt.COMPLETED"])
def test_symbolic_links(shop, name):
    """What a link in the spool names may be nobody's business: no line of it is taken, or gets into quarantine. A directory of
    punchcard.yaml may be a link."""
    outside = shop.dir.parent / "outside"
    outside.mkdir()
    (outside / "secret").write_text("root:x:0:0\n" + classic(5, "latte", 70, 1_700_000_000))
    (shop.spool / name).symlink_to(outside / "secret")
    assert shop.json("status")["sources"][0]["files_waiting"] == 0
    result = shop.ok("collect", "--once")
    if name == "a.txt":
        assert "a.txt: is a symbolic link; punchcard takes regular files only" in result.err
    assert rows(shop) == 0 and shop.reasons() == {} and (shop.spool / name).is_symlink()
    shop.spool.rename(outside / "spool")
    shop.spool.symlink_to(outside / "spool")
    shop.put("b.txt", lines(3))
    collect(shop)
    assert rows(shop) == 3


@pytest.fixture
def nobodys_shop(pc):
    """A deployment of somebody who is not root, for whom a file can be unreadable; its runs are theirs."""
    user = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    directory = tempfile.mkdtemp(prefix="punchcard-nobody-")
    try:
        os.chmod(directory, 0o777)
        try:
            made = pc("init", os.path.join(directory, "shop"), **user)
        except PermissionError:
            pytest.skip(f"{pc.binary} is where only root can run it")
        if made.code != 0:
            pytest.skip(f"cannot run as another user: {made.err}")
        shop = Shop(pc, os.path.join(directory, "shop"))
        shop.run = lambda *args, **options: pc("-C", shop.dir, *args, **{**user, **options})
        yield shop
    finally:
        shutil.rmtree(directory)


def test_unreadable_file(nobodys_shop):
    """Said, left there, and taken once it can be read; the others go on."""
    shop = nobodys_shop
    path = shop.put("a.txt", lines(5))
    os.chmod(path, 0)
    shop.put("b.txt", lines(5, start=1_710_000_000))
    result = shop.ok("collect", "--once", code=1)
    assert "a.txt" in result.err and "ermission denied" in result.err
    assert rows(shop) == 5 and "a.txt" in shop.names()
    os.chmod(path, 0o644)
    collect(shop)
    assert rows(shop) == 10


def test_a_spool_that_cannot_be_changed(nobodys_shop):
    """The file is taken but cannot be renamed: said, and its lines come once, however often it is tried."""
    shop = nobodys_shop
    shop.put("a.txt", lines(5))
    os.chmod(shop.spool, 0o555)
    for _ in range(2):
        result = shop.ok("collect", "--once", code=1)
        assert "a.txt" in result.err
        assert rows(shop) == 5
    os.chmod(shop.spool, 0o777)
    collect(shop)
    assert rows(shop) == 5 and shop.names() == ["a.txt.COMPLETED"]


def test_spool_is_missing(shop):
    shop.spool.rmdir()
    result = shop.run("collect", "--once")
    assert result.code in (1, 2) and "spool" in result.err


def test_full_disk(shop, small_disk):
    """data/ on a disk that fills up: a clear error, and once there is room, every line once."""
    text = lines(60_000, customers=1000, step=1)
    shop.put("a.txt", text)
    shop.move_data(small_disk, 400_000)
    result = shop.run("collect", "--once")
    assert result.code == 1, result
    assert "space" in result.err.lower() or "full" in result.err.lower(), result
    subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
    shop.run("collect", "--once")
    assert shop.names() == ["a.txt.COMPLETED"]
    assert rows(shop) == 60_000
    assert accounts(shop) == expected(shop, text)


@pytest.fixture
def read_only(shop):
    """Makes the deployment read-only (for root, too) and tells whether that worked."""

    def bind(*options):
        return subprocess.run(["mount", *options], capture_output=True, check=False).returncode == 0

    if os.geteuid() != 0 or not bind("--bind", str(shop.dir), str(shop.dir)):
        pytest.skip("needs root and the right to mount")
    yield lambda: bind("-o", "remount,ro,bind", str(shop.dir))
    subprocess.run(["umount", "-l", str(shop.dir)], check=True)


def test_read_only_deployment(shop, read_only):
    """Reading works, writing says why it does not."""
    shop.put("a.txt", lines(5))
    collect(shop)
    shop.put("b.txt", lines(5, start=1_710_000_000))
    assert read_only()
    result = shop.run("collect", "--once")
    assert result.code == 1 and "read-only" in result.err.lower(), result
    assert rows(shop) == 5
    assert shop.json("customer", 1)
    shop.ok("status")


def parquet_files(shop):
    return sorted((shop.warehouse / "transactions_cln").rglob("*.parquet"))


def test_corrupt_parquet_file(shop):
    shop.put("a.txt", lines(500))
    collect(shop)
    path = parquet_files(shop)[0]
    content = bytearray(path.read_bytes())
    for damage in (content[: len(content) // 2], bytes(len(content)), content[:4] + b"\xff" * 60 + content[64:]):
        path.write_bytes(damage)
        result = shop.run("sql", "SELECT sum(odr_amt), min(event_id), count(DISTINCT odr_tms) FROM transactions_cln")
        if result.code == 0:  # damage that Parquet itself does not see must not pass for other values silently
            assert damage[:4] == content[:4], result
        else:
            assert result.code == 1 and path.name in result.err, result
    path.write_bytes(content)
    assert rows(shop) == 500


@pytest.mark.parametrize("where", ["journal", "view"])
@pytest.mark.parametrize("damage", ["zeroed", "cut", "noise", "empty"])
def test_damaged_lmdb(shop, where, damage):
    """A clear error that names the file, or a right answer; never a crash or a wrong total."""
    shop.put("a.txt", lines(500))
    collect(shop)
    path = shop.dir / "data" / where / "data.mdb"
    content = path.read_bytes()
    path.write_bytes(
        {
            "zeroed": bytes(8192) + content[8192:],
            "cut": content[:4096],
            "noise": content[:8192] + bytes((i * 37) % 251 for i in range(len(content) - 8192)),
            "empty": b"",
        }[damage]
    )
    shop.put("b.txt", lines(10, start=1_710_000_000))
    result = shop.run("collect", "--once")
    if result.code == 0:
        assert rows(shop) == 510
        assert accounts(shop) == expected(shop, lines(500) + lines(10, start=1_710_000_000))
    else:
        assert result.code == 1, result
        assert f"data/{where}" in result.err, result
    for command in (["status"], ["customer", "1"], ["sql", "SELECT count(*) FROM transactions_cln"]):
        result = shop.run(*command)
        assert result.code in (0, 1), result


@pytest.mark.parametrize("where", ["journal", "view"])
def test_moved_away(shop, where):
    """What the message about a damaged one advises. No row of the tables is lost, and no line is taken twice."""
    shop.put("a.txt", lines(500))
    collect(shop)
    tables = {path: path.read_bytes() for path in parquet_files(shop)}
    os.rename(shop.dir / "data" / where, shop.dir / "away")
    shop.put("b.txt", lines(10, start=1_710_000_000))
    result = shop.run("collect", "--once")
    assert {path: path.read_bytes() for path in tables if path.exists()} == tables, result
    if result.code == 0:
        assert rows(shop) == 510
        assert accounts(shop) == expected(shop, lines(500) + lines(10, start=1_710_000_000))
    else:
        assert f"data/{where}" in result.err, result


def test_lock_of_another_program_on_a_file(shop):
    """Somebody's lock on an order file does not stop or hang us."""
    path = shop.put("a.txt", lines(5))
    with open(path, "rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        collect(shop)
    assert rows(shop) == 5
