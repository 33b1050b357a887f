"""The judge: what docs/programme.md says, in plain and slow Python. It shares nothing with the C kernel but that page.

    account = Account(Programme(programme))     # programme.yaml as a dict, numbers as text
    for event in sorted(events, key=order_of_events):
        account.apply(event)
    account.advance(day)
    account.entries, account.balance(0), account.tier()

Points are thousandths, money is hundredths, quantities are thousandths; days are counted from 1970-01-01. Nothing is kept
that can be computed again: windows and sums come out of the whole list of orders every time.
"""

import datetime
import functools
import zoneinfo
from dataclasses import dataclass, field
from fractions import Fraction

UTC = datetime.timezone.utc
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_ORDINAL = EPOCH.toordinal()

ORDER, REFUND, REDEEM, ADJUST = range(4)
KINDS = ("order", "refund", "redeem", "adjust")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

SUM_MAX = 10**18 - 1
ORDER_MAX = 10**11  # hundredths, of one order or refund
POINTS_MAX = 10**15  # of one redemption or adjustment, and of one order by per_item rules in one ledger
QUANTITY_MAX = 10**12
FIRST_DAY, NEVER = -(2**31), 2**31 - 1
NO_LOT = FIRST_DAY
SPENDABLE = FIRST_DAY


# --- the calendar -----------------------------------------------------------------------------------------------------


def day_of_text(text):
    return datetime.date.fromisoformat(text).toordinal() - EPOCH_ORDINAL


def date_of(day):
    return datetime.date.fromordinal(day + EPOCH_ORDINAL)


