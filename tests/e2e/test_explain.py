"""explain: how a balance came about, in words and numbers, and that it is the balance that everybody else shows."""

import datetime
import json
import re
from decimal import Decimal

import pytest

from conftest import lines, make_shop

PEOPLE = '5,3,Anna Ærø,a@x.org,2019-01-04,"123-456",1990-05-29,F,1990\n6,3,Bo,,,,,,\n'

CLUB = {
    "timezone": "Asia/Bangkok",
    "ledgers": [{"name": "points", "expiry": {"months": 12}}, {"name": "stamps", "decimals": 0}],
    "earn": [
        {"name": "base", "from": "2025-01-01", "per_amount": {"points": "1", "per": "10"}},
        {"name": "stamp", "ledger": "stamps", "per_item": {"points": "1", "items": ["latte"]}},
    ],
    "tiers": {
        "metric": "spend",
        "window": {"rolling_months": 12},
        "valid_months": 12,
        "levels": [{"name": "member", "threshold": "0"}, {"name": "gold", "threshold": "100", "multiplier": "1.25"}],
    },
    "rewards": [{"id": "free-coffee", "ledger": "points", "cost": "4"}],
}


def order(event_id, time, *amounts, customer=5, store="s1"):
    return {
        "event_id": event_id,
        "kind": "order",
        "customer": customer,
        "time": time,
        "store": store,
        "lines": [{"menu": "latte", "qty": 1, "amount": amount} for amount in amounts],
    }


def refund(event_id, of, time, amount, customer=5):
    return {"event_id": event_id, "kind": "refund", "customer": customer, "time": time, "order": of, "amount": amount}


def redeem(event_id, time, reward, customer=5):
    return {"event_id": event_id, "kind": "redeem", "customer": customer, "time": time, "reward": reward}


def adjust(event_id, time, points, reason, customer=5):
    return {"event_id": event_id, "kind": "adjust", "customer": customer, "time": time, "points": points, "reason": reason}


STORY = [
    order("e-1", "2025-01-05T03:00:00Z", 4.5),
    order("e-2", "2025-01-06T03:00:00Z", 60, 40),
    order("e-3", "2025-01-07T03:00:00Z", 4.5),
    refund("f-1", "e-2", "2025-01-08T03:00:00Z", 60),
    refund("f-2", "e-2", "2025-01-09T03:00:00Z", 60),
    refund("f-3", "no-such", "2025-01-09T03:00:00Z", 1),
    redeem("x-1", "2025-02-01T03:00:00Z", "free-coffee"),
    redeem("x-2", "2025-02-02T03:00:00Z", "free-tea"),
    adjust("a-1", "2025-02-03T03:00:00Z", 2, "goodwill"),
    order("late", "2020-01-01T03:00:00Z", 1, customer=8),
]


def ndjson(events):
    return "".join(json.dumps(event) + "\n" for event in events)


def ndjson_shop(pc, directory, programme):
    shop = make_shop(pc, directory)
    shop.programme.update(programme)
    shop.write_config(sources=[{"name": "till", "dir": "spool", "format": "ndjson"}])
    return shop


@pytest.fixture(scope="module")
def story(pc, tmp_path_factory):
    shop = ndjson_shop(pc, tmp_path_factory.mktemp("story") / "shop", CLUB)
    shop.customers(PEOPLE)
    shop.put("a.json", ndjson(STORY))
    assert shop.collect()["quarantined"] == 0
    return shop


def ledger(report, name):
    return next(one for one in report["ledgers"] if one["ledger"] == name)


def check_sums(report):
    """Entries add up to the balances, and the sums of each ledger to each other."""
    entries = [entry for step in report["history"] for entry in step["entries"]]
    assert [entry["number"] for entry in entries] == list(range(1, len(entries) + 1))
    for one in report["ledgers"]:
        mine = [entry for entry in entries if entry["ledger"] == one["ledger"]]
        after = Decimal(0)
        for entry in mine:
            after += Decimal(entry["points"])
            if entry["kind"] not in ("tier", "reject"):
                assert Decimal(entry["balance"]) == after, entry
        lots = sum(Decimal(lot["points"]) for lot in one["lots"])
        assert after == lots - Decimal(one["debt"])
        assert lots == Decimal(one["balance"]) + Decimal(one["debt"]) + Decimal(one["pending"])
        assert Decimal(one["issued"]) - Decimal(one["reversed"]) == lots + Decimal(one["redeemed"]) + Decimal(one["expired"]) - Decimal(
            one["debt"]
        )


