#!/usr/bin/env python3
"""Real servers for the tests: HDFS, HBase with its REST gateway, Kafka, and Spark, on this machine's loopback.

    python3 tests/cluster/cluster.py up [hdfs] [hbase] [kafka]     start what is named (hdfs when nothing is), print its URLs
    python3 tests/cluster/cluster.py down                          stop all of it; the data stays until the next `up`
    python3 tests/cluster/cluster.py status                        one line for each daemon
    python3 tests/cluster/cluster.py fetch [hdfs] [hbase] [kafka] [spark]
    python3 tests/cluster/cluster.py spark                         settings for the tests of tests/spark, as a shell reads them

Needs Java 17 or newer, and for the first time mvn and a network. Ports are whatever is free; all state lies in build/cluster
(PUNCHCARD_CLUSTER_DIR), what is downloaded in its downloads/ (PUNCHCARD_CLUSTER_DOWNLOADS), which later runs use again. Each daemon is a
process whose id is known, and is stopped by that. In tests:

    cluster = Cluster()
    hdfs = cluster.up_hdfs()
    hdfs.datanode.stop() … hdfs.datanode.start() … hdfs.admin("-safemode", "enter")
    cluster.down()
"""

import contextlib
import fcntl
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
HERE = pathlib.Path(__file__).resolve().parent
STATE = pathlib.Path(os.environ.get("PUNCHCARD_CLUSTER_DIR", ROOT / "build/cluster"))
DOWNLOADS = pathlib.Path(os.environ.get("PUNCHCARD_CLUSTER_DOWNLOADS", STATE / "downloads"))
BUILD = pathlib.Path(os.environ.get("PUNCHCARD_BUILD", ROOT / "build/dev"))  # where the C programs of the tests are
JAVA = str(pathlib.Path(os.environ["JAVA_HOME"]) / "bin/java") if os.environ.get("JAVA_HOME") else "java"
PYSPARK = "pyspark==4.3.0"
START_S = 180  # what takes longer has hung; the machine may be slow
STOP_S = 60
# What Hadoop and HBase look into behind the module system's back.
OPENS = ("java.lang", "java.lang.reflect", "java.nio", "java.util", "java.util.concurrent", "jdk.internal.ref", "sun.nio.ch")


class ClusterError(Exception):
    """A server could not be had; the message has the end of its log."""


def free_ports(n):
    """Ports that nobody has now, and that no connection gets by itself later: below the range of those."""
    below = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    with contextlib.ExitStack() as stack:
        ports = []
        while len(ports) < n:
            listener = stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                listener.bind(("127.0.0.1", random.randrange(below - 12000, below)))
                ports.append(listener.getsockname()[1])
        return ports


def wait_for(what, condition, limit_s=START_S, check=lambda: None):
    """Until condition() is true; its value. `check` raises when waiting has become senseless."""
    end = time.monotonic() + limit_s
    while True:
        value = condition()
        if value:
            return value
        check()
        if time.monotonic() >= end:
            raise ClusterError(f"not within {limit_s} s: {what}")
        time.sleep(0.1)


