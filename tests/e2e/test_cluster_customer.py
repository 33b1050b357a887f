"""customer on a cluster, of which directories take the place: the same cards as of one machine."""

import json
import signal
import socket
import time
from decimal import Decimal

import events
import pytest
from lake import cluster_of, make_edge

from conftest import classic, make_shop


@pytest.fixture(scope="module")
def pair(pc, tmp_path_factory):
    """What random people did, in a deployment of one machine, and by two edges on a cluster."""
    root = tmp_path_factory.mktemp("pair")
    one = events.configure(make_shop(pc, root / "one"))
    made = events.make(5, 220, 12, int(time.time()) - 60, days=30)
    lines = [events.line(customer, event) for customer, event in made]
    one.put("a.json", "".join(lines))
    one.collect()
    edges = [make_edge(pc, root / name, root / "lake", like=one, edge=name) for name in ("e1", "e2")]
    for i, edge in enumerate(edges):
        edge.put("a.json", "".join(lines[i::2]))
        edge.collect()
    one.people = sorted({customer for customer, _ in made})
    one.made = {event.id: event for _, event in made}
    return one, edges[0]


def test_cards_are_the_same(pair):
    one, edge = pair
    assert len(one.people) >= 10
    for person in one.people:
        there, here = edge.json("customer", person), one.json("customer", person)
        # One machine knows the last days' orders one by one, a cluster all.
        assert not there["being_recomputed"] and there["last_orders_since"] is None
        if here["being_recomputed"]:
            continue
        assert there["last_orders"][: len(here["last_orders"])] == here["last_orders"]
        for card in (there, here):
            del card["last_orders"], card["last_orders_since"]
        assert there == here
        text = edge.ok("customer", person, "--orders", 0).out
        assert text == one.ok("customer", person, "--orders", 0).out


def test_last_orders_are_all_there(pair):
    one, edge = pair
    for person in one.people:
        card = edge.json("customer", person, "--orders", 64)
        assert len(card["last_orders"]) == min(card["orders"], 64)
        assert [order["time"] for order in card["last_orders"]] == sorted(
            (order["time"] for order in card["last_orders"]), reverse=True
        )
        few = edge.json("customer", person, "--orders", 2)
        assert few["last_orders"] == card["last_orders"][:2]


def test_several(pair):
    one, edge = pair
    people = one.people[:3]
    for shop in pair:
        singles = [shop.ok("customer", person, "--json").out for person in people]
        assert shop.ok("customer", *people, "--json").out == "".join(singles)
        cards = [shop.ok("customer", person).out for person in people]
        assert shop.ok("customer", *people).out == "\n".join(cards)
        result = shop.ok("customer", people[0], 999999, "x", people[0], people[1], "--json", code=1)
        assert result.out == singles[0] + singles[0] + singles[1]
        assert "there is no customer 999999" in result.err and "'x' is no customer id" in result.err


def items_of(order):
    return [(item["menu"] or "", item["sku"] or "", Decimal(item["quantity"]), Decimal(item["amount"])) for item in order["items"]]


def test_items(pair):
    """As they were bought, of several customers at once."""
    one, edge = pair
    for shop in pair:
        out = shop.ok("customer", *one.people, 999999, "--items", "--orders", 64, "--json", code=1).out
        cards = [json.loads(line, parse_float=Decimal) for line in out.splitlines()]
        assert [card["cust_id"] for card in cards] == one.people
        orders = [order for card in cards for order in card["last_orders"]]
        assert len(orders) >= (10 if shop is one else 64)
        for order in orders:
            assert items_of(order) == [
                (line.menu, line.sku, Decimal(line.quantity) / 1000, Decimal(line.amount) / 100) for line in one.made[order["event_id"]].lines
            ]
    person = one.people[0]
    assert "items" not in edge.json("customer", person)["last_orders"][0]
    few = edge.json("customer", person, "--items", "--orders", 2)["last_orders"]
    assert few == edge.json("customer", person, "--items", "--orders", 64)["last_orders"][:2]
    assert edge.json("customer", person, "--items", "--orders", 0)["last_orders"] == []
    line = items_of(few[0])[0]
    assert f" x {line[0] or line[1]}\n" in edge.ok("customer", person, "--items").out


