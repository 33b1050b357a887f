"""First the oracle against sums done by hand, then the C kernel against the oracle on random histories."""

import os

import histories
import judge
import oracle
import pytest
from oracle import ADJUST, NO_LOT, ORDER, REDEEM, REFUND, Account, Event, Line, Programme, date_of, day_of_text

SECONDS = float(os.environ.get("ORACLE_SECONDS", "25"))
SEED = int(os.environ.get("ORACLE_SEED", "1"))

ONE_PER_ONE = [{"per_amount": {"points": "1", "per": "1.00"}}]


def at(text, zone="UTC"):
    """UTC microseconds of a local time."""
    local = oracle.datetime.datetime.fromisoformat(text).replace(tzinfo=oracle.zoneinfo.ZoneInfo(zone))
    return round((local - oracle.EPOCH).total_seconds()) * 1_000_000


def order(id, time, *amounts, item="a", quantity=1000):
    return Event(ORDER, id, at(time), lines=[Line(item, "", quantity, amount) for amount in amounts])


def refund(id, time, of, amount):
    return Event(REFUND, id, at(time), order=of, amount=amount)


def fold(programme, *events, until=None):
    account = Account(Programme({"timezone": "UTC", "earn": ONE_PER_ONE, **programme}))
    for event in sorted(events, key=oracle.order_of_events):
        account.apply(event)
        account.check()
    if until:
        account.advance(day_of_text(until))
        account.check()
    return account


def entries(account, kind=None):
    """(kind, points, when the lot expires, day)."""

    def date(day):
        return {NO_LOT: None, oracle.NEVER: "never"}[day] if day in (NO_LOT, oracle.NEVER) else str(date_of(day))

    return [(e.kind, e.points, date(e.lot), date(e.day)) for e in account.entries if kind in (None, e.kind)]


# --- the calendar -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "day, months, expected",
    [
        ("2023-01-31", 1, "2023-02-28"),
        ("2024-01-31", 1, "2024-02-29"),
        ("2024-02-29", 12, "2025-02-28"),
        ("2024-02-29", 48, "2028-02-29"),
        ("2024-03-31", -1, "2024-02-29"),
        ("2023-11-30", 1, "2023-12-30"),
        ("2023-12-15", 1, "2024-01-15"),
        ("2024-01-15", -1, "2023-12-15"),
        ("2024-12-31", 2, "2025-02-28"),
    ],
)
def test_months(day, months, expected):
    assert str(date_of(oracle.add_months(day_of_text(day), months))) == expected


@pytest.mark.parametrize(
    "zone, day, utc",
    [
        ("UTC", "2024-06-01", "2024-06-01 00:00"),
        ("Asia/Bangkok", "2024-06-01", "2024-05-31 17:00"),
        ("Europe/Berlin", "2024-03-31", "2024-03-30 23:00"),
        ("Europe/Berlin", "2024-04-01", "2024-03-31 22:00"),
        ("America/New_York", "2024-11-04", "2024-11-04 05:00"),
        ("America/Sao_Paulo", "2018-11-04", "2018-11-04 03:00"),  # there is no midnight: 01:00 comes first
        ("America/Sao_Paulo", "2018-02-18", "2018-02-18 03:00"),  # at the first one it becomes 23:00 again
        ("America/Havana", "2024-11-03", "2024-11-03 04:00"),  # of two midnights the earlier
        ("America/Toronto", "2024-11-03", "2024-11-03 04:00"),
        ("Pacific/Apia", "2011-12-30", "2011-12-30 10:00"),  # a day that was left out
    ],
)
def test_start_of_a_day(zone, day, utc):
    assert oracle.start_of_day(zone, day_of_text(day)) == at(utc)


def test_local_days():
    assert str(date_of(oracle.local_day("America/New_York", at("2024-03-10 04:59:59")))) == "2024-03-09"
    assert str(date_of(oracle.local_day("America/New_York", at("2024-03-10 05:00")))) == "2024-03-10"
    assert str(date_of(oracle.local_day("America/New_York", at("2024-03-11 04:00")))) == "2024-03-11"


def test_xxh3_of_short_texts():
    assert oracle.xxh3("a") == 0xE6C632B61E964E1F  # as xxhsum -H3 prints it
    assert oracle.xxh3("abc") == 0x78AF5F94892F3950


