"""Events of all four kinds for the tests: random ones, as lines of JSON, and what the judge of tests/oracle makes of them."""

import datetime
import importlib.util
import json
import random

from conftest import ROOT

_spec = importlib.util.spec_from_file_location("programme_judge", ROOT / "tests/oracle/oracle.py")
judge = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(judge)

SOURCE = "pos"  # the judge knows the hashes of short names only
DAY_S = 86_400

# Everything that an account can have, and so little of it open that late events are soon too late.
PROGRAMME = {
    "version": 1,
    "name": "Full",
    "currency": "THB",
    "timezone": "Asia/Bangkok",
    "categories": [{"name": "gifts", "items": ["card"]}],
    "exclude": ["gifts"],
    "ledgers": [
        {"name": "points", "expiry": {"days": 20}, "pending_days": 3},
        {"name": "stamps", "decimals": 0, "expiry": {"inactivity": 1}, "negative": "forgive"},
    ],
    "earn": [
        {"name": "amount", "per_amount": {"points": "1", "per": "10.00"}},
        {"name": "mocha", "ledger": "stamps", "per_item": {"points": "1", "items": ["mocha"]}},
    ],
    "tiers": {
        "metric": "spend",
        "window": {"rolling_months": 1},
        "valid_months": 1,
        "levels": [
            {"name": "member", "threshold": "0", "multiplier": "1"},
            {"name": "gold", "threshold": "600", "multiplier": "1.5"},
        ],
    },
    "rewards": [{"id": "coffee", "ledger": "stamps", "cost": "3"}],
    "late": {"days": 5, "open_events": 6},
}


def configure(shop, **changes):
    shop.programme = json.loads(json.dumps(PROGRAMME))
    shop.write_config(sources=[{"name": SOURCE, "dir": "spool", "format": "ndjson", "settle_ms": 0}], **changes)
    return shop


def make(seed, n, customers, end_s, days=60):
    """n random events (customer, judge.Event) of so many days before end_s, in the order of time."""
    chance = random.Random(seed)
    made = []
    for i in range(n):
        customer = chance.randrange(1, customers + 1)
        kind = chance.choice((judge.ORDER, judge.ORDER, judge.ORDER, judge.REFUND, judge.REDEEM, judge.ADJUST))
        time_s = end_s - days * DAY_S + i * days * DAY_S // n
        event = judge.Event(kind, f"{judge.KINDS[kind]}-{i}", time_s * 1_000_000, SOURCE)
        if kind == judge.ORDER:
            for _ in range(chance.randrange(1, 4)):
                item = chance.choice(("mocha", "tea", "card"))
                event.lines.append(judge.Line("", item, chance.randrange(1, 4) * 1000, chance.randrange(0, 9000)))
        elif kind == judge.REFUND:
            own = [e for c, e in made if c == customer and e.kind == judge.ORDER]
            event.order = chance.choice(own).id if own and chance.random() < 0.9 else "order-77777777"
            event.amount = chance.randrange(1, 6000)
        elif kind == judge.REDEEM and chance.random() < 0.5:
            event.reward = "coffee"
        elif kind == judge.REDEEM:
            event.points, event.ledger = chance.randrange(1, 20_000), "points"
            event.declined = chance.random() < 0.2
        else:
            event.points = chance.choice((-1, 1)) * chance.randrange(1, 9000)
        made.append((customer, event))
    return made


def number(value, scale):
    sign = "-" if value < 0 else ""
    return f"{sign}{abs(value) // 10**scale}.{abs(value) % 10**scale:0{scale}d}"


def line(customer, event):
    """As the file has it. Numbers are written by hand: json would make them floats."""
    parts = [
        f'"event_id":"{event.id}","kind":"{judge.KINDS[event.kind]}"',
        f'"customer":{customer},"time":{event.time // 1_000_000}',
    ]
    if event.lines:
        lines = (f'{{"menu":"{x.menu}","qty":{number(x.quantity, 3)},"amount":{number(x.amount, 2)}}}' for x in event.lines)
        parts.append(f'"lines":[{",".join(lines)}]')
    if event.kind == judge.REFUND:
        parts.append(f'"order":"{event.order}","amount":{number(event.amount, 2)}')
    if event.points:
        parts.append(f'"points":{number(event.points, 3)}')
    parts += [f'"{key}":"{getattr(event, key)}"' for key in ("ledger", "reward") if getattr(event, key)]
    if event.declined:
        parts.append('"accepted":false')
    if event.kind == judge.ADJUST:
        parts.append('"reason":"because"')
    return "{" + ",".join(parts) + "}\n"


def text(made):
    return "".join(line(customer, event) for customer, event in made)


def today(programme):
    zone = judge.zoneinfo.ZoneInfo(programme["timezone"])
    return datetime.datetime.now(zone).date().toordinal() - judge.EPOCH_ORDINAL


def fold(made, programme):
    """{customer: judge.Account} as of today."""
    rules = judge.Programme(programme)
    accounts = {}
    for customer, event in sorted(made, key=lambda pair: judge.order_of_events(pair[1])):
        accounts.setdefault(customer, judge.Account(rules)).apply(event)
    for account in accounts.values():
        account.advance(today(programme))
        account.check()
    return dict(sorted(accounts.items()))


ACCOUNTS_SQL = """SELECT cust_id, orders, visits, spend::VARCHAR, points::VARCHAR, points_earned::VARCHAR, points_pending::VARCHAR,
    points_redeemed::VARCHAR, points_expired::VARCHAR, tier, tier_review::VARCHAR, epoch_us(first_order), epoch_us(last_order),
    events, rejected FROM accounts ORDER BY cust_id"""
BALANCES_SQL = """SELECT cust_id, ledger, balance::VARCHAR, pending::VARCHAR, debt::VARCHAR, issued::VARCHAR, reversed::VARCHAR,
    redeemed::VARCHAR, expired::VARCHAR, expiring_30d::VARCHAR, (earned - issued + reversed)::VARCHAR, next_expiry::VARCHAR
    FROM account_balances ORDER BY cust_id, ledger"""


def day_text(day):
    return None if day == judge.NEVER else judge.date_of(day).isoformat()


def account_rows(accounts, programme):
    rows = []
    for customer, account in accounts.items():
        t, b, tier = account.totals(), account.balance(0), account.tier()
        known = t["orders"] > 0
        rows.append(
            (customer, t["orders"], t["visits"], number(t["spend"], 2))
            + tuple(number(value, 3) for value in (b["balance"], b["issued"] - b["reversed"], b["pending"]))
            + (number(b["redeemed"], 3), number(b["expired"], 3))
            + (programme["tiers"]["levels"][tier["level"]]["name"], day_text(tier["review"]))
            + (t["first"] if known else None, t["last"] if known else None, t["events"], t["rejected"])
        )
    return rows


def balance_rows(accounts, programme):
    keys = ("balance", "pending", "debt", "issued", "reversed", "redeemed", "expired", "expiring_30")
    rows = []
    for customer, account in accounts.items():
        for i, ledger in enumerate(programme["ledgers"]):
            b = account.balance(i)
            rows.append(
                (customer, ledger["name"]) + tuple(number(b[key], 3) for key in keys) + ("0.000", day_text(b["next_expiry"]),)
            )
    return rows


def check(shop, made):
    """Accounts and balances against the judge; nothing is left to be mended."""
    accounts = fold(made, shop.programme)
    assert shop.sql(ACCOUNTS_SQL) == account_rows(accounts, shop.programme)
    assert shop.sql(BALANCES_SQL) == balance_rows(accounts, shop.programme)
    assert shop.json("status")["tables"]["accounts_marked"] == 0