def get(url, timeout_s=5, headers=None):
    """The body of a 200 answer; None for everything else."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, headers=headers or {}), timeout=timeout_s) as answer:
            return answer.read()
    except (OSError, ValueError):
        return None


class Daemon:
    """One Java process: started, asked whether it is ready, stopped by its id, killed, started again on the same ports and data."""

    def __init__(self, cluster, name, jars, heap, words, ready=None, options=()):
        self.name = name
        self.log = cluster.state / "log" / f"{name}.log"
        self.pid_file = cluster.state / "run" / f"{name}.pid"
        self.mark = f"-Dpunchcard.daemon={cluster.state}/{name}"
        self.ready = ready
        self.words = cluster.java(name, jars, heap, [self.mark, *options], words)
        self.process = None

    def pid(self):
        """The id of this daemon's process, if it runs: one that another program has taken over since does not count."""
        if self.process and self.process.poll() is not None:
            return None
        try:
            pid = int(self.pid_file.read_text())
            return pid if self.mark in pathlib.Path(f"/proc/{pid}/cmdline").read_text().split("\0") else None
        except (OSError, ValueError):
            return None

    def start(self, wait=True):
        if self.pid() is None:
            if self.log.exists():
                self.log.replace(self.log.with_suffix(".log.1"))
            with self.log.open("wb") as log:
                self.process = subprocess.Popen(
                    self.words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=self.log.parent
                )
            self.pid_file.write_text(f"{self.process.pid}\n")
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, limit_s=START_S):
        if self.ready:
            try:
                wait_for(f"{self.name} answers", self.ready, limit_s, self._check_lives)
            except ClusterError as error:
                raise ClusterError(f"{error}\n{self.tail()}") from None

    def _check_lives(self):
        if self.process and self.process.poll() is not None:
            raise ClusterError(f"{self.name} ended with {self.process.returncode}")

    def tail(self, n=25):
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        lines = [line for line in lines if not line.lstrip().startswith("at ")]
        return f"the end of {self.log}:\n" + "\n".join(lines[-n:])

    def signal(self, number):
        pid = self.pid()
        if pid is not None:
            os.kill(pid, number)
        return pid

    def _wait_gone(self, limit_s):
        wait_for(f"{self.name} ends", lambda: self.pid() is None, limit_s)

    def stop(self):
        """SIGTERM, and SIGKILL when that does not help."""
        if self.signal(signal.SIGTERM) is not None:
            try:
                self._wait_gone(STOP_S)
            except ClusterError:
                self.kill()
        self.pid_file.unlink(missing_ok=True)

    def kill(self):
        """SIGKILL."""
        if self.signal(signal.SIGKILL) is not None:
            self._wait_gone(STOP_S)
        self.pid_file.unlink(missing_ok=True)

    def pause(self):
        """SIGSTOP: it is there, and answers nothing."""
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)