def test_for_people(story):
    out = story.ok("explain", 5, "--as-of", "2025-03-01").out
    expected = [
        "Anna Ærø, customer 5, at the end of 2025-03-01",
        "2025-01-05 10:00",
        "order e-1 at s1: 4.50 THB",
        "base (since 2025-01-01): 4.50 THB × 1 point / 10 = 0.45",
        "in stamps",
        "stamp: 1 latte × 1 stamp = 1",
        "order e-2 at s1: 100.00 THB",
        "tier member → gold: 104.50 of 100.00 THB in 12 months",
        "base (since 2025-01-01): 4.50 THB × 1 point / 10 × 1.25 (gold) = 0.5625 → 0.562",
        "refund f-1 of order e-2: 60.00 THB",
        "60.00 of 100.00 THB eligible came back: 10 − ⌊10 × (100.00 − 60.00) / 100.00⌋ = 6, 0 before",
        "tier gold → member",
        "rejected: more came back than was bought (over_refund): refund f-2 of order e-2: 60.00 THB",
        "rejected: the customer had no such order before it (unknown_order): refund f-3 of order no-such: 1.00 THB",
        "redeemed free-coffee for 4 points (x-1)",
        "rejected: the programme has no such reward (unknown_reward): redeemed free-tea",
        "adjusted by hand (a-1): goodwill",
        "to come",
        "2026-01-0",
        "the sums",
        "points: issued 13.012 − reversed 6 = lots 3.012 + redeemed 4 + expired 0 − debt 0, both 7.012",
    ]
    at = 0
    for text in expected:
        found = out.find(text, at)
        assert found >= 0, f"{text!r} is not there, or not in its place:\n{out}"
        at = found + len(text)


def test_sums(story):
    for day in ("2025-01-05", "2025-01-08", "2025-02-01", "2025-12-31", "2026-01-05", "2026-01-06", "2026-02-03"):
        check_sums(story.json("explain", 5, "--as-of", day))
    check_sums(story.json("explain", 5))


def test_as_of_a_day(story):
    report = story.json("explain", 5, "--as-of", "2025-01-06")
    assert report["as_of"] == "2025-01-06"
    assert Decimal(ledger(report, "points")["balance"]) == Decimal("10.45")
    assert report["tier"]["level"] == "gold" and report["later_events"] == 7
    # What was spent is gone; the rest of it expires a year after it was earned.
    assert Decimal(ledger(story.json("explain", 5, "--as-of", "2026-02-03"), "points")["balance"]) == 0
    assert "2026-02-03 00:00" in story.ok("explain", 5, "--as-of", "2026-02-03").out
    # Before anything happened.
    assert "nothing had happened until then" in story.ok("explain", 5, "--as-of", "2024-12-31").out


def test_days_at_the_ends_of_the_calendar(story):
    assert story.json("explain", 5, "--as-of", "0001-01-01")["history"] == []
    check_sums(story.json("explain", 5, "--as-of", "9999-12-31"))


def test_every_entry_names_its_rule(story):
    report = story.json("explain", 5)
    assert re.fullmatch("[0-9a-f]{16}", report["programme"]["version"])
    for step in report["history"]:
        for entry in step["entries"]:
            if entry["kind"] == "earn" and Decimal(entry["points"]) > 0:
                names = {rule["rule"] for rule in entry["rules"]}
                assert names == ({"base"} if entry["ledger"] == "points" else {"stamp"})
            if entry["kind"] in ("earn", "reverse", "redeem", "adjust"):
                assert step["event"]["event_id"]


def test_one_ledger(story):
    out = story.ok("explain", 5, "--ledger", "stamps").out
    assert "stamp: 1 latte × 1 stamp" in out and "× 1 point" not in out
    report = story.json("explain", 5, "--ledger", "stamps")
    assert [one["ledger"] for one in report["ledgers"]] == ["stamps"]
    result = story.ok("explain", 5, "--ledger", "miles", code=2)
    assert "miles" in result.err and "stamps" in result.err and result.out == ""


def test_as_the_card_has_it(story):
    """Now, of everybody: the account in the view, the loyalty table and the explanation agree."""
    for who in (5, 8):
        mine = ledger(story.json("explain", who), "points")
        ((balance,),) = story.sql(f"SELECT points::VARCHAR FROM accounts WHERE cust_id = {who}")
        assert Decimal(mine["balance"]) == Decimal(balance)


def test_as_the_loyalty_table_has_it(story):
    for day in ("2025-01-06", "2025-02-03", "2026-01-07"):
        story.ok("refresh", "--data-dt", day)
        rows = story.sql(
            "SELECT points_balance::VARCHAR, points_earned::VARCHAR, points_redeemed::VARCHAR, points_expired::VARCHAR, tier"
            f" FROM loyalty WHERE data_dt = DATE '{day}' AND cust_id = 5"
        )
        report = story.json("explain", 5, "--as-of", day)
        mine = ledger(report, "points")
        assert [tuple(map(Decimal, row[:1] + row[2:4])) for row in rows] == [
            tuple(Decimal(mine[key]) for key in ("balance", "redeemed", "expired"))
        ]
        assert rows[0][4] == report["tier"]["level"]


