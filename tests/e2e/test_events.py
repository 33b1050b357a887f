"""Events in JSON (docs/events.md): all four kinds from a file in the spool to transactions_cln."""

import gzip
import json
import random
from decimal import Decimal

import jsonschema
import pytest

from conftest import ROOT, classic

COLUMNS = (
    "event_id, line_no, kind, cust_id, odr_menu, odr_sku, odr_qty::VARCHAR, odr_prc::VARCHAR, odr_amt::VARCHAR,"
    " odr_tms::VARCHAR, store, source, order_id, points::VARCHAR, ledger, reward, reason, decision, data_dt::VARCHAR"
)
NAMES = [name.strip().split("::")[0] for name in COLUMNS.split(",")]
TIME = "2023-11-15T00:00:00Z"
EXAMPLES = [
    line.strip() for line in (ROOT / "docs/events.md").read_text(encoding="utf-8").splitlines() if line.startswith('    {"')
]


def event(event_id, kind, customer=7, time=TIME, **more):
    return {"event_id": event_id, "kind": kind, "customer": customer, "time": time, **more}


def ndjson(*events):
    return "".join((e if isinstance(e, str) else json.dumps(e, ensure_ascii=False)) + "\n" for e in events)


def table(shop):
    """Rows as they differ from NULL."""
    rows = shop.sql(f"SELECT {COLUMNS} FROM transactions_cln ORDER BY source, event_id, line_no")
    return [{name: value for name, value in zip(NAMES, row) if value is not None} for row in rows]


def quarantine(shop):
    return [tuple(row) for row in shop.sql("SELECT file, line, reason FROM quarantine ORDER BY file, line")]


@pytest.fixture
def events(shop):
    shop.write_config(sources=[{"name": "till", "dir": "spool", "format": "ndjson", "settle_ms": 0}])
    return shop


def test_the_four_kinds(events):
    """Every column of every kind; NULL where a kind has no such thing."""
    lines = [
        {"sku": "A1", "menu": "latte", "qty": 2, "price": 4.5, "amount": 8.5},
        {"menu": "กาแฟ", "qty": 0.35, "price": 20},
    ]
    events.put(
        "a.json",
        ndjson(
            event("r-1", "order", store="s1", lines=lines),
            event("f-1", "refund", time="2023-11-15T12:00:00.5+07:00", order="r-1", amount=1),
            event("f-2", "refund", time=1700006400, order="r-1", lines=lines[1:]),
            event("d-1", "redeem", points=100, ledger="points"),
            event("d-2", "redeem", reward="free-coffee", accepted=False),
            event("a-1", "adjust", points=-5.5, reason="goodwill", ledger="points"),
            event("g-1", "order", customer=None, lines=[{"amount": 3}]),
        ),
    )
    told = events.collect()
    assert (told["lines"], told["rows"], told["duplicates"], told["quarantined"]) == (7, 8, 0, 0)
    day = {"source": "till", "data_dt": "2023-11-15"}
    start = {**day, "odr_tms": "2023-11-15 00:00:00"}
    assert table(events) == [
        {"event_id": "a-1", "line_no": 1, "kind": "adjust", "cust_id": 7, **start, "points": "-5.500", "ledger": "points",
         "reason": "goodwill"},
        {"event_id": "d-1", "line_no": 1, "kind": "redeem", "cust_id": 7, **start, "points": "100.000", "ledger": "points",
         "decision": "accepted"},
        {"event_id": "d-2", "line_no": 1, "kind": "redeem", "cust_id": 7, **start, "reward": "free-coffee",
         "decision": "declined"},
        {"event_id": "f-1", "line_no": 1, "kind": "refund", "cust_id": 7, **day, "odr_tms": "2023-11-15 05:00:00.5",
         "odr_amt": "-1.00", "order_id": "r-1"},
        {"event_id": "f-2", "line_no": 1, "kind": "refund", "cust_id": 7, **start, "odr_menu": "กาแฟ", "odr_qty": "-0.350",
         "odr_prc": "20.00", "odr_amt": "-7.00", "order_id": "r-1"},
        {"event_id": "g-1", "line_no": 1, "kind": "order", **start, "odr_qty": "1.000", "odr_prc": "3.00", "odr_amt": "3.00"},
        {"event_id": "r-1", "line_no": 1, "kind": "order", "cust_id": 7, **start, "odr_menu": "latte", "odr_sku": "A1",
         "odr_qty": "2.000", "odr_prc": "4.50", "odr_amt": "8.50", "store": "s1"},
        {"event_id": "r-1", "line_no": 2, "kind": "order", "cust_id": 7, **start, "odr_menu": "กาแฟ", "odr_qty": "0.350",
         "odr_prc": "20.00", "odr_amt": "7.00", "store": "s1"},
    ]  # fmt: skip
    assert events.value("SELECT sum(odr_amt)::VARCHAR FROM transactions_cln") == "10.50"


