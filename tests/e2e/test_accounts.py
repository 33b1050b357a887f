"""The accounts of the customer view: all four kinds of events, in any order of arrival, by the whole programme."""

import json
import random
import shutil
import time

import events
import pytest

from conftest import lines

SEEDS = (1, 2)


def put_in_parts(shop, made, chance, tag):
    """The events in files of random sizes, whose names are in another order."""
    parts = []
    at = 0
    while at < len(made):
        n = chance.randrange(1, max(2, len(made) // 4))
        parts.append(made[at : at + n])
        at += n
    for i, part in enumerate(parts):
        shop.put(f"{chance.randrange(10**6):06d}-{tag}-{i}.json", events.text(part))


@pytest.mark.parametrize("seed", SEEDS)
def test_in_order(shop, seed):
    events.configure(shop)
    made = events.make(seed, 400, 9, int(time.time()) - 60)
    shop.put("a.json", events.text(made))
    told = shop.collect()
    assert told["quarantined"] == 0 and told["orders"] == len(made)
    events.check(shop, made)
    assert ("gold",) in shop.sql("SELECT DISTINCT tier FROM accounts")
    kinds = dict(shop.sql("SELECT kind, count(DISTINCT event_id) FROM transactions_cln GROUP BY 1"))
    assert set(kinds) == {"order", "refund", "redeem", "adjust"} and sum(kinds.values()) == len(made)


@pytest.mark.parametrize("seed", SEEDS)
def test_in_any_order(shop, seed):
    """Shuffled, in many files and runs, with what was sent twice; now and then the view is lost."""
    events.configure(shop)
    chance = random.Random(seed)
    made = events.make(seed, 200, 7, int(time.time()) - 60)
    sent = made + chance.sample(made, 40)
    chance.shuffle(sent)
    taken = 0
    for run in range(4):
        put_in_parts(shop, sent[run * 60 : (run + 1) * 60], chance, run)
        if chance.random() < 0.4 and (shop.dir / "data/view").exists():
            shutil.rmtree(shop.dir / "data/view")
        taken += shop.collect()["orders"]
    assert taken == len(made)
    events.check(shop, made)


def test_another_programme(shop):
    """Holds for the whole history, from the next collect on; until then the accounts serve as they are."""
    events.configure(shop)
    made = events.make(5, 200, 5, int(time.time()) - 60)
    shop.put("a.json", events.text(made))
    shop.collect()
    old = shop.programme
    before = shop.sql(events.ACCOUNTS_SQL)
    card = shop.json("customer", 1)
    shop.programme = json.loads(json.dumps(old).replace('"10.00"', '"4.00"').replace('"gold"', '"titan"'))
    shop.programme["tiers"]["levels"][1]["threshold"] = "100"
    shop.write_config()
    assert shop.sql(events.ACCOUNTS_SQL) == before
    # They say so.
    assert card["being_recomputed"] is False
    old_hash = card["programme"]
    assert shop.json("customer", 1) == {**card, "being_recomputed": True}
    said = f"by the programme before its last change ({old_hash})"
    assert said + "; the next collect makes it again" in shop.ok("customer", 1).out
    assert said + ": punchcard collect --once makes them again" in shop.ok("status").out
    tables = shop.json("status")["tables"]
    assert (tables["accounts_being_recomputed"], tables["accounts_programme"]) == (True, old_hash)
    assert shop.json("collect", "--once")["accounts_made_again"] is True
    assert shop.json("collect", "--once")["accounts_made_again"] is False
    assert shop.json("customer", 1)["programme"] not in (None, old_hash)
    for command in (("customer", 1), ("status",)):
        assert "before its last change" not in shop.ok(*command).out
    tables = shop.json("status")["tables"]
    assert tables["accounts_being_recomputed"] is False and tables["accounts_programme"] != old_hash
    assert shop.sql(events.ACCOUNTS_SQL) != before
    events.check(shop, made)
    shop.programme = old
    shop.write_config()
    assert "accounts made again: the programme has changed\n" in shop.ok("collect", "--once").out
    events.check(shop, made)
    assert shop.sql(events.ACCOUNTS_SQL) == before


def test_the_first_collect_makes_nothing_again(shop):
    shop.put("a.txt", lines(5))
    assert shop.json("collect", "--once")["accounts_made_again"] is False
    shop.programme["timezone"] = "Asia/Tokyo"
    shop.write_config()
    shop.customers("70,3,Anna,,,,,,\n")
    card = shop.json("customer", 70)  # who has no account
    assert card["being_recomputed"] is False and "last change" not in shop.ok("customer", 70).out


def late_and_broken(shop):
    """A collect that takes a late event into the view, but can't write it to the table: the account stays marked."""
    now = int(time.time())
    order = '{{"event_id":"{}","kind":"order","customer":{},"time":{},"lines":[{{"menu":"tea","amount":100}}]}}\n'
    early = [order.format(f"e{i}", 1 + i % 6, now - 40 * events.DAY_S + i) for i in range(12)]
    recent = [order.format(f"r{i}", 1 + i % 6, now - 86_000 + i) for i in range(12)]
    shop.put("a.json", "".join(early + recent))
    shop.collect()
    shop.put("late.json", order.format("late", 5, now - 41 * events.DAY_S))
    partitions = shop.warehouse / "transactions_cln"
    day = events.judge.local_day(shop.programme["timezone"], (now - 41 * events.DAY_S) * 1_000_000)
    blocked = partitions / f"data_dt={events.judge.date_of(day).isoformat()}"
    blocked.symlink_to(shop.dir / "nowhere")
    failed = shop.ok("collect", "--once", code=1)
    assert "transactions_cln" in failed.err
    return blocked


def test_too_late(shop):
    """An event that belongs into what is settled: seen as such, and put right with the history of that customer."""
    events.configure(shop)
    blocked = late_and_broken(shop)
    assert shop.json("status")["tables"]["accounts_marked"] == 1
    assert "1 of them to be recomputed" in shop.ok("status").out
    card = shop.json("customer", 5)
    assert card["being_recomputed"] is True and card["orders"] == 4
    assert "being recomputed" in shop.ok("customer", 5).out
    assert shop.json("customer", 4)["being_recomputed"] is False
    assert "being recomputed" not in shop.ok("customer", 4).out
    blocked.unlink()
    shop.collect()
    assert shop.json("status")["tables"]["accounts_marked"] == 0
    card = shop.json("customer", 5)
    assert card["being_recomputed"] is False and card["orders"] == 5
    assert shop.value("SELECT sum(orders)::BIGINT FROM accounts") == 25


def test_refresh_mends_too(shop):
    events.configure(shop)
    late_and_broken(shop).unlink()
    shop.ok("refresh", "--data-dt", time.strftime("%Y-%m-%d", time.gmtime(time.time() - 2 * events.DAY_S)))
    assert shop.json("status")["tables"]["accounts_marked"] == 0
    assert shop.json("customer", 5)["orders"] == 5


def test_the_future(shop):
    """Events of tomorrow (a clock that is a bit fast) are in, and the account is as of the last of them."""
    events.configure(shop)
    now = int(time.time())
    order = '{{"event_id":"{}","kind":"order","customer":1,"time":{},"lines":[{{"menu":"mocha","amount":50}}]}}\n'
    shop.put("a.json", order.format("now", now - 10) + order.format("soon", now + 20 * 3600))
    shop.collect()
    assert shop.sql("SELECT orders, spend::VARCHAR FROM accounts") == [(2, "100.00")]
    assert shop.json("customer", 1)["orders"] == 2


def test_a_table_of_before(shop):
    """Files of the table that have only the columns of orders give NULL in the others."""
    shop.put("a.txt", "1|latte 70|1700000000\n")
    shop.collect()
    query = "SELECT event_id, order_id, points, ledger, reward, reason, decision FROM transactions_cln ORDER BY 1"
    assert shop.sql(query) == [("a.txt:1", None, None, None, None, None, None)]
    events.configure(shop)
    shop.put("b.json", '{"event_id":"x","kind":"adjust","customer":1,"time":1700000500,"points":2.5,"reason":"why"}\n')
    shop.collect()
    adjusted = shop.sql("SELECT event_id, points::VARCHAR, reason, odr_amt FROM transactions_cln WHERE kind = 'adjust'")
    assert adjusted == [("x", "2.500", "why", None)]
    assert [row[0] for row in shop.sql(query)] == ["a.txt:1", "x"]
