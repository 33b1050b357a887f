"""A deployment whose cluster is a directory beside it: file:// URLs take directories in the place of HDFS and HBase."""

import json

from conftest import Shop


def cluster_of(lake, edge="e1", **more):
    url = f"file://{lake}"
    return {
        "edge": edge,
        "hdfs": {"url": url, "path": "/p"},
        "hbase": {"url": f"{url}/cells"},
        "ship": {"max_delay_s": 3600},
        **more,
    }


def make_edge(pc, directory, lake, like=None, edge="e1"):
    """A new deployment on that lake, with the configuration and the programme of the deployment `like`."""
    assert pc("init", directory).code == 0
    shop = Shop(pc, directory)
    if like:
        shop.config, shop.programme = json.loads(json.dumps(like.config)), json.loads(json.dumps(like.programme))
    shop.lake = lake
    shop.config["sources"][0]["settle_ms"] = 0
    shop.cluster = cluster_of(lake, edge)
    shop.write_config(cluster=shop.cluster)
    return shop
