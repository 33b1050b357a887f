"""customer: a person's card."""

import datetime
import json
import time
from decimal import Decimal

import events
import pytest

from conftest import classic, make_shop

PEOPLE = '5,3,Anna Ærø,a@x.org,2019-01-04,"123-456",1990-05-29,F,1990\n6,3,Bo,,,,,,\n'


@pytest.fixture(scope="module")
def known(pc, tmp_path_factory):
    shop = make_shop(pc, tmp_path_factory.mktemp("known") / "shop")
    shop.programme["timezone"] = "Asia/Bangkok"
    shop.write_config()
    shop.customers(PEOPLE)
    first = classic(5, "latte", 70, 1_700_000_000)
    shop.put("a.txt", first + classic(5, "tea", "3.35", 1_700_000_600) + classic(9, "tea", 1, 1_700_000_000))
    shop.collect()
    return shop


def test_card(known):
    card = known.json("customer", 5)
    assert (card["cust_id"], card["name"], card["email"], card["card"]) == (5, "Anna Ærø", "a@x.org", "123-456")
    assert (card["orders"], card["visits"]) == (2, 1)
    assert Decimal(card["spend"]) == Decimal("73.35")
    assert Decimal(card["points"]) == Decimal("2.934")  # 70 / 25 = 2.8; 3.35 / 25 = 0.134
    assert card["first_order"] == "2023-11-14T22:13:20Z" and card["last_order"] == "2023-11-14T22:23:20Z"


def test_card_for_people(known):
    out = known.ok("customer", 5).out
    for text in ("Anna Ærø", "123-456", "73.35", "2.934", "2023-11-15 05:13:20"):
        assert text in out, text


def test_without_orders(known):
    card = known.json("customer", 6)
    assert card["name"] == "Bo" and card["orders"] == 0 and card["first_order"] is None and card["email"] is None
    assert "no orders" in known.ok("customer", 6).out


def test_without_a_name(known):
    card = known.json("customer", 9)
    assert card["name"] is None and card["orders"] == 1
    assert "9" in known.ok("customer", 9).out


@pytest.mark.parametrize("who", ["7", "0", "-5", "9223372036854775807"])
def test_nobody(known, who):
    result = known.ok("customer", *(["--", who] if who.startswith("-") else [who]), code=1)
    assert who in result.err and result.out == ""


@pytest.mark.parametrize("who", ["Anna", "5.0", "", "5 ", "9223372036854775808", "5;drop"])
def test_no_id(known, who):
    result = known.run("customer", who)
    assert result.code in (1, 2) and result.out == "", result


def test_before_anything_was_loaded(shop):
    result = shop.ok("customer", 1, code=1)
    assert "1" in result.err


def test_names_cannot_play_with_the_terminal(shop):
    """A name with escape sequences is shown, not obeyed."""
    shop.customers('5,3,"\x1b]0;owned\x07\x1b[2JAnna",a@x.org,2019-01-04,"1",1990-05-29,F,1990\n')
    shop.put("a.txt", classic(5, "latte", 70, 1_700_000_000))
    shop.collect()
    for command in (["customer", "5"], ["sql", "SELECT cust_nm FROM customers_cln"]):
        out = shop.ok(*command).out
        assert "\x1b" not in out and "\x07" not in out, repr(out)
        assert "Anna" in out
    assert json.loads(shop.ok("customer", 5, "--json").raw_out)["name"] == "\x1b]0;owned\x07\x1b[2JAnna"


@pytest.fixture(scope="module")
def club(pc, tmp_path_factory):
    """A programme with everything: customer 1 has all of it, 2 has debt, 3 is at the top."""
    shop = events.configure(make_shop(pc, tmp_path_factory.mktemp("club") / "shop"))
    shop.programme["ledgers"][0] = {"name": "points", "expiry": {"days": 60}, "pending_days": 10}
    shop.programme["ledgers"][1]["unit"] = "stickers"
    shop.write_config()
    shop.now = int(time.time())
    day = events.DAY_S
    order = '{{"event_id":"{}","kind":"order","customer":{},"time":{},"lines":[{{"menu":"mocha","qty":{},"amount":{}}}]}}\n'
    text = order.format("a", 1, shop.now - 25 * day, 4, 250) + order.format("b", 1, shop.now - 2 * day, 1, 50)
    text += order.format("c", 1, shop.now - day, 1, "30.50") + order.format("d", 2, shop.now - 20 * day, 1, 100)
    text += f'{{"event_id":"e","kind":"redeem","customer":2,"time":{shop.now - day},"points":12.5,"ledger":"points"}}\n'
    text += order.format("f", 3, shop.now - 3 * day, 1, 700)
    text += f'{{"event_id":"g","kind":"adjust","customer":4,"time":{shop.now - day},"points":3,"reason":"hello"}}\n'
    shop.put("a.json", text)
    shop.collect()
    return shop