def add_months(day, months):
    date = date_of(day)
    year, month = divmod(date.year * 12 + date.month - 1 + months, 12)
    first_of_next = datetime.date(year + month // 11, (month + 1) % 12 + 1, 1)
    last = (first_of_next - datetime.timedelta(days=1)).day
    return datetime.date(year, month + 1, min(date.day, last)).toordinal() - EPOCH_ORDINAL


@functools.lru_cache(maxsize=100_000)
def local_day(zone, time_us):
    local = (EPOCH + datetime.timedelta(microseconds=time_us)).astimezone(zoneinfo.ZoneInfo(zone))
    return local.toordinal() - EPOCH_ORDINAL


@functools.lru_cache(maxsize=100_000)
def start_of_day(zone, day):
    """UTC microseconds of local midnight."""
    info = zoneinfo.ZoneInfo(zone)
    midnight = datetime.datetime.combine(date_of(day), datetime.time())

    def offset(utc_s):
        at = EPOCH + datetime.timedelta(seconds=utc_s)
        return round(at.astimezone(info).utcoffset().total_seconds())

    def instant(fold):
        at = midnight.replace(tzinfo=info, fold=fold)
        return round((at - EPOCH).total_seconds())

    first, second = instant(0), instant(1)
    if second < first:  # midnight does not exist: the change lies in (second, first]
        low, high = second, first
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if offset(middle) == offset(first) else (middle, high)
        first = high
    return first * 1_000_000


# --- the programme ----------------------------------------------------------------------------------------------------


def milli(text):
    value = Fraction(text) * 1000
    assert value.denominator == 1, text
    return int(value)


def minor(text):
    value = Fraction(text) * 100
    assert value.denominator == 1, text
    return int(value)


def in_days(what, day):
    return ("from" not in what or day_of_text(what["from"]) <= day) and (
        "until" not in what or day <= day_of_text(what["until"])
    )


def round_to(value, unit, how):
    """A Fraction of thousandths of a point, to a multiple of `unit` thousandths."""
    n = value / unit
    below = n.numerator // n.denominator
    rest = n - below
    if how == "ceil":
        up = rest > 0
    elif how == "half_up":
        up = rest >= Fraction(1, 2)
    elif how == "half_even":
        up = rest > Fraction(1, 2) or (rest == Fraction(1, 2) and below % 2 == 1)
    else:
        up = False
    return (below + up) * unit


class Ledger:
    def __init__(self, programme, ledger):
        self.name = ledger["name"]
        self.unit = 10 ** (3 - int(ledger.get("decimals", 3)))
        self.rounding = ledger.get("rounding", programme.get("rounding", "floor"))
        self.expiry, self.expiry_n = next(((k, int(n)) for k, n in ledger.get("expiry", {}).items()), (None, 0))
        self.pending_days = int(ledger.get("pending_days", 0))
        self.forgive = ledger.get("negative", "debt") == "forgive"
        self.max_per_order = milli(ledger["max_per_order"]) if "max_per_order" in ledger else None

    def expires(self, day):
        if self.expiry is None:
            return NEVER
        if self.expiry == "days":
            return day + self.expiry_n
        if self.expiry == "months_after_month":
            first = day_of_text(date_of(day).replace(day=1).isoformat())
            return add_months(first, self.expiry_n + 1)
        return add_months(day, self.expiry_n)  # months, inactivity


class Programme:
    def __init__(self, programme):
        self.zone = programme["timezone"]
        self.ledgers = [Ledger(programme, ledger) for ledger in programme.get("ledgers", [{"name": "points"}])]
        self.names = [ledger.name for ledger in self.ledgers]
        self.categories = {c["name"]: set(c["items"]) for c in programme.get("categories", [])}
        self.exclude = programme.get("exclude", [])
        self.rules = programme.get("earn", [])
        self.promotions = programme.get("promotions", [])
        self.rewards = {reward["id"]: reward for reward in programme.get("rewards", [])}
        self.segment_months = int(programme.get("segments", {}).get("window_months", 12))
        late = programme.get("late", {})
        self.late_us = int(late.get("days", 7)) * 86_400_000_000
        self.open_events = int(late.get("open_events", 64))
        self.tiers = programme.get("tiers")
        if self.tiers:
            self.metric = self.tiers["metric"]
            self.levels = self.tiers["levels"]
            scale = {"spend": 100, "points_earned": 1000, "visits": 1}[self.metric]
            self.thresholds = [int(Fraction(level["threshold"]) * scale) for level in self.levels]
            self.valid_months = int(self.tiers["valid_months"]) if "valid_months" in self.tiers else None

    def in_category(self, item, names):
        return any(item in self.categories[name] for name in names)

    def amounts(self, lines):
        """T and E."""
        total = sum(line.amount for line in lines)
        return total, sum(line.amount for line in lines if not self.in_category(line.item, self.exclude))

    def earn(self, lines, day, level):
        """What an order earns: of each ledger (P, rules that gave, promotions that multiplied), or None: it does not fit."""
        _, eligible = self.amounts(lines)
        result = []
        for ledger in self.ledgers:
            base, items, visits, gave = Fraction(0), 0, 0, 0
            for i, rule in enumerate(self.rules):
                if rule.get("ledger", self.names[0]) != ledger.name or not in_days(rule, day):
                    continue
                before = base + items + visits
                if "per_amount" in rule:
                    how = rule["per_amount"]
                    base += Fraction(eligible * milli(how["points"]), minor(how["per"]))
                elif "per_step" in rule:
                    how = rule["per_step"]
                    base += milli(how["points"]) * (eligible // minor(how["step"]))
                elif "per_visit" in rule:
                    how = rule["per_visit"]
                    visits += milli(how["points"]) if eligible >= minor(how.get("min", "0")) else 0
                else:
                    how = rule["per_item"]
                    for line in lines:
                        named = line.item in how.get("items", [])
                        if named or self.in_category(line.item, how.get("categories", [])):
                            items += milli(how["points"]) * line.quantity  # millionths
                gave |= (base + items + visits > before) << i
            if items > POINTS_MAX * 1000:
                return None
            multiplier, multiplied = self.multiplier(ledger, eligible, day)
            if self.tiers:
                multiplier *= Fraction(self.levels[level].get("multiplier", "1"))
            points = round_to(base * multiplier, ledger.unit, ledger.rounding)
            points += round_to(Fraction(items, 1000), ledger.unit, ledger.rounding) + visits
            if ledger.max_per_order is not None:
                points = min(points, ledger.max_per_order)
            result.append((points, gave, multiplied if base else 0))
        return result

    def multiplier(self, ledger, eligible, day):
        """Of all promotions together, and which those were."""
        best = {}
        for i, promotion in enumerate(self.promotions):
            if not in_days(promotion, day) or eligible < minor(promotion.get("min", "0")):
                continue
            if WEEKDAYS[date_of(day).weekday()] not in promotion.get("weekdays", WEEKDAYS):
                continue
            if promotion.get("ledger", ledger.name) != ledger.name:
                continue
            group = promotion.get("group", promotion["name"])
            value = Fraction(promotion["multiplier"])
            if group not in best or value > best[group][0]:
                best[group] = (value, i)
        product, which = Fraction(1), 0
        for value, i in best.values():
            product *= value
            which |= 1 << i
        return product, which


# --- events -----------------------------------------------------------------------------------------------------------


@dataclass
class Line:
    sku: str
    menu: str
    quantity: int
    amount: int

    @property
    def item(self):
        return self.sku or self.menu


@dataclass
class Event:
    kind: int
    id: str
    time: int
    source: str = "a"
    lines: list = field(default_factory=list)
    order: str = ""
    amount: int = 0
    points: int = 0
    ledger: str = ""
    reward: str = ""
    declined: bool = False


def xxh3(text):
    """XXH3-64 of 1 to 3 bytes."""
    data, mask = text.encode(), 2**64 - 1
    assert 1 <= len(data) <= 3
    h = (data[0] << 16 | data[len(data) >> 1] << 24 | data[-1] | len(data) << 8) ^ (0x396CFEB8 ^ 0xBE4BA423)
    h = (h ^ h >> 33) * 0xC2B2AE3D27D4EB4F & mask
    h = (h ^ h >> 29) * 0x165667B19E3779F9 & mask
    return h ^ h >> 32


def order_of_events(event):
    return event.time, event.kind, event.id.encode(), xxh3(event.source)


def open_events(programme, events):
    """How many of the events (in order) stay open."""
    first = max(0, len(events) - programme.open_events)
    while first < len(events) and events[first].time < events[-1].time - programme.late_us:
        first += 1
    while True:
        settled_order = [i + 1 for i, e in enumerate(events) if i >= first and 0 <= order_of(events, i) < first]
        if not settled_order:
            return len(events) - first
        first = max(settled_order)


def is_marked(programme, events, arrivals):
    """Whether events that arrive so (numbers, -1 to settle) need the whole history."""
    kept, settled, marked = [], [], False
    for number in [*arrivals, -1]:
        if number < 0:
            n = len(kept) - open_events(programme, kept)
            settled, kept = settled + kept[:n], kept[n:]
        elif events[number] not in kept:
            key = order_of_events(events[number])
            last = order_of_events(settled[-1]) if settled else None
            if last and key <= last:
                marked = marked or key < last  # the last one that was settled is known when it comes again
                continue
            kept = sorted([*kept, events[number]], key=order_of_events)
            place = kept.index(events[number])
            if settled and events[number].kind == REFUND and order_of(kept, place) < 0:
                marked = True
                kept.pop(place)
    return marked


def order_of(events, refund):
    """Place of the order that a refund means; -1 when there is none, or it is no refund."""
    places = [i for i, e in enumerate(events[:refund]) if e.kind == ORDER and e.id == events[refund].order]
    return places[-1] if places and events[refund].kind == REFUND else -1


# --- the fold ---------------------------------------------------------------------------------------------------------


@dataclass
class Entry:
    """As a row of the ledger table; `level` and `level_after` differ for kind tier only."""

    number: int
    time: int
    day: int
    kind: str
    ledger: int
    points: int
    lot: int
    balance: int
    level: int
    level_after: int
    reason: str
    rules: int
    promotions: int
    id: str


@dataclass
class Lot:
    expires: int
    available: int  # SPENDABLE once that day was reached
    remaining: int


@dataclass
class Pot:
    """One ledger of an account."""

    lots: list = field(default_factory=list)
    debt: int = 0
    issued: int = 0
    reversed: int = 0
    redeemed: int = 0
    expired: int = 0

    def everything(self):
        return sum(lot.remaining for lot in self.lots)


@dataclass
class Order:
    event: Event
    day: int
    total: int
    eligible: int
    earned: list  # P of each ledger
    refunded: int = 0  # totals
    reached: int = 0  # R: of what is eligible, or of totals where nothing is

    def reversed(self, ledger, reached):
        """V."""
        whole = self.eligible or self.total
        return self.earned[ledger] - self.earned[ledger] * (whole - reached) // whole

    def eligible_left(self):
        return self.eligible - self.reached if self.eligible else 0


class Account:
    def __init__(self, programme):
        self.programme = programme
        self.pots = [Pot() for _ in programme.ledgers]
        self.all_orders = []  # events, those that were rejected included
        self.orders = []
        self.entries = []
        self.day = FIRST_DAY
        self.events = 0
        self.rejected = 0
        self.level = 0
        self.review_day = None
        # The last confirmation: how many orders had come, the day of its window, its margin.
        self.confirmed = (0, FIRST_DAY, 0)

    # -- what time does

    def advance(self, day):
        while True:
            due = [lot.expires for pot in self.pots for lot in pot.lots]
            if self.review_day is not None:
                due.append(self.review_day)
            due = [d for d in due if d <= day]
            if not due:
                break
            self.expire(min(due))
            if self.review_day == min(due):
                self.review(min(due))
        self.day = max(self.day, day)
        for pot in self.pots:
            for lot in pot.lots:
                if lot.available <= self.day:
                    lot.available = SPENDABLE
            self.join(pot)

    def expire(self, day):
        for i, pot in enumerate(self.pots):
            gone = sum(lot.remaining for lot in pot.lots if lot.expires == day)
            if gone:
                pot.lots = [lot for lot in pot.lots if lot.expires != day]
                pot.expired += gone
                self.entry("expire", i, -gone, lot=day, at_start_of=day)

    @staticmethod
    def join(pot):
        """Lots that are alike are one; none is empty; in the order of their days, spendable ones first."""
        sums = {}
        for lot in pot.lots:
            key = (lot.available != SPENDABLE, lot.expires, lot.available)
            sums[key] = sums.get(key, 0) + lot.remaining
        pot.lots = [Lot(key[1], key[2], sums[key]) for key in sorted(sums) if sums[key] > 0]

    # -- entries

    def entry(self, kind, ledger, points, lot=NO_LOT, event=None, at_start_of=None, **more):
        zone = self.programme.zone
        time = event.time if event else start_of_day(zone, at_start_of)
        pot = self.pots[ledger]
        values = dict(
            number=len(self.entries) + 1,
            time=time,
            day=local_day(zone, time) if event else at_start_of,
            kind=kind,
            ledger=ledger,
            points=points,
            lot=lot,
            balance=pot.everything() - pot.debt,
            level=self.level,
            level_after=self.level,
            reason="",
            rules=0,
            promotions=0,
            id=event.id if event else "",
        )
        self.entries.append(Entry(**{**values, **more}))

    # -- points

    def give(self, ledger, points, kind, event, day, available, **more):
        rules, pot = self.programme.ledgers[ledger], self.pots[ledger]
        pot.issued += points
        paid = min(points, pot.debt)
        if paid:
            pot.debt -= paid
            self.entry(kind, ledger, paid, event=event, **more)
        if points > paid:
            expires = rules.expires(day)
            pot.lots.append(Lot(expires, available, points - paid))
            self.join(pot)
            self.entry(kind, ledger, points - paid, lot=expires, event=event, **more)

    def would_take(self, ledger, points):
        """What of it counts: all, or as much as is there where the rest is dropped."""
        if self.programme.ledgers[ledger].forgive:
            return min(points, self.pots[ledger].everything())
        return points

    def take(self, ledger, points, kind, event, order=None):
        """Returns what counts."""
        pot, counted, touched = self.pots[ledger], self.would_take(ledger, points), False
        rest = points
        for lot in self.in_order_of_taking(ledger, kind, order):
            taken = min(rest, lot.remaining)
            if taken:
                lot.remaining -= taken
                rest -= taken
                touched = True
                self.entry(kind, ledger, -taken, lot=lot.expires, event=event)
        self.join(pot)
        if rest and not self.programme.ledgers[ledger].forgive:
            pot.debt += rest
            touched = True
            self.entry(kind, ledger, -rest, event=event)
        if not touched and kind != "reverse":
            self.entry(kind, ledger, 0, event=event)
        return counted

    def in_order_of_taking(self, ledger, kind, order):
        lots = self.pots[ledger].lots
        spendable = sorted((lot for lot in lots if lot.available == SPENDABLE), key=lambda lot: lot.expires)
        pending = sorted((lot for lot in lots if lot.available != SPENDABLE), key=lambda lot: (lot.expires, lot.available))
        if kind != "reverse":
            return spendable + pending
        own = self.lot_of(ledger, order)
        return [lot for lot in lots if lot is own] + [lot for lot in pending + spendable if lot is not own]

    def lot_of(self, ledger, order):
        """The lot that an order opened, wherever later orders have moved it; None when it is gone."""
        rules = self.programme.ledgers[ledger]
        expires = rules.expires(self.orders[-1].day if rules.expiry == "inactivity" else order.day)
        available = order.day + rules.pending_days
        if available <= self.day:
            available = SPENDABLE
        for lot in self.pots[ledger].lots:
            if (lot.expires, lot.available) == (expires, available):
                return lot
        return None

    # -- events

    def apply(self, event):
        self.advance(local_day(self.programme.zone, event.time))
        self.events += 1
        # Where clocks were set back over midnight, the day that has begun stays.
        reason = (self.order, self.refund, self.redeem, self.adjust)[event.kind](event, self.day)
        if reason:
            self.rejected += 1
            self.entry("reject", 0, 0, event=event, reason=reason)

    def sum_of(self, what):
        return sum(getattr(order, what) for order in self.orders)

    @staticmethod
    def fits(event):
        amounts = [line.amount for line in event.lines] or [event.amount]
        if any(not 0 <= line.quantity <= QUANTITY_MAX for line in event.lines):
            return False
        return min(amounts) >= 0 and sum(amounts) <= ORDER_MAX and abs(event.points) <= POINTS_MAX

    def order(self, event, day):
        self.all_orders.append(event)
        if not self.fits(event):
            return "overflow"
        total, eligible = self.programme.amounts(event.lines)
        earned = self.programme.earn(event.lines, local_day(self.programme.zone, event.time), self.level)
        if earned is None or self.sum_of("total") + total > SUM_MAX:
            return "overflow"
        if any(pot.issued + points > SUM_MAX for pot, (points, _, _) in zip(self.pots, earned)):
            return "overflow"
        for rules, pot in zip(self.programme.ledgers, self.pots):
            if rules.expiry == "inactivity":
                for lot in pot.lots:
                    lot.expires = rules.expires(day)
                self.join(pot)
        self.orders.append(Order(event, day, total, eligible, [points for points, _, _ in earned]))
        for i, (points, rules, promotions) in enumerate(earned):
            if points:
                pending = self.programme.ledgers[i].pending_days
                available = day + pending if pending else SPENDABLE
                self.give(i, points, "earn", event, day, available, rules=rules, promotions=promotions)
        if not any(points for points, _, _ in earned):
            self.entry("earn", 0, 0, event=event)
        self.upgrade(event, day)
        return ""

    def refund(self, event, day):
        meant = [order for order in self.all_orders if order.id == event.order]
        order = next((order for order in self.orders if meant and order.event is meant[-1]), None)
        if order is None:
            return "unknown_order"
        if event.lines:
            total, eligible = self.programme.amounts(event.lines)
        else:
            total = eligible = event.amount
        if not self.fits(event) or order.refunded + total > order.total:
            return "over_refund"
        whole, part = (order.eligible, eligible) if order.eligible else (order.total, total)
        # What came back beyond the order's part that was not eligible must have been eligible.
        reached = max(min(whole, order.reached + part), order.refunded + total - (order.total - whole))
        ledgers = range(len(self.pots))
        now = [order.reversed(i, reached) - order.reversed(i, order.reached) for i in ledgers]
        if any(self.pots[i].reversed + self.would_take(i, now[i]) > SUM_MAX for i in ledgers):
            return "overflow"
        if self.sum_of("refunded") + total > SUM_MAX:
            return "overflow"
        n_entries, spend_before, points_before = len(self.entries), order.eligible_left(), order.reversed(0, order.reached)
        order.refunded += total
        order.reached = reached
        for i in ledgers:
            if now[i]:
                self.pots[i].reversed += self.take(i, now[i], "reverse", event, order)
        if len(self.entries) == n_entries:
            self.entry("reverse", 0, 0, event=event)
        if self.programme.tiers:
            parts = {
                "spend": spend_before - order.eligible_left(),
                "points_earned": order.reversed(0, reached) - points_before,
                "visits": 0,
            }
            self.came_back(event, day, order, parts[self.programme.metric])
        return ""

    def ledger_of(self, event):
        """Index, and the reason when there is none."""
        names = self.programme.names
        if event.ledger:
            return (names.index(event.ledger), "") if event.ledger in names else (0, "unknown_ledger")
        reward = self.programme.rewards.get(event.reward) if event.reward else None
        return (names.index(reward.get("ledger", names[0])) if reward else 0), ""

    def redeem(self, event, _day):
        ledger, reason = self.ledger_of(event)
        points = event.points
        if not reason and not points:
            if event.reward not in self.programme.rewards:
                reason = "unknown_reward"
            else:
                points = milli(self.programme.rewards[event.reward]["cost"])
        if reason:
            return reason
        if not self.fits(event):
            return "overflow"
        if event.declined:
            self.entry("redeem", ledger, 0, event=event)
            return ""
        if self.pots[ledger].redeemed + self.would_take(ledger, points) > SUM_MAX:
            return "overflow"
        self.pots[ledger].redeemed += self.take(ledger, points, "redeem", event)
        return ""

    def adjust(self, event, day):
        ledger, reason = self.ledger_of(event)
        if reason:
            return reason
        if not self.fits(event):
            return "overflow"
        pot = self.pots[ledger]
        if event.points > 0:
            if pot.issued + event.points > SUM_MAX:
                return "overflow"
            self.give(ledger, event.points, "adjust", event, day, SPENDABLE)
        else:
            if pot.reversed + self.would_take(ledger, -event.points) > SUM_MAX:
                return "overflow"
            pot.reversed += self.take(ledger, -event.points, "adjust", event)
        return ""

    # -- tiers

    def in_window(self, day, as_of):
        months = self.programme.tiers["window"].get("rolling_months")
        if months is not None:
            return add_months(as_of, -int(months)) < day <= as_of
        return date_of(day).year == date_of(as_of).year and day <= as_of

    def metric(self, as_of):
        orders = [order for order in self.orders if self.in_window(order.day, as_of)]
        if self.programme.metric == "spend":
            return sum(order.eligible_left() for order in orders)
        if self.programme.metric == "points_earned":
            return sum(order.earned[0] - order.reversed(0, order.reached) if order.total else order.earned[0] for order in orders)
        return len({order.day for order in orders})

    def highest(self, metric):
        return max(i for i, threshold in enumerate(self.programme.thresholds) if threshold <= metric)

    def confirm(self, day, keep_review=False):
        """The level as it is now was reached, or stays."""
        self.confirmed = (len(self.orders), day, self.metric(day) - self.programme.thresholds[self.level])
        if not keep_review:
            valid = self.programme.valid_months
            self.review_day = add_months(day, valid) if self.level and valid is not None else None

    def change(self, level, **where):
        self.entry("tier", 0, 0, level_after=level, **where)
        self.level = level

    def upgrade(self, event, day):
        if self.programme.tiers and self.highest(self.metric(day)) > self.level:
            self.change(self.highest(self.metric(day)), event=event)
            self.confirm(day)

    def review(self, day):
        metric = self.metric(day)
        if metric < self.programme.thresholds[self.level]:
            how = self.programme.tiers.get("downgrade", "requalify")
            below = {"requalify": self.highest(metric), "one_down": self.level - 1, "to_base": 0}[how]
            self.change(below, at_start_of=day)
        self.confirm(day)

    def came_back(self, event, day, order, part):
        n_orders, as_of, margin = self.confirmed
        if self.orders.index(order) >= n_orders or not self.in_window(order.day, as_of):
            return
        self.confirmed = (n_orders, as_of, margin - part)
        if margin >= 0 > margin - part:
            metric = self.metric(day)
            if metric >= self.programme.thresholds[self.level]:
                self.confirm(day, keep_review=True)
            else:
                self.change(self.highest(metric), event=event)
                self.confirm(day)

    # -- what is known

    def balance(self, ledger):
        pot = self.pots[ledger]
        spendable = sum(lot.remaining for lot in pot.lots if lot.available == SPENDABLE)
        return {
            "balance": spendable - pot.debt,
            "pending": pot.everything() - spendable,
            "debt": pot.debt,
            "issued": pot.issued,
            "reversed": pot.reversed,
            "redeemed": pot.redeemed,
            "expired": pot.expired,
            "next_expiry": min((lot.expires for lot in pot.lots), default=NEVER),
            "expiring_30": sum(lot.remaining for lot in pot.lots if lot.expires <= self.day + 30),
        }

    def totals(self):
        since = add_months(self.day, -self.programme.segment_months)
        window = [order for order in self.orders if since < order.day <= self.day]
        return {
            "events": self.events,
            "rejected": self.rejected,
            "orders": len(self.orders),
            "visits": len({order.day for order in self.orders}),
            "spend": self.sum_of("total") - self.sum_of("refunded"),
            "first": self.orders[0].event.time if self.orders else 0,
            "last": self.orders[-1].event.time if self.orders else 0,
            "postings": len(self.entries),
            "day": self.day,
            "window_visits": len({order.day for order in window}),
            "window_spend": sum(order.total - order.refunded for order in window),
        }

    def tier(self):
        if not self.programme.tiers:
            return {"level": 0, "review": NEVER, "metric": 0, "to_next": 0}
        metric, top = self.metric(self.day), self.level + 1 == len(self.programme.levels)
        return {
            "level": self.level,
            "review": NEVER if self.review_day is None else self.review_day,
            "metric": metric,
            "to_next": 0 if top else max(0, self.programme.thresholds[self.level + 1] - metric),
        }

    def check(self):
        """What must hold at every moment."""
        for pot in self.pots:
            assert pot.issued - pot.reversed == pot.everything() + pot.redeemed + pot.expired - pot.debt
            assert pot.debt >= 0 and not (pot.debt and pot.lots)
            assert all(lot.remaining > 0 for lot in pot.lots)
