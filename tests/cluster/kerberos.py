"""A Kerberos realm on this machine (MIT's KDC), and an HDFS that believes nobody without a ticket of it."""

import json
import os
import signal
import subprocess

from cluster import ClusterError, Hdfs, free_ports, wait_for

REALM = "PUNCHCARD.TEST"
SBIN = "/usr/sbin"  # not in everybody's PATH
STOP_S = 20


class Kdc:
    """Everything in one directory: configuration, database, keytabs. `env`: for whoever asks it."""

    def __init__(self, directory):
        self.dir = directory
        self.dir.mkdir(parents=True, exist_ok=True)
        self.port = free_ports(1)[0]
        self.conf = self.dir / "krb5.conf"
        self.conf.write_text(
            f"[libdefaults]\n default_realm = {REALM}\n dns_lookup_kdc = false\n dns_lookup_realm = false\n rdns = false\n"
            " dns_canonicalize_hostname = false\n udp_preference_limit = 1\n permitted_enctypes = aes256-cts-hmac-sha1-96\n"
            f"[realms]\n {REALM} = {{\n  kdc = 127.0.0.1:{self.port}\n }}\n"
            f"[domain_realm]\n localhost = {REALM}\n"
        )
        (self.dir / "kdc.conf").write_text(
            f"[kdcdefaults]\n kdc_listen = 127.0.0.1:{self.port}\n kdc_tcp_listen = 127.0.0.1:{self.port}\n"
            f"[realms]\n {REALM} = {{\n  database_name = {self.dir}/principal\n  key_stash_file = {self.dir}/stash\n"
            "  supported_enctypes = aes256-cts-hmac-sha1-96:normal\n  max_life = 1h\n }\n"
            f"[logging]\n kdc = FILE:{self.dir}/kdc.log\n"
        )
        self.env = {**os.environ, "KRB5_CONFIG": str(self.conf), "KRB5_KDC_PROFILE": str(self.dir / "kdc.conf")}
        self.process = None

    def _run(self, *words):
        done = subprocess.run(words, env=self.env, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, timeout=60)
        if done.returncode != 0:
            raise ClusterError(f"{' '.join(words)} ended with {done.returncode}: {done.stdout}{done.stderr}")

    def start(self):
        self._run(f"{SBIN}/kdb5_util", "create", "-s", "-r", REALM, "-P", "of no use")
        self.process = subprocess.Popen(
            [f"{SBIN}/krb5kdc", "-n", "-r", REALM], env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        return self

    def keytab(self, *principals):
        """Principals with random keys, in one file."""
        path = self.dir / f"{principals[0].partition('/')[0]}.keytab"
        for principal in principals:
            self._run(f"{SBIN}/kadmin.local", "-r", REALM, "-q", f"addprinc -randkey {principal}")
            self._run(f"{SBIN}/kadmin.local", "-r", REALM, "-q", f"ktadd -k {path} {principal}")
        return path

    def ticket(self, keytab, principal):
        """The environment of a process that has a ticket."""
        env = {**self.env, "KRB5CCNAME": f"FILE:{self.dir}/cache-{principal.replace('/', '-')}"}

        def take():
            done = subprocess.run(
                ["kinit", "-k", "-t", keytab, principal], env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
            )
            return done.returncode == 0

        wait_for(f"a ticket of {principal}", take, 30)
        return env

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(STOP_S)


class SecureHdfs(Hdfs):
    """HDFS with Kerberos. The superuser is `nn`."""

    prefix = "secure-"
    host = "localhost"  # principals have names, not addresses

    def __init__(self, cluster, kdc):
        self.nn = kdc.keytab(f"nn/{self.host}", f"HTTP/{self.host}")
        self.options = (f"-Djava.security.krb5.conf={kdc.conf}",)
        self.env = kdc.ticket(self.nn, f"nn/{self.host}")  # the superuser's
        super().__init__(cluster)

    def curl(self, *words, env=None):
        """What a request with a ticket answers; the superuser's, unless another is given."""
        words = ["curl", "-sSf", "--negotiate", "-u", ":", *words]
        return subprocess.run(words, env=env or self.env, check=True, capture_output=True, timeout=60).stdout

    def _bean(self, name):
        try:
            beans = json.loads(self.curl(f"{self.url}/jmx?qry=Hadoop:service=NameNode,name={name}"))["beans"]
        except (subprocess.CalledProcessError, ValueError):
            return {}
        return beans[0] if beans else {}

    def core_settings(self):
        return {
            **super().core_settings(),
            "hadoop.security.authentication": "kerberos",
            "hadoop.http.authentication.type": "kerberos",
            "hadoop.http.authentication.kerberos.principal": f"HTTP/{self.host}@{REALM}",
            "hadoop.http.authentication.kerberos.keytab": self.nn,
        }

    def hdfs_settings(self, ports):
        return {
            **super().hdfs_settings(ports),
            "dfs.namenode.kerberos.principal": f"nn/{self.host}@{REALM}",
            "dfs.namenode.keytab.file": self.nn,
            "dfs.datanode.kerberos.principal": f"nn/{self.host}@{REALM}",
            "dfs.datanode.keytab.file": self.nn,
            "dfs.web.authentication.kerberos.principal": f"HTTP/{self.host}@{REALM}",
            "dfs.web.authentication.kerberos.keytab": self.nn,
            "dfs.block.access.token.enable": "true",
            # DataNodes want ports that only root may take, or SASL with https.
            "ignore.secure.ports.for.testing": "true",
        }
