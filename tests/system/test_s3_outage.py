# SPDX-License-Identifier: Apache-2.0
"""The server dies, hangs and comes back; nothing hangs with it, and all goes on.

FIRN_SOAK=1 makes the outages a minute long, as `make soak` does.
"""
import os
import pathlib
import signal
import subprocess
import time

import pytest

from chaos import MIB, Source, chaos_repository, foreground_mount, hammer, seeded
from firn_tool import assert_same, mounts_below, wait_for

pytestmark = pytest.mark.usefixtures("fuse")
OUTAGE = 60 if os.environ.get("FIRN_SOAK") else 4
TIMEOUT = 5 * OUTAGE


@pytest.fixture
def firn(work):
    with chaos_repository(work) as made:
        yield made


def outage(sim, seconds):
    """The server is gone for so long."""
    sim.go_away()
    end = time.monotonic() + seconds
    wait_for(lambda: time.monotonic() > end, "the outage to end", 2 * seconds)
    sim.come_back()


def test_backup_goes_on(firn, work):
    source = Source(work / "src", seeded())
    # Enough packs whatever the seed made, and a while to send them in.
    source.path.joinpath("large").write_bytes(source.rand.randbytes(4 * MIB))
    firn.sim.pace.latency = 0.02
    backup = firn.start("backup", "--timeout", str(TIMEOUT), "--json", source.path)

    def packs():
        return sum("/data/" in key for key in firn.sim.bucket("bucket").keys())

    wait_for(lambda: packs() > 10, "packs to arrive")
    outage(firn.sim, OUTAGE)
    before = packs()
    out, err = backup.communicate()
    assert backup.returncode == 0, err
    assert packs() > before, f"it was done before the server went away: {out}"
    firn.sim.pace.latency = 0
    firn("restore", f"latest:{source.path}", work / "out")
    assert_same(source.path, work / "out")
    assert firn.check("--read-data")[0] == []


def test_readers_go_on(firn, work):
    """With more time than the outage takes, readers only wait."""
    rand = seeded()
    source = Source(work / "src", rand, files=80, largest=2 * MIB)
    firn.backup("--series", "s", source.path)
    with foreground_mount(firn, f"timeout={TIMEOUT},no-cache,memory=8M") as (mnt, _, _):
        copy = f"{mnt}/latest{source.path}"
        with hammer(source.path, copy, rand, threads=3, processes=1) as readers:
            wait_for(lambda: readers.done() > 20, "reads")
            outage(firn.sim, OUTAGE)
            before = readers.done()
            wait_for(lambda: readers.done() > before + 50, "reads after the outage")
        assert readers.wrong == [] and readers.failed == 0


def ends(process, what):
    """The status of a process that must not hang."""
    return wait_for(lambda: process.poll() is not None and (process.returncode,),
                    f"{what} to end")[0]


def start(*args):
    return subprocess.Popen([str(a) for a in args], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)


def test_server_dies_under_find_and_cat(firn, work):
    """EIO with its cause while the server is gone; afterwards all is there."""
    rand = seeded()
    source = Source(work / "src", rand, files=80, largest=2 * MIB)
    firn.backup("--series", "s", source.path)
    with foreground_mount(firn, "timeout=2,no-cache,memory=8M,refresh=1") as (mnt, _, log):
        copy = f"{mnt}/latest{source.path}"
        firn.sim.pace.latency = 0.01
        cat = start("sh", "-c", f"while :; do find '{copy}' -type f -exec cat {{}} + ; "
                    "done")
        wait_for(lambda: any(r.verb == "GET" and "/data/" in (r.key or "")
                             for r in firn.sim.requests), "reads")
        firn.sim.go_away()
        # What is not in memory: EIO, soon.
        largest = sorted(source.files(), key=lambda p: p.stat().st_size)[-4:]
        dds = [start("dd", f"if={copy}{str(path)[len(str(source.path)):]}", "bs=1M",
                     "iflag=nocache", "of=/dev/null") for path in largest]
        said = [(ends(dd, "dd"), dd.communicate()[0]) for dd in dds]
        assert any(status for status, _ in said), said
        assert all(not status or b"Input/output error" in text
                   for status, text in said), said
        errors = wait_for(lambda: pathlib.Path(mnt, ".firn/errors").read_text(), "errors")
        for said in errors, log.read_text():
            assert "no connection" in said and "that the server runs" in said
        assert os.statvfs(mnt) and os.listdir(mnt)
        firn.sim.come_back()
        firn.sim.pace.latency = 0
        cat.kill()
        cat.communicate()
        assert_same(source.path, copy)