def test_order_of_events():
    time = at("2024-01-01")
    events = [
        Event(ORDER, "b", time),
        Event(ORDER, "a", time + 1),
        Event(REFUND, "a", time),
        Event(ADJUST, "A", time),
        Event(REDEEM, "é", time),
        Event(REDEEM, "z", time),
    ]
    ordered = sorted(events, key=oracle.order_of_events)
    assert [(e.kind, e.id) for e in ordered] == [
        (ORDER, "b"),
        (REFUND, "a"),
        (REDEEM, "z"),
        (REDEEM, "é"),
        (ADJUST, "A"),
        (ORDER, "a"),
    ]


# --- earning ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "thousandths, unit, floor, half_up, half_even, ceil",
    [
        ("2500", 1000, 2000, 3000, 2000, 3000),
        ("3500", 1000, 3000, 4000, 4000, 4000),
        ("2501", 1000, 2000, 3000, 3000, 3000),
        ("2499", 1000, 2000, 2000, 2000, 3000),
        ("2000", 1000, 2000, 2000, 2000, 2000),
        ("1/2", 1, 0, 1, 0, 1),
        ("3/2", 1, 1, 2, 2, 2),
        ("45", 10, 40, 50, 40, 50),
        ("1/1000000", 100, 0, 0, 0, 100),
    ],
)
def test_rounding(thousandths, unit, floor, half_up, half_even, ceil):
    value = oracle.Fraction(thousandths)
    got = [oracle.round_to(value, unit, how) for how in ("floor", "half_up", "half_even", "ceil")]
    assert got == [floor, half_up, half_even, ceil]


def test_all_kinds_of_rules_and_multipliers():
    programme = Programme(
        {
            "timezone": "UTC",
            "categories": [{"name": "gifts", "items": ["gift"]}],
            "exclude": ["gifts"],
            "earn": [
                {"name": "r0", "per_amount": {"points": "1", "per": "30.00"}},
                {"name": "r1", "per_step": {"points": "2", "step": "50.00"}},
                {"name": "r2", "per_visit": {"points": "0.5", "min": "100.00"}},
                {"name": "r3", "per_item": {"points": "0.333", "items": ["gift", "tea"], "categories": ["gifts"]}},
            ],
            "promotions": [
                {"name": "p0", "multiplier": "1.5", "group": "g"},
                {"name": "p1", "multiplier": "2", "group": "g"},
                {"name": "p2", "multiplier": "2", "group": "g"},
                {"name": "p3", "multiplier": "1.1"},
                {"name": "p4", "multiplier": "9", "min": "100.01"},
                {"name": "p5", "multiplier": "9", "weekdays": ["tue"]},
                {"name": "p6", "multiplier": "9", "until": "2023-12-31"},
            ],
            "tiers": {
                "metric": "visits",
                "window": {"calendar_year": True},
                "levels": [{"name": "base", "threshold": "0"}, {"name": "gold", "threshold": "1", "multiplier": "1.25"}],
            },
        }
    )
    lines = [Line("tea", "", 3000, 10_000), Line("gift", "", 1500, 70_000)]
    # On a Monday: base = 100/30 + 2 · 2 = 7⅓; · 2 · 1.1 = 16.1333…, · 1.25 = 20.1666…; items 0.333 · 4.5 = 1.4985; visit 0.5
    monday = day_of_text("2024-01-01")
    assert programme.earn(lines, monday, 0) == [(16_133 + 1498 + 500, 0b1111, 0b1010)]
    assert programme.earn(lines, monday, 1) == [(20_166 + 1498 + 500, 0b1111, 0b1010)]
    # Without what is eligible, there are the items only, and nothing that is multiplied.
    assert programme.earn(lines[1:], monday, 1) == [(499, 0b1000, 0)]


def test_cap_and_versions():
    programme = {
        "ledgers": [{"name": "points", "max_per_order": "5", "decimals": 0}],
        "earn": [
            {"name": "r", "per_amount": {"points": "1", "per": "1"}, "until": "2024-01-01"},
            {"name": "r", "per_amount": {"points": "3", "per": "1"}, "from": "2024-01-02"},
        ],
    }
    account = fold(programme, order("a", "2024-01-01 23:59:59", 199), order("b", "2024-01-02", 199), order("c", "2024-01-02", 9900))
    assert entries(account) == [
        ("earn", 1000, "never", "2024-01-01"),
        ("earn", 5000, "never", "2024-01-02"),
        ("earn", 5000, "never", "2024-01-02"),
    ]


def test_an_order_that_earns_nothing_leaves_an_entry():
    assert entries(fold({}, order("a", "2024-01-01", 0))) == [("earn", 0, None, "2024-01-01")]


