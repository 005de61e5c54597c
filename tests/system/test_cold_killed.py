# SPDX-License-Identifier: Apache-2.0
"""Thaws of a thousand packs that are killed: nothing is lost or paid for twice."""
import os
import random
import signal
import subprocess

import pytest

from cold import PRICES
from conftest import in_bucket
from firn_tool import mount_process, unmount_all, wait_for
from s3sim import S3Sim

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("fuse")]
PACKS = 1000
KILLS = 4


@pytest.fixture(name="thousand")
def thousand_packs(work):
    """A repository of many small packs in the archive; firn.sim counts."""
    with S3Sim(["bucket"], data_dir=str(work / "sim")) as server:
        firn = in_bucket(work, (server.url, "AKIDTEST", "SECRETTEST"), "bucket", "p",
                         "--pack-size", "64K", "--block-size", "16K")
        firn.sim = server
        firn.env["FIRN_PRICES"] = str(PRICES)
        (work / "src").mkdir()
        (work / "src" / "big").write_bytes(os.urandom(PACKS * 112 * 1024))
        firn.backup("--tier", "DEEP_ARCHIVE", "--series", "s", work / "src")
        assert len(firn.objects.names("data/")) >= PACKS
        yield firn


def asked(firn):
    return firn.sim.stats.restores_of("bucket")


def moments():
    """How many packs shall have been asked for when it is killed."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    dice = random.Random(seed)
    return sorted(dice.randrange(1, PACKS - 50) for _ in range(KILLS))


def check_once(firn):
    packs = {f"p/{name}" for name in firn.objects.names("data/")}
    found = asked(firn)
    assert set(found) == packs
    twice = {key: counts for key, counts in found.items()
             if {str(k): n for k, n in counts.items()} != {"202": 1}}
    assert twice == {}


def test_command(thousand):
    for moment in moments():
        job = thousand.start("thaw", "--yes", "latest")
        wait_for(lambda: len(asked(thousand)) > moment or job.poll() is not None,
                 "some requests")
        job.send_signal(signal.SIGKILL)
        job.wait()
    # The rest on another host, which knows nothing of it.
    thousand.client()("thaw", "--yes", "latest")
    check_once(thousand)


def test_mount(thousand):
    where = thousand.work / "mnt"
    where.mkdir()
    path = where / "latest" / str(thousand.work / "src").lstrip("/") / "big"
    for moment in moments():
        thousand("mount", where, "-o", "cold=thaw,thaw-poll=1")
        subprocess.run(["head", "-c", "1", path], check=False, capture_output=True)
        wait_for(lambda: len(asked(thousand)) > moment, "some requests")
        os.kill(mount_process(where), signal.SIGKILL)
        wait_for(lambda: mount_process(where) == 0, "its end")
        unmount_all(thousand.work)
    # What is left is asked for when it is read again, and not before: it costs.
    thousand("mount", where, "-o", "cold=thaw,thaw-poll=1")
    subprocess.run(["head", "-c", "1", path], check=False, capture_output=True)
    wait_for(lambda: len(asked(thousand)) == len(thousand.objects.names("data/")),
             "the rest")
    check_once(thousand)
    thousand.sim.make_ready("bucket", prefix="p/data/")
    source = (thousand.work / "src" / "big").read_bytes()
    wait_for(lambda: subprocess.run(["cat", path], check=False,
                                    capture_output=True).stdout == source, "the file")
    subprocess.run(["umount", where], check=True)
