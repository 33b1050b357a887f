"""The warehouse in an HDFS with Kerberos: by a ticket (SPNEGO), by a keytab, and by a delegation token."""

import json
import os
import subprocess

import pytest
from cluster import BUILD
from kerberos import Kdc, SecureHdfs

DENIED = -17  # src/base/error.h
ROOT = "/user/punchcard"


@pytest.fixture(scope="module")
def kdc(cluster):
    found = Kdc(cluster.state / "data/kdc").start()
    yield found
    found.stop()


@pytest.fixture(scope="module")
def secure(cluster, kdc):
    hdfs = SecureHdfs(cluster, kdc).up()
    for query in ("op=MKDIRS", "op=SETOWNER&owner=punchcard"):
        hdfs.curl("-X", "PUT", f"{hdfs.url}/webhdfs/v1{ROOT}?{query}")
    yield hdfs
    for daemon in reversed(hdfs.daemons):
        daemon.stop()


@pytest.fixture(scope="module")
def keytab(kdc):
    return kdc.keytab("punchcard")


def tool(env, url, *words, options):
    return subprocess.run(
        [BUILD / "tests/warehouse_tool", url, ROOT, *options, *map(str, words)],
        env={**os.environ, **env}, capture_output=True, text=True, errors="replace", timeout=120, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(os.urandom(500_000))
    return path


def test_by_ticket(secure, kdc, keytab, file):
    env = kdc.ticket(keytab, "punchcard")
    done = tool(env, secure.url, "put", "by-ticket/f", file, options=["--spnego"])
    assert done.returncode == 0, done.stderr
    done = tool(env, secure.url, "stat", "by-ticket/f", options=["--spnego"])
    assert json.loads(done.stdout)["size"] == 500_000
    done = tool(env, secure.url, "ping", options=["--spnego"])
    assert json.loads(done.stdout)["can_write"] is True, done.stdout


def test_by_keytab(secure, kdc, keytab, file):
    """Without kinit: the library takes the ticket itself."""
    env = {**kdc.env, "KRB5_CLIENT_KTNAME": str(keytab), "KRB5CCNAME": f"FILE:{kdc.dir}/made-by-keytab"}
    done = tool(env, secure.url, "put", "by-keytab/f", file, options=["--spnego"])
    assert done.returncode == 0, done.stderr


def test_without_ticket(secure, kdc, file):
    env = {**kdc.env, "KRB5CCNAME": f"FILE:{kdc.dir}/none"}
    for options in (["--spnego"], ["--user", "punchcard"]):
        done = tool(env, secure.url, "put", "f", file, options=options)
        assert done.returncode == 1 and done.stderr.startswith(f"{DENIED} "), done.stderr
        assert "kinit" in done.stderr


def test_by_token(secure, kdc, keytab, file, tmp_path):
    """A machine without Kerberos, with a token that another one got."""
    env = kdc.ticket(keytab, "punchcard")
    answer = secure.curl(f"{secure.url}/webhdfs/v1/?op=GETDELEGATIONTOKEN&renewer=punchcard", env=env)
    token = tmp_path / "token"
    token.write_text(json.loads(answer)["Token"]["urlString"] + "\n")
    none = {**kdc.env, "KRB5CCNAME": f"FILE:{kdc.dir}/none"}
    done = tool(none, secure.url, "put", "by-token/f", file, options=["--token", token])
    assert done.returncode == 0, done.stderr
    done = tool(none, secure.url, "get", "by-token/f", options=["--token", token])
    assert done.returncode == 0
    secure.curl("-X", "PUT", f"{secure.url}/webhdfs/v1/?op=CANCELDELEGATIONTOKEN&token={token.read_text().strip()}", env=env)
    done = tool(none, secure.url, "stat", "by-token/f", options=["--token", token])
    assert done.returncode == 1 and done.stderr.startswith(f"{DENIED} "), done.stderr
    assert "InvalidToken" in done.stderr or "token" in done.stderr
