"""The kafka source beside a real broker: every message once, whatever is killed, and whatever becomes of the topic."""

import ctypes
import json
import random
import threading
import time

import pytest
from cluster import wait_for
from conftest import classic, make_shop
from daemon import Daemon

T0 = 1_700_000_000
PRICE = 70


class Producer:
    """librdkafka by ctypes: nothing to install, and no Java to start."""

    def __init__(self, servers):
        self.lib = ctypes.CDLL("librdkafka.so.1")
        for name in ("conf_new", "new", "topic_new"):
            getattr(self.lib, f"rd_kafka_{name}").restype = ctypes.c_void_p
        conf = ctypes.c_void_p(self.lib.rd_kafka_conf_new())
        text = ctypes.create_string_buffer(512)
        # No message is lost or doubled here: the test counts them.
        for name, value in {"bootstrap.servers": servers, "enable.idempotence": "true", "message.timeout.ms": "600000", "linger.ms": "2"}.items():
            assert self.lib.rd_kafka_conf_set(conf, name.encode(), value.encode(), text, 512) == 0, text.value
        self.rk = ctypes.c_void_p(self.lib.rd_kafka_new(0, conf, text, 512))
        assert self.rk, text.value
        self.topics = {}

    def put(self, topic, partition, value):
        if topic not in self.topics:
            self.topics[topic] = ctypes.c_void_p(self.lib.rd_kafka_topic_new(self.rk, topic.encode(), None))
        data = value.encode()
        copy = 2
        assert (
            self.lib.rd_kafka_produce(self.topics[topic], ctypes.c_int32(partition), copy, data, ctypes.c_size_t(len(data)), None, ctypes.c_size_t(0), None) == 0
        )

    def flush(self, limit_s=120):
        assert self.lib.rd_kafka_flush(self.rk, limit_s * 1000) == 0

    def forget(self):
        """What it knows of topics: they may be made anew."""
        self.flush()
        for topic in self.topics.values():
            self.lib.rd_kafka_topic_destroy(topic)
        self.topics = {}

    def close(self):
        self.forget()
        self.lib.rd_kafka_destroy(self.rk)


@pytest.fixture
def producer(kafka):
    made = Producer(kafka.servers)
    yield made
    made.close()


@pytest.fixture
def started():
    """started(shop): its daemon, which does not outlive the test."""
    daemons = []

    def make(shop):
        daemons.append(Daemon(shop))
        return daemons[-1]

    yield make
    for daemon in daemons:
        if daemon.process.poll() is None:
            daemon.kill()


@pytest.fixture
def topic(request):
    """A new name each time: servers may be those of the run before."""
    return f"{request.node.name.replace('_', '-')}-{time.time_ns()}"


def topics(kafka, *words):
    return kafka.run("org.apache.kafka.tools.TopicCommand", "--bootstrap-server", kafka.servers, *words)


def shop_of(pc, path, kafka, topic, **keys):
    shop = make_shop(pc, path)
    shop.config["sources"] = [
        {"name": "orders", "type": "kafka", "brokers": kafka.servers, "topics": [topic], "format": "classic", "scan_s": 1, **keys}
    ]
    shop.write_config()
    return shop


def order(number):
    return classic(1 + number % 50, "latte", PRICE, T0 + number)


def count(shop):
    return shop.value("SELECT count(*) FROM transactions_cln")


def check(shop, n):
    """All of n orders once: their times tell them apart."""
    wait_for(f"{n} orders, and there are {count(shop)}", lambda: count(shop) >= n, 120)
    query = "SELECT count(*) n, count(DISTINCT event_id) ids, count(DISTINCT odr_tms) times FROM transactions_cln"
    assert shop.sql(query) == [(n, n, n)]
    assert shop.value("SELECT count(*) FROM quarantine") == 0


