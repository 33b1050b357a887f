"""load customers: files landed as they are, customers_cln, quarantine."""

import gzip
import os

import pytest

from conftest import COFFEE, make_shop

CLASSIC = '{0},3,Member {0},m{0}@example.org,2019-01-04,"555-{0:04d}",1990-05-29,{1},1990\n'
COLUMNS = "cust_id, cust_nm, cust_email, cust_strt_dt::VARCHAR, cust_member_card_no, cust_birth_dt::VARCHAR, cust_birth_yr, cust_gender"


def people(ids, gender="F"):
    return "".join(CLASSIC.format(i, gender) for i in ids)


def cleaned(shop):
    return shop.sql(f"SELECT {COLUMNS} FROM customers_cln ORDER BY cust_id")


def load(shop, content, name="customers.csv", *args, code=0):
    """Loads, and checks that the counts add up: what load tells is {read, loaded, quarantined}."""
    path = shop.dir.parent / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    told = shop.ok("load", "customers", "--json", *args, path, code=code).json()
    assert told["read"] == told["loaded"] + told["quarantined"], told
    return told


def test_the_coffee_file(shop):
    told = shop.json("load", "customers", COFFEE / "customer.csv")
    assert (told["read"], told["loaded"], told["quarantined"]) == (2246, 2246, 0)
    assert shop.value("SELECT count(DISTINCT cust_id) FROM customers_cln") == 2246
    assert shop.sql(f"SELECT {COLUMNS} FROM customers_cln WHERE cust_id = 1") == [
        (1, "Kelly Key", "Venus@adipiscing.edu", "2017-01-04", "908-424-2890", "1950-05-29", 1950, "MALE")
    ]
    genders = dict(shop.sql("SELECT cust_gender, count(*) FROM customers_cln GROUP BY 1"))
    codes = [line.split(",")[-2] for line in (COFFEE / "customer.csv").read_text().splitlines()]
    assert genders == {"MALE": codes.count("M"), "FEMALE": codes.count("F"), "NA": codes.count("N")}
    assert [kind for _, kind in shop.sql("SELECT column_name, column_type FROM (DESCRIBE customers_cln)")] == [
        "BIGINT", "VARCHAR", "VARCHAR", "DATE", "VARCHAR", "DATE", "INTEGER", "VARCHAR",
    ]  # fmt: skip


def test_tells_people_the_counts(shop):
    result = shop.customers(people([1, 2]) + "x,y\n")
    for count in ("3", "2", "1"):
        assert count in result.out


def test_lands_the_file_unchanged(shop):
    content = people([1, 2]).replace("\n", "\r\n").encode()
    load(shop, content)
    landed = [path for path in (shop.warehouse / "customers").rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in landed] == [content]


def test_same_file_twice_is_one(shop):
    load(shop, people([1, 2]))
    first = cleaned(shop)
    load(shop, people([1, 2]), "another-name.csv")
    assert len([path for path in (shop.warehouse / "customers").rglob("*") if path.is_file()]) == 1
    assert cleaned(shop) == first
    assert shop.value("SELECT count(*) FROM quarantine") == 0


def test_quarantine_is_not_doubled_by_the_same_file(shop):
    for _ in range(2):
        load(shop, people([1]) + "bad\n")
    assert shop.reasons() == {"column_count": 1}


