# SPDX-License-Identifier: Apache-2.0
"""The benchmark itself, on tiny inputs, so that it cannot rot."""
import json
import os
import pathlib
import subprocess
import sys
import xml.etree.ElementTree

import pytest

from bench import measure, peers, report
from bench.inputs import GIB, MIB, Inputs
from bench.rows import Entry, Row
from bench.runner import Bench
from bench.stores import Place

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


class Frugal(peers.Peer):
    """A program that stores nothing, and knows what it would."""
    name = "frugal"
    command = ["true"]

    def backup(self, source):
        return self.command, None


class Whole(Frugal):
    name = "whole"
    takes = peers.Rclone.takes


class Hanging(Frugal):
    name = "hanging"
    command = ["sh", "-c", "sleep 86399 & wait"]


class Shelf:
    """A store of some room; what was put there, and how often it was stopped."""
    kind = "shelf"

    def __init__(self, directory, room):
        self.dir, self.free, self.made, self.stops = directory, room, [], 0
        self.removed = []

    def room(self, kind):
        return self.free

    def place(self, kind, name):
        self.made.append(name)
        place = Place(path=self.dir / name)
        place.remove = lambda: self.removed.append(name)
        return place

    def stop(self):
        self.stops += 1


@pytest.fixture
def players(monkeypatch):
    for peer in Frugal, Whole, Hanging:
        monkeypatch.setitem(peers.PEERS, peer.name, peer)


def play(work, shelf, *names, store="rgw"):
    """A row of these, over an image of 16 MiB that is a hole for the most part."""
    b = Bench(BUILD, work, Inputs(work / "inputs", 0.0001, None), shelf, 2, say=print)
    row = Row("row", "a row", "image", store, [Entry(n, n, "again") for n in names], [],
              drop=False)
    (_, results), = b.run([row])
    return dict(zip(names, results)), report.row_text(row, results)


def test_what_has_no_room_is_skipped(work, players):
    """Before anything is made or put, by what the program makes of holes."""
    shelf = Shelf(work, 8 * MIB)
    results, text = play(work, shelf, "frugal", "whole")
    assert len(results["frugal"].samples) == 2 and not results["frugal"].without
    assert not results["whole"].samples and not results["whole"].failed
    assert "puts 16 MiB" in results["whole"].skipped and "8 MiB" in results["whole"].skipped
    assert "skipped: it puts" in text
    assert shelf.made == shelf.removed == ["frugal"] and shelf.stops == 0
    shelf = Shelf(work, 17 * MIB)
    assert len(play(work, shelf, "whole")[0]["whole"].samples) == 2


@pytest.mark.parametrize("store", ["local", "rgw"])
def test_what_hangs_is_ended(work, players, monkeypatch, store):
    """And the store it hung in is not asked for anything again."""
    monkeypatch.setattr(peers, "SET_UP", 0.5)
    shelf = Shelf(work, GIB)
    results, text = play(work, shelf, "frugal", "hanging", "whole", store=store)
    assert "does not end within 0.5 s" in results["hanging"].failed
    assert "failed: sh -c sleep" in text
    assert len(results["whole"].samples) == len(results["frugal"].samples) == 2
    assert not any("86399" in line for line in own_commands())
    if store == "local":
        assert shelf.stops == 0 and "hanging" in shelf.removed
    else:
        # What came before is made again in the new one.
        assert shelf.stops == 1 and shelf.made == ["frugal", "hanging", "whole", "frugal"]
        assert sorted(shelf.removed) == ["frugal", "whole"]


def own_commands():
    """Command lines of this process's children, and of what these left to others."""
    mine = measure.children(os.getpid())
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            group = os.getpgid(int(path.name)) == os.getpgid(0)
            if group or int(path.name) in mine:
                found.append((path / "cmdline").read_bytes().decode(errors="replace"))
        except OSError:
            pass
    return found
