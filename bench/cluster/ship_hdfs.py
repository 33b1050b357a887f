#!/usr/bin/python3
"""How fast a file gets into HDFS by the driver, beside one plain `curl -T` of the same bytes to the same servers.

    ./dev deps cluster; ./dev build release; python3 bench/cluster/ship_hdfs.py [--mib 256] [--pairs 5]

Starts an HDFS (tests/cluster/cluster.py), or takes the one that runs. Both are whole processes, from start to exit, and take turns, who
begins too. curl asks the NameNode where, and uploads there; the driver also looks whether the file is there, makes its directory, looks up
the length, and renames. One line of JSON: `ratio` is the median over the pairs of curl's time by the driver's; 0.9 is the aim.
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/cluster"))

from cluster import Cluster, Hdfs
from figures import tell

TOOL = ROOT / "build/release/bench/bench_warehouse"
PLACE = "/user/punchcard/bench"


def timed(function):
    """Seconds of wall, and of CPU of the children."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    function()
    seconds, after = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def by_curl(hdfs, file):
    url = f"{hdfs.url}/webhdfs/v1{PLACE}/by-curl?op=CREATE&noredirect=true&overwrite=true&user.name=punchcard"
    asked = subprocess.run(["curl", "-sf", "-X", "PUT", url], stdout=subprocess.PIPE, check=True)
    location = json.loads(asked.stdout)["Location"]
    subprocess.run(["curl", "-sf", "-T", file, location], check=True, stdout=subprocess.DEVNULL)


def by_driver(hdfs, file):
    subprocess.run([TOOL, hdfs.url, PLACE, "--user", "punchcard", "put", "by-driver", file], check=True)


def remove(hdfs):
    hdfs.rest("DELETE", f"{PLACE}?op=DELETE&recursive=true&user.name=punchcard")
    hdfs.rest("PUT", f"{PLACE}?op=MKDIRS&user.name=punchcard")


def measure(hdfs, file, pairs):
    runs = {by_curl: [], by_driver: []}
    for i in range(pairs + 1):
        for way in (by_curl, by_driver) if i % 2 else (by_driver, by_curl):
            remove(hdfs)
            os.sync()
            runs[way].append(timed(lambda way=way: way(hdfs, file)))
    return {way: samples[1:] for way, samples in runs.items()}  # the first pair warms the servers


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=256)
    parser.add_argument("--pairs", type=int, default=5)
    arguments = parser.parse_args()
    cluster = Cluster()
    ran = any(daemon.pid() for daemon in Hdfs(cluster).daemons)
    hdfs = cluster.up_hdfs()
    hdfs.make_home("punchcard")
    work = ROOT / "build/bench"
    work.mkdir(parents=True, exist_ok=True)
    file = work / "ship.bin"
    with file.open("wb") as out:
        for _ in range(arguments.mib):
            out.write(os.urandom(1 << 20))
    try:
        runs = measure(hdfs, file, arguments.pairs)
    finally:
        file.unlink()
        remove(hdfs)
        if not ran:
            cluster.down()
    curl, driver = runs[by_curl], runs[by_driver]
    result = {
        "bench": "ship_hdfs",
        "mib": arguments.mib,
        "curl_s": [round(seconds, 3) for seconds, _ in curl],
        "driver_s": [round(seconds, 3) for seconds, _ in driver],
        "curl_cpu_s": round(statistics.median(cpu for _, cpu in curl), 3),
        "driver_cpu_s": round(statistics.median(cpu for _, cpu in driver), 3),
        "driver_mib_s": round(arguments.mib / statistics.median(seconds for seconds, _ in driver), 1),
        "ratio": round(statistics.median(a / b for (a, _), (b, _) in zip(curl, driver, strict=True)), 3),
    }
    tell(result)


if __name__ == "__main__":
    main()
