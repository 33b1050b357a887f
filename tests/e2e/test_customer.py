"""customer: a person's card."""

import json
from decimal import Decimal

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
