"""What `cmake --install` puts where, and that it works there."""

import pathlib
import shutil
import subprocess

import pytest
from conftest import PUNCHCARD

BUILD = pathlib.Path(PUNCHCARD).resolve().parent.parent


@pytest.mark.skipif(not (BUILD / "cmake_install.cmake").exists(), reason="not a build directory")
def test_install(tmp_path):
    prefix = tmp_path / "opt"
    subprocess.run(["cmake", "--install", BUILD, "--prefix", prefix], check=True, capture_output=True)
    binary = prefix / "bin/punchcard"
    assert subprocess.run([binary, "--version"], check=True, capture_output=True).stdout.startswith(b"punchcard")
    unit = prefix / "lib/systemd/system/punchcard@.service"
    text = unit.read_text(encoding="utf-8")
    assert f"ExecStart={binary} -C /srv/punchcard/%i run\n" in text
    assert "SystemCallFilter=~@privileged @resources\n" in text
    if not shutil.which("systemd-analyze"):
        return
    # A template is verified as one of its instances; a name of no user, and the like, would be said here.
    instance = unit.with_name("punchcard@shop.service")
    instance.symlink_to(unit.name)
    result = subprocess.run(["systemd-analyze", "verify", instance], check=False, capture_output=True, text=True)
    said = [line for line in result.stderr.splitlines() if "punchcard" in line]
    assert said == [], result