FORMS = {
    "crlf": lambda text: text.replace("\n", "\r\n").encode(),
    "bom": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "gzip": lambda text: gzip.compress(text.encode()),
    "gzip_in_two_parts": lambda text: gzip.compress(text[:20].encode()) + gzip.compress(text[20:].encode()),
    "no_last_newline": lambda text: text.rstrip("\n").encode(),
    "crlf_no_last_newline_bom": lambda text: b"\xef\xbb\xbf" + text.replace("\n", "\r\n").rstrip().encode(),
    "blank_lines": lambda text: ("\n" + text.replace("\n", "\n\n") + "  \n").encode(),
    "all_quoted": lambda text: "".join(
        ",".join(f'"{field.strip(chr(34))}"' for field in line.split(",")) + "\n" for line in text.splitlines()
    ).encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_files(shop, form):
    told = load(shop, FORMS[form](people(range(1, 6))))
    assert (told["loaded"], told["quarantined"]) == (5, 0)
    assert cleaned(shop) == [
        (i, f"Member {i}", f"m{i}@example.org", "2019-01-04", f"555-{i:04d}", "1990-05-29", 1990, "FEMALE")
        for i in range(1, 6)
    ]


def test_quotes_commas_newlines_and_characters(shop):
    load(shop, '7,3,"\t Ødegård, ""Bo""\n Ærø \t",b@x.org,2019-01-04,"1",1990-05-29,N,1990\n')
    assert cleaned(shop) == [(7, 'Ødegård, "Bo"\n Ærø', "b@x.org", "2019-01-04", "1", "1990-05-29", 1990, "NA")]


def test_newest_row_of_a_customer_wins(shop):
    load(shop, people([1, 2], "F") + people([2], "M"))
    assert [row[-1] for row in cleaned(shop)] == ["FEMALE", "MALE"]
    load(shop, people([1], "N"), "later.csv")
    assert [row[-1] for row in cleaned(shop)] == ["NA", "MALE"]


def test_two_files_in_one_run(shop, tmp_path):
    (tmp_path / "a.csv").write_text(people([1, 2], "F"))
    (tmp_path / "b.csv").write_text(people([2, 3], "M"))
    told = shop.json("load", "customers", tmp_path / "a.csv", tmp_path / "b.csv")
    assert told["read"] == 4
    assert [(row[0], row[-1]) for row in cleaned(shop)] == [(1, "FEMALE"), (2, "MALE"), (3, "MALE")]


def test_empty_values(shop):
    load(shop, "9,,,,,,,,\n")
    assert cleaned(shop) == [(9, None, None, None, None, None, None, "NA")]


BAD = {
    "too few": ("1,2,3\n", "column_count"),
    "too many": (people([1]).rstrip() + ",x\n", "column_count"),
    "header": ("customer_id,home_store,customer_firstname,email,since,card,birthdate,gender,birth_year\n", "customer_id"),
    "no id": (people([1]).replace("1,", ",", 1), "customer_id"),
    "negative id": (people([1]).replace("1,", "-1,", 1), "customer_id"),
    "guest": (people([1]).replace("1,", "0,", 1), "customer_id"),
    "fraction": (people([1]).replace("1,", "1.5,", 1), "customer_id"),
    "huge id": (people([1]).replace("1,", "9" * 30 + ",", 1), "customer_id"),
    "since": (people([1]).replace("2019-01-04", "2019-02-30"), "since"),
    "year 10000": (people([1]).replace("2019-01-04", "10000-01-04"), "since"),
    "birth date": (people([1]).replace("1990-05-29", "29.5.1990"), "birth_date"),
    "gender": (people([1], "X"), "gender"),
    "birth year": (people([1]).replace(",1990\n", ",MCMXC\n"), "birth_year"),
    "latin-1": (people([1]).encode().replace(b"Member", b"M\xe9mber"), "encoding"),
    "nul": (people([1]).replace("Member", "Mem\0ber"), "nul_byte"),
    "quote": ('1,3,"a"b,c@x.org,2019-01-04,"1",1990-05-29,F,1990\n', "bad_quote"),
    "10 MB line": ("1," + "x" * 10_000_000 + "\n", "too_long"),
}


@pytest.fixture(scope="module")
def bad(pc, tmp_path_factory):
    """A file for each of BAD, the line between two good ones; all loaded at once."""
    directory = tmp_path_factory.mktemp("bad")
    shop = make_shop(pc, directory / "shop")
    paths = []
    for i, (line, _) in enumerate(BAD.values()):
        line = line.encode() if isinstance(line, str) else line
        paths.append(directory / f"{i:02d}.csv")
        paths[-1].write_bytes(people([100 + 2 * i]).encode() + line + people([101 + 2 * i]).encode())
    shop.told = shop.json("load", "customers", *paths)["files"]
    shop.quarantined = {}
    for file, *rest in shop.sql("SELECT file, line, reason, text FROM quarantine"):
        shop.quarantined.setdefault(os.path.basename(file), []).append(rest)
    return shop


@pytest.mark.parametrize("what", BAD)
def test_bad_lines_are_set_aside(bad, what):
    line, reason = BAD[what]
    told = bad.told[list(BAD).index(what)]
    assert (told["read"], told["loaded"], told["quarantined"]) == (3, 2, 1)
    ((number, found, text),) = bad.quarantined[os.path.basename(told["landed"])]
    assert (number, found) == (2, reason)
    assert text[:1] == line[:1] or text[:1].encode() == line[:1]
    assert len(text) <= 16 * 1024 + 10


def test_bad_lines_are_no_customers(bad):
    assert [row[0] for row in cleaned(bad)] == [100 + i for i in range(2 * len(BAD))]


def test_strict(shop):
    told = load(shop, people([1]) + "bad\n", "c.csv", "--strict", code=3)
    assert told["quarantined"] == 1
    assert [row[0] for row in cleaned(shop)] == [1]
    load(shop, people([2]), "d.csv", "--strict")


@pytest.mark.parametrize("content", [b"", b"\n", b"\xef\xbb\xbf", gzip.compress(b"", mtime=0)], ids=["nothing", "newline", "bom", "gzip"])
def test_empty_file(shop, content):
    told = load(shop, content)
    assert told["read"] == 0
    assert cleaned(shop) == []


MAPPING = {
    "name": "members",
    "delimiter": ";",
    "customer": "No",
    "first_name": "First",
    "last_name": "Last",
    "email": "Mail",
    "since": "Joined",
    "card": "Card",
    "birth_date": "Born",
    "gender": "Sex",
    "date_format": "%d.%m.%Y",
    "gender_codes": {"male": ["m", "Herr"], "female": ["f", "Frau"], "neither": ["d", ""]},
}
HEADER = "Mail;No;First;Last;Born;Sex;Joined;Card;Unused\n"
ANNA = "anna@x.org;17;Anna;Ærø;29.02.1992;Frau;01.12.2020;00123;z\n"


def test_mapping(shop):
    shop.write_config(customer_mappings=[MAPPING], customers={"format": "members"})
    told = load(shop, "\ufeff" + HEADER + ANNA + ANNA.replace("17", "18").replace("29.02.1992", "29.02.1991"))
    assert (told["read"], told["loaded"], told["quarantined"]) == (2, 1, 1)
    assert cleaned(shop) == [(17, "Anna Ærø", "anna@x.org", "2020-12-01", "00123", "1992-02-29", 1992, "FEMALE")]
    assert shop.reasons() == {"birth_date": 1}


def test_header_only(shop):
    shop.write_config(customer_mappings=[MAPPING], customers={"format": "members"})
    assert load(shop, HEADER)["read"] == 0


def test_missing_column(shop):
    shop.write_config(customer_mappings=[MAPPING], customers={"format": "members"})
    result = shop.customers(HEADER.replace("Born", "Birthday") + ANNA, code=1)
    assert "Born" in result.err and "customers.csv" in result.err
    assert not (shop.warehouse / "customers").exists() or not list((shop.warehouse / "customers").rglob("*.csv"))


def test_text_ids(shop):
    shop.write_config(customer_id="text")
    load(shop, people([1]).replace("1,", "B-7,", 1) + people([1]).replace("1,", "0012,", 1))
    assert [row[0] for row in cleaned(shop)] == ["0012", "B-7"]
    assert shop.json("customer", "B-7")


def test_missing_file_loads_nothing(shop, tmp_path):
    (tmp_path / "good.csv").write_text(people([1]))
    result = shop.ok("load", "customers", tmp_path / "good.csv", tmp_path / "missing.csv", code=1)
    assert "missing.csv" in result.err


def test_a_directory_and_a_fifo_are_no_files(shop, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo"):
        result = shop.ok("load", "customers", path, code=1)
        assert str(path) in result.err


def test_damaged_gzip(shop):
    content = gzip.compress(people(range(1, 2000)).encode())
    result = shop.customers(content[: len(content) // 2], code=1)
    assert "customers.csv" in result.err
    assert cleaned(shop) == []


def test_model_with_an_error(shop):
    load(shop, people([1]))
    model = shop.dir / "models/customers_cln.sql"
    good = model.read_text()
    model.write_text(good.replace("trim(name)", "trimm(name)"))
    result = shop.customers(people([2]), "other.csv", code=1)
    assert "customers_cln.sql:" in result.err and "trimm" in result.err
    assert [row[0] for row in cleaned(shop)] == [1]
    model.write_text(good)
    shop.customers(people([2]), "other.csv")
    assert [row[0] for row in cleaned(shop)] == [1, 2]


def test_model_that_gives_a_customer_twice(shop):
    model = shop.dir / "models/customers_cln.sql"
    model.write_text(model.read_text().replace("WHERE age = 1", ""))
    result = shop.customers(people([1]) + people([1], "M"), code=1)
    assert "customers_cln" in result.err
    assert cleaned(shop) == []


def test_full_disk(shop, small_disk):
    """The warehouse on a disk that is too small: an error, and what was there stays."""
    load(shop, people([1]))
    ballast = shop.move_data(small_disk, 500_000)
    result = shop.customers(people(range(1, 60_000)), "large.csv", code=1)
    assert "space" in result.err.lower()
    ballast.unlink()
    assert [row[0] for row in cleaned(shop)] == [1]
    load(shop, people([2]), "small.csv")
    assert [row[0] for row in cleaned(shop)] == [1, 2]
