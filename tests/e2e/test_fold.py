"""punchcard-fold: the kernel alone, between two pipes; its rows are those of the tables that rebuild makes."""

import json
import pathlib
import subprocess

import pytest

import history
import parquet
from conftest import PUNCHCARD, environment, make_shop
from history import CLUB, History, as_ndjson, history_shop

FOLD = pathlib.Path(PUNCHCARD).with_name("punchcard-fold")
TIMEOUT_S = 60

# Text as LazySimpleSerDe has it: E'' texts are DuckDB's.
TEXT = r"replace(replace(replace(replace({0}, E'\\', E'\\\\'), E'\t', E'\\\t'), E'\n', E'\\n'), E'\r', E'\\r')"
KINDS = "CASE kind WHEN 'order' THEN 0 WHEN 'refund' THEN 1 WHEN 'redeem' THEN 2 ELSE 3 END"
NUMBERS, TEXTS = 17, 6


def text(column):
    return TEXT.format(column)


def events_sql(shop, where="true"):
    """The rows that punchcard-fold takes, of the deployment's files, with the columns that order them."""
    return f"""SELECT {text("cust_id::VARCHAR")} AS c, kind AS k, epoch_us(odr_tms) AS t, {text("event_id")} AS e, {text("source")} AS s,
        line_no, {text("odr_menu")} AS m, {text("odr_sku")} AS u, (odr_qty * 1000)::BIGINT AS q, (odr_amt * 100)::BIGINT AS a,
        {text("order_id")} AS o, (points * 1000)::BIGINT AS p, {text("ledger")} AS l, {text("reward")} AS r, decision AS d,
        NULL AS st, NULL AS it, cust_id, 1 AS first, {KINDS} AS kind_no, event_id AS id
        FROM read_parquet('{shop.warehouse}/transactions_cln/*/*.parquet', union_by_name = true)
        WHERE cust_id IS NOT NULL AND {where}"""


def states_sql(shop, day):
    nothing = ", ".join(["NULL"] * 13)
    return f"""SELECT {text("cust_id::VARCHAR")}, 'state', {nothing}, hex(state), hex(items), cust_id, 0, 0, NULL
        FROM read_parquet('{shop.warehouse}/account_state/data_dt={day}/*.parquet')"""


def export(path, *selects):
    parquet.run(
        f"""COPY (SELECT * EXCLUDE (cust_id, first, kind_no, id) FROM ({" UNION ALL ".join(selects)})
        ORDER BY cust_id, first, t, kind_no, id, s, line_no)
        TO '{path}' (FORMAT csv, DELIMITER '\t', HEADER false, QUOTE '', ESCAPE '', NULLSTR '\\N')"""
    )
    return path.read_bytes()


def fold(shop, data, day, *args):
    command = [str(FOLD), "--programme", str(shop.dir / "programme.yaml"), "--to", day, *map(str, args)]
    run = subprocess.run(command, input=data, capture_output=True, timeout=TIMEOUT_S, env=environment(), check=False)
    assert b"Sanitizer" not in run.stderr and b"runtime error" not in run.stderr, run.stderr.decode()
    return run


def unescape(field):
    if field == "\\N":
        return None
    out, rest = [], iter(field)
    for c in rest:
        c = {"n": "\n", "r": "\r"}.get(c2 := next(rest), c2) if c == "\\" else c
        out.append(c)
    return "".join(out)


def split(line):
    fields, begin, escaped = [], 0, False
    for i, c in enumerate(line):
        if escaped:
            escaped = False
        elif c == "\\":
            escaped = True
        elif c == "\t":
            fields.append(line[begin:i])
            begin = i + 1
    return [unescape(field) for field in [*fields, line[begin:]]]


