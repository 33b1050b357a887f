"""doctor --deep: what a start of Spark tells; a program takes Spark's place here (tests/spark/test_commands.py has a real one)."""

import json

import pytest
from lake import make_edge

ERROR = '{\\n  "errorClass" : "X",\\n  "messageTemplate" : "%s",\\n  "messageParameters" : { }\\n}\\n'


@pytest.fixture
def look(pc, tmp_path):
    """The checks that come of `body` as spark-sql, by name."""
    edge = make_edge(pc, tmp_path / "edge", tmp_path / "lake")
    (tmp_path / "lake").mkdir()
    spark = tmp_path / "spark-sql"
    edge.write_config(cluster={**edge.cluster, "spark": {"command": [str(spark)]}})

    def run(body, code):
        spark.write_text(f"#!/bin/sh\n{body}\n")
        spark.chmod(0o755)
        checks = json.loads(edge.ok("doctor", "--deep", "--json", code=code).out)["checks"]
        return {check["check"]: check for check in checks}

    return run


def mark(n):
    return f"echo 'punchcard-statement {n}'"


def test_all_is_well(look, tmp_path):
    found = look("; ".join([mark(0), mark(1), mark(2), "echo '{\"rows_read\":1}'", mark(3), 'cat "${*##* }" >/dev/null; cp "$9" ' + str(tmp_path / "told")]), 0)
    for name in ("Spark, tried", "metastore", "kernel on Spark"):
        assert found[name]["result"] == "ok", found
    told = (tmp_path / "told").read_text()
    assert "SHOW DATABASES" in told and "TRANSFORM" in told and "punchcard-fold --programme programme.yaml" in told


def test_what_fails(look):
    found = look("echo 'Exception in thread \"main\" java.lang.X: no master' >&2; exit 1", 1)
    assert "no master" in found["Spark, tried"]["found"] and "SELECT 1" in found["Spark, tried"]["to_do"] and "metastore" not in found
    found = look(f"{mark(0)}; printf '{ERROR % 'no metastore there'}' >&2; exit 1", 1)
    assert found["Spark, tried"]["result"] == "ok"
    assert "no metastore there" in found["metastore"]["found"] and "metastore.uris" in found["metastore"]["to_do"]
    found = look(f"{mark(0)}; {mark(1)}; {mark(2)}; printf '{ERROR % 'Permission denied'}' >&2; exit 1", 1)
    assert found["metastore"]["result"] == "ok" and "Permission denied" in found["kernel on Spark"]["found"]
    assert "noexec" in found["kernel on Spark"]["to_do"]
    # Nothing went through.
    found = look("; ".join([mark(0), mark(1), mark(2), "echo '{\"rows_read\":0}'", mark(3)]), 1)
    assert "has read 0" in found["kernel on Spark"]["found"]