def test_examples_of_the_page(events):
    """The lines of docs/events.md are taken as they stand, one of each kind."""
    assert sorted(json.loads(line)["kind"] for line in EXAMPLES) == ["adjust", "order", "redeem", "refund"]
    events.put("a.json", ndjson(*EXAMPLES))
    told = events.collect()
    assert (told["rows"], told["quarantined"]) == (4, 0)


ADJUST = event("x", "adjust", points=1)
REFUND = event("x", "refund", order="r", amount=1)
# A reason, a line with this fault alone, and whether the schema sees it, too.
FAULTS = [
    ("json", '{"event_id":"x",}', False),
    ("json", "1|latte 70|1700000000", False),
    ("json", json.dumps(ADJUST) * 2, False),
    ("json", "[]", True),
    ("kind", {**ADJUST, "kind": "gift"}, True),
    ("field", {**ADJUST, "note": "x"}, True),
    ("field", {**ADJUST, "order": "r"}, True),
    ("field", json.dumps(ADJUST)[:-1] + ',"points":1}', False),
    ("event_id", {**ADJUST, "event_id": ""}, True),
    ("event_id", {**ADJUST, "event_id": "x" * 65}, True),
    ("customer_id", {**ADJUST, "customer": "7"}, False),
    ("customer_id", {**ADJUST, "customer": 0}, True),
    ("customer_id", {**ADJUST, "customer": -1}, True),
    ("order_id", {**REFUND, "order": None}, True),
    ("time", {**ADJUST, "time": "2023-11-15T00:00:00"}, True),
    ("time_range", {**ADJUST, "time": "1969-12-31T23:59:59Z"}, False),
    ("time_range", {**ADJUST, "time": "2150-01-01T00:00:00Z"}, False),
    ("time_range", {**ADJUST, "time": "0001-01-01T00:00:00Z"}, False),
    ("time_range", {**ADJUST, "time": "9999-12-31T23:59:59Z"}, False),
    ("order_lines", event("x", "order", lines=[]), True),
    ("quantity", event("x", "order", lines=[{"qty": 0, "price": 1}]), True),
    ("price", event("x", "order", lines=[{"price": -1}]), True),
    ("amount", event("x", "order", lines=[{"sku": "A"}]), True),
    ("amount", event("x", "order", lines=[{"amount": 1000000000}, {"amount": 0.01}]), False),
    ("amount", {**REFUND, "lines": [{"amount": 2}]}, False),
    ("points", {**ADJUST, "points": 0}, True),
    ("points", event("x", "redeem"), True),
    ("points", json.dumps(ADJUST).replace('"points": 1', '"points": 1e2'), False),
    ("points", json.dumps(ADJUST).replace('"points": 1', '"points": 0.10000000000000000001'), False),
    ("points", json.dumps(ADJUST).replace('"points": 1', '"points": 12345678901234567890'), True),
    ("name", {**ADJUST, "reason": "x" * 257}, True),
    ("encoding", json.dumps({**ADJUST, "reason": "\ud83d"}), False),
    ("nul_byte", json.dumps({**ADJUST, "reason": "\x00"}), True),
    ("too_long", {**ADJUST, "reason": "x" * (1 << 20)}, True),
]


def test_schema():
    """docs/event.schema.json takes the page's examples, and no line with a fault that a schema can see."""
    validator = jsonschema.Draft202012Validator(
        json.loads((ROOT / "docs/event.schema.json").read_text(encoding="utf-8"))
    )
    for line in EXAMPLES:
        validator.validate(json.loads(line))
    validator.validate(ADJUST)
    validator.validate(REFUND)
    for reason, line, seen in FAULTS:
        if seen:
            assert not validator.is_valid(json.loads(line) if isinstance(line, str) else line), (reason, line)


def test_all_reasons(events):
    """Each reason of the page; every line stands in quarantine as it came."""
    faults = [(reason, line) for reason, line, _ in FAULTS]
    events.put("a.json", ndjson(*(line for _, line in faults)))
    told = events.collect()
    assert (told["lines"], told["rows"], told["quarantined"]) == (len(faults), 0, len(faults))
    assert quarantine(events) == [("a.json", i + 1, reason) for i, (reason, _) in enumerate(faults)]
    assert events.value("SELECT text FROM quarantine WHERE line = 2") == "1|latte 70|1700000000"
    assert events.run("collect", "--once", "--strict").code == 0
    events.put("b.json", "{}\n")
    assert events.run("collect", "--once", "--strict").code == 3


