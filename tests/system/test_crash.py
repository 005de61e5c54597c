# SPDX-License-Identifier: Apache-2.0
"""kill -9 at any moment loses nothing that was sealed."""
import contextlib
import errno
import json
import os
import random
import signal
import subprocess
import time

import pytest

from conftest import EVERY
from firn_tool import assert_same, mount_process, wait_for

MIB = 1 << 20
SOURCE = (100, 20_000, 200_000, MIB // 2)	# sizes of its files


def make_source(src, seed):
    r = random.Random(seed)
    src.mkdir(exist_ok=True)
    for i in range(16):
        (src / f"file{i}").write_bytes(r.randbytes(SOURCE[i % len(SOURCE)]))
    return sum(p.stat().st_size for p in src.iterdir())


def kill_at(firn, src, delay):
    """Whether the backup was still running after so many seconds, and how many it took."""
    begin = time.monotonic()
    p = firn.start("backup", "--series", "s", "--level", "1", str(src))
    try:
        p.wait(delay)
    except subprocess.TimeoutExpired:
        p.send_signal(signal.SIGKILL)
    p.communicate()
    return p.returncode != 0, time.monotonic() - begin


def nothing_is_lost(firn, sealed, path, *how):
    """What was sealed before the kill is as it was, and all else that is there too."""
    problems, _ = firn.check(*how)
    assert problems == [], problems
    assert firn("cat", f"{sealed}:{path}").out == "sealed before all the kills\n"


def data_uploads(firn):
    """Bytes of packs that the simulator has taken in."""
    return sum(r.bytes_in for r in firn.sim.requests
               if r.verb == "PUT" and r.status == 200 and "/data/" in (r.key or ""))


# Over S3 what is killed is the same program: its hundred are in check-all, and
# a gateway answers slowly.
ROUNDS = {"local": 100, "sim": 100 if EVERY else 20, "rgw": 25,
          "rgw-versioned": 25}


@pytest.mark.long
@pytest.mark.stores(usual=["local", "sim"])
def test_kill_backup(firn, work, request):
    """However often it is killed: nothing sealed is hurt, what had arrived is kept."""
    seed = random.randrange(1 << 30)
    print("seed", seed)
    rand = random.Random(seed)
    rounds = ROUNDS[request.node.callspec.params["firn"]]
    first = work / "first"
    first.mkdir()
    (first / "f").write_text("sealed before all the kills\n")
    sealed = firn.backup("--series", "first", first)["generation"]
    # About how long a whole run takes, so that the kills fall all over it.
    src = work / "src"
    unique = make_source(src, seed)
    begin = time.monotonic()
    firn.backup("--series", "calibrate", "--level", "1", src)
    whole = time.monotonic() - begin
    killed = 0
    for n in range(rounds):
        # New contents now and then, so that there is something to upload.
        if n % 5 == 0:
            unique += make_source(src, seed + n + 1)
        dead, took = kill_at(firn, src, rand.uniform(0.1 * whole, 1.05 * whole))
        killed += dead
        # What else the machine does changes how long it takes.
        whole = whole * 1.02 if dead else took
        # What is stored is never written again, so what a kill spoilt is found
        # by a later look into all of it as well.
        nothing_is_lost(firn, sealed, first / "f", *(["--read-data"] if n % 5 == 4 else []))
        # A block that had arrived is in no pack again: all that is stored is
        # every content once, and the trees and footers of each run.
        assert firn.objects.stored() <= unique + (n + 2) * MIB // 8
        if firn.sim is not None:
            assert data_uploads(firn) <= unique + (n + 2) * MIB // 8
    assert killed > rounds // 4, "the kills came too late to test anything"
    before = firn.objects.stored()
    last = firn.backup("--series", "s", "--level", "1", src)
    assert firn.objects.stored() - before <= last["data_added"] + last["meta_added"] + MIB
    again = firn.backup("--series", "s", "--level", "1", "--force", src)
    assert again["data_added"] == 0
    firn("restore", f"{last['generation']}:{src}", work / "out")
    assert_same(src, work / "out")
    nothing_is_lost(firn, sealed, first / "f", "--read-data")


SENT = 128 * MIB


@pytest.mark.stores(usual=["local", "sim", "rgw-versioned"])
def test_what_arrived_is_not_uploaded_again(firn, work):
    data = os.urandom(SENT)
    command = ["backup", "--series", "s", "--level", "0", "--stdin", "big"]
    # It cannot end before it is killed, for it has not been given all.
    p = firn.start(*command, stdin=subprocess.PIPE)
    p.stdin.write(data[:SENT * 3 // 4])
    p.stdin.flush()
    wait_for(lambda: firn.objects.stored() > SENT // 4, "packs to arrive")
    p.send_signal(signal.SIGKILL)
    p.communicate()
    arrived = firn.objects.stored()
    s = json.loads(firn(*command, "--json", stdin=data).out.splitlines()[-1])
    assert s["data_added"] <= SENT - arrived + 5 * MIB
    assert firn.objects.stored() <= SENT + 7 * MIB
    if firn.sim is not None:
        assert data_uploads(firn) <= SENT + 7 * MIB
    problems, _ = firn.check("--read-data")
    assert problems == []


def test_kill_mount(firn, work, fuse):
    """A dead mount is ENOTCONN, not an empty directory; its cache is used again."""
    src = work / "src"
    src.mkdir()
    data = os.urandom(20 * MIB)
    (src / "big").write_bytes(data)
    firn.backup("--series", "s", src)
    mnt = work / "mnt"
    mnt.mkdir()
    firn("mount", mnt)
    copy = f"{mnt}/latest{src}/big"
    f = open(copy, "rb")
    assert f.read() == data
    pid = mount_process(mnt)
    assert pid
    os.kill(pid, signal.SIGKILL)

    def is_dead():
        """ENOTCONN in the end; never an empty directory on the way there."""
        try:
            assert os.listdir(mnt) != []
        except OSError as e:
            # EIO: a thread took the request that was killed before it could read it.
            assert e.errno in (errno.ECONNABORTED, errno.EIO, errno.ENOTCONN), e
            return e.errno == errno.ENOTCONN
        return False

    wait_for(is_dead, "the mount to be ENOTCONN")
    # A close also asks the mount, unless an earlier one was told not to.
    with contextlib.suppress(OSError):
        f.close()
    r = subprocess.run(["rsync", "-a", "--delete", f"{mnt}/latest/", f"{work}/copy/"],
                       capture_output=True, check=False)
    assert r.returncode != 0
    subprocess.run(["umount", mnt], check=True)
    if firn.sim is not None:
        firn.sim.stats.reset()
    with firn.mount():
        with open(copy, "rb") as f:
            assert f.read() == data
    if firn.sim is None:
        return
    fetched = [r for r in firn.sim.requests if r.verb == "GET" and "/data/" in (r.key or "")]
    assert fetched == [], "the cache was not used"


@pytest.mark.stores("sim", "rgw", "rgw-versioned")
def test_cache_is_verified(firn, work, fuse):
    """Rotten bytes in the cache are noticed and fetched again."""
    src = work / "src"
    src.mkdir()
    data = os.urandom(8 * MIB)
    (src / "big").write_bytes(data)
    firn.backup("--series", "s", src)
    with firn.mount() as mnt:
        assert open(f"{mnt}/latest{src}/big", "rb").read() == data
    hurt = 0
    for path in (work / "cache").rglob("*"):
        if path.is_file() and path.stat().st_size > MIB and "cache" in path.parent.name:
            with open(path, "r+b") as f:
                size = os.fstat(f.fileno()).st_size
                for off in range(5000, min(size, 64 * MIB), 300_000):
                    f.seek(off)
                    f.write(b"rotten bytes")
            hurt += 1
    assert hurt > 0
    with firn.mount() as mnt:
        assert open(f"{mnt}/latest{src}/big", "rb").read() == data


def test_interrupted(repo, work):
    """Ctrl-C ends a backup with 130 and makes no generation."""
    src = work / "src"
    src.mkdir()
    (src / "big").write_bytes(os.urandom(160 * MIB))
    # Which takes five times as long as a first pack, and 19 a minute.
    p = repo.start("backup", "--series", "s", "--level", "17", str(src))
    wait_for(repo.objects.stored, "packs to arrive")
    p.send_signal(signal.SIGINT)
    _, err = p.communicate()
    assert p.returncode == 130, err
    assert b"found again" in err
    assert repo.generations() == []
