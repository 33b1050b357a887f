"""Cells and the cluster's view in a real HBase (src/store/cells_hbase*.c): the C suites beside it, behind a proxy that injects faults, and
while its region server dies."""

import os
import subprocess
import threading
import time

from cluster import ROOT


def run(program, limit_s=300, **environment):
    """The suite's program, which must pass. It waits for HBase by itself: calls that fail are made again."""
    done = subprocess.run(
        [ROOT / "build/dev/tests" / program], env={**os.environ, **environment}, capture_output=True, text=True, timeout=limit_s,
        stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
    return done.stdout


def test_cells(hbase):
    assert "--- HBase, of ten calls two fail" in run("store_test_cells", PUNCHCARD_TEST_HBASE=hbase.url)


def test_view(hbase):
    run("store_test_cluster_view", PUNCHCARD_TEST_HBASE=hbase.url)


def test_cells_behind_a_proxy(hbase, proxied):
    proxy = proxied(hbase.url)
    proxy.randomly(1, 8)
    assert "--- HBase behind a proxy" in run("store_test_cells", PUNCHCARD_TEST_HBASE_PROXY=proxy.url)
    assert proxy.happened("lose") > 0 and proxy.happened("cut") > 0


def test_view_while_the_region_server_dies(hbase):
    """What was acknowledged is there, and what was not is put again: the accounts are those of the plain fold all along."""
    failure = []

    def suite():
        try:
            run("store_test_cluster_view", limit_s=400, PUNCHCARD_TEST_HBASE=hbase.url)
        except (AssertionError, subprocess.TimeoutExpired) as error:  # told below
            failure.append(error)

    thread = threading.Thread(target=suite)
    thread.start()
    time.sleep(3)  # it does not matter where in its work the suite is
    hbase.region_server.kill()
    hbase.region_server.start()
    thread.join()
    assert not failure, failure[0]