def test_killed(pc, tmp_path, kafka, producer, topic, started):
    """20,000 orders over partitions, of which some are added; the daemon is killed, and once the broker."""
    n = 20_000
    chance = random.Random(7)
    kafka.create_topic(topic, 4)
    shop = shop_of(pc, tmp_path / "shop", kafka, topic)
    daemon = started(shop)
    for i in range(n // 2):
        producer.put(topic, chance.randrange(4), order(i))
    for _ in range(4):
        had = count(shop)
        wait_for("some orders", lambda had=had: count(shop) > had or count(shop) == n // 2, 60)
        daemon.kill()
        daemon.start()
    kafka.broker.kill()
    adding = threading.Thread(target=lambda: [producer.put(topic, i % 4, order(i)) for i in range(n // 2, n - 1000)])
    adding.start()
    adding.join()
    daemon.wait_log("the brokers cannot be reached; they are tried again")
    wait_for("status to say so", lambda: source_state(shop) == "backing_off", 30)
    daemon.kill()
    daemon.start()
    kafka.broker.start()
    producer.flush()
    wait_for("the orders", lambda: count(shop) == n - 1000, 120)
    topics(kafka, "--alter", "--topic", topic, "--partitions", "6")
    knows = Producer(kafka.servers)  # of six, not of four
    for i in range(n - 1000, n):
        knows.put(topic, 4 + i % 2, order(i))
    knows.close()
    check(shop, n)
    wait_for("status to say so", lambda: source_state(shop) == "running", 30)
    daemon.stop()


def source_state(shop):
    return shop.json("top", "--once", "--json")["sources"][0]["state"]


def test_two_share_a_topic(pc, tmp_path, kafka, producer, topic):
    kafka.create_topic(topic, 4)
    shops = [shop_of(pc, tmp_path / str(i), kafka, topic, partitions=[2 * i, 2 * i + 1]) for i in range(2)]
    with Daemon(shops[0]), Daemon(shops[1]):
        for i in range(400):
            producer.put(topic, i % 4, order(i))
        producer.flush()
        for shop in shops:
            wait_for("its half", lambda shop=shop: count(shop) == 200, 60)
    ids = {row[0] for shop in shops for row in shop.sql("SELECT event_id FROM transactions_cln")}
    assert len(ids) == 400
    described = kafka.run(
        "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "--bootstrap-server", kafka.servers, "--describe", "--group", "punchcard"
    )
    mine = [line.split() for line in described.splitlines() if f" {topic} " in line]
    assert sorted((words[2], words[3], words[5]) for words in mine) == [(str(i), "100", "0") for i in range(4)]


def test_topic_made_anew(pc, tmp_path, kafka, producer, topic, started):
    kafka.create_topic(topic)
    shop = shop_of(pc, tmp_path / "shop", kafka, topic)
    daemon = started(shop)
    for i in range(20):
        producer.put(topic, 0, order(i))
    producer.flush()
    wait_for("the first", lambda: count(shop) == 20, 60)
    topics(kafka, "--delete", "--topic", topic)
    producer.forget()
    daemon.wait_log("a topic is not there; it is looked for again")
    kafka.create_topic(topic)
    knows = Producer(kafka.servers)
    for i in range(20, 30):
        knows.put(topic, 0, order(i))
    knows.close()
    check(shop, 30)
    assert "made anew" in daemon.wait_log("a topic is not what it was")["what"]
    assert shop.value("SELECT count(*) FROM transactions_cln WHERE event_id LIKE '%#2/0:%'") == 10
    daemon.stop()


def test_removed_before_they_were_read(pc, tmp_path, kafka, producer, topic):
    kafka.create_topic(topic)
    shop = shop_of(pc, tmp_path / "shop", kafka, topic)
    for i in range(20):
        producer.put(topic, 0, order(i))
    producer.flush()
    with Daemon(shop):
        wait_for("the first", lambda: count(shop) == 20, 60)
    for i in range(20, 50):
        producer.put(topic, 0, order(i))
    producer.flush()
    offsets = tmp_path / "offsets.json"
    offsets.write_text(json.dumps({"partitions": [{"topic": topic, "partition": 0, "offset": 40}], "version": 1}))
    kafka.run("org.apache.kafka.tools.DeleteRecordsCommand", "--bootstrap-server", kafka.servers, "--offset-json-file", str(offsets))
    with Daemon(shop) as daemon:
        wait_for("the rest", lambda: count(shop) == 30, 60)
        assert "20 messages were removed before they were read (offsets 20 to 39)" in daemon.wait_log("a topic is not what it was")["what"]
    assert "20 lost" in shop.ok("status").out
    assert shop.json("status")["sources"][0]["lost"] == 20
