# SPDX-License-Identifier: Apache-2.0
"""kill -9 at any moment loses nothing that was sealed."""
import errno
import os
import random
import signal
import subprocess
import time

import pytest

from firn_tool import assert_same, wait_for

MIB = 1 << 20


def stored(firn):
    """Bytes of packs in the store."""
    if firn.sim is not None:
        bucket = firn.sim.bucket("bucket")
        return sum(len(bucket.get(k)) for k in bucket.keys() if "/data/" in k)
    return sum(p.stat().st_size for p in firn.store_dir().glob("data/*/*"))


def make_source(src, seed):
    r = random.Random(seed)
    src.mkdir(exist_ok=True)
    for i in range(30):
        (src / f"file{i}").write_bytes(r.randbytes(r.choice([100, 50_000, 4 * MIB])))


def kill_at(firn, src, delay):
    p = firn.start("backup", "--series", "s", "--level", "1", str(src))
    end = time.monotonic() + delay
    while time.monotonic() < end and p.poll() is None:
        time.sleep(0.001)
    p.send_signal(signal.SIGKILL)
    p.communicate()
    return p.returncode


@pytest.mark.parametrize("where,rounds", [("local", 100), ("sim", 100)])
def test_kill_backup(request, work, where, rounds):
    """A hundred kills; nothing sealed is hurt, and what had arrived is kept."""
    firn = request.getfixturevalue(where)
    seed = random.randrange(1 << 30)
    print("seed", seed)
    rand = random.Random(seed)
    first = work / "first"
    first.mkdir()
    (first / "f").write_text("sealed before all the kills\n")
    sealed = firn.backup("--series", "first", first)["generation"]
    # How long a whole run takes, so that the kills fall all over it.
    src = work / "src"
    make_source(src, seed)
    begin = time.monotonic()
    firn.backup("--series", "calibrate", "--level", "1", src)
    whole = time.monotonic() - begin
    killed = 0
    for n in range(rounds):
        # New contents now and then, so that there is something to upload.
        if n % 10 == 0:
            make_source(src, seed + n + 1)
        killed += kill_at(firn, src, rand.uniform(0.3 * whole, 1.05 * whole)) != 0
        if n % 5 == 4:
            assert firn("cat", f"{sealed}:{first}/f").out == "sealed before all the kills\n"
        if n % 20 == 19:
            problems, _ = firn.check("--read-data")
            assert problems == []
    assert killed > rounds // 4, "the kills came too late to test anything"
    before = stored(firn)
    last = firn.backup("--series", "s", "--level", "1", src)
    after = stored(firn)
    again = firn.backup("--series", "s", "--level", "1", "--force", src)
    assert again["data_added"] == 0
    firn("restore", f"{last['generation']}:{src}", work / "out")
    assert_same(src, work / "out")
    problems, _ = firn.check("--read-data")
    assert problems == []
    size = sum(p.stat().st_size for p in src.iterdir())
    assert after - before <= size + MIB


def test_what_arrived_is_not_uploaded_again(local, work):
    src = work / "src"
    src.mkdir()
    (src / "big").write_bytes(os.urandom(400 * MIB))
    p = local.start("backup", "--series", "s", "--level", "0", str(src))
    wait_for(lambda: stored(local) > 100 * MIB, "packs to arrive")
    p.send_signal(signal.SIGKILL)
    p.communicate()
    arrived = stored(local)
    s = local.backup("--series", "s", "--level", "0", src)
    assert s["data_added"] <= 400 * MIB - arrived + 5 * MIB
    assert stored(local) <= 402 * MIB + 5 * MIB
    problems, _ = local.check("--read-data")
    assert problems == []


def pid_of_mount(where):
    out = subprocess.run(["pgrep", "-f", f"firnfs .*{where}"], capture_output=True,
                         text=True, check=False).stdout.split()
    assert len(out) == 1, out
    return int(out[0])


def test_kill_mount(sim, work, fuse):
    """A dead mount is ENOTCONN, not an empty directory; its cache is used again."""
    src = work / "src"
    src.mkdir()
    data = os.urandom(20 * MIB)
    (src / "big").write_bytes(data)
    sim.backup("--series", "s", src)
    mnt = work / "mnt"
    mnt.mkdir()
    sim("mount", mnt)
    copy = f"{mnt}/latest{src}/big"
    with open(copy, "rb") as f:
        assert f.read() == data
        pid = pid_of_mount(mnt)
        os.kill(pid, signal.SIGKILL)

        def is_dead():
            """ENOTCONN in the end; never an empty directory on the way there."""
            try:
                assert os.listdir(mnt) != []
            except OSError as e:
                assert e.errno in (errno.ECONNABORTED, errno.ENOTCONN), e
                return e.errno == errno.ENOTCONN
            return False

        wait_for(is_dead, "the mount to be ENOTCONN")
    r = subprocess.run(["rsync", "-a", "--delete", f"{mnt}/latest/", f"{work}/copy/"],
                       capture_output=True, check=False)
    assert r.returncode != 0
    subprocess.run(["umount", mnt], check=True)
    sim.sim.stats.reset()
    with sim.mount():
        with open(copy, "rb") as f:
            assert f.read() == data
    fetched = [r for r in sim.sim.requests if r.verb == "GET" and "/data/" in (r.key or "")]
    assert fetched == [], "the cache was not used"


def test_cache_is_verified(sim, work, fuse):
    """Rotten bytes in the cache are noticed and fetched again."""
    src = work / "src"
    src.mkdir()
    data = os.urandom(8 * MIB)
    (src / "big").write_bytes(data)
    sim.backup("--series", "s", src)
    with sim.mount() as mnt:
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
    with sim.mount() as mnt:
        assert open(f"{mnt}/latest{src}/big", "rb").read() == data


def test_interrupted(local, work):
    """Ctrl-C ends a backup with 130 and makes no generation."""
    src = work / "src"
    src.mkdir()
    (src / "big").write_bytes(os.urandom(600 * MIB))
    p = local.start("backup", "--series", "s", str(src))
    wait_for(lambda: stored(local) > 0, "packs to arrive")
    p.send_signal(signal.SIGINT)
    _, err = p.communicate()
    assert p.returncode == 130, err
    assert b"found again" in err
    assert local.generations() == []