@pytest.mark.parametrize("how", ["hangs", "gone"])
def test_interrupted_reader(firn, work, how):
    """^C ends who waits for the server; others and later reads are not hurt."""
    rand = seeded()
    source = Source(work / "src", rand)
    big, other = sorted(source.files(), key=lambda p: p.stat().st_size)[-1:-3:-1]
    firn.backup("--series", "s", source.path)
    with foreground_mount(firn, "timeout=600,no-cache") as (mnt, _, _):
        copy = f"{mnt}/latest"
        assert_listed(copy, source)
        wait = break_server(firn, how)
        cats = [start("cat", f"{copy}{path}") for path in (big, other)]
        wait()
        assert all(cat.poll() is None for cat in cats)
        cats[0].send_signal(signal.SIGINT)
        assert ends(cats[0], "cat") == -signal.SIGINT
        assert cats[1].poll() is None
        mend_server(firn, how)
        assert cats[1].communicate()[0] == other.read_bytes()
        assert pathlib.Path(copy + str(big)).read_bytes() == big.read_bytes()
        cats[0].communicate()


def assert_listed(copy, source):
    """What the mount lists; it knows that by heart afterwards."""
    for path in source.files():
        assert os.path.getsize(copy + str(path)) == path.stat().st_size


def break_server(firn, how):
    """Returns a function that waits until somebody has met with it."""
    if how == "gone":
        before = len(firn.sim.requests)
        firn.sim.go_away()
        return lambda: before
    rule = firn.sim.faults.add("stall", verb="GET", prefix="some/prefix/data", seconds=600)
    return lambda: wait_for(lambda: rule.fired, "a request to hang")


def mend_server(firn, how):
    if how == "gone":
        firn.sim.come_back()
    else:
        firn.sim.faults.clear()
        firn.sim.go_away()	# what hangs is cut off
        firn.sim.come_back()


@pytest.mark.parametrize("how", ["hangs", "gone"])
@pytest.mark.parametrize("by", ["umount", "SIGTERM"])
def test_unmount_while_requests_hang(firn, work, how, by):
    rand = seeded()
    source = Source(work / "src", rand)
    big = max(source.files(), key=lambda p: p.stat().st_size)
    firn.backup("--series", "s", source.path)
    with foreground_mount(firn, "timeout=600,no-cache,refresh=1") as (mnt, process, _):
        copy = f"{mnt}/latest"
        assert_listed(copy, source)
        wait = break_server(firn, how)
        cats = [start("cat", f"{copy}{big}"), start("cat", f"{copy}{big}")]
        wait()
        if by == "umount":
            # Busy as long as somebody has a file open, as any file system.
            for cat in cats:
                cat.kill()
                ends(cat, "cat")
            wait_for(lambda: subprocess.run(["umount", mnt], check=False,
                                            capture_output=True).returncode == 0, "umount")
        else:
            process.send_signal(signal.SIGTERM)
        assert ends(process, "firnfs") == 0
        for cat in cats:
            assert ends(cat, "cat") != 0
            cat.communicate()
        assert mounts_below(mnt) == []
    mend_server(firn, how)
    with firn.mount() as mnt:
        assert pathlib.Path(f"{mnt}/latest{big}").read_bytes() == big.read_bytes()
