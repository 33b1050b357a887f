"""Random programmes and histories, aimed at where things go wrong: midnights, month ends, leap days, clock changes, the days
of expiry and review, ties of time, refunds in parts, and the limits of numbers. All of it follows from one seed."""

import random

from oracle import ADJUST, ORDER, REDEEM, REFUND, Event, Line, add_months, date_of, day_of_text, local_day, milli, start_of_day

# Zones, and days near which their clocks change; every other day comes from DAYS.
ZONES = {
    "UTC": [],
    "Asia/Bangkok": [],
    "Europe/Berlin": ["2024-03-31", "2024-10-27", "2023-03-26", "2023-10-29"],
    "America/New_York": ["2024-03-10", "2024-11-03", "2006-04-02", "2007-11-04"],
    "America/Sao_Paulo": ["2017-10-15", "2018-02-18", "2018-11-04", "2019-02-17"],  # at midnight
    "America/Havana": ["2024-03-10", "2024-11-03", "2012-04-01"],  # at midnight; clocks go back to it
    "America/St_Johns": ["2010-03-14", "2010-11-07"],  # a minute after midnight: a day begins, and then the one before goes on
    "Pacific/Apia": ["2011-12-30", "2011-12-31", "2012-04-01"],  # there was no 30 December 2011
}
DAYS = ["2024-02-29", "2023-02-28", "2000-02-29", "2100-02-28", "2024-12-31", "2024-01-31", "2023-08-31", "2022-06-15"]
ITEMS = ["a", "b", "c", "d", "latte", "gift card"]
ROUNDINGS = ["floor", "half_up", "half_even", "ceil"]
LEDGERS = ["points", "stamps", "cash", "miles"]
WEEKDAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
EVENT_IDS = ["x", "y", "Z", "x1", "x10", "x2", "é", "z" * 64]
ORDER_AMOUNT_MAX = 10**11
POINTS_MAX = 10**15
DAY_US = 86_400_000_000


def decimal(value, scale):
    sign, value = ("-" if value < 0 else ""), abs(value)
    whole, part = divmod(value, 10**scale)
    return f"{sign}{whole}.{part:0{scale}d}" if scale else f"{sign}{whole}"


def points_text(value):
    return decimal(value, 3)


def money_text(value):
    return decimal(value, 2)


class Case:
    """A programme (a dict, as programme.yaml has it), events in the order of arrival, and the days to stop at."""

    def __init__(self, programme, events, advances, arrivals):
        self.programme = programme
        self.events = events
        self.advances = advances  # ascending; the last is where it ends
        self.arrivals = arrivals  # numbers of events, -1 to settle


def maybe(r, chance):
    return r.random() < chance


def some(r, values, least=1, most=None):
    return r.sample(values, r.randint(least, min(len(values), most or len(values))))


# --- programmes -------------------------------------------------------------------------------------------------------


def make_ledger(r, name):
    ledger = {"name": name}
    if maybe(r, 0.6):
        ledger["decimals"] = r.randint(0, 3)
    if maybe(r, 0.6):
        ledger["rounding"] = r.choice(ROUNDINGS)
    if maybe(r, 0.8):
        kind = r.choice(["days", "months", "months_after_month", "inactivity"])
        ledger["expiry"] = {kind: r.choice([1, 2, 5, 30, 60, 365]) if kind == "days" else r.choice([1, 1, 2, 3, 6, 12, 13])}
    if maybe(r, 0.4):
        ledger["pending_days"] = r.choice([0, 1, 1, 2, 7, 14, 30, 45])
        if "days" in ledger.get("expiry", {}):  # what expires before it could be spent is refused
            ledger["pending_days"] = min(ledger["pending_days"], ledger["expiry"]["days"] - 1)
    if maybe(r, 0.5):
        ledger["negative"] = r.choice(["debt", "forgive"])
    if maybe(r, 0.25):
        ledger["max_per_order"] = points_text(r.choice([1, 999, 1000, 5000, 12_345, 50_000, 200_000]))
    return ledger


