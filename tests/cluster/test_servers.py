"""The servers that the other tests stand on: they come up, take something, and have it again after they were killed."""

import base64
import json
import urllib.request

import pytest
from cluster import get, wait_for
from proxy import Fault


def b64(text):
    return base64.b64encode(text.encode()).decode()


def ask(method, url, body=None):
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
        return answer.status, answer.read()


def test_hdfs(hdfs):
    assert hdfs.is_ready() and not hdfs.in_safe_mode()
    hdfs.admin("-safemode", "enter")
    assert hdfs.in_safe_mode()
    hdfs.admin("-safemode", "leave")
    assert not hdfs.in_safe_mode()
    home = hdfs.make_home("somebody")
    status = hdfs.rest("GET", f"{home}?op=GETFILESTATUS&user.name=somebody")
    assert status["FileStatus"]["owner"] == "somebody"


def test_hbase_region_server_killed(hbase):
    """A row that was acknowledged is there when the region server is."""
    table = f"{hbase.url}/smoke"
    ask("PUT", f"{table}/schema", {"name": "smoke", "ColumnSchema": [{"name": "v", "VERSIONS": "1"}]})
    row = {"key": b64("row"), "Cell": [{"column": b64("v:a"), "timestamp": 1000, "$": b64("value")}]}
    assert ask("PUT", f"{table}/any", {"Row": [row]})[0] == 200
    hbase.region_server.kill()
    assert hbase.region_server.pid() is None
    hbase.region_server.start()
    accept = {"Accept": "application/json"}
    body = wait_for("the row", lambda: get(f"{table}/row/v:a", 30, accept))
    assert json.loads(body)["Row"][0]["Cell"][0]["$"] == b64("value")


def test_kafka_killed(kafka):
    kafka.create_topic("orders", 6)
    kafka.broker.kill()
    kafka.broker.start()
    described = kafka.run("org.apache.kafka.tools.TopicCommand", "--bootstrap-server", kafka.servers, "--describe", "--topic", "orders")
    assert "PartitionCount: 6" in described


def test_spark(spark):
    out = spark.sql(
        "DROP TABLE IF EXISTS smoke;\n"
        "CREATE TABLE smoke (cust_id INT) PARTITIONED BY (data_dt STRING) STORED AS PARQUET;\n"
        "INSERT OVERWRITE smoke PARTITION (data_dt = '2026-11-23') SELECT 7;\n"
        "SELECT to_json(struct(*)) FROM smoke;\n"
    )
    assert out.splitlines() == ['{"cust_id":7,"data_dt":"2026-11-23"}']


@pytest.mark.parametrize("kind", ["status", "cut", "lose", "drop"])
def test_proxy(hdfs, proxied, kind):
    proxy = proxied(hdfs.url)
    url = f"{proxy.url}/webhdfs/v1/?op=GETFILESTATUS"
    wait_for("it answers", lambda: get(url))
    proxy.add(Fault(kind, "GET", "GETFILESTATUS"))
    try:
        assert not get(url)
    except Exception as error:  # half an answer is http.client's error
        assert "IncompleteRead" in repr(error)
    assert get(url, 60)
    assert proxy.happened(kind) == 1 and proxy.happened() == 1
