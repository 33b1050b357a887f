"""Drives the real binary, as a person or a script would.

PUNCHCARD names the binary (default: build/dev/src/punchcard). Every run is checked for crashes and sanitizer reports, and
has a time limit: a hang is a failure.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
from decimal import Decimal

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
COFFEE = ROOT / "examples/coffee"
PUNCHCARD = os.environ.get("PUNCHCARD", str(ROOT / "build/dev/src/punchcard"))
TIMEOUT_S = 60
SANITIZER_EXIT = 86  # no exit code of ours

SANITIZER_MARKS = ("AddressSanitizer", "LeakSanitizer", "ThreadSanitizer", "UndefinedBehaviorSanitizer", "runtime error:")

# A deployment's usual files; tests change what they are about. JSON is YAML.
CONFIG = {
    "version": 1,
    "sources": [{"name": "till", "dir": "spool", "format": "classic"}],
    "menu": [{"name": "espresso", "price": "65"}, {"name": "flat white", "price": "3.50"}],
}
PROGRAMME = {
    "version": 1,
    "name": "Test",
    "currency": "THB",
    "timezone": "UTC",
    "earn": [{"per_amount": {"points": "1", "per": "25"}}],
}


def environment(**more):
    env = {key: value for key, value in os.environ.items() if not key.startswith(("LC_", "LANG", "TZ"))}
    env["ASAN_OPTIONS"] = f"exitcode={SANITIZER_EXIT}:detect_leaks=1"
    env["UBSAN_OPTIONS"] = "print_stacktrace=1"
    env["LC_ALL"] = "C.UTF-8"
    env.update(more)
    return env


class Result:
    """What a run gave. Texts are UTF-8; bytes that are none are replaced."""

    def __init__(self, args, code, out, err):
        self.args = args
        self.code = code
        self.raw_out = out
        self.out = out.decode("utf-8", "replace")
        self.err = err.decode("utf-8", "replace")

    def __repr__(self):
        return f"{' '.join(self.args)}\n  exit {self.code}\n--- out\n{self.out[-3000:]}\n--- err\n{self.err[-5000:]}"

    def json(self):
        return json.loads(self.out, parse_float=Decimal)

    def check_health(self):
        for mark in SANITIZER_MARKS:
            assert mark not in self.err, self
        assert self.code != SANITIZER_EXIT, self
        assert self.code >= 0, f"killed by {signal.Signals(-self.code).name}: {self!r}"


class Punchcard:
    """The binary. A call runs it to its end and checks that it is well; start leaves it running."""

    def __init__(self, binary=PUNCHCARD):
        self.binary = binary

    def command(self, args):
        return [self.binary, *map(str, args)]

    def start(self, *args, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        options.setdefault("env", environment())
        # A shell in the background leaves SIGINT ignored; at a terminal, where people press Ctrl-C, it is not.
        options.setdefault("preexec_fn", lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        return subprocess.Popen(self.command(args), **options)

    def end(self, process, timeout=TIMEOUT_S):
        """Waits for a started process; kills it at the time limit, which is a failure."""
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"hangs: {Result(process.args, process.returncode, out or b'', err or b'')!r}") from None
        return Result(process.args, process.returncode, out or b"", err or b"")

    def __call__(self, *args, timeout=TIMEOUT_S, **options):
        result = self.end(self.start(*args, **options), timeout)
        result.check_health()
        return result


def first_object(text):
    """The rows of `sql --json`: one array of objects, or an object a line."""
    text = text.strip()
    if text.startswith("["):
        return json.loads(text, parse_float=Decimal)
    return [json.loads(line, parse_float=Decimal) for line in text.splitlines()]


class Shop:
    """A deployment."""

    def __init__(self, pc, directory):
        self.pc = pc
        self.dir = pathlib.Path(directory)
        self.spool = self.dir / "spool"
        self.config = json.loads(json.dumps(CONFIG))
        self.programme = json.loads(json.dumps(PROGRAMME))

    @property
    def warehouse(self):
        return self.dir / "data/warehouse"

    def write_config(self, **changes):
        """punchcard.yaml and programme.yaml from self.config and self.programme."""
        self.config.update(changes)
        (self.dir / "punchcard.yaml").write_text(json.dumps(self.config, indent=1) + "\n", encoding="utf-8")
        (self.dir / "programme.yaml").write_text(json.dumps(self.programme, indent=1) + "\n", encoding="utf-8")
        for source in self.config["sources"]:
            if "dir" in source:
                (self.dir / source["dir"]).mkdir(parents=True, exist_ok=True)

    def run(self, *args, **options):
        return self.pc("-C", self.dir, *args, **options)

    def start(self, *args, **options):
        return self.pc.start("-C", self.dir, *args, **options)

    def ok(self, *args, code=0, **options):
        result = self.run(*args, **options)
        assert result.code == code, result
        return result

    def json(self, *args, **options):
        return self.ok(*args, "--json", **options).json()

    def sql(self, query):
        """Rows as tuples. Cast what has no JSON type of its own (DECIMAL, TIMESTAMP) to VARCHAR."""
        return [tuple(row.values()) for row in first_object(self.ok("sql", "--json", query).out)]

    def value(self, query):
        ((value,),) = self.sql(query)
        return value

    def put(self, name, content, directory=None):
        """A whole file into the spool, by rename, as real writers do."""
        directory = directory or self.spool
        if isinstance(content, str):
            content = content.encode()
        hidden = directory / f".{name}.tmp"
        hidden.write_bytes(content)
        hidden.rename(directory / name)
        return directory / name

    def collect(self, *args, **options):
        """The report of collect: the counts of all files, and those of each in "files"."""
        report = self.json("collect", "--once", *args, **options)
        return {**report["total"], "files": report["files"]}

    def customers(self, content, name="customers.csv", *args, code=0):
        """Loads a customer file from beside the deployment."""
        path = self.dir.parent / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return self.ok("load", "customers", *args, path, code=code)

    def move_data(self, disk, leave_bytes):
        """data/ onto another disk, on which only so many bytes are free; returns the file that takes up the rest."""
        data = self.dir / "data"
        shutil.copytree(data, disk / "data")
        shutil.rmtree(data)
        data.symlink_to(disk / "data")
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        ballast = disk / "ballast"
        ballast.write_bytes(b"x" * (free - leave_bytes))
        return ballast

    def reasons(self):
        """What is in quarantine: {reason: lines}."""
        return dict(self.sql("SELECT reason, count(*) FROM quarantine GROUP BY reason"))

    def names(self):
        """Files in the spool that anybody would see."""
        return sorted(path.name for path in self.spool.iterdir() if not path.name.startswith("."))


@pytest.fixture(scope="session")
def pc():
    assert os.path.exists(PUNCHCARD), f"{PUNCHCARD} is missing: ./dev build dev, or set PUNCHCARD"
    return Punchcard()


def make_shop(pc, directory, **config):
    assert pc("init", directory).code == 0
    shop = Shop(pc, directory)
    shop.write_config(**config)
    return shop


@pytest.fixture
def shop(pc, tmp_path):
    """A fresh deployment with CONFIG and PROGRAMME: one classic source, 'till', in spool/."""
    return make_shop(pc, tmp_path / "shop")


@pytest.fixture(scope="session")
def demo(pc, tmp_path_factory):
    """The demo's deployment, for tests that only read. Its output is demo.output."""
    directory = tmp_path_factory.mktemp("demo") / "anna's shop"
    result = pc("demo", directory, timeout=180)
    assert result.code == 0, result
    shop = Shop(pc, directory)
    shop.output = result
    return shop


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 4 MiB; skipped where it cannot be mounted."""
    mount = tmp_path / "disk"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "punchcard-test", str(mount)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs root and the right to mount")
    yield mount
    subprocess.run(["umount", "-l", str(mount)], check=True)


def classic(customer, menu, price, seconds):
    return f"{customer}|{menu} {price}|{seconds}\n"


def lines(n, customers=5, start=1_700_000_000, step=60):
    """n classic lines, all different."""
    return "".join(classic(1 + i % customers, "latte", 70, start + i * step) for i in range(n))