def day_of(shop, days):
    zone = events.judge.zoneinfo.ZoneInfo(shop.programme["timezone"])
    then = datetime.datetime.fromtimestamp(shop.now, zone).date() + datetime.timedelta(days=days)
    return then.isoformat()


def test_ledgers_of_a_card(club):
    card = club.json("customer", 1)
    points, stamps = card["ledgers"]
    assert (points["ledger"], points["balance"], points["pending"]) == ("points", 25, Decimal("8.05"))
    assert points["spendable_from"] == [
        {"day": day_of(club, 8), "points": 5},
        {"day": day_of(club, 9), "points": Decimal("3.05")},
    ]
    assert (points["next_expiry"], points["expiring_30d"]) == (day_of(club, 35), 0)
    assert (points["issued"], points["reversed"], points["redeemed"], points["debt"]) == (Decimal("33.05"), 0, 0, 0)
    assert (stamps["ledger"], stamps["unit"], stamps["balance"], stamps["pending"]) == ("stamps", "stickers", 6, 0)
    assert stamps["expiring_30d"] in (0, 6)  # a month after yesterday
    assert card["rewards"] == [{"reward": "coffee", "ledger": "stamps", "cost": 3}]
    assert card["points"] == 25 and card["as_of"] == day_of(club, 0) and card["being_recomputed"] is False


def test_tier_of_a_card(club):
    tier = club.json("customer", 1)["tier"]
    assert (tier["level"], tier["next"], tier["by"], tier["review"]) == ("member", "gold", "spend", None)
    assert (tier["reached"], tier["to_next"]) == (Decimal("330.5"), Decimal("269.5"))
    top = club.json("customer", 3)["tier"]
    assert (top["level"], top["next"], top["to_next"]) == ("gold", None, 0) and top["review"] > day_of(club, 20)


def test_ledgers_for_people(club):
    out = club.ok("customer", 1).out
    for text in ("5 more from " + day_of(club, 8), "3.05 more from", day_of(club, 35), "6 stickers", "coffee for 3 stickers"):
        assert text in out, text
    assert "269.50 THB more for gold" in out and "member" in out
    assert "gold, reviewed on" in club.ok("customer", 3).out


def test_debt(club):
    card = club.json("customer", 2)
    assert card["ledgers"][0]["debt"] == Decimal("2.5") and card["points"] == Decimal("-2.5")
    assert card["rewards"] == []
    assert "-2.5" in club.ok("customer", 2).out


def test_events_without_orders(club):
    card = club.json("customer", 4)
    assert (card["orders"], card["points"], card["first_order"], card["last_order"]) == (0, 3, None, None)
    assert "first order" not in club.ok("customer", 4).out


def test_without_tiers_and_without_an_account(known):
    card = known.json("customer", 6)
    assert card["ledgers"] == [] and card["tier"] is None and card["rewards"] == [] and card["as_of"] is None
    card = known.json("customer", 5)
    assert card["tier"] is None and [ledger["ledger"] for ledger in card["ledgers"]] == ["points"]


def orders_of(card):
    return [(order["event_id"], Decimal(order["amount"])) for order in card["last_orders"]]