class Rows:
    """What punchcard-fold printed: of each kind a list of (customer, numbers, texts)."""

    def __init__(self, run):
        assert run.returncode == 0, run.stderr.decode()
        self.kinds = {}
        for line in run.stdout.decode().split("\n")[:-1]:
            fields = split(line)
            assert len(fields) == 2 + NUMBERS + TEXTS
            numbers = [None if n is None else int(n) for n in fields[2 : 2 + NUMBERS]]
            self.kinds.setdefault(fields[0], []).append((fields[1], numbers, fields[2 + NUMBERS :]))

    def get(self, kind, numbers, texts):
        """Rows as tuples of the customer, so many numbers, so many texts; the rest is NULL."""
        out = []
        for customer, n, t in self.kinds.get(kind, []):
            assert n[numbers:] == [None] * (NUMBERS - numbers) and t[texts:] == [None] * (TEXTS - texts)
            out.append((customer, *n[:numbers], *t[:texts]))
        return sorted(out, key=str)

    def counts(self):
        ((customer, numbers, _),) = self.kinds["counts"]
        assert customer is None
        return numbers


def table(shop, path, select):
    """Rows of Parquet files, as the text of JSON has them."""
    out = shop.dir.parent / "rows.json"
    parquet.run(f"COPY (SELECT {select} FROM read_parquet('{shop.warehouse}/{path}', hive_partitioning = true)) TO '{out}' (FORMAT json)")
    return sorted((tuple(json.loads(line).values()) for line in out.read_text().splitlines()), key=str)


LEDGER = """cust_id::VARCHAR c, entry_no, epoch_us(posted_at) p, (points * 1000)::BIGINT a, date_diff('day', DATE '1970-01-01', lot) l,
    (balance * 1000)::BIGINT b, date_diff('day', DATE '1970-01-01', data_dt::DATE) d, event_id, ledger, kind, rule, programme, note"""
BALANCES = """cust_id::VARCHAR c, (balance * 1000)::BIGINT n1, (pending * 1000)::BIGINT n2, (debt * 1000)::BIGINT n3,
    (earned * 1000)::BIGINT n4, (redeemed * 1000)::BIGINT n5, (expired * 1000)::BIGINT n6, (expiring_30d * 1000)::BIGINT n7,
    date_diff('day', DATE '1970-01-01', next_expiry) n8, ledger"""
STATES = "cust_id::VARCHAR c, hex(state) s, hex(items) i"
LOYALTY = """cust_id::VARCHAR c, orders, visits, (spnd_amt * 100)::BIGINT s, (points_balance * 1000)::BIGINT n1,
    (points_earned * 1000)::BIGINT n2, (points_redeemed * 1000)::BIGINT n3, (points_expired * 1000)::BIGINT n4,
    (points_pending * 1000)::BIGINT n5, (points_expiring_30d * 1000)::BIGINT n6,
    date_diff('day', DATE '1970-01-01', tier_valid_to) n7, (to_next_tier * 1000)::BIGINT n8, epoch_us(first_order) n9,
    epoch_us(last_order) n10, tier, favourite"""


def check(shop, rows, day, first_day=None):
    ledger = rows.get("ledger", 6, 6)
    expected = [row for row in table(shop, "ledger/*/*.parquet", LEDGER) if first_day is None or row[6] > first_day]
    assert ledger == expected and ledger
    assert rows.get("balances", 8, 1) == table(shop, f"balances/data_dt={day}/*.parquet", BALANCES)
    assert rows.get("account_state", 0, 2) == table(shop, f"account_state/data_dt={day}/*.parquet", STATES)
    accounts = [(row[0], *row[2:15], *row[18:]) for row in rows.get("accounts", 17, 2)]
    assert accounts == table(shop, f"loyalty/data_dt={day}/*.parquet", LOYALTY)
    return ledger


@pytest.mark.parametrize("ids", ["integer", "text"])
def test_the_tables_that_rebuild_makes(pc, tmp_path, ids):
    story = History(11, "2024-03-10", 30, 40, 700)
    events = story.events if ids == "integer" else [(f"Kun\\din {c} ä\t'", event) for c, event in story.events]
    shop = history_shop(pc, tmp_path / "shop", customer_id=ids)
    shop.put("a.json", as_ndjson(events))
    assert shop.collect()["quarantined"] == 0
    last = story.days()[-1]
    day = history.date_text(last - 10)
    report = shop.json("rebuild", "--data-dt", day)
    # Days of the programme's zone.
    cut = shop.value(f"SELECT epoch_us(timezone('Europe/Berlin', TIMESTAMP '{history.date_text(last - 9)} 00:00:00'))")
    data = export(tmp_path / "in.tsv", events_sql(shop, f"epoch_us(odr_tms) < {cut}"))
    rows = Rows(fold(shop, data, day, "--ids", ids))
    ledger = check(shop, rows, day)
    counts = rows.counts()
    assert counts[0] == data.count(b"\n")
    assert counts[1:4] == [report["customers"], report["events"], report["postings"]]
    assert counts[9] == sum(row[3] for row in ledger)
    assert sum(counts[10:15]) == sum(report["rejected"].values()) > 0


