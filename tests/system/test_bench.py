# SPDX-License-Identifier: Apache-2.0
"""The benchmark itself, on tiny inputs, so that it cannot rot."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import xml.etree.ElementTree

import pytest

from bench import measure, peers, report, target
from bench.inputs import GIB, MIB, Inputs
from bench.rows import Entry, Row
from bench.runner import Bench
from bench.stores import Place

from firn_tool import BUILD, mounts_below, wait_for
from rgw import RgwError

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
              "--only", "first-linux,sequential-far,copy-net")
    assert r.returncode == 0, r.stderr
    doc = json.loads((work / "out.json").read_text())
    assert [row["id"] for row in doc["rows"]] == ["first-linux", "copy-net", "sequential-far"]
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
    assert mounts_below(work) == loops_below(work) == []


def test_an_end_in_the_middle(work, root, fuse, line):
    """Of a copy: nothing is left, mounted or running."""
    path = work / "bin"
    path.mkdir()
    (path / "cp").write_text("#!/bin/sh\nsleep 86397 &\nwait\n")
    (path / "cp").chmod(0o755)
    env = dict(os.environ, PYTHONPATH=str(TESTS), PATH=f"{path}:{os.environ['PATH']}")
    with subprocess.Popen(
            [sys.executable, "-m", "bench", "--build", str(BUILD), "--dir",
             str(work / "scratch"), "--scale", "0.0001", "--runs", "1", "--tarball", "none",
             "--simulator", "--out", str(work / "out"), "--only", "copy-net"],
            env=env, cwd=work, stderr=subprocess.DEVNULL) as p:
        try:
            wait_for(lambda: p.poll() is not None or any("86397" in c for c in own_commands()),
                     "the copy")
        finally:
            p.terminate()
    assert p.returncode == 143
    assert not any("86397" in c for c in own_commands())
    assert mounts_below(work) == loops_below(work) == []
    assert not list((work / "scratch").glob("target*"))


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


def test_an_interrupt_ends_all_of_a_command(work):
    """Not only the process that was begun."""
    def raise_it(*_):
        raise KeyboardInterrupt

    def interrupt():
        wait_for(lambda: any(c.startswith("sleep\08639") for c in own_commands())
                 and any(isinstance(t, measure.Sampler) for t in threading.enumerate()),
                 "the command to be watched")
        os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, raise_it)
    thread = threading.Thread(target=interrupt)
    try:
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            measure.run(["sh", "-c", "sleep 86398 & wait"])
    finally:
        thread.join()
        signal.signal(signal.SIGUSR1, before)
    wait_for(lambda: not any("86398" in c for c in own_commands()), "its end", 30)


def test_a_store_that_does_not_start_is_a_word(work, players):
    """In the table; what comes later goes on."""
    shelf = Shelf(work, GIB)
    def place(kind, name):
        raise RgwError("the gateway does not answer")
    shelf.place = place
    results, text = play(work, shelf, "frugal")
    assert results["frugal"].failed == "the gateway does not answer"
    assert "failed: the gateway" in text


@pytest.fixture
def copies(work, root):
    """Where they go, mounted once."""
    t = target.Target(work)
    try:
        t.fresh()
        if not t.can_mount:
            pytest.skip("there is no loop device")
        yield t
    finally:
        t.remove()


def test_copies_go_where_nothing_was(work, copies):
    copies.path.mkdir()
    assert mounts_below(work) == [str(copies.at)]
    assert copies.fresh() == copies.path and not copies.path.exists()
    assert mounts_below(work) == [str(copies.at)] and len(loops_below(work)) == 1
    copies.remove()
    assert mounts_below(work) == loops_below(work) == list(work.glob("target*")) == []


@pytest.mark.parametrize("mounted", [True, False])
def test_what_a_killed_run_left(work, copies, mounted):
    """Goes with the next, also a device that was not mounted yet."""
    if not mounted:
        subprocess.run(["umount", copies.at], check=True)
        subprocess.run(["losetup", "-f", copies.image], check=True)
    assert len(loops_below(work)) == 1
    target.Target(work).remove()
    assert mounts_below(work) == loops_below(work) == list(work.glob("target*")) == []


def test_a_target_in_use_goes_all_the_same(work, copies, monkeypatch):
    monkeypatch.setattr(target, "PATIENCE", 0)
    with open(copies.path, "w", encoding="ascii"):
        copies.remove()
        assert mounts_below(work) == list(work.glob("target*")) == []
    wait_for(lambda: loops_below(work) == [], "the device to go with its last user")


def test_a_target_is_no_larger_than_the_disk(work, copies, monkeypatch):
    """Or what it cannot take would be lost without an error."""
    free = 200 * MIB
    monkeypatch.setattr(target.shutil, "disk_usage",
                        lambda path: shutil._ntuple_diskusage(GIB, GIB - free, free))
    copies.fresh()
    assert 0 < copies.image.stat().st_size < free
    assert len(mounts_below(work)) == 1


def loops_below(directory):
    """Loop devices of files there, removed or not."""
    found = []
    for path in pathlib.Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            if path.read_text().startswith(f"{directory}/"):
                found.append(path.parts[3])
        except OSError:
            pass		# it has just gone
    return found


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