# --- lots -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expiry, day, expires",
    [
        ({"days": 1}, "2024-02-28", "2024-02-29"),
        ({"months": 1}, "2023-01-31", "2023-02-28"),
        ({"months": 12}, "2024-02-29", "2025-02-28"),
        ({"months_after_month": 12}, "2020-07-06", "2021-08-01"),
        ({"months_after_month": 1}, "2023-11-30", "2024-01-01"),
        ({"inactivity": 6}, "2023-08-31", "2024-02-29"),
    ],
)
def test_expiry(expiry, day, expires):
    programme = {"ledgers": [{"name": "points", "expiry": expiry}]}
    before = str(date_of(day_of_text(expires) - 1))
    assert fold(programme, order("a", day, 700), until=before).balance(0)["balance"] == 7000
    account = fold(programme, order("a", day, 700), until=expires)
    assert entries(account) == [("earn", 7000, expires, day), ("expire", -7000, expires, expires)]
    assert account.entries[1].time == at(expires)
    assert account.balance(0)["expired"] == 7000


def test_days_do_not_run_backwards():
    """In St John's, clocks went from 00:01 on 7 November 2010 back to 23:01 on the 6th."""
    programme = {"timezone": "America/St_Johns", "ledgers": [{"name": "points", "expiry": {"days": 1}}]}
    account = fold(programme, order("a", "2010-11-07 02:30:30", 100), order("b", "2010-11-07 02:31", 100))
    assert entries(account) == [("earn", 1000, "2010-11-08", "2010-11-07"), ("earn", 1000, "2010-11-08", "2010-11-06")]
    assert account.totals()["visits"] == 1


def test_inactivity_moves_all_lots():
    programme = {"ledgers": [{"name": "points", "expiry": {"inactivity": 1}}]}
    account = fold(programme, order("a", "2024-01-10", 100), order("b", "2024-02-09", 200), order("c", "2024-03-09", 400))
    assert entries(account, "expire") == [("expire", -3000, "2024-03-09", "2024-03-09")]
    assert account.balance(0)["balance"] == 4000
    assert str(date_of(account.balance(0)["next_expiry"])) == "2024-04-09"


def test_redemptions_take_the_earliest_and_make_debt_that_is_paid_first():
    programme = {"ledgers": [{"name": "points", "expiry": {"days": 10}, "pending_days": 2}], "rewards": [{"id": "mug", "cost": "4"}]}
    account = fold(
        programme,
        order("a", "2024-01-01", 100),
        order("b", "2024-01-02", 200),
        Event(REDEEM, "c", at("2024-01-03"), reward="mug"),
        order("d", "2024-01-04", 300),
        Event(REDEEM, "e", at("2024-01-04"), reward="mug", declined=True),
        until="2024-01-05",
    )
    assert entries(account) == [
        ("earn", 1000, "2024-01-11", "2024-01-01"),
        ("earn", 2000, "2024-01-12", "2024-01-02"),
        ("redeem", -1000, "2024-01-11", "2024-01-03"),
        ("redeem", -2000, "2024-01-12", "2024-01-03"),
        ("redeem", -1000, None, "2024-01-03"),
        ("earn", 1000, None, "2024-01-04"),
        ("earn", 2000, "2024-01-14", "2024-01-04"),
        ("redeem", 0, None, "2024-01-04"),
    ]
    assert account.balance(0)["pending"] == 2000 and account.balance(0)["balance"] == 0
    account.advance(day_of_text("2024-01-06"))
    assert account.balance(0)["pending"] == 0 and account.balance(0)["balance"] == 2000


def test_forgiven_points_count_nowhere():
    programme = {"ledgers": [{"name": "points", "negative": "forgive"}]}
    account = fold(
        programme,
        order("a", "2024-01-01", 100),
        Event(REDEEM, "b", at("2024-01-02"), points=1500),
        Event(ADJUST, "c", at("2024-01-03"), points=-1500),
    )
    assert [points for _, points, _, _ in entries(account)] == [1000, -1000, 0]
    assert account.balance(0)["redeemed"] == 1000 and account.balance(0)["reversed"] == 0


# --- refunds ----------------------------------------------------------------------------------------------------------