def test_going_on_from_states(pc, tmp_path):
    """As refresh: states of a day, and the events behind it; who needs the history is named, and folded whole."""
    story = History(12, "2024-01-10", 24, 30, 500)
    shop = history_shop(pc, tmp_path / "shop", programme={**CLUB, "timezone": "UTC"})
    shop.put("a.json", as_ndjson(story.events))
    shop.collect()
    last = story.days()[-1]
    old, day = last - 12, history.date_text(last - 3)
    shop.json("rebuild", "--data-dt", history.date_text(old))
    until = f"odr_tms < TIMESTAMP '{history.date_text(last - 2)}'"
    since = f"{until} AND odr_tms >= TIMESTAMP '{history.date_text(old + 1)}'"
    data = export(tmp_path / "in.tsv", events_sql(shop, since), states_sql(shop, history.date_text(old)))
    run = fold(shop, data, day)
    rows = Rows(run)
    marked = [customer for (customer,) in rows.get("marked", 0, 0)]
    assert marked and len(marked) < 30 and rows.counts()[7] == len(marked)
    whole = export(tmp_path / "in.tsv", events_sql(shop, f"{until} AND cust_id IN ({', '.join(marked)})"))
    more = Rows(fold(shop, whole, day))
    shop.json("refresh", "--data-dt", day)
    for kind, found in more.kinds.items():
        rows.kinds[kind] = rows.kinds.get(kind, []) + [
            row for row in found if kind != "ledger" or row[1][5] > old
        ]
    check(shop, rows, day, old)


def test_simulate(pc, tmp_path):
    story = History(13, "2024-01-10", 20, 20, 250)
    shop = history_shop(pc, tmp_path / "shop", programme={**CLUB, "timezone": "UTC"})
    shop.put("a.json", as_ndjson(story.events))
    shop.collect()
    other = shop.dir / "other.yaml"
    changed = {**CLUB, "timezone": "UTC", "promotions": [], "ledgers": [*CLUB["ledgers"], {"name": "miles"}]}
    other.write_text(json.dumps(changed))
    day = history.date_text(story.days()[-1] + 1)
    shop.ok("simulate", "--programme", other, "--data-dt", day, "--parquet", shop.warehouse / "simulated.parquet")
    rows = Rows(fold(shop, export(tmp_path / "in.tsv", events_sql(shop)), day, "--simulate", other))
    points = ", ".join(
        f"({name}_{side} * 1000)::BIGINT {name}{side}"
        for name in ("points", "issued", "reversed", "redeemed", "expired", "outstanding", "pending", "debt")
        for side in ("today", "other")
    )
    expected = table(shop, "simulated.parquet", f"cust_id::VARCHAR c, {points}, ledger, tier_today, tier_other")
    assert rows.get("simulated", 16, 3) == expected and expected
    report = shop.json("simulate", "--programme", other, "--data-dt", day)
    ((_, *today),) = rows.get("counts", 15, 0)
    ((_, *others),) = rows.get("counts_other", 5, 0)
    reasons = ("unknown_order", "over_refund", "unknown_reward", "unknown_ledger", "overflow")
    rejected = [report["rejected"][side] for side in ("today", "other")]
    assert [today[10:], others] == [[side.get(reason, 0) for reason in reasons] for side in rejected]
    assert sum(others) > 0


# ---- what is no input ----

GOOD = b"7\torder\t1700000000000000\te-1\ttill\t1\tlatte" + b"\t\\N\t1000\t7000" + b"\t\\N" * 7 + b"\n"


@pytest.fixture(scope="module")
def bench(pc, tmp_path_factory):
    return make_shop(pc, tmp_path_factory.mktemp("fold") / "shop")


