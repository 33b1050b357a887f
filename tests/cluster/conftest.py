"""Fixtures: real servers, started once for all tests that ask for them, and stopped at the end.

A test takes `hdfs`, `hbase`, `kafka` or `spark` (cluster.py has what they are), and `home` for a directory of its own in HDFS. Tests that
stop servers or fill quotas leave everything running behind them. `conformance` runs a C suite of tests/conformance beside one of them.

With PUNCHCARD_CLUSTER_KEEP=1 servers that run already are used, and left running: for who writes a test, since starting them takes most
of the time. `python3 tests/cluster/cluster.py down` ends them.

All that tests/e2e/conftest.py has is here, too (`shop` and its like), and its modules can be imported (`from daemon import Daemon`).
"""

import importlib.util
import os
import subprocess
import sys

import pytest
from cluster import BUILD, ROOT, STATE, Cluster
from proxy import FaultProxy


def take_over_e2e():
    """Its modules import `conftest`, and find this one: so it must have all that one has."""
    folder = ROOT / "tests/e2e"
    sys.path.append(str(folder))
    spec = importlib.util.spec_from_file_location("e2e_conftest", folder / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    globals().update({name: value for name, value in vars(module).items() if not name.startswith("__")})


take_over_e2e()
SPARK_TESTS = ROOT / "tests/spark"


# Of two processes (--dist loadgroup) each has servers of its own, and no server is started twice: one has those tests that need HBase or Kafka.
# What needs no server (tests/spark) is done by whoever has time.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        names = set(item.fixturenames)
        if {"hbase", "kafka"} & names:
            item.add_marker(pytest.mark.xdist_group("hbase"))
        elif {"hdfs", "cluster"} & names and SPARK_TESTS not in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("hdfs"))


@pytest.fixture(scope="session")
def cluster():
    keep = bool(os.environ.get("PUNCHCARD_CLUSTER_KEEP"))
    worker = os.environ.get("PYTEST_XDIST_WORKER")  # each process of the tests has servers of its own
    found = Cluster(fresh=not keep, state=STATE / worker if worker else STATE)
    yield found
    if not keep:
        found.down()


@pytest.fixture(scope="session")
def hdfs(cluster):
    return cluster.up_hdfs()


@pytest.fixture(scope="session")
def hbase(cluster):
    return cluster.up_hbase()


@pytest.fixture(scope="session")
def kafka(cluster):
    return cluster.up_kafka()


@pytest.fixture(scope="session")
def spark(cluster):
    return cluster.up_spark()


@pytest.fixture
def home(hdfs, request):
    """A directory in HDFS that is the user punchcard's, for one test."""
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name)
    me = f"user.name={hdfs.superuser()}"
    path = f"{hdfs.make_home('punchcard')}/{name}"
    hdfs.rest("DELETE", f"{path}?op=DELETE&recursive=true&{me}")
    hdfs.rest("PUT", f"{path}?op=MKDIRS&user.name=punchcard")
    return path


@pytest.fixture
def proxied():
    """proxied(url): a proxy that injects faults in front of that server."""
    proxies = []

    def make(url):
        proxies.append(FaultProxy(url).__enter__())
        return proxies[-1]

    yield make
    for proxy in proxies:
        proxy.__exit__()


@pytest.fixture
def conformance():
    """conformance("warehouse", "hdfs", url, …): the suite's program, which must pass."""

    def run(port, *args, limit_s=300):
        program = BUILD / "tests" / f"conformance_{port}"
        assert program.exists(), f"{program} is not built: ./dev build dev"
        done = subprocess.run(
            [program, *map(str, args)], capture_output=True, text=True, timeout=limit_s, stdin=subprocess.DEVNULL, check=False
        )
        assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
        return done

    return run
