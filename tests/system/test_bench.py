# SPDX-License-Identifier: Apache-2.0
"""The benchmark itself, on tiny inputs, so that it cannot rot."""
import json
import os
import pathlib
import subprocess
import sys
import xml.etree.ElementTree

import pytest

from firn_tool import BUILD, mounts_below

TESTS = pathlib.Path(__file__).resolve().parents[1]
# In one process: two that make bench_line at once disturb each other.
pytestmark = pytest.mark.xdist_group("bench")


def bench(work, *args):
    env = dict(os.environ, PYTHONPATH=str(TESTS), PYTHONDONTWRITEBYTECODE="1")
    return subprocess.run([sys.executable, "-m", "bench", *map(str, args)], env=env,
                          cwd=work, capture_output=True, text=True, check=False)


@pytest.fixture
def line():
    """The relay in front of the stores."""
    r = subprocess.run(["make", "-C", BUILD, "bench_line"], capture_output=True, check=False)
    if r.returncode != 0:
        pytest.skip("bench_line does not build here")


def test_rows_on_tiny_inputs(work, root, fuse, line):
    """A backup, a mount over the slow line and a table, without peers that
    need to be there; what firn itself does must not fail."""
    r = bench(work, "--build", BUILD, "--dir", work / "scratch", "--scale", "0.0001",
              "--runs", "1", "--tarball", "none", "--simulator", "--out", work / "out",
              "--only", "first-linux,sequential-far")
    assert r.returncode == 0, r.stderr
    doc = json.loads((work / "out.json").read_text())
    assert [row["id"] for row in doc["rows"]] == ["first-linux", "sequential-far"]
    for row in doc["rows"]:
        own = next(e for e in row["entries"] if e["label"] == "firn")
        assert own["failed"] == "" and len(own["samples"]) == 1, row
        sample = own["samples"][0]
        assert sample["seconds"] > 0 and sample["resident"] > 0, row
        assert row["id"] in r.stdout and row["title"] in r.stdout
    by = {row["id"]: row["entries"][0]["samples"][0] for row in doc["rows"]}
    assert by["first-linux"]["stored"] > 0
    # The line counted what the mount fetched: the file and little more.
    assert by["sequential-far"]["requests"] > 0
    assert 1 << 20 <= by["sequential-far"]["bytes_down"] < 3 << 20
    # At 20 ms a round trip a read takes at least one.
    assert by["sequential-far"]["seconds"] > 0.02
    xml.etree.ElementTree.parse(work / "out.svg")
    assert mounts_below(work) == []


def test_absent_peers_are_rows(work, root, fuse, line):
    """With nothing else in PATH, the run ends well and says who is absent."""
    path = work / "bin"
    path.mkdir()
    for name in ("du", "umount", "mount", "python3", "fusermount3"):
        found = subprocess.run(["which", name], capture_output=True, text=True, check=True)
        (path / name).symlink_to(found.stdout.strip())
    env = dict(os.environ, PYTHONPATH=str(TESTS), PATH=str(path))
    r = subprocess.run([sys.executable, "-m", "bench", "--build", str(BUILD), "--dir",
                        str(work / "scratch"), "--scale", "0.0001", "--runs", "1",
                        "--tarball", "none", "--simulator", "--out", str(work / "out"),
                        "--only", "first-linux"], env=env, cwd=work,
                       capture_output=True, text=True, check=False)
    assert r.returncode == 0, r.stderr
    assert "absent (restic)" in r.stdout and "absent (borg)" in r.stdout