def test_items_of_the_same_id_at_two_edges(pc, tmp_path):
    """Edges know nothing of each other's ids: at another time it is another order. (That the source is both's was said by hand.)"""
    edges = [make_edge(pc, tmp_path / name, tmp_path / "lake", edge=name) for name in ("e1", "e2")]
    (tmp_path / "lake/p/sources").mkdir(parents=True)
    (tmp_path / "lake/p/sources/till").write_text("e1\ne2\n")
    for edge, item, time_s in zip(edges, ("latte", "tea"), (1_700_000_000, 1_700_000_600)):
        edge.put("a.txt", classic(5, item, 70, time_s))
        edge.collect()
    orders = edges[0].json("customer", 5, "--items")["last_orders"]
    assert [(order["event_id"], items_of(order)[0][0], len(order["items"])) for order in orders] == [
        ("a.txt:1", "tea", 1),
        ("a.txt:1", "latte", 1),
    ]


def run_stdin(shop, text, *args):
    process = shop.start("customer", "--stdin", *args, stdin=-1)
    out, err = process.communicate(text.encode(), timeout=60)
    return process.returncode, out.decode(), err.decode()


def test_ids_from_standard_input(pair):
    one, edge = pair
    # More than one request takes, each several times over.
    text = "".join(f"{one.people[i % len(one.people)]}\n" for i in range(40)) + "\r\n" + "".join(f"{i}\n" for i in range(10**6, 10**6 + 600))
    for shop in pair:
        code, out, err = run_stdin(shop, text, "--json")
        assert code == 1 and err.count("there is no customer") == 600
        assert [json.loads(line)["cust_id"] for line in out.splitlines()] == [one.people[i % len(one.people)] for i in range(40)]
    assert run_stdin(edge, "") == (0, "", "")
    assert edge.run("customer", "--stdin", "5").code == 2 and edge.run("customer").code == 2


def test_nobody(pair):
    for shop in pair:
        result = shop.ok("customer", 999999, code=1)
        assert result.out == "" and result.err.startswith("punchcard: there is no customer 999999: ")
        assert shop.run("customer", "Anna").code == 1


def test_before_anything_was_shipped(pc, tmp_path):
    edge = make_edge(pc, tmp_path / "edge", tmp_path / "lake")
    assert "there is no customer 1:" in edge.ok("customer", 1, code=1).err
    assert not (tmp_path / "lake").exists()


def test_text_ids(pc, tmp_path):
    edge = make_edge(pc, tmp_path / "edge", tmp_path / "lake")
    edge.write_config(customer_id="text")
    edge.put("a.txt", classic("C-1", "latte", 70, 1_700_000_000))
    edge.collect()
    assert edge.json("customer", "C-1")["last_orders"] == [
        {"event_id": "a.txt:1", "time": "2023-11-14T22:13:20Z", "amount": Decimal("70")}
    ]
    edge.ok("customer", "C-2", code=1)


def away(edge, url):
    edge.write_config(cluster={**cluster_of(edge.lake), "hbase": {"url": url}})
    begin = time.monotonic()
    result = edge.ok("customer", 1, code=1)
    assert time.monotonic() - begin < 20
    assert url in result.err and "HBase" in result.err and result.out == ""


def test_nobody_listens(pc, tmp_path):
    away(make_edge(pc, tmp_path / "edge", tmp_path / "lake"), "http://127.0.0.1:9")


def test_silence(pc, tmp_path):
    """A gateway that answers nothing is given up after some seconds; Ctrl-C ends the wait at once."""
    edge = make_edge(pc, tmp_path / "edge", tmp_path / "lake")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        edge.write_config(cluster={**edge.cluster, "hbase": {"url": url}})
        process = edge.start("customer", 1)
        connection, _ = listener.accept()
        assert connection.recv(1)
        begin = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
        assert process.returncode == -signal.SIGINT and time.monotonic() - begin < 5
        connection.close()
        away(edge, url)


