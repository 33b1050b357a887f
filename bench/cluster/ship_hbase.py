#!/usr/bin/python3
"""How fast events get into HBase by the driver, beside a plain loop that sends the same batches, encoded beforehand, to the same REST gateway.

    ./dev deps cluster; ./dev build release; python3 bench/cluster/ship_hbase.py [--events 50000] [--repeats 5]

Starts an HBase (tests/cluster/cluster.py), or takes the one that runs. bench/cluster/put.c is what measures: both in turns, in one process each
time, on one kept connection. One line of JSON: `ratio` is the median over the repeats of the driver's rows a second by the loop's; 0.9 is the
aim.
"""

import argparse
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/cluster"))

from cluster import Cluster, Hbase
from figures import tell

TOOL = ROOT / "build/release/bench/bench_cluster_put"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    cluster = Cluster()
    ran = any(daemon.pid() for daemon in Hbase(cluster).daemons)
    try:
        hbase = cluster.up_hbase()
        words = [TOOL, hbase.url, str(arguments.events), str(arguments.repeats)]
        measured = json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout)
    finally:
        if not ran:
            cluster.down()
    ratio = measured.pop("driver_to_plain")
    tell({"bench": "ship_hbase", **measured, "ratio": ratio})


if __name__ == "__main__":
    main()
