"""Numbers at their documented limits pass through all that folds them."""

import json
from decimal import Decimal

import pytest

from conftest import ROOT
from test_events import event, ndjson

POINTS = 10**12
DAY = "2024-01-31"


def whole_deployment(shop):
    (shop.dir / "other.yaml").write_text(json.dumps(shop.programme), encoding="utf-8")
    shop.ok("refresh", "--data-dt", "2023-12-31")
    shop.ok("refresh", "--data-dt", DAY)
    shop.ok("audit")
    shop.ok("rebuild", "--data-dt", DAY)
    shop.ok("simulate", "--programme", shop.dir / "other.yaml", "--data-dt", DAY)
    shop.ok("audit", "--reserve")
    # The accounts are made again.
    shop.programme["name"] = "Test again"
    shop.write_config()
    shop.ok("collect", "--once")
    shop.ok("rebuild", "--data-dt", DAY)
    shop.ok("audit")


@pytest.mark.parametrize("items", [False, True])
def test_the_greatest_numbers(shop, items):
    if items:
        shop.programme["categories"] = [{"name": "none", "items": ["card"]}]
        shop.programme["exclude"] = ["none"]
    shop.write_config(sources=[{"name": "till", "dir": "spool", "format": "ndjson", "settle_ms": 0}])
    limit = {"menu": "latte", "qty": 10**9, "price": 1, "amount": 10**9}
    shop.put(
        "a.json",
        ndjson(
            event("a-1", "adjust", points=POINTS, reason="much"),
            event("d-1", "redeem", points=POINTS, time="2023-11-16T00:00:00Z"),
            event("a-2", "adjust", customer=8, points=POINTS, reason="much"),
            event("a-3", "adjust", customer=8, points=-POINTS, reason="much", time="2023-11-16T00:00:00Z"),
            event("a-4", "adjust", customer=9, points=-POINTS, reason="much"),
            event("d-2", "redeem", customer=10, points=POINTS, accepted=False),
            event("o-1", "order", customer=11, lines=[limit]),
            event("f-1", "refund", customer=11, order="o-1", amount=10**9, time="2023-11-16T00:00:00Z"),
            event("o-2", "order", customer=12, lines=[limit]),
            event("f-2", "refund", customer=12, order="o-2", lines=[limit], time="2023-12-16T00:00:00Z"),
            event("o-3", "order", customer=13, lines=[limit], time="2024-01-02T00:00:00Z"),
        ),
    )
    assert shop.collect()["quarantined"] == 0
    whole_deployment(shop)
    rows = shop.sql(
        "SELECT event_id, points::VARCHAR, balance::VARCHAR FROM ledger WHERE event_id IN ('a-1', 'd-1', 'a-2', 'a-3')"
        " ORDER BY cust_id, entry_no"
    )
    much = f"{POINTS}.000"
    assert rows == [("a-1", much, much), ("d-1", "-" + much, "0.000"), ("a-2", much, much), ("a-3", "-" + much, "0.000")]
    assert shop.value(f"SELECT balance::VARCHAR FROM balances WHERE data_dt = '{DAY}' AND cust_id = 13") == "40000000.000"


def scores(shop, accounts):
    model = (ROOT / "models/segments.sql").read_text(encoding="utf-8")
    rows = ", ".join(
        f"({i}, CAST({days} AS BIGINT), CAST({visits} AS BIGINT), CAST('{spend}' AS DECIMAL(18, 2)))"
        for i, (days, visits, spend) in enumerate(accounts)
    )
    return shop.sql(
        f"WITH accounts AS (SELECT * FROM (VALUES {rows}) AS t(cust_id, days_since_order, window_visits, window_spend)),"
        f" made AS (\n{model}\n) SELECT cust_id, r, f, m, segment FROM made ORDER BY cust_id"
    )


def score(values, value, reverse=False):
    """By the model's words: quantiles of type 7, in fractions of five."""
    values = sorted(values)
    n = 0
    for k in range(1, 5):
        place = (len(values) - 1) * k
        i, part = place // 5, place % 5
        cut = (5 - part) * values[i] + part * values[min(i + 1, len(values) - 1)]
        n += 5 * value > cut
    return 5 - n if reverse else 1 + n


@pytest.mark.parametrize("sign", [1, -1])
def test_segments_of_the_greatest_accounts(shop, sign):
    """Fifths of spend that has all of its 18 digits."""
    most = Decimal(10**18 - 1) / 100
    active = [(10**6 - i, 10**9 + i, sign * (most - i)) for i in range(7)] + [(3, 1, Decimal("0.01")), (4, 2, -most)]
    rows = scores(shop, [*active, (5, 0, 0)])
    assert rows[-1][1:] == (None, None, None, "Prospect")
    for (_, r, f, m, _), (days, visits, spend) in zip(rows, active):
        assert r == score([a[0] for a in active], days, reverse=True)
        assert f == score([a[1] for a in active], visits)
        assert m == score([a[2] for a in active], spend)
    assert {m for _, _, _, m, _ in rows[:-1]} == {1, 2, 3, 4, 5}