def make_span(r, day):
    """from and until, about a day; any of them missing."""
    span = {}
    first = day + r.randint(-30, 60)
    if maybe(r, 0.6):
        span["from"] = date_of(first).isoformat()
    if maybe(r, 0.6):
        span["until"] = date_of(first + r.choice([0, 1, 7, 30, 200])).isoformat()
    return span


def make_rate(r, categories, huge):
    kind = r.choice(["per_amount", "per_amount", "per_amount", "per_step", "per_visit", "per_item"])
    points = r.choice([1, 10, 333, 500, 1000, 1000, 1500, 2000, 5000])
    if kind == "per_amount":
        return {kind: {"points": points_text(points), "per": money_text(r.choice([100, 300, 700, 999, 1000, 2500, 3333]))}}
    if kind == "per_step":
        return {kind: {"points": points_text(points), "step": money_text(r.choice([500, 1000, 2000, 5000, 777]))}}
    if kind == "per_visit":
        rate = {"points": points_text(points)}
        if maybe(r, 0.6):
            rate["min"] = money_text(r.choice([0, 1, 500, 6500, 10_000]))
        return {kind: rate}
    if huge:
        points = r.choice([1_000_000, 1_000_001, 999_999, 1000])
    rate = {"points": points_text(points)}
    if not categories or maybe(r, 0.7):
        rate["items"] = some(r, ITEMS, most=3)
    if categories and ("items" not in rate or maybe(r, 0.6)):
        rate["categories"] = some(r, [category["name"] for category in categories])
    return {kind: rate}


def make_rules(r, ledgers, categories, day, huge):
    rules = []
    for i in range(r.choice([1, 1, 2, 3, 4, 6])):
        place = {"ledger": r.choice(ledgers)} if maybe(r, 0.7) else {}
        if maybe(r, 0.3):  # versions, that follow each other
            turn = day + r.randint(-5, 40)
            second = turn + r.choice([1, 1, 1, 2, 30])
            rules.append({"name": f"r{i}", **place, **make_rate(r, categories, huge), "until": date_of(turn).isoformat()})
            rules.append({"name": f"r{i}", **place, **make_rate(r, categories, huge), "from": date_of(second).isoformat()})
        else:
            span = make_span(r, day) if maybe(r, 0.25) else {}
            rules.append({"name": f"r{i}", **place, **make_rate(r, categories, huge), **span})
    r.shuffle(rules)
    return rules


def make_promotions(r, ledgers, day):
    promotions = []
    for i in range(r.choice([1, 1, 2, 3, 5])):
        promotion = {"name": f"p{i}", "multiplier": decimal(r.choice([1000, 1250, 1500, 2000, 2000, 3000, 500, 1333]), 3)}
        if maybe(r, 0.6):
            promotion["group"] = r.choice(["g", "h"])
        if maybe(r, 0.3):
            promotion["ledger"] = r.choice(ledgers)
        if maybe(r, 0.3):
            promotion["min"] = money_text(r.choice([1, 5000, 6500, 10_000]))
        if maybe(r, 0.4):
            promotion["weekdays"] = some(r, WEEKDAYS, most=5)
        if maybe(r, 0.4):
            promotion.update(make_span(r, day))
        promotions.append(promotion)
    return promotions


def make_tiers(r):
    metric = r.choice(["spend", "points_earned", "visits"])
    steps = {"spend": [1, 5000, 10_000, 20_000, 30_000], "points_earned": [1, 1000, 5000, 10_000, 40_000], "visits": [1, 2, 3]}
    text = {"spend": money_text, "points_earned": points_text, "visits": str}[metric]
    threshold, levels = 0, []
    for name in ["base", "silver", "gold", "black"][: r.choice([1, 2, 3, 3, 4])]:
        levels.append({"name": name, "threshold": text(threshold)})
        if maybe(r, 0.7):
            levels[-1]["multiplier"] = decimal(r.choice([1000, 1250, 1500, 2000, 1333]), 3)
        threshold += r.choice(steps[metric])
    window = {"calendar_year": True} if maybe(r, 0.3) else {"rolling_months": r.choice([1, 1, 2, 3, 6, 12])}
    tiers = {"metric": metric, "window": window, "levels": levels}
    if maybe(r, 0.8):
        tiers["valid_months"] = r.choice([1, 1, 2, 3, 6, 12])
    if maybe(r, 0.7):
        tiers["downgrade"] = r.choice(["requalify", "one_down", "to_base"])
    return tiers