class Hdfs:
    """NameNode and one DataNode. `url`: WebHDFS's; `rpc`: hdfs://…; `conf`: a directory with core-site.xml for clients."""

    prefix = ""  # of the daemons' names
    host = "127.0.0.1"
    options = ()  # of Java

    def __init__(self, cluster):
        self.cluster = cluster
        ports = cluster.ports(f"{self.prefix}hdfs", ["rpc", "http", "data", "data_http", "data_ipc"])
        self.url = f"http://{self.host}:{ports['http']}"
        self.rpc = f"hdfs://{self.host}:{ports['rpc']}"
        names = [f"{self.prefix}namenode", f"{self.prefix}datanode"]
        self._configure(ports, *names)
        self.conf = cluster.state / "conf" / names[0]
        hadoop = "org.apache.hadoop.hdfs.server"
        self.namenode = Daemon(
            cluster, names[0], "hdfs", "256m", [f"{hadoop}.namenode.NameNode"], self._answers, self.options
        )
        self.datanode = Daemon(
            cluster, names[1], "hdfs", "256m", [f"{hadoop}.datanode.DataNode"], self.is_ready, self.options
        )
        self.daemons = [self.namenode, self.datanode]

    def core_settings(self):
        return {"fs.defaultFS": self.rpc, "hadoop.tmp.dir": self.cluster.state / "tmp"}

    def hdfs_settings(self, ports):
        data = f"file://{self.cluster.state}/data/{self.prefix}"
        return {
            "dfs.replication": 1,
            "dfs.permissions.enabled": "true",
            "dfs.webhdfs.enabled": "true",
            "dfs.ls.limit": 10,  # so that few entries are many
            "dfs.namenode.name.dir": f"{data}namenode",
            "dfs.namenode.http-address": f"{self.host}:{ports['http']}",
            "dfs.namenode.safemode.extension": 0,
            # A DataNode that is gone is known to be so within some 15 s instead of ten minutes.
            "dfs.namenode.heartbeat.recheck-interval": 2000,
            "dfs.heartbeat.interval": 1,
            "dfs.datanode.data.dir": f"{data}datanode",
            "dfs.datanode.hostname": self.host,
            "dfs.datanode.address": f"127.0.0.1:{ports['data']}",
            "dfs.datanode.http.address": f"127.0.0.1:{ports['data_http']}",
            "dfs.datanode.ipc.address": f"127.0.0.1:{ports['data_ipc']}",
        }

    def _configure(self, ports, *names):
        for name in names:
            self.cluster.site(name, "core-site.xml", self.core_settings())
            self.cluster.site(name, "hdfs-site.xml", self.hdfs_settings(ports))
        # The jars lack the web pages, and both servers refuse to start without their folders.
        for name, page in zip(names, ("hdfs", "datanode"), strict=True):
            (self.cluster.state / "conf" / name / "webapps" / page).mkdir(parents=True, exist_ok=True)

    def _bean(self, name):
        body = get(f"{self.url}/jmx?qry=Hadoop:service=NameNode,name={name}")
        beans = json.loads(body)["beans"] if body else []
        return beans[0] if beans else {}

    def _answers(self):
        return bool(self._bean("FSNamesystemState"))

    def is_ready(self):
        """The DataNode is there, and the NameNode out of safe mode."""
        bean = self._bean("FSNamesystemState")
        return bean.get("NumLiveDataNodes") == 1 and bean.get("FSState") == "Operational"

    def in_safe_mode(self):
        return self._bean("FSNamesystemState").get("FSState") == "safeMode"

    def up(self):
        self.cluster.fetch("hdfs")
        data = self.cluster.state / "data"
        if not (data / f"{self.prefix}namenode/current").is_dir():
            shutil.rmtree(data / f"{self.prefix}datanode", ignore_errors=True)
            self.run("org.apache.hadoop.hdfs.server.namenode.NameNode", "-format", "-nonInteractive", "-force")
        for daemon in self.daemons:
            daemon.start(wait=False)
        for daemon in self.daemons:
            daemon.wait_ready()
        return self

    def run(self, main, *args):
        """A program of Hadoop's, as the superuser; what it printed."""
        return self.cluster.run(f"{self.prefix}namenode", "hdfs", [main, *args], self.options)

    def admin(self, *args):
        """hdfs dfsadmin …: ("-safemode", "enter"), ("-setSpaceQuota", "10m", "/user/x")"""
        return self.run("org.apache.hadoop.hdfs.tools.DFSAdmin", *args)

    def fs(self, *args):
        """hdfs dfs …"""
        return self.run("org.apache.hadoop.fs.FsShell", *args)

    def make_home(self, user):
        """/user/<user>, which is that user's; returns it."""
        home = f"/user/{user}"
        me = f"user.name={self.superuser()}"
        self.rest("PUT", f"{home}?op=MKDIRS&{me}")
        self.rest("PUT", f"{home}?op=SETOWNER&owner={user}&group={user}&{me}")
        return home

    @staticmethod
    def superuser():
        """Who runs the NameNode."""
        return os.environ.get("HADOOP_USER_NAME") or subprocess.check_output(["id", "-un"], text=True).strip()

    def rest(self, method, path_and_query):
        """One request of WebHDFS that has no data; its JSON, if any."""
        request = urllib.request.Request(f"{self.url}/webhdfs/v1{path_and_query}", method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as answer:
            body = answer.read()
        return json.loads(body) if body else None


class Hbase:
    """ZooKeeper, master, one region server and the REST gateway, each a process; in local files, or on the HDFS that is given."""

    def __init__(self, cluster, hdfs=None):
        self.cluster = cluster
        ports = cluster.ports("hbase", ["zookeeper", "peer", "leader", "master", "region", "rest"])
        self.url = f"http://127.0.0.1:{ports['rest']}"
        self.zookeeper_address = f"127.0.0.1:{ports['zookeeper']}"
        self._configure(ports, hdfs)
        hbase = "org.apache.hadoop.hbase"
        # Its server for administrators would take port 8080, which another's has.
        alone = ["-Dzookeeper.admin.enableServer=false"]
        self.zookeeper = Daemon(cluster, "zookeeper", "hbase", "128m", [f"{hbase}.zookeeper.HQuorumPeer", "start"], options=alone)
        self.master = Daemon(cluster, "master", "hbase", "384m", [f"{hbase}.master.HMaster", "start"])
        self.region_server = Daemon(
            cluster, "region-server", "hbase", "512m", [f"{hbase}.regionserver.HRegionServer", "start"], self.is_ready
        )
        self.rest_server = Daemon(cluster, "rest", "hbase", "256m", [f"{hbase}.rest.RESTServer", "start"], self.is_ready)
        self.daemons = [self.zookeeper, self.master, self.region_server, self.rest_server]

    def _configure(self, ports, hdfs):
        state = self.cluster.state
        common = {
            "hbase.tmp.dir": state / "tmp",
            "hbase.zookeeper.quorum": "127.0.0.1",
            "hbase.zookeeper.property.clientPort": ports["zookeeper"],
        }
        server = {
            **common,
            "hbase.cluster.distributed": "true",
            "hbase.rootdir": f"{hdfs.rpc}/hbase" if hdfs else f"file://{state}/data/hbase",
            "hbase.unsafe.stream.capability.enforce": "false",
            "hbase.wal.provider": "filesystem",
            "dfs.replication": 1,
            "hbase.zookeeper.property.dataDir": f"{state}/data/zookeeper",
            "hbase.zookeeper.property.clientPortAddress": "127.0.0.1",
            "hbase.zookeeper.peerport": ports["peer"],
            "hbase.zookeeper.leaderport": ports["leader"],
            # A region server that was killed is known to be gone, and its regions are opened again, within seconds.
            "zookeeper.session.timeout": 10000,
            "hbase.master.hostname": "127.0.0.1",
            "hbase.master.ipc.address": "127.0.0.1",
            "hbase.master.port": ports["master"],
            "hbase.master.info.port": -1,
            "hbase.regionserver.hostname": "127.0.0.1",
            "hbase.regionserver.ipc.address": "127.0.0.1",
            "hbase.regionserver.port": ports["region"],
            "hbase.regionserver.info.port": -1,
            "hbase.regionserver.msginterval": 1000,
        }
        for name in ("zookeeper", "master", "region-server"):
            self.cluster.site(name, "hbase-site.xml", server)
        # With the default retries the gateway holds a request for many minutes while HBase is away; so it answers 503 soon.
        gateway = {
            **common,
            "hbase.rest.host": "127.0.0.1",
            "hbase.rest.port": ports["rest"],
            "hbase.rest.info.port": -1,
            "hbase.client.retries.number": 3,
            "hbase.client.operation.timeout": 15000,
            "hbase.client.meta.operation.timeout": 15000,
            "hbase.rpc.timeout": 10000,
            "zookeeper.recovery.retry": 1,
        }
        self.cluster.site("rest", "hbase-site.xml", gateway)

    def is_ready(self):
        """The gateway answers for the whole: it has asked the master and the region of namespaces."""
        return get(f"{self.url}/namespaces", 20, {"Accept": "application/json"}) is not None

    def up(self):
        self.cluster.fetch("hbase")
        for daemon in self.daemons:
            daemon.start(wait=False)
        self.rest_server.wait_ready()
        return self


class Kafka:
    """One broker, which is its own controller. `servers`: for bootstrap.servers."""

    def __init__(self, cluster):
        self.cluster = cluster
        ports = cluster.ports("kafka", ["broker", "controller"])
        self.servers = f"127.0.0.1:{ports['broker']}"
        self.properties = self._configure(ports)
        self.broker = Daemon(
            cluster, "kafka", "kafka", "512m", ["kafka.Kafka", str(self.properties)], self.is_ready, self._options()
        )
        self.daemons = [self.broker]

    def _options(self):
        return [f"-Dlog4j2.configurationFile={self.cluster.state}/conf/kafka/log4j2.properties", "-Djava.awt.headless=true"]

    def _configure(self, ports):
        conf = self.cluster.state / "conf/kafka"
        conf.mkdir(parents=True, exist_ok=True)
        listeners = f"PLAINTEXT://{self.servers},CONTROLLER://127.0.0.1:{ports['controller']}"
        settings = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{ports['controller']}",
            "listeners": listeners,
            "advertised.listeners": listeners,
            "controller.listener.names": "CONTROLLER",
            "log.dirs": self.cluster.state / "data/kafka",
            # One broker: every internal topic has one copy, and few partitions, so that the start is quick.
            "default.replication.factor": 1,
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "share.coordinator.state.topic.num.partitions": 1,
            "group.initial.rebalance.delay.ms": 0,
            "auto.create.topics.enable": "true",
            "num.partitions": 1,
        }
        path = conf / "server.properties"
        path.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        (conf / "log4j2.properties").write_text(
            "status=warn\nappender.c.type=Console\nappender.c.name=c\nappender.c.layout.type=PatternLayout\n"
            "appender.c.layout.pattern=%d{ISO8601} %p %m (%c{1})%n\nrootLogger.level=info\nrootLogger.appenderRef.c.ref=c\n"
        )
        return path

    def is_ready(self):
        return self.broker.log.exists() and b"Kafka Server started" in self.broker.log.read_bytes()

    def up(self):
        self.cluster.fetch("kafka")
        if not (self.cluster.state / "data/kafka/meta.properties").exists():
            self.run("kafka.tools.StorageTool", "format", "--standalone", "-t", "cHVuY2hjYXJkLWthZmthMQ", "-c", str(self.properties))
        self.broker.start()
        return self

    def run(self, main, *args):
        """A program of Kafka's; what it printed."""
        return self.cluster.run("kafka", "kafka", [main, *args], self._options())

    def create_topic(self, name, partitions=1):
        self.run(
            "org.apache.kafka.tools.TopicCommand", "--bootstrap-server", self.servers, "--create", "--topic", name,
            "--partitions", str(partitions),
        )  # fmt: skip