def test_a_refund_in_three_parts_reverses_all():
    programme = {"earn": [{"per_amount": {"points": "1", "per": "3.00"}}], "ledgers": [{"name": "points", "decimals": 0}]}
    account = fold(
        programme,
        order("a", "2024-01-01", 1000),  # 3 points
        refund("b", "2024-01-02", "a", 333),  # 3000 − ⌊3000 · 667 / 1000⌋ = 999
        refund("c", "2024-01-02", "a", 333),  # 3000 − ⌊3000 · 334 / 1000⌋ = 1998
        refund("d", "2024-01-02", "a", 335),  # too much by 1
        refund("e", "2024-01-02", "a", 334),
        refund("f", "2024-01-02", "z", 1),
    )
    assert [(e.kind, e.points, e.reason) for e in account.entries] == [
        ("earn", 3000, ""),
        ("reverse", -999, ""),
        ("reverse", -999, ""),
        ("reject", 0, "over_refund"),
        ("reverse", -1002, ""),
        ("reject", 0, "unknown_order"),
    ]
    assert account.totals()["spend"] == 0 and account.totals()["rejected"] == 2


def test_a_refund_takes_its_own_lot_first():
    programme = {"ledgers": [{"name": "points", "expiry": {"days": 10}}]}
    account = fold(
        programme,
        order("a", "2024-01-01", 100),
        order("b", "2024-01-02", 200),
        refund("c", "2024-01-03", "b", 100),
        Event(REDEEM, "d", at("2024-01-04"), points=1000),
        refund("e", "2024-01-05", "a", 100),
        refund("f", "2024-01-06", "b", 100),
    )
    assert [(kind, points, lot) for kind, points, lot, _ in entries(account)[2:]] == [
        ("reverse", -1000, "2024-01-12"),
        ("redeem", -1000, "2024-01-11"),
        ("reverse", -1000, "2024-01-12"),
        ("reverse", -1000, None),
    ]


def test_a_refund_by_lines_of_what_is_not_eligible():
    programme = {"categories": [{"name": "k", "items": ["gift"]}], "exclude": ["k"]}
    bought = Event(ORDER, "a", at("2024-01-01"), lines=[Line("tea", "", 1000, 100), Line("gift", "", 1000, 500)])
    back = Event(REFUND, "b", at("2024-01-02"), order="a", amount=500, lines=[Line("gift", "", 1000, 500)])
    account = fold(programme, bought, back, refund("c", "2024-01-03", "a", 60), refund("d", "2024-01-04", "a", 40))
    assert [points for _, points, _, _ in entries(account)] == [1000, 0, -600, -400]
    assert account.totals()["spend"] == 0


def test_a_refund_of_other_items_takes_no_more_than_was_not_eligible_for_nothing():
    programme = {"categories": [{"name": "k", "items": ["gift", "bag"]}], "exclude": ["k"]}
    bought = Event(ORDER, "a", at("2024-01-01"), lines=[Line("tea", "", 1000, 100), Line("gift", "", 1000, 500)])
    back = [
        Event(REFUND, "b", at(f"2024-01-0{day}"), order="a", amount=300, lines=[Line("bag", "", 1000, 300)]) for day in (2, 3)
    ]
    account = fold(programme, bought, *back)
    assert [points for _, points, _, _ in entries(account)] == [1000, 0, -1000]
    assert account.totals()["spend"] == 0


def test_a_fall_to_base_below_a_level_that_is_reached_misses_nothing():
    account = fold(
        tiers(downgrade="to_base"), order("a", "2024-01-01", 2000), order("b", "2024-01-31", 1500), until="2024-03-01"
    )
    assert account.tier() == {"level": 0, "review": oracle.NEVER, "metric": 1500, "to_next": 0}


def test_a_refund_of_an_order_without_anything_eligible_goes_by_totals():
    programme = {
        "categories": [{"name": "k", "items": ["gift"]}],
        "exclude": ["k"],
        "earn": [{"per_visit": {"points": "1"}}],
    }
    account = fold(programme, order("a", "2024-01-01", 400, item="gift"), refund("b", "2024-01-02", "a", 100))
    assert [points for _, points, _, _ in entries(account)] == [1000, -250]


# --- tiers ------------------------------------------------------------------------------------------------------------


def tiers(**more):
    levels = [
        {"name": "base", "threshold": "0"},
        {"name": "silver", "threshold": "10", "multiplier": "2"},
        {"name": "gold", "threshold": "20", "multiplier": "3"},
    ]
    return {"tiers": {"metric": "spend", "window": {"rolling_months": 2}, "levels": levels, "valid_months": 1, **more}}


def moves(account):
    return [(str(date_of(e.day)), e.level, e.level_after, e.id) for e in account.entries if e.kind == "tier"]