def test_the_same_again(events):
    """The same event in other words is a duplicate; another one under its id is set aside, whatever differs."""
    base = {
        "o": event("o", "order", lines=[{"menu": "latte", "price": 4.5}]),
        "f": event("f", "refund", order="o", amount=4.5),
        "d": event("d", "redeem", points=10),
        "a": event("a", "adjust", points=5),
    }
    events.put("a.json", ndjson(*base.values()))
    assert events.collect()["rows"] == 4
    before = table(events)
    events.put("a.json", ndjson(*base.values()))
    events.put(
        "b.json",
        ndjson(
            {**base["a"], "points": Decimal("5.0").__float__(), "time": "2023-11-15T07:00:00+07:00"},
            {**base["o"], "lines": [{"price": 4.5, "qty": 1, "amount": 4.5, "menu": "latte", "sku": ""}]},
            {**base["d"], "accepted": True},
        ),
    )
    told = events.collect()
    assert (told["rows"], told["duplicates"], told["quarantined"]) == (0, 3, 0)
    others = [
        {**base["o"], "lines": [{"menu": "latte", "price": 4.5}] * 2},
        {**base["o"], "store": "s1"},
        {**base["f"], "order": "p"},
        {**base["f"], "amount": 4.51},
        {**base["f"], "amount": 4.5, "lines": [{"amount": 4.5}]},
        {**base["d"], "points": 10.001},
        {**base["d"], "accepted": False},
        {**base["d"], "reward": "cup"},
        {**base["d"], "ledger": "points"},
        {**base["a"], "reason": "x"},
        {**base["a"], "points": -5},
        {**base["a"], "customer": 8},
        {**base["a"], "time": "2023-11-15T00:00:00.000001Z"},
        {**base["d"], "event_id": "a"},
    ]
    events.put("c.json", ndjson(*others))
    assert events.collect()["quarantined"] == len(others)
    assert events.reasons() == {"id_conflict": len(others)}
    assert table(events) == before


def test_beside_classic_orders(shop):
    """Two sources of two formats; files of classic orders are without the columns that they never have, and read as NULL."""
    sources = [
        {"name": "till", "dir": "spool", "format": "classic", "settle_ms": 0},
        {"name": "web", "dir": "web", "format": "ndjson", "settle_ms": 0},
    ]
    shop.write_config(sources=sources)
    shop.put("a.txt", classic(7, "latte", 70, 1_700_000_000))
    shop.collect()
    assert shop.sql("SELECT kind, order_id, points::VARCHAR FROM transactions_cln") == [("order", None, None)]
    shop.put("a.json", ndjson(event("f", "refund", order="a.txt:1", amount=70)), shop.dir / "web")
    shop.put("b.txt", classic(8, "latte", 70, 1_700_000_001))
    shop.collect()
    shop.put("c.txt", classic(9, "latte", 70, 1_700_000_002))
    shop.collect()
    assert shop.sql("SELECT cust_id, kind, order_id FROM transactions_cln ORDER BY cust_id, kind") == [
        (7, "order", None),
        (7, "refund", "a.txt:1"),
        (8, "order", None),
        (9, "order", None),
    ]


def test_text_customers(events):
    events.write_config(customer_id="text")
    events.put(
        "a.json",
        ndjson(
            event("a", "adjust", customer="card-7", points=1),
            event("b", "adjust", customer=7, points=1),
            event("c", "order", customer="", lines=[{"amount": 1}]),
        ),
    )
    events.collect()
    assert events.sql("SELECT event_id, cust_id FROM transactions_cln ORDER BY event_id") == [("a", "card-7"), ("c", None)]
    assert events.reasons() == {"customer_id": 1}


def test_a_line_that_is_being_written(events):
    """A last line without its end waits; blank lines, CRLF and gzip are read as elsewhere."""
    events.write_config(sources=[{"name": "till", "dir": "spool", "format": "ndjson", "settle_ms": 400}])
    whole = ndjson(event("a", "adjust", points=1), event("b", "adjust", points=2))
    (events.spool / "a.json").write_text(whole[:-20], encoding="utf-8")
    process = events.start("collect", "--once")
    with (events.spool / "a.json").open("a", encoding="utf-8") as file:
        file.write(whole[-20:])
    result = events.pc.end(process)
    assert result.code == 0, result
    events.put("b.json", whole.replace("\n", "\r\n\r\n"))
    (events.spool / "c.json.gz").write_bytes(gzip.compress(ndjson(event("c", "adjust", points=3)).encode()))
    told = events.collect()
    assert (told["rows"], told["duplicates"], told["quarantined"]) == (1, 2, 0)
    assert [row["event_id"] for row in table(events)] == ["a", "b", "c"]


def test_exact_amounts(events):
    """Cents that no double holds, many of them: the sum is exact."""
    r = random.Random(3)
    cents = [r.randrange(10**r.randrange(1, 11)) for _ in range(2000)]
    events.put(
        "a.json",
        "".join(
            f'{{"event_id":"e{i}","kind":"order","time":1700000000,"lines":[{{"amount":{c // 100}.{c % 100:02}}}]}}\n'
            for i, c in enumerate(cents)
        ),
    )
    assert events.collect()["rows"] == len(cents)
    assert Decimal(events.value("SELECT sum(odr_amt)::VARCHAR FROM transactions_cln")) == Decimal(sum(cents)) / 100


def test_unknown_format(shop):
    shop.write_config(sources=[{"name": "till", "dir": "spool", "format": "json"}])
    result = shop.run("collect", "--once")
    assert result.code == 2
    assert "ndjson" in result.err