# What makes a run of spark-sql load the classes that jobs use.
TYPICAL_SQL = """
CREATE DATABASE IF NOT EXISTS typical;
USE typical;
CREATE EXTERNAL TABLE t (id BIGINT, d DECIMAL(18,3), ts TIMESTAMP, x STRING) PARTITIONED BY (data_dt DATE) STORED AS PARQUET LOCATION 'file://{work}/t';
MSCK REPAIR TABLE t;
INSERT OVERWRITE t PARTITION (data_dt)
    SELECT id, CAST(id AS DECIMAL(18,3)), timestamp_micros(id), CAST(id AS STRING), DATE '2026-01-01' FROM range(1000);
SELECT to_json(struct(count(*) AS n, sum(d) AS s))
    FROM (SELECT x, sum(d) d, row_number() OVER (PARTITION BY x ORDER BY x) r FROM t JOIN (SELECT id k FROM range(10)) ON k = t.id GROUP BY x);
SELECT TRANSFORM(id, x) ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe' WITH SERDEPROPERTIES ('field.delim'='\t')
    USING 'cat' AS (a BIGINT, b STRING)
    ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe' WITH SERDEPROPERTIES ('field.delim'='\t')
    FROM (SELECT id, x FROM t DISTRIBUTE BY id SORT BY id);
"""