def test_a_level_holds_from_the_next_order_on():
    account = fold(tiers(), order("a", "2024-01-01", 2000), order("b", "2024-01-02", 100))
    assert [(kind, points) for kind, points, _, _ in entries(account)] == [("earn", 20_000), ("tier", 0), ("earn", 3000)]


@pytest.mark.parametrize(
    "downgrade, expected",
    [
        ("requalify", [("2024-03-01", 2, 1, ""), ("2024-04-01", 1, 0, "")]),
        ("one_down", [("2024-03-01", 2, 1, ""), ("2024-04-01", 1, 0, "")]),
        ("to_base", [("2024-03-01", 2, 0, "")]),
    ],
)
def test_review(downgrade, expected):
    # Gold from 1 January, kept on 1 February. On 1 March the window begins on 2 January: 12.00. On 1 April, on 2 February.
    account = fold(
        tiers(downgrade=downgrade), order("a", "2024-01-01", 2000), order("b", "2024-01-02", 1200), until="2024-06-01"
    )
    assert moves(account) == [("2024-01-01", 0, 2, "a"), *expected]


def test_a_tier_is_reached_and_lost_in_one_day():
    account = fold(tiers(), order("a", "2024-01-01", 2000), refund("b", "2024-01-01", "a", 1), refund("c", "2024-01-01", "a", 1000))
    assert moves(account) == [("2024-01-01", 0, 2, "a"), ("2024-01-01", 2, 1, "b"), ("2024-01-01", 1, 0, "c")]
    assert account.tier() == {"level": 0, "review": oracle.NEVER, "metric": 999, "to_next": 1}


def test_a_refund_of_what_came_later_does_not_take_a_tier():
    account = fold(tiers(), order("a", "2024-01-01", 2000), order("b", "2024-01-01", 100), refund("c", "2024-01-02", "b", 100))
    assert moves(account) == [("2024-01-01", 0, 2, "a")]


def test_a_refund_is_made_good_by_later_orders():
    account = fold(
        tiers(),
        order("a", "2024-01-01", 2000),
        order("b", "2024-01-02", 1000),
        refund("c", "2024-01-03", "a", 500),  # 25.00 remain: confirmed anew, by b as well
        refund("d", "2024-01-04", "b", 500),
        refund("e", "2024-01-05", "b", 1),
    )
    assert moves(account) == [("2024-01-01", 0, 2, "a"), ("2024-01-05", 2, 1, "e")]


# --- open events ------------------------------------------------------------------------------------------------------


def test_open_events():
    programme = Programme({"timezone": "UTC", "late": {"days": 2, "open_events": 3}})
    events = [order(str(i), f"2024-01-0{i}", 100) for i in range(1, 6)]
    assert oracle.open_events(programme, events) == 3  # 3, 4 and 5 January
    events = events[:4] + [refund("5", "2024-01-05", "2", 100)]
    assert oracle.open_events(programme, events) == 0
    events.append(order("6", "2024-01-06", 100))
    assert oracle.open_events(programme, events) == 1


# --- the C kernel -----------------------------------------------------------------------------------------------------


def test_histories_are_what_they_should_be():
    """A generator that misses something would let anything pass."""
    seen = set()
    for seed in range(1, 400):
        account, _ = judge.fold(histories.make_case(seed))
        seen |= {(entry.kind, entry.reason) for entry in account.entries}
        seen |= {"lost by a refund" for e in account.entries if e.kind == "tier" and e.id and e.level_after < e.level}
        seen |= {"review" for e in account.entries if e.kind == "tier" and not e.id}
        seen |= {"debt" for pot in account.pots if pot.debt}
        seen |= {"pending" for pot in account.pots for lot in pot.lots if lot.available != oracle.SPENDABLE}
    kinds = ["earn", "reverse", "redeem", "expire", "adjust", "tier"]
    reasons = ["unknown_order", "over_refund", "unknown_reward", "unknown_ledger", "overflow"]
    wanted = {(kind, "") for kind in kinds} | {("reject", reason) for reason in reasons}
    assert seen >= wanted | {"lost by a refund", "review", "debt", "pending"}


def test_the_kernel_agrees():
    kernel = judge.Kernel()
    assert os.path.exists(kernel.binary), f"{kernel.binary} is missing: ./dev build dev, or set KERNEL_CASES"
    n, _, found = judge.judge(SEED, SECONDS, kernel)
    kernel.close()
    assert found is None, found
    assert n >= 100