def test_profile_without_events(story):
    out = story.ok("explain", 6).out
    assert "Bo, customer 6" in out and "nothing has happened yet" in out
    assert story.json("explain", 6)["history"] == []


def test_events_without_profile(story):
    assert "Customer 8, as of" in story.ok("explain", 8).out
    assert story.json("explain", 8)["name"] is None


@pytest.mark.parametrize("who", ["7", "0", "Anna", "", "5.0", "9223372036854775808"])
def test_nobody(story, who):
    result = story.ok("explain", who, code=1)
    assert who in result.err and result.out == ""


@pytest.mark.parametrize("args", [[], [5, 6], [5, "--as-of", "2025-02-30"], [5, "--as-of"], [5, "--nonsense"]])
def test_usage(story, args):
    result = story.ok("explain", *args, code=2)
    assert "explain" in result.err and result.out == ""


def test_before_anything_was_collected(shop):
    assert "1" in shop.ok("explain", 1, code=1).err


def test_text_ids(pc, tmp_path):
    shop = ndjson_shop(pc, tmp_path / "shop", CLUB)
    shop.write_config(customer_id="text")
    shop.put("a.json", ndjson([order("e-1", "2025-01-05T03:00:00Z", 4.5, customer="O'Neil \x1b[2J")]))
    shop.collect()
    report = shop.json("explain", "O'Neil \x1b[2J")
    assert report["cust_id"] == "O'Neil \x1b[2J" and report["history"][0]["event"]["event_id"] == "e-1"
    assert "\x1b" not in shop.ok("explain", "O'Neil \x1b[2J").out


def test_while_another_process_writes(story):
    writer = story.start("collect", "--once")
    assert story.json("explain", 5)["cust_id"] == 5
    story.pc.end(writer)


def test_thousands_of_events(shop):
    shop.put("a.txt", lines(20_000, customers=1))
    shop.collect()
    report = shop.json("explain", 1)
    assert len(report["history"]) == 20_000
    check_sums(report)


def test_shuffled_and_twice(pc, tmp_path):
    """The order of arrival does not matter, nor that a file comes twice."""
    texts = []
    for name, events in (("one", STORY), ("two", STORY[::-1])):
        shop = ndjson_shop(pc, tmp_path / name, CLUB)
        shop.put("a.json", ndjson(events))
        shop.put("b.json", ndjson(events[:5]))
        shop.collect()
        texts.append(shop.ok("explain", 5, "--as-of", "2026-03-01").out)
    assert texts[0] == texts[1]


def test_local_times(story):
    """Days and times are those of the programme's zone."""
    first = story.json("explain", 5)["history"][0]
    assert first["event"]["time"] == "2025-01-05T03:00:00Z"
    assert datetime.date.fromisoformat(first["day"]) == datetime.date(2025, 1, 5)


def test_what_is_to_come_and_wide_numbers(pc, tmp_path):
    """In order of date whatever the ledger, in the singular, and with a blank between columns that are too narrow."""
    shop = ndjson_shop(
        pc,
        tmp_path / "shop",
        {
            "ledgers": [
                {"name": "points", "expiry": {"days": 60}, "pending_days": 20},
                {"name": "stamps", "decimals": 0, "expiry": {"days": 40}},
                {"name": "miles", "decimals": 0},
            ],
            "earn": [
                {"name": "base", "per_amount": {"points": "1", "per": "1"}},
                {"name": "cups", "ledger": "stamps", "per_item": {"points": "1", "items": ["tea", "latte"]}},
                {"name": "visit", "ledger": "miles", "per_visit": {"points": "63", "min": "0"}},
            ],
        },
    )
    both = order("b-1", "2026-01-01T10:00:00Z", 0.5, 0.5)
    both["lines"][0]["menu"] = "tea"
    huge = [order(f"h-{i}", "2026-01-02T10:00:00Z", 1_000_000_000, customer=6) for i in range(3)]
    gift = adjust("g-1", "2026-01-03T10:00:00Z", 1_000_000_000, "gift", customer=6)
    shop.put("a.json", ndjson([both, *huge, gift]))
    assert shop.collect()["quarantined"] == 0
    out = shop.ok("explain", 5, "--as-of", "2026-01-05").out
    assert "cups: 2 (tea, latte) × 1 stamp = 2" in out
    assert out.split("\nto come\n")[1].split("\n\n")[0].splitlines() == [
        "  2026-01-21  1 point that is pending can be spent",
        "  2026-02-10  2 stamps expire",
        "  2026-03-02  1 point expires",
        "              63 miles that never expire",
    ]
    out = shop.ok("explain", 6, "--as-of", "2026-01-05").out
    assert re.search(r" \+1,000,000,000 4,000,000,000 ", out), out
