# SPDX-License-Identifier: Apache-2.0
"""Thaws of over a thousand packs that are killed: nothing is lost or paid for twice."""
import fcntl
import os
import random
import signal
import subprocess
import threading
import uuid

import pytest

from cold import PRICES
from conftest import EVERY, in_bucket
from firn_tool import mount_process, unmount_all, wait_for
from s3sim import S3Sim

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("fuse")]
PACKS = 1050			# more than a page of a listing, and than a batch
KILLS = 4


@pytest.fixture(name="thousand", params=["sim", "rgw"] if EVERY else ["sim"])
def thousand_packs(work, request):
    """A repository of many small packs in the archive, their bytes in the simulator or
    in Ceph RGW; firn.sim counts."""
    bytes_in, tier = {"data_dir": str(work / "sim")}, "DEEP_ARCHIVE"
    if request.param == "rgw":
        rgw = request.getfixturevalue("rgw")
        bucket, tier = f"k{uuid.uuid4().hex}", "GLACIER"
        rgw.create_bucket(bucket)
        bytes_in = {"gate": (rgw.url, rgw.access_key, rgw.secret_key, bucket, [tier])}
    with S3Sim(["bucket"], **bytes_in) as server:
        firn = in_bucket(work, (server.url, "AKIDTEST", "SECRETTEST"), "bucket", "p",
                         "--pack-size", "64K", "--block-size", "16K")
        firn.sim = server
        firn.env["FIRN_PRICES"] = str(PRICES)
        (work / "src").mkdir()
        # About 80 KiB of it come into each.
        (work / "src" / "big").write_bytes(os.urandom(PACKS * 84 * 1024))
        firn.backup("--tier", tier, "--series", "s", work / "src")
        assert len(firn.objects.names("data/")) >= PACKS
        yield firn


def asked(firn):
    return firn.sim.stats.restores_of("bucket")


def many(firn):
    """len(asked(firn)), cheap enough to be waited for."""
    return firn.sim.stats.restored()


def packs(firn):
    return len(firn.objects.names("data/"))


def moments():
    """How many packs shall have been asked for when it is killed."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    dice = random.Random(seed)
    return sorted(dice.randrange(1, PACKS - 50) for _ in range(KILLS))


def check_once(firn):
    found = asked(firn)
    assert set(found) == {f"p/{name}" for name in firn.objects.names("data/")}
    # 0: who was killed had not sent all of it, and nothing was done.
    twice = {key: counts for key, counts in found.items()
             if {str(k): n for k, n in counts.items() if str(k) != "0"} != {"202": 1}}
    assert twice == {}


def test_command(thousand):
    for moment in moments():
        job = thousand.start("thaw", "--yes", "latest")
        wait_for(lambda: many(thousand) > moment or job.poll() is not None,
                 "some requests")
        job.send_signal(signal.SIGKILL)
        job.wait()
    # The rest on another host, which knows nothing of it, and follows by listing.
    rest = thousand.client().start("thaw", "--yes", "--wait", "--poll", "1", "latest")
    count = packs(thousand)
    wait_for(lambda: many(thousand) == count or rest.poll() is not None, "all requests")
    before = thousand.sim.stats.describe()["operations"]
    lists = lambda of: of.get("ListObjectsV2", 0)
    wait_for(lambda: lists(thousand.sim.stats.describe()["operations"])
             >= lists(before) + 6 or rest.poll() is not None, "looks")
    after = thousand.sim.stats.describe()["operations"]
    assert after.get("HeadObject", 0) == before.get("HeadObject", 0)
    thousand.sim.make_ready("bucket", prefix="p/data/")
    assert rest.wait() == 0, rest.communicate()
    check_once(thousand)
    # And here: all is there, and nothing is to be asked for.
    quote = thousand.json("thaw", "--yes", "latest")[0]
    assert quote["readable"]["packs"] == packs(thousand) > 1000
    check_once(thousand)


def test_mount(thousand):
    where = thousand.work / "mnt"
    where.mkdir()
    path = where / "latest" / str(thousand.work / "src").lstrip("/") / "big"
    for moment in moments():
        thousand("mount", where, "-o", "cold=thaw,thaw-poll=1")
        subprocess.run(["head", "-c", "1", path], check=False, capture_output=True)
        wait_for(lambda: many(thousand) > moment, "some requests")
        os.kill(mount_process(where), signal.SIGKILL)
        wait_for(lambda: mount_process(where) == 0, "its end")
        unmount_all(thousand.work)
    # What is left is asked for when it is read again, and not before: it costs.
    thousand("mount", where, "-o", "cold=thaw,thaw-poll=1")
    subprocess.run(["head", "-c", "1", path], check=False, capture_output=True)
    count = packs(thousand)
    wait_for(lambda: many(thousand) == count, "the rest")
    check_once(thousand)
    thousand.sim.make_ready("bucket", prefix="p/data/")
    source = (thousand.work / "src" / "big").read_bytes()
    wait_for(lambda: subprocess.run(["cat", path], check=False,
                                    capture_output=True).stdout == source, "the file")
    subprocess.run(["umount", where], check=True)


def test_others_ask_between_batches(thousand):
    """A command that asks for more than a thousand packs lets others of its host ask
    meanwhile."""
    run = thousand.start("thaw", "--yes", "latest")
    wait_for(lambda: many(thousand), "the first requests")
    path, = (thousand.work / "cache").glob("**/thaw/lock")
    with open(path, "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert run.poll() is None and len(asked(thousand)) < packs(thousand)
    assert run.wait() == 0, run.communicate()
    assert len(asked(thousand)) == packs(thousand)
    check_once(thousand)


def test_others_are_woken_between_batches(thousand):
    """Who waits for one pack goes on while more than a thousand are being asked for,
    of which one gets no answer."""
    before = set(thousand.objects.names("data/"))
    small = thousand.work / "src" / "small"
    small.write_bytes(os.urandom(100_000))
    thousand.backup("--tier", "GLACIER", "--series", "s", thousand.work / "src")
    needed = [f"p/{name}" for name in set(thousand.objects.names("data/")) - before]
    puts = [r.key for r in thousand.sim.stats.requests
            if r.operation == "PutObject" and r.key.removeprefix("p/") in before]
    assert len(puts) > 1020		# the last ones are no part of the first batch
    with thousand.mount(options="cold=wait,thaw-poll=1") as mnt:
        top = mnt / ("latest" + str(small.parent))
        done = threading.Event()
        got = []

        def read():
            got.append((top / "small").read_bytes())
            done.set()
        reader = threading.Thread(target=read)
        reader.start()
        wait_for(lambda: set(asked(thousand)) >= set(needed), "the first request")
        fault = thousand.sim.faults.add(kind="throttling", verb="RestoreObject",
                                        prefix=puts[-1])
        other = subprocess.Popen(["head", "-c", "1", top / "big"],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: many(thousand) > 10, "the requests")
        thousand.sim.make_ready("bucket", keys=needed)
        wait_for(done.is_set, "the reader")
        assert got == [small.read_bytes()]
        assert fault.fired == 0 or "202" not in map(str, asked(thousand).get(puts[-1], {}))
        other.kill()
        other.wait()
        reader.join()