class Spark:
    """Spark from PyPI. `bin`: its programs; `work`: a directory of its own with a metastore; `conf`: --properties-file."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.venv = cluster.downloads / "venv"
        self.work = cluster.state / "spark"
        self.bin = self.venv / "bin"
        self.conf = self.work / "spark.conf"
        self.took_s = []

    def up(self):
        self.cluster.fetch("spark")
        self.configure(self.java_options())
        return self

    def configure(self, java_options):
        self.work.mkdir(parents=True, exist_ok=True)
        (self.work / "log4j2.properties").write_text(
            "rootLogger.level=warn\nrootLogger.appenderRef.c.ref=c\nappender.c.type=Console\nappender.c.name=c\n"
            "appender.c.target=SYSTEM_ERR\nappender.c.layout.type=PatternLayout\nappender.c.layout.pattern=%d %p %c{1}: %m%n%ex\n"
        )
        work = self.work
        options = f"{java_options} -Dderby.system.home={work} -Dlog4j2.configurationFile=file:{work}/log4j2.properties"
        settings = {
            "spark.ui.enabled": "false",
            "spark.sql.session.timeZone": "UTC",
            "spark.driver.memory": "2g",
            "spark.sql.warehouse.dir": f"file://{work}/warehouse",
            "spark.sql.error.messageFormat": "STANDARD",
            "spark.hadoop.javax.jdo.option.ConnectionURL": f"jdbc:derby:;databaseName={work}/metastore_db;create=true",
            "spark.hadoop.hive.exec.dynamic.partition.mode": "nonstrict",
            "spark.driver.extraJavaOptions": options,
            "spark.local.dir": f"{work}/tmp",
        }
        self.conf.write_text("".join(f"{key} {value}\n" for key, value in settings.items()))

    def java_options(self):
        """A start takes a third of the work with these: classes that were loaded and checked before, and a compiler that is done sooner."""
        archive = self.cluster.downloads / "spark.jsa"
        return (
            "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -Dderby.system.durability=test "
            f"-XX:SharedArchiveFile={archive} -Xlog:disable -Xlog:all=error:stderr"
        )

    def archive(self):
        """Makes that archive. It holds for this Java and these jars; a JVM that cannot use it goes on without."""
        print("cluster: archiving Spark's classes", file=sys.stderr)
        part = self.cluster.downloads / "spark.jsa.part"
        part.unlink(missing_ok=True)
        shutil.rmtree(self.work, ignore_errors=True)
        self.configure(f"-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -Dderby.system.durability=test -XX:ArchiveClassesAtExit={part}")
        self.sql(TYPICAL_SQL.replace("{work}", str(self.work)))
        shutil.rmtree(self.work)
        part.rename(part.with_suffix(""))

    def home(self):
        """The directory with bin/ and jars/, SPARK_HOME."""
        return next(self.venv.glob("lib/python3*/site-packages/pyspark"))

    def environment(self):
        """For spark-sql and spark-submit; LC_ALL=C would lose every letter that is not ASCII."""
        env = {key: value for key, value in os.environ.items() if not key.startswith(("LC_", "LANG", "SPARK_", "PYSPARK_"))}
        return {
            **env,
            "LC_ALL": "C.UTF-8",
            "SPARK_CONF_DIR": "/nonexistent",
            "SPARK_LOCAL_IP": "127.0.0.1",
            "PYSPARK_PYTHON": str(self.bin / "python3"),
        }

    def sql(self, text, *options, limit_s=900):
        """Runs statements by spark-sql; what they printed. `took_s` has the seconds of each."""
        script = self.work / "statement.sql"
        script.write_text(text, encoding="utf-8")
        words = [str(self.bin / "spark-sql"), "--master", "local[2]", "--properties-file", str(self.conf), *options, "-f", str(script)]
        done = subprocess.run(
            words, env=self.environment(), cwd=self.work, capture_output=True, text=True, timeout=limit_s, stdin=subprocess.DEVNULL
        )
        if done.returncode != 0:
            raise ClusterError(f"spark-sql ended with {done.returncode}:\n{done.stderr[-3000:]}")
        self.took_s = [float(took) for took in re.findall(r"^Time taken: ([0-9.]+) seconds", done.stderr, re.MULTILINE)]
        return done.stdout


class Cluster:
    """All of it. `fresh`: begins without the data of an earlier run, which must not be running any more."""

    def __init__(self, fresh=False, state=STATE, downloads=DOWNLOADS):
        self.state = pathlib.Path(state).absolute()
        self.downloads = pathlib.Path(downloads).absolute()
        if set(str(self.state)) & set(" :*?[]%#"):
            raise ClusterError(f"the servers' file URLs cannot hold a character of {self.state}: set PUNCHCARD_CLUSTER_DIR")
        self.state.mkdir(parents=True, exist_ok=True)
        self.lock = (self.state / "lock").open("w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ClusterError(f"another run of the cluster's tests uses {self.state}") from None
        self.services = {}
        if fresh:
            for service in (Hdfs, Hbase, Kafka):
                for daemon in service(self).daemons:
                    daemon.stop()
            for name in ("data", "conf", "log", "run", "tmp", "spark", "ports.json"):
                path = self.state / name
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        for name in ("conf", "data", "log", "run", "tmp"):
            (self.state / name).mkdir(exist_ok=True)

    # --- configuration ---

    def ports(self, service, names):
        """The ports of a service, chosen once: it comes again on the same ones."""
        path = self.state / "ports.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        if set(known.get(service, {})) != set(names):
            known[service] = dict(zip(names, free_ports(len(names)), strict=True))
            path.write_text(json.dumps(known, indent=1))
        return known[service]

    def site(self, daemon, file, settings):
        """A configuration file of Hadoop's form."""
        conf = self.state / "conf" / daemon
        conf.mkdir(parents=True, exist_ok=True)
        rows = "".join(f"  <property><name>{key}</name><value>{value}</value></property>\n" for key, value in settings.items())
        (conf / file).write_text(f'<?xml version="1.0"?>\n<configuration>\n{rows}</configuration>\n')
        (conf / "log4j.properties").write_text(
            "log4j.rootLogger=INFO, err\nlog4j.appender.err=org.apache.log4j.ConsoleAppender\nlog4j.appender.err.target=System.err\n"
            "log4j.appender.err.layout=org.apache.log4j.PatternLayout\n"
            "log4j.appender.err.layout.ConversionPattern=%d{ISO8601} %p %c{2}: %m%n\n"
        )

    # --- programs ---

    def java(self, name, jars, heap, options, words):
        opens = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in OPENS]
        return [
            JAVA, *options, f"-Xmx{heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.net.preferIPv4Stack=true",
            f"-Djava.io.tmpdir={self.state}/tmp", "--add-exports=java.base/jdk.internal.misc=ALL-UNNAMED", *opens,
            "-cp", f"{self.state}/conf/{name}:{self.downloads}/jars/{jars}/*", *words,
        ]  # fmt: skip

    def run(self, name, jars, words, options=()):
        done = subprocess.run(
            self.java(name, jars, "256m", list(options), words), capture_output=True, text=True, timeout=START_S, stdin=subprocess.DEVNULL
        )
        if done.returncode != 0:
            raise ClusterError(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
        return done.stdout

    def fetch(self, what):
        """Gets the jars of poms/<what>.xml, once for each content of that file; of Spark, a venv."""
        if what == "spark":
            self._fetch_spark()
            return
        pom = HERE / "poms" / f"{what}.xml"
        target = self.downloads / "jars" / what
        mine = target / "pom.xml"
        if mine.exists() and mine.read_bytes() == pom.read_bytes():
            return
        print(f"cluster: fetching the jars of {what}", file=sys.stderr)
        part = target.with_name(f"{what}.part")
        shutil.rmtree(target, ignore_errors=True)
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        self._call(
            "mvn", "-B", "-q", "-f", str(pom), "dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={part}"
        )
        shutil.copy(pom, part / "pom.xml")
        part.rename(target)

    def _fetch_spark(self):
        venv = self.downloads / "venv"
        mark = venv / "punchcard.txt"
        if not mark.exists() or mark.read_text() != PYSPARK:
            print("cluster: fetching Spark", file=sys.stderr)
            shutil.rmtree(venv, ignore_errors=True)
            (self.downloads / "spark.jsa").unlink(missing_ok=True)
            self._call("/usr/bin/python3", "-m", "venv", str(venv))
            self._call(str(venv / "bin/pip"), "install", "-q", "--disable-pip-version-check", PYSPARK)
            mark.write_text(PYSPARK)
        if not (self.downloads / "spark.jsa").exists():
            Spark(self).archive()

    @staticmethod
    def _call(*words, **options):
        try:
            done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **options)
        except FileNotFoundError:
            raise ClusterError(f"{words[0]} is not installed: ./dev deps cluster") from None
        if done.returncode != 0:
            raise ClusterError(f"{' '.join(words)} ended with {done.returncode} (no network?):\n{(done.stdout + done.stderr)[-3000:]}")

    # --- services ---

    def _up(self, name, make):
        if name not in self.services:
            service = make()
            self.services[name] = service
            service.up()
        return self.services[name]

    def up_hdfs(self):
        return self._up("hdfs", lambda: Hdfs(self))

    def up_hbase(self, on_hdfs=False):
        return self._up("hbase", lambda: Hbase(self, self.up_hdfs() if on_hdfs else None))

    def up_kafka(self):
        return self._up("kafka", lambda: Kafka(self))

    def up_spark(self):
        return self._up("spark", lambda: Spark(self))

    def down(self):
        """Stops what this run or an earlier one started."""
        for service in (Kafka, Hbase, Hdfs):
            for daemon in reversed(service(self).daemons):
                daemon.resume()
                daemon.stop()
        self.services = {}


def main():
    words = sys.argv[1:] or ["help"]
    names = words[1:] or ["hdfs"]
    if words[0] == "up":
        cluster = Cluster()
        for name in names:
            service = getattr(cluster, f"up_{name}")()
            print(name, getattr(service, "url", getattr(service, "servers", getattr(service, "conf", ""))))
    elif words[0] == "down":
        Cluster().down()
    elif words[0] == "fetch":
        cluster = Cluster()
        for name in words[1:] or ["hdfs", "hbase", "kafka", "spark"]:
            cluster.fetch(name)
    elif words[0] == "spark":
        spark = Spark(Cluster())
        print(f"PUNCHCARD_SPARK='{spark.home()}' PUNCHCARD_SPARK_JAVA_OPTIONS='{spark.java_options()}'")
    elif words[0] == "status":
        cluster = Cluster()
        for service in (Hdfs, Hbase, Kafka):
            for daemon in service(cluster).daemons:
                print(f"{daemon.name}: {f'runs, pid {daemon.pid()}' if daemon.pid() else 'does not run'}")
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ClusterError as problem:
        print(f"cluster: {problem}", file=sys.stderr)
        sys.exit(1)