def fit_to_decimals(programme):
    """Points that are not rounded have no more decimals than their ledger, or the programme would be refused."""
    ledgers = programme.get("ledgers", [{"name": "points"}])
    units = {ledger["name"]: 10 ** (3 - ledger.get("decimals", 3)) for ledger in ledgers}

    def fit(what, key, ledger):
        if key in what:
            unit = units[ledger]
            what[key] = points_text(-(-milli(what[key]) // unit) * unit)

    for ledger in ledgers:
        fit(ledger, "max_per_order", ledger["name"])
    for rule in programme["earn"]:
        fit(rule.get("per_visit", {}), "points", rule.get("ledger", ledgers[0]["name"]))
    for reward in programme.get("rewards", []):
        fit(reward, "cost", reward.get("ledger", ledgers[0]["name"]))


def make_programme(r, zone, day, huge):
    programme = {"version": 1, "name": "Random", "currency": "THB", "timezone": zone}
    if maybe(r, 0.5):
        programme["rounding"] = r.choice(ROUNDINGS)
    categories = [{"name": name, "items": some(r, ITEMS, most=3)} for name in some(r, ["k1", "k2", "k3"], least=0)]
    if categories:
        programme["categories"] = categories
        if maybe(r, 0.6):
            programme["exclude"] = some(r, [category["name"] for category in categories], most=2)
    ledgers = LEDGERS[:1]
    if maybe(r, 0.9):
        ledgers = some(r, LEDGERS)
        programme["ledgers"] = [make_ledger(r, name) for name in ledgers]
    programme["earn"] = make_rules(r, ledgers, categories, day, huge)
    if maybe(r, 0.5):
        programme["promotions"] = make_promotions(r, ledgers, day)
    if maybe(r, 0.7):
        programme["tiers"] = make_tiers(r)
    if maybe(r, 0.6):
        programme["rewards"] = [
            {"id": name, "cost": points_text(r.choice([1, 500, 1000, 5000, 20_000]))} for name in some(r, ["mug", "cake", "trip"])
        ]
        for reward in programme["rewards"]:
            if maybe(r, 0.6):
                reward["ledger"] = r.choice(ledgers)
    fit_to_decimals(programme)
    if maybe(r, 0.4):
        programme["segments"] = {"window_months": r.choice([1, 2, 6, 24])}
    if maybe(r, 0.7):
        programme["late"] = {"days": r.choice([1, 2, 7, 30]), "open_events": r.choice([1, 2, 3, 5, 8, 64])}
    return programme


# --- histories --------------------------------------------------------------------------------------------------------


class History:
    def __init__(self, r, programme, zone, day, huge):
        self.r = r
        self.programme = programme
        self.zone = zone
        self.time = start_of_day(zone, day + r.randint(-3, 3)) + r.randrange(DAY_US)
        self.days = [day]  # of events so far
        self.huge = huge
        self.regular = False  # an order nearly every day
        self.orders = []
        self.events = []
        self.ledgers = [ledger["name"] for ledger in programme.get("ledgers", [{"name": "points"}])]

    def event_id(self):
        """Mostly new; sometimes another kind's or another source's, so that ties are broken by all that breaks them."""
        return self.r.choice(EVENT_IDS) if maybe(self.r, 0.15) else f"e{len(self.events)}"

    def is_taken(self, event):
        """What is alike in all four is one event."""
        key = (event.kind, event.id, event.time, event.source)
        return any((other.kind, other.id, other.time, other.source) == key for other in self.events)

    def lengths_in_months(self):
        ledgers = self.programme.get("ledgers", [])
        months = [n for ledger in ledgers for kind, n in ledger.get("expiry", {}).items() if kind != "days"]
        tiers = self.programme.get("tiers", {})
        months += [tiers[key] for key in ["valid_months"] if key in tiers]
        months += [tiers["window"][key] for key in ["rolling_months"] if tiers and key in tiers["window"]]
        return months + [1]

    def lengths_in_days(self):
        ledgers = self.programme.get("ledgers", [])
        days = [ledger.get("expiry", {}).get("days", 1) for ledger in ledgers]
        return days + [ledger.get("pending_days", 1) for ledger in ledgers] + [1, 2, 7]

    def interesting_day(self):
        r = self.r
        day = r.choice(self.days)
        if maybe(r, 0.5):
            day = add_months(day, r.choice(self.lengths_in_months()))
        else:
            day += r.choice(self.lengths_in_days())
        if maybe(r, 0.2):
            day = day_of_text(date_of(add_months(day, 1)).replace(day=1).isoformat())
        return day + r.choice([0, 0, 0, 0, -1, 1])

    def move_on(self):
        r = self.r
        how = r.random()
        if self.regular and how < 0.8:
            self.time += r.choice([DAY_US, DAY_US, 2 * DAY_US, 7 * DAY_US])
            return
        if how < 0.2:
            return
        if how < 0.3:
            self.time += r.choice([1, 1_000_000, 60_000_000, 1_800_000_000, 3_600_000_000])
        elif how < 0.5:
            self.time += r.randrange(DAY_US)
        elif how < 0.6:
            self.time = start_of_day(self.zone, local_day(self.zone, self.time) + 1) + r.choice([-1, 0, 1])
        elif how < 0.9:
            wanted = start_of_day(self.zone, self.interesting_day())
            wanted += r.choice([-1, 0, 0, 1, 3_600_000_000, 12 * 3_600_000_000])
            self.time = max(self.time, wanted)
        else:
            self.time += r.choice([1, 3, 10, 31, 90, 365]) * DAY_US
        if self.time >= 7_258_118_400 * 1_000_000:
            self.time = 7_258_118_400 * 1_000_000 - 1

    def make_line(self):
        r = self.r
        sku = r.choice(ITEMS) if maybe(r, 0.6) else ""
        menu = "" if sku and maybe(r, 0.5) else r.choice(ITEMS)
        quantity = r.choice([1000, 1000, 1000, 2000, 500, 1, 3333])
        amount = r.choice([0, 1, 500, 999, 6500, 6500, 10_000, 12_345, r.randrange(30_000)])
        if self.huge and maybe(r, 0.4):
            quantity = r.choice([quantity, 10**12, 10**9, 10**12 + 1, -1])
            amount = r.choice([amount, ORDER_AMOUNT_MAX, ORDER_AMOUNT_MAX - 1, 10**9, -1])
        return Line(sku, menu, quantity, amount)

    def add_order(self):
        r = self.r
        return Event(ORDER, self.event_id(), self.time, lines=[self.make_line() for _ in range(r.choice([1, 1, 1, 2, 3, 6]))])

    def add_refund(self):
        r = self.r
        event = Event(REFUND, self.event_id(), self.time)
        if not self.orders or maybe(r, 0.06):
            others = [e.id for e in self.events if e.kind != ORDER]
            event.order, event.amount = r.choice(["nobody", *others]), r.randint(1, 5000)
            return event
        order = r.choice(self.orders[-4:] if maybe(r, 0.7) else self.orders)
        event.order = order.id
        total = max(0, sum(line.amount for line in order.lines))
        if maybe(r, 0.4):
            event.lines = [
                Line(line.sku, line.menu, line.quantity, r.choice([line.amount, line.amount, r.randint(0, max(0, line.amount))]))
                for line in some(r, order.lines)
            ]
            if maybe(r, 0.2):  # an item that may not have been in the order
                line, other = r.choice(event.lines), self.make_line()
                line.sku, line.menu = other.sku, other.menu
            if sum(line.amount for line in event.lines) <= 0:
                event.lines[0].amount = 1
            event.amount = sum(line.amount for line in event.lines)
        else:
            event.amount = max(1, r.choice([total, total // 2, total // 3, total - total // 3, 1, total + 1, r.randint(0, total)]))
            event.amount = min(event.amount, ORDER_AMOUNT_MAX)
        if maybe(r, 0.03):
            event.time = order.time - r.choice([0, 1, DAY_US])
        return event

    def name_ledger(self, event):
        if maybe(self.r, 0.5):
            event.ledger = self.r.choice(self.ledgers)
        elif maybe(self.r, 0.05):
            event.ledger = "nothing"
        return event

    def some_points(self):
        most = POINTS_MAX if self.huge and maybe(self.r, 0.5) else 60_000
        return self.r.choice([1, 500, 1000, 2000, 5000, 10_000, most, most + 1, self.r.randint(1, most)])

    def add_redeem(self):
        r = self.r
        event = self.name_ledger(Event(REDEEM, self.event_id(), self.time, declined=maybe(r, 0.15)))
        rewards = [reward["id"] for reward in self.programme.get("rewards", [])]
        if rewards and maybe(r, 0.5):
            event.reward = r.choice(rewards)
        elif maybe(r, 0.05):
            event.reward = "moon"
        if not event.reward or maybe(r, 0.2):
            event.points = self.some_points()
        return event

    def add_adjust(self):
        event = self.name_ledger(Event(ADJUST, self.event_id(), self.time))
        event.points = self.some_points() * self.r.choice([-1, 1])
        return event

    def add(self):
        self.move_on()
        weights = [85, 10, 3, 2] if self.regular else [50, 25, 15, 10]
        add = self.r.choices([self.add_order, self.add_refund, self.add_redeem, self.add_adjust], weights)[0]
        event = add()
        event.source = self.r.choice(["a", "a", "a", "b", "ab", "abc"])
        before = self.events[-1] if self.events else event
        if before.kind == event.kind and maybe(self.r, 0.2):  # only the source tells them apart
            event.id, event.time = before.id, before.time
        if self.is_taken(event):
            event.id = f"e{len(self.events)}"
        if event.kind == ORDER:
            self.orders.append(event)
        self.events.append(event)
        self.days.append(local_day(self.zone, event.time))

    def add_many(self):
        """As many alike as bring a sum to its limit."""
        r = self.r
        kind = r.choice([ORDER, ADJUST, ADJUST, REDEEM])
        for i in range(r.choice([120, 1010]) if kind == ORDER else r.randint(995, 1005)):
            event = Event(kind, f"m{i:04d}", self.time)
            if kind == ORDER:
                event.lines = [Line(item, "", 10**12, 1) for item in ITEMS[:4]]
                self.orders.append(event)
            else:
                event.points = POINTS_MAX if maybe(r, 0.98) else POINTS_MAX - r.randint(0, 5)
                event.ledger = self.ledgers[0]
            self.events.append(event)
        if kind == ADJUST and maybe(r, 0.5):
            for event in self.events:
                event.points = -abs(event.points)


def make_arrivals(r, n):
    """Every event at least once, mostly in order, some late, some twice, with pauses in which the record is settled."""
    if maybe(r, 0.3):
        order = list(range(n))
        r.shuffle(order)
    else:
        order = sorted(range(n), key=lambda i: i + (r.expovariate(0.3) if maybe(r, 0.3) else 0))
    arrivals = []
    pause = r.choice([0, 0.05, 0.2, 0.5])
    for i in order:
        arrivals.append(i)
        if maybe(r, 0.1):
            arrivals.append(r.choice(arrivals))
        if maybe(r, pause):
            arrivals.append(-1)
    return [i for k, i in enumerate(arrivals) if i >= 0 or k + 1 < len(arrivals)]


def make_case(seed):
    r = random.Random(seed)
    zone = r.choice(list(ZONES))
    day = day_of_text(r.choice(DAYS + 2 * ZONES[zone]))
    huge = maybe(r, 0.06)
    programme = make_programme(r, zone, day, huge)
    history = History(r, programme, zone, day, huge)
    if huge and maybe(r, 0.05):
        history.add_many()
    history.regular = maybe(r, 0.02)
    for _ in range(250 if history.regular else r.choice([1, 2, 3, 5, 8, 13, 20, 30, 40])):
        history.add()
    last = max(history.days)
    advances = sorted(r.choice(history.days) + r.choice([0, 1, 5, 30]) for _ in range(r.choice([0, 0, 1, 3])))
    end = max([last, *advances]) + r.choice([0, 0, 1, 7, 32, 100, 366, 800])
    return Case(programme, history.events, [*advances, end], make_arrivals(r, len(history.events)))