def test_last_orders(club, known):
    """Those that the account has one by one, the newest first; where there were more before, it says from when on."""
    card = club.json("customer", 1)
    assert orders_of(card) == [("c", Decimal("30.5")), ("b", 50)]
    assert card["last_orders"][0]["time"] == card["last_order"]
    assert card["last_orders_since"] == card["last_orders"][1]["time"]
    out = club.ok("customer", 1).out
    assert "last orders" in out and "30.50 THB  c" in out and "explain has all" in out
    card = club.json("customer", 1, "--orders", 1)
    assert orders_of(card) == [("c", Decimal("30.5"))] and card["last_orders_since"] is None
    assert "explain has all" not in club.ok("customer", 1, "--orders", 2).out
    card = club.json("customer", 1, "--orders", 0)
    assert card["last_orders"] == [] and card["last_orders_since"] is None
    card = known.json("customer", 5)
    assert orders_of(card) == [("a.txt:2", Decimal("3.35")), ("a.txt:1", 70)] and card["last_orders_since"] is None
    assert "explain has all" not in known.ok("customer", 5).out
    assert known.json("customer", 6)["last_orders"] == []
    for args in (["--orders"], ["--orders", "x"], ["--orders", "65"], ["--orders", "-1"]):
        assert known.run("customer", 5, *args).code == 2, args


def items_of(order):
    return [(item["menu"], item["sku"], Decimal(item["quantity"]), Decimal(item["amount"])) for item in order["items"]]


def test_items_of_the_last_orders(club, known):
    """Only when they are asked for."""
    assert [items_of(order) for order in club.json("customer", 1, "--items")["last_orders"]] == [
        [("mocha", None, 1, Decimal("30.5"))],
        [("mocha", None, 1, 50)],
    ]
    assert "items" not in club.json("customer", 1)["last_orders"][0]
    out = known.ok("customer", 5, "--items").out
    assert "a.txt:2" in out and "1 x tea" in out and "1 x latte" in out
    assert "1 x tea" not in known.ok("customer", 5).out
    assert known.json("customer", 6, "--items")["last_orders"] == []
    assert club.json("customer", 1, "--items", "--orders", 0)["last_orders"] == []


def test_items_of_receipts(shop):
    """Lines in the order of the receipt; the same id in another source, and in another customer's order, is another order."""
    shop.config["sources"] = [
        {"name": "one", "dir": "one", "format": "ndjson", "settle_ms": 0},
        {"name": "two", "dir": "two", "format": "ndjson", "settle_ms": 0},
    ]
    shop.write_config()
    now = int(time.time()) - 3600

    def order(customer, lines):
        lines = [{"menu": menu, "sku": sku, "qty": qty, "amount": amount} for menu, sku, qty, amount in lines]
        lines = [{key: value for key, value in line.items() if value is not None} for line in lines]
        return json.dumps({"event_id": "it's 1", "kind": "order", "customer": customer, "time": now, "lines": lines}) + "\n"

    shop.put("a.json", order(7, [("tea", "T-1", 2, 5), (None, "B-9", 0.25, 3.1), ("cake", None, 1, 4)]), shop.dir / "one")
    shop.put("b.json", order(7, [("soup", None, 1, 9)]), shop.dir / "two")
    shop.ok("collect", "--once")
    card = shop.json("customer", 7, "--items")
    assert sorted(items_of(each) for each in card["last_orders"]) == [
        [("soup", None, 1, 9)],
        [("tea", "T-1", 2, 5), (None, "B-9", Decimal("0.25"), Decimal("3.1")), ("cake", None, 1, 4)],
    ]
    out = shop.ok("customer", 7, "--items").out
    assert "2 x tea" in out and "0.25 x B-9" in out and "1 x cake" in out


def test_items_of_several(known, club):
    """Each card has its own, whatever was read for the one before; who is not there takes nothing away."""
    singles = [known.ok("customer", person, "--items", "--json").out for person in (5, 6, 9)]
    result = known.ok("customer", 5, 999, 6, 9, 5, "--items", "--json", code=1)
    assert result.out == "".join([*singles, singles[0]]) and "there is no customer 999" in result.err
    cards = [json.loads(line) for line in result.out.splitlines()]
    assert [len(card["last_orders"]) for card in cards] == [2, 0, 1, 2]
    assert items_of(cards[2]["last_orders"][0]) == [("tea", None, 1, 1)]
    texts = [club.ok("customer", person, "--items").out for person in (3, 1, 2)]
    assert club.ok("customer", 3, 1, 2, "--items").out == "\n".join(texts)
    process = known.start("customer", "--stdin", "--items", "--json", stdin=-1)
    assert process.communicate(b"5\n6\n9\n", timeout=60)[0].decode() == "".join(singles)
