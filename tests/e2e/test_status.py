"""status: what is there, and how far everything is."""

from conftest import lines


def test_of_an_empty_deployment(shop):
    assert shop.ok("status").out
    assert isinstance(shop.json("status"), dict)


def test_rows_and_files(shop):
    shop.customers('1,3,Anna,a@x.org,2019-01-04,"111",1990-05-29,F,1990\n')
    shop.put("a.txt", lines(100) + "bad\n")
    shop.put("b.txt", lines(50, start=1_710_000_000))
    shop.collect()
    shop.ok("refresh", "--data-dt", "2023-11-15")
    shop.put("c.txt", lines(10))
    status = shop.json("status")
    text = shop.ok("status").out
    assert_status(status)
    assert "150" in text and "2023-11-15" in text


def assert_status(status):
    found = flatten(status)
    assert 150 in found.values(), "rows of transactions_cln"
    assert 1 in found.values(), "quarantined lines"
    assert any("2023-11-15" in str(value) for value in found.values()), "last refresh"


def flatten(value, path=""):
    """{path: leaf} of nested JSON."""
    if isinstance(value, dict):
        return {k: v for key, item in value.items() for k, v in flatten(item, f"{path}.{key}").items()}
    if isinstance(value, list):
        return {k: v for i, item in enumerate(value) for k, v in flatten(item, f"{path}[{i}]").items()}
    return {path: value}


def test_changes_nothing(shop):
    shop.put("a.txt", lines(10))
    shop.collect()
    shop.put("b.txt", lines(10))
    before = {path: path.stat().st_mtime_ns for path in shop.dir.rglob("*") if not path.name.endswith(".mdb")}
    shop.ok("status")
    after = {path: path.stat().st_mtime_ns for path in shop.dir.rglob("*") if not path.name.endswith(".mdb")}
    assert after == before
