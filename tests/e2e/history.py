"""Random histories of events, and what the tables should be: by the judge in tests/oracle, in plain and exact Python."""

import datetime
import importlib.util
import json
import pathlib
import random
from fractions import Fraction

from conftest import make_shop


def load_judge():
    path = pathlib.Path(__file__).resolve().parent.parent / "oracle/oracle.py"
    spec = importlib.util.spec_from_file_location("judge_of_the_kernel", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


judge = load_judge()

ITEMS = {"latte": "drinks", "espresso": "drinks", "cake": "food", "gift card": "gifts"}
DAY_US = 86_400_000_000

# Everything that the ledger can show: two ledgers, lots that expire, tiers that are won and lost, promotions, rewards.
CLUB = {
    "version": 1,
    "name": "Club",
    "currency": "EUR",
    "timezone": "Europe/Berlin",
    "categories": [{"name": "gifts", "items": ["gift card"]}, {"name": "drinks", "items": ["latte", "espresso"]}],
    "exclude": ["gifts"],
    "ledgers": [
        {"name": "points", "expiry": {"days": "20"}, "pending_days": "2"},
        {"name": "stamps", "decimals": "0", "expiry": {"inactivity": "1"}, "negative": "forgive"},
    ],
    "earn": [
        {"name": "base", "ledger": "points", "per_amount": {"points": "1", "per": "3"}},
        {"name": "visit", "ledger": "points", "per_visit": {"points": "2", "min": "10"}},
        {"name": "stamp", "ledger": "stamps", "per_item": {"points": "1", "categories": ["drinks"]}},
    ],
    "promotions": [{"name": "tuesdays", "multiplier": "2", "weekdays": ["tue"]}],
    "tiers": {
        "metric": "spend",
        "window": {"rolling_months": "1"},
        "valid_months": "1",
        "levels": [
            {"name": "member", "threshold": "0"},
            {"name": "silver", "threshold": "60", "multiplier": "1.25"},
            {"name": "gold", "threshold": "150", "multiplier": "1.5"},
        ],
    },
    "rewards": [{"id": "coffee", "ledger": "points", "cost": "4"}, {"id": "ten", "ledger": "stamps", "cost": "10"}],
    "segments": {"window_months": "2"},
}


def rfc3339(time_us):
    at = judge.EPOCH + datetime.timedelta(microseconds=time_us)
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def decimal(value, digits):
    sign, value = ("-" if value < 0 else ""), abs(value)
    return f"{sign}{value // 10**digits}.{value % 10**digits:0{digits}d}"


class Number(float):
    """A number that is written as it was said."""

    def __new__(cls, text):
        number = float.__new__(cls, text)
        number.text = text
        return number

    def __repr__(self):
        return self.text


def line_json(line):
    values = {"sku": line.sku, "menu": line.menu}
    return {
        **{key: value for key, value in values.items() if value},
        "qty": Number(decimal(line.quantity, 3)),
        "amount": Number(decimal(line.amount, 2)),
    }


def event_json(customer, event):
    out = {
        "event_id": event.id,
        "kind": judge.KINDS[event.kind],
        "customer": customer,
        "time": rfc3339(event.time),
    }
    if event.lines:
        out["lines"] = [line_json(line) for line in event.lines]
    if event.kind == judge.REFUND:
        out["order"] = event.order
        if not event.lines:
            out["amount"] = Number(decimal(event.amount, 2))
    if event.points:
        out["points"] = Number(decimal(event.points, 3))
    for key in ("ledger", "reward"):
        if getattr(event, key):
            out[key] = getattr(event, key)
    if event.declined:
        out["accepted"] = False
    return json.dumps(out) + "\n"


class History:
    """`events` are (customer, event) in order of time; some customers come often, most seldom."""

    def __init__(self, seed, first_day, days, customers, events):
        self.random = random.Random(seed)
        first = judge.day_of_text(first_day)
        times = sorted(
            self.random.randrange(first * DAY_US, (first + days) * DAY_US, self.random.choice([1, 1000, 60_000_000]))
            for _ in range(events)
        )
        self.orders = {}
        self.events = []
        for number, time in enumerate(times):
            # Some at the same instant.
            if self.events and self.random.random() < 0.05:
                time = self.events[-1][1].time
            customer = 1 + int(customers * self.random.random() ** 2)
            self.events.append((customer, self.event(customer, f"e-{number}", time)))

    def line(self):
        item = self.random.choice(list(ITEMS))
        amount = self.random.choice([0, 1, 350, 999, 1250, 4000])
        quantity = self.random.choice([1000, 1000, 2000, 350])
        menu, sku = (item, "") if self.random.random() < 0.9 else ("", item)
        return judge.Line(sku, menu, quantity, amount)

    def event(self, customer, name, time):
        r, orders = self.random, self.orders.setdefault(customer, [])
        what = r.random()
        if what < 0.72 or not orders:
            event = judge.Event(judge.ORDER, name, time, lines=[self.line() for _ in range(r.choice([1, 1, 1, 2, 3]))])
            orders.append(event)
            return event
        if what < 0.84:
            order = r.choice(orders[-3:]) if r.random() < 0.7 else r.choice(orders)
            name_of = order.id if r.random() < 0.95 else "e-none"
            line = r.choice(order.lines)
            if line.amount and r.random() < 0.5:
                return judge.Event(judge.REFUND, name, time, order=name_of, lines=[line])
            most = max(1, sum(line.amount for line in order.lines))
            return judge.Event(judge.REFUND, name, time, order=name_of, amount=r.randrange(1, most + 1))
        if what < 0.94:
            reward = r.choice(["coffee", "coffee", "ten", "none"])
            points = r.choice([0, 0, 1500])
            return judge.Event(judge.REDEEM, name, time, reward=reward, points=points, declined=r.random() < 0.2)
        ledger = r.choice(["", "points", "stamps", "miles"])
        return judge.Event(judge.ADJUST, name, time, points=r.choice([-2500, -1000, 3000, 5500]), ledger=ledger)

    def days(self):
        return sorted({judge.local_day(CLUB["timezone"], event.time) for _, event in self.events})


def as_ndjson(events):
    return "".join(event_json(customer, event) for customer, event in events)


def history_shop(pc, directory, programme=CLUB, **config):
    shop = make_shop(pc, directory)
    shop.programme = json.loads(json.dumps(programme))
    shop.write_config(sources=[{"name": "a", "dir": "spool", "format": "ndjson", "settle_ms": 0}], **config)
    return shop


def fold(events, programme, until):
    """{customer: Account} at the end of the day."""
    rules = judge.Programme(programme)
    mine = {}
    for customer, event in events:
        if event.time < judge.start_of_day(rules.zone, until + 1):
            mine.setdefault(customer, []).append(event)
    accounts = {}
    for customer, its_events in sorted(mine.items()):
        accounts[customer] = account = judge.Account(rules)
        for event in sorted(its_events, key=judge.order_of_events):
            account.apply(event)
        account.advance(until)
    return accounts


# --- tables, as text ---

LEDGER_SQL = """SELECT data_dt::VARCHAR, cust_id, entry_no, event_id, epoch_us(posted_at), ledger, kind, points::VARCHAR, lot::VARCHAR,
    rule, balance::VARCHAR, note FROM ledger ORDER BY cust_id, entry_no"""


def date_text(day):
    return judge.date_of(day).isoformat()


def ledger_rows(accounts, programme):
    rules = judge.Programme(programme)
    names = [level["name"] for level in programme.get("tiers", {"levels": []})["levels"]]
    rows = []
    for customer, account in accounts.items():
        for entry in account.entries:
            lot = None if entry.lot == judge.NO_LOT else "9999-12-31" if entry.lot == judge.NEVER else date_text(entry.lot)
            gave = [rule["name"] for i, rule in enumerate(rules.rules) if entry.rules >> i & 1]
            times = [one["name"] for i, one in enumerate(rules.promotions) if entry.promotions >> i & 1]
            note = entry.reason or None
            if entry.kind == "tier":
                note = f"{names[entry.level]} > {names[entry.level_after]}"
            rows.append(
                (
                    date_text(entry.day),
                    customer,
                    entry.number,
                    entry.id or None,
                    entry.time,
                    rules.names[entry.ledger],
                    entry.kind,
                    decimal(entry.points, 3),
                    lot,
                    "".join(["+".join(gave), *("*" + one for one in times)]) or None,
                    decimal(entry.balance, 3),
                    note,
                )
            )
    return rows


BALANCES_SQL = """SELECT cust_id, ledger, balance::VARCHAR, pending::VARCHAR, debt::VARCHAR, earned::VARCHAR, redeemed::VARCHAR,
    expired::VARCHAR, expiring_30d::VARCHAR, next_expiry::VARCHAR FROM balances WHERE data_dt = '{day}' ORDER BY cust_id, ledger"""


def balance_rows(accounts, programme):
    rows = []
    for customer, account in accounts.items():
        for i, name in enumerate(judge.Programme(programme).names):
            b = account.balance(i)
            numbers = [
                b["balance"],
                b["pending"],
                b["debt"],
                b["issued"] - b["reversed"],
                b["redeemed"],
                b["expired"],
                b["expiring_30"],
            ]
            next_expiry = None if b["next_expiry"] == judge.NEVER else date_text(b["next_expiry"])
            rows.append((customer, name, *(decimal(n, 3) for n in numbers), next_expiry))
    return sorted(rows)


def favourite(events, until, zone):
    """Of one customer's events."""
    bought, last = {}, {}
    for event in events:
        if event.kind != judge.ORDER or event.time >= judge.start_of_day(zone, until + 1):
            continue
        for line in event.lines:
            item = line.menu or line.sku
            bought[item] = bought.get(item, 0) + line.quantity
            last[item] = max(last.get(item, 0), event.time)
    items = [item for item, quantity in bought.items() if quantity > 0]
    return min(items, key=lambda item: (-bought[item], -last[item], item.encode()), default=None)


def score(values, x):
    values = sorted(values)
    n = 1
    for k in range(1, 5):
        place = Fraction(k, 5) * (len(values) - 1)
        low = place.numerator // place.denominator
        quantile = Fraction(values[low])
        if place != low:
            quantile += (place - low) * (values[low + 1] - values[low])
        n += x > quantile
    return n


GRID = [
    "Hibernating,Hibernating,At Risk,At Risk,Can't Lose",
    "Hibernating,Hibernating,At Risk,At Risk,Can't Lose",
    "About to Sleep,About to Sleep,Need Attention,Loyal,Loyal",
    "Promising,Potential Loyalist,Potential Loyalist,Loyal,Loyal",
    "New,Potential Loyalist,Potential Loyalist,Champions,Champions",
]


def segments(accounts, until, zone):
    """{customer: (r, f, m, segment)}"""
    of = {}
    for customer, account in accounts.items():
        totals = account.totals()
        if totals["window_visits"]:
            of[customer] = (until - judge.local_day(zone, totals["last"]), totals["window_visits"], totals["window_spend"])
    columns = list(zip(*of.values()))
    out = {customer: (None, None, None, "Prospect") for customer in accounts}
    for customer, numbers in of.items():
        scores = [score(column, number) for column, number in zip(columns, numbers)]
        r, f, m = 6 - scores[0], scores[1], scores[2]
        out[customer] = (r, f, m, GRID[r - 1].split(",")[f - 1])
    return out


LOYALTY_SQL = """SELECT cust_id, spnd_amt::VARCHAR, orders, visits, points_balance::VARCHAR, points_earned::VARCHAR,
    points_redeemed::VARCHAR, points_expired::VARCHAR, points_pending::VARCHAR, points_expiring_30d::VARCHAR, tier,
    tier_valid_to::VARCHAR, to_next_tier::VARCHAR, epoch_us(first_order), epoch_us(last_order), favourite, r, f, m, segment
    FROM loyalty WHERE data_dt = '{day}' ORDER BY cust_id"""


def loyalty_rows(accounts, events, programme, until):
    zone = programme["timezone"]
    levels = programme.get("tiers", {"levels": []})["levels"]
    scale = {"spend": 10, "points_earned": 1, "visits": 1000}[programme["tiers"]["metric"]] if levels else 0
    mine = {}
    for customer, event in events:
        mine.setdefault(customer, []).append(event)
    of_segment = segments(accounts, until, zone)
    rows = []
    for customer, account in accounts.items():
        totals, b, tier = account.totals(), account.balance(0), account.tier()
        numbers = [b["balance"], b["issued"] - b["reversed"], b["redeemed"], b["expired"], b["pending"], b["expiring_30"]]
        rows.append(
            (
                customer,
                decimal(totals["spend"], 2),
                totals["orders"],
                totals["visits"],
                *(decimal(n, 3) for n in numbers),
                levels[tier["level"]]["name"] if levels else None,
                None if not levels or tier["review"] == judge.NEVER else date_text(tier["review"]),
                decimal(tier["to_next"] * scale, 3) if tier["level"] + 1 < len(levels) else None,
                totals["first"] if totals["orders"] else None,
                totals["last"] if totals["orders"] else None,
                favourite(mine[customer], until, zone),
                *of_segment[customer],
            )
        )
    return rows