def changed(**columns):
    names = "customer kind time id source line menu sku qty amount order points ledger reward decision state items".split()
    fields = GOOD[:-1].split(b"\t")
    for name, value in columns.items():
        fields[names.index(name)] = value
    return b"\t".join(fields) + b"\n"


BAD = {
    "torn at the end": (GOOD[:-1], "row 1: is torn"),
    "a column less": (GOOD[:-4] + b"\n", "row 1: is torn: it has 16 of 17 columns"),
    "a column more": (GOOD[:-1] + b"\t\n", "row 1: is torn: it has 18"),
    "a lone backslash": (GOOD[:-1] + b"\\\n", "row 1: is torn"),
    "a customer twice": (GOOD + changed(customer=b"8") + GOOD, "row 3 (cust_id '7', event_id 'e-1'): the customer comes again"),
    "no number": (changed(customer=b"seven"), "row 1 (cust_id 'seven', event_id 'e-1'): cust_id is 'seven'"),
    "no customer": (changed(customer=b"\\N"), "a column is NULL"),
    "a time before": (GOOD + changed(time=b"1600000000000000"), "row 2 (cust_id '7', event_id 'e-1'): is out of order"),
    "no time": (changed(time=b"12:00"), "odr_tms is '12:00'"),
    "a time out of this world": (changed(time=b"9000000000000000000"), "odr_tms is"),
    "an event twice": (GOOD + GOOD, "row 2 (cust_id '7', event_id 'e-1'): is there twice"),
    "an id before": (GOOD + changed(id=b"e-0"), "row 2 (cust_id '7', event_id 'e-0'): is out of order"),
    "a line that is missing": (GOOD + changed(line=b"3"), "the event 'e-1' lacks a line"),
    "no kind": (changed(kind=b"gift"), "kind is 'gift'"),
    "a great amount": (changed(amount=b"99999999999999999999"), "odr_amt is"),
    "no id": (changed(id=b"\\N"), "a text is missing"),
    "a long id": (changed(id=b"x" * 65), "a text is missing, or too long"),
    "a late state": (GOOD + changed(kind=b"state", state=b"00"), "is a state that does not stand before"),
    "a state that is none": (changed(kind=b"state", state=b"00"), "state"),
    "a state of no digits": (changed(kind=b"state", state=b"0x"), "state is not hexadecimal"),
    "an empty state": (changed(kind=b"state"), "the state is empty"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input(bench, what):
    data, message = BAD[what]
    # It reads to the end, whatever came first: no write of ours fails.
    run = fold(bench, data + (changed(customer=b"9") * 50_000 if data.endswith(b"\n") else b""), "2024-01-01")
    assert run.returncode == 1 and message in run.stderr.decode(), run


def test_odd_and_good(bench):
    nothing = Rows(fold(bench, b"", "2024-01-01"))
    assert list(nothing.kinds) == ["counts"] and set(nothing.counts()[:15]) == {0}
    rows = Rows(fold(bench, changed(menu=b"a\\\tb\\n\\\\N", id=b"\\\\N") + changed(customer=b"8", menu=b"\\N"), "2024-01-01"))
    assert rows.get("accounts", 17, 2)[0][-1] == "a\tb\n\\N"
    assert [row[6 + 1] for row in rows.get("ledger", 6, 6)] == ["\\N", "e-1"]
    for args, message in (([], "usage:"), (["--to", "2024-13-01"], "not understood"), (["--ids", "x"], "not understood")):
        run = subprocess.run([FOLD, *args], input=b"", capture_output=True, env=environment(), check=False)
        assert run.returncode == 2 and message in run.stderr.decode()
    run = fold(bench, GOOD, "2024-01-01", "--simulate", "/nowhere.yaml")
    assert run.returncode == 2 and "/nowhere.yaml" in run.stderr.decode()


def test_nobody_reads(bench):
    """A reader that goes away: an error, and all of the input is taken."""
    data = b"".join(changed(customer=str(i).encode()) for i in range(20_000))
    command = f"{FOLD} --programme '{bench.dir}/programme.yaml' --to 2024-01-01 | true; exit ${{PIPESTATUS[0]}}"
    run = subprocess.run(["bash", "-c", command], input=data, capture_output=True, env=environment(), timeout=TIMEOUT_S, check=False)
    assert run.returncode == 1 and b"output" in run.stderr
