"""What the right answer is, written from the definition of loyalty and not from the code: plain Python, whole numbers.

An order is (customer, time in UTC microseconds, amounts of its lines in hundredths); a guest's customer is None. Points are
thousandths. The state of a day is that at its end, in the programme's time zone.
"""

import datetime
import zoneinfo
from fractions import Fraction

UTC = datetime.timezone.utc
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)


def local_day(time_us, zone):
    return (EPOCH + datetime.timedelta(microseconds=time_us)).astimezone(zone).date()


class Account:
    def __init__(self):
        self.orders = 0
        self.days = set()
        self.spend = 0
        self.points = 0
        self.first = None
        self.last = None

    def apply(self, time_us, amounts, rate, zone):
        """rate: thousandths of a point for a hundredth, an exact Fraction. Floored once an order, to a thousandth."""
        eligible = sum(amounts)
        self.orders += 1
        self.days.add(local_day(time_us, zone))
        self.spend += eligible
        self.points += int((eligible * rate).__floor__())
        self.first = time_us if self.first is None else min(self.first, time_us)
        self.last = time_us if self.last is None else max(self.last, time_us)


def rate_of(programme):
    """From programme.yaml's content as a dict."""
    rule = programme["earn"][0]["per_amount"]
    return Fraction(rule["points"]) * 1000 / (Fraction(rule["per"]) * 100)


def fold(orders, programme, until=None):
    """{customer: Account} after all orders (of days up to `until`)."""
    zone = zoneinfo.ZoneInfo(programme["timezone"])
    rate = rate_of(programme)
    accounts = {}
    for customer, time_us, amounts in orders:
        if customer is None or (until is not None and local_day(time_us, zone) > until):
            continue
        accounts.setdefault(customer, Account()).apply(time_us, amounts, rate, zone)
    return accounts


def money(hundredths):
    """As DECIMAL(18,2) in text."""
    sign = "-" if hundredths < 0 else ""
    return f"{sign}{abs(hundredths) // 100}.{abs(hundredths) % 100:02d}"


def points(thousandths):
    sign = "-" if thousandths < 0 else ""
    return f"{sign}{abs(thousandths) // 1000}.{abs(thousandths) % 1000:03d}"


def timestamp(time_us):
    """As TIMESTAMP in text: fractions only when there are any."""
    text = (EPOCH + datetime.timedelta(microseconds=time_us)).strftime("%Y-%m-%d %H:%M:%S")
    return text + (f".{time_us % 1_000_000:06d}".rstrip("0") if time_us % 1_000_000 else "")


def rows(accounts):
    """Sorted rows of text, as ACCOUNTS_SQL gives them."""
    return [
        (
            str(customer),
            str(a.orders),
            str(len(a.days)),
            money(a.spend),
            points(a.points),
            timestamp(a.first),
            timestamp(a.last),
        )
        for customer, a in sorted(accounts.items())
    ]


ACCOUNTS_SQL = """SELECT cust_id::VARCHAR, orders::VARCHAR, visits::VARCHAR, spend::DECIMAL(18,2)::VARCHAR,
    points::DECIMAL(18,3)::VARCHAR, first_order::VARCHAR, last_order::VARCHAR FROM accounts ORDER BY cust_id"""

LOYALTY_SQL = """SELECT cust_id::VARCHAR, orders::VARCHAR, visits::VARCHAR, spnd_amt::DECIMAL(18,2)::VARCHAR,
    points_balance::DECIMAL(18,3)::VARCHAR, first_order::VARCHAR, last_order::VARCHAR
    FROM loyalty WHERE data_dt = DATE '{day}' ORDER BY cust_id"""


def classic_order(line):
    """An order from a classic line that is good."""
    customer, drink, seconds = line.rstrip("\n").split("|")
    price = Fraction(drink.rsplit(" ", 1)[1]) * 100
    assert price.denominator == 1
    return (int(customer) or None, int(seconds) * 1_000_000, [int(price)])
