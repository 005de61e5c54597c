# SPDX-License-Identifier: Apache-2.0
"""A bad day of S3: a tenth of all requests fails, in every way there is.

Results are right all the same; a reader of the mount sees right bytes or EIO.
"""
import collections
import contextlib
import itertools
import os
import threading

import pytest

from awsfakes import AwsFakes
from chaos import MIB, Source, chaos_repository, hammer, seeded
from firn_tool import assert_same, wait_for

pytestmark = pytest.mark.usefixtures("fuse")
RATE = 0.1


@pytest.fixture
def firn(work):
    with chaos_repository(work) as made:
        yield made


def clean(firn):
    """With the faults off nothing is wrong with what was stored."""
    firn.sim.faults.clear()
    problems, summary = firn.client("afresh").check("--read-data")
    assert problems == []
    return summary


def test_storm(firn, work):
    """Generations of a changing source; each is restored and checked, through
    the storm and after it."""
    rand = seeded()
    source = Source(work / "src", rand)
    generations = []
    firn.sim.faults.storm(RATE, seconds=0.3)
    for n in range(3):
        source.change()
        made = firn.backup("--series", "s", "--uploads", "4", source.path)
        generations.append((made["generation"], source.keep(work / f"kept{n}")))
    for n, (name, kept) in enumerate(generations):
        other = firn.client(f"cache{n}")
        other("restore", f"{name}:{source.path}", work / f"out{n}")
        assert_same(kept, work / f"out{n}")
    problems, _ = firn.check("--read-data")
    assert problems == []
    assert sum(firn.sim.stats.describe()["faults"].values()) > 8
    clean(firn)
    for n, (name, kept) in enumerate(generations):
        firn("restore", "--delete", f"{name}:{source.path}", work / f"out{n}")
        assert_same(kept, work / f"out{n}")


@pytest.mark.parametrize("kind", ["corrupt", "garble"])
def test_damaged_on_the_way(firn, work, kind):
    """What comes damaged once is read again, whatever it is, and not reported as
    damage of what is stored."""
    rand = seeded()
    source = Source(work / "src", rand, files=10)
    firn.backup("--series", "s", source.path)
    restore = ("restore", f"latest:{source.path}", work / "out")
    check = ("check", "--read-data")
    for command, *prefixes in (
            (restore, "config", "keys/", "gen/", "index/", "meta/", "data/"),
            (check, "keys/", "gen/", "index/", "meta/", "data/")):
        rules = [firn.sim.faults.add(kind, verb="GetObject", times=1,
                                     prefix="some/prefix/" + prefix) for prefix in prefixes]
        firn.client("cache-" + command[0])(*command)
        assert [r.prefix for r in rules if not r.fired] == []
        firn.sim.faults.clear()
    assert_same(source.path, work / "out")
    # A parent that is taken for damaged would be no parent.
    firn.sim.faults.add(kind, verb="GetObject", times=1, prefix="some/prefix/gen/")
    firn.sim.faults.add(kind, verb="GetObject", times=1, prefix="some/prefix/meta/")
    again = firn.client("cache-backup").backup("--series", "s", source.path)
    assert again["data_added"] == 0 and again["parent"]
    clean(firn)


def test_readers_in_a_storm(firn, work):
    """Threads and processes read ranges and whole files, while generations are
    added."""
    rand = seeded()
    source = Source(work / "src", rand)
    firn.backup("--series", "s", source.path)
    kept = source.keep(work / "kept")
    other = Source(work / "other", rand)
    firn.sim.faults.storm(RATE, seconds=0.3)
    with firn.mount(options="timeout=20,memory=16M,no-cache,refresh=1") as mnt:
        copy = f"{mnt}/latest{source.path}"
        series = os.path.realpath(copy)
        with hammer(kept, series, rand, threads=4, processes=2) as readers:
            other.change()
            firn.backup("--series", "other", other.path)
            wait_for(lambda: readers.done() > 400, "reads")
        assert readers.wrong == []
        assert readers.right > readers.failed
        firn.sim.faults.clear()
        assert_same(kept, series)
    clean(firn)


@contextlib.contextmanager
def changing_weather(firn):
    """All keys expire, the server's clock jumps, the bucket is elsewhere: one of
    them after each 150 requests.  Yields how often each has happened."""
    happened = collections.Counter()
    stop = threading.Event()

    def move():
        for verb in ("GetObject", "PutObject", "ListObjectsV2"):
            firn.sim.faults.add("redirect", verb=verb, nth=1)

    def clock(skew):
        firn.sim.clock.skew = skew

    with AwsFakes(firn.sim) as aws:
        firn.env.update(AWS_CONTAINER_CREDENTIALS_FULL_URI=aws.url + "/container?id=1")
        del firn.env["AWS_ACCESS_KEY_ID"], firn.env["AWS_SECRET_ACCESS_KEY"]
        events = itertools.cycle([
            ("expired", aws.revoke), ("ahead", lambda: clock(2000)),
            ("expired", aws.revoke), ("elsewhere", move),
            ("behind", lambda: clock(-2000)), ("expired", aws.revoke),
            ("right", lambda: clock(0))])

        def served():
            return firn.sim.stats.describe()["requests"]

        def run():
            for what, event in events:
                before = served()
                wait_for(lambda: stop.is_set() or served() > before + 150, "requests")
                if stop.is_set():
                    return
                event()
                happened[what] += 1

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield happened
        finally:
            stop.set()
            thread.join()
            firn.sim.clock.skew = 0


def test_storm_of_keys_and_clocks(firn, work):
    """In the storm keys expire, the clock jumps and the bucket moves, again and
    again, for a backup, a check and readers of a mount."""
    rand = seeded()
    source = Source(work / "src", rand, files=160, largest=2 * MIB)
    firn.sim.faults.storm(RATE, seconds=0.3)
    with changing_weather(firn) as happened:
        with firn.mount(options="timeout=60,memory=8M,no-cache,refresh=1") as mnt:
            firn.backup("--series", "s", source.path)
            copy = mnt / f"latest{source.path}"
            wait_for(copy.is_dir, "the generation")
            with hammer(source.path, os.path.realpath(copy), rand, threads=3,
                        processes=1) as readers:
                wait_for(lambda: readers.done() > 300 and len(happened) == 5, "reads")
            assert readers.wrong == []
            assert readers.right > readers.failed
        assert firn.check("--read-data")[0] == []
        clean(firn)


def test_clock_and_region(firn, work):
    """The server's clock jumps and the bucket says that it is elsewhere, while a
    backup runs and the mount is read."""
    rand = seeded()
    source = Source(work / "src", rand, files=80)
    firn.sim.pace.latency = 0.01

    def packs():
        return sum("/data/" in key for key in firn.sim.bucket("bucket").keys())

    with firn.mount(options="timeout=20,no-cache,refresh=1") as mnt:
        backup = firn.start("backup", "--host", "h", "--series", "s", source.path)
        wait_for(lambda: packs() > 4, "packs")
        assert backup.poll() is None
        firn.sim.clock.skew = 5000
        firn.sim.faults.add("redirect", verb="PutObject", nth=1)
        _, err = backup.communicate()
        assert backup.returncode == 0, err
        firn.sim.pace.latency = 0
        series = mnt / "hosts" / "h" / "s" / "latest"
        wait_for(series.exists, "the generation")
        firn.sim.clock.skew = 7000
        firn.sim.faults.add("redirect", verb="GetObject", nth=3)
        assert_same(source.path, f"{series}{source.path}")
        firn.sim.clock.skew = 0
    clean(firn)


def test_expired_token(firn, work):
    """Said with what to do; nothing that was stored is lost by it."""
    rand = seeded()
    source = Source(work / "src", rand)
    made = firn.backup("--series", "s", source.path)
    big = max(source.files(), key=lambda p: p.stat().st_size)
    firn.sim.faults.add("expired-token", verb="GetObject", prefix="some/prefix/data")
    with firn.mount(options="no-cache") as mnt:
        with pytest.raises(OSError) as failure:
            open(f"{mnt}/latest{big}", "rb").read()
        assert failure.value.errno == 5
        assert "the session token has expired" in (mnt / ".firn" / "errors").read_text()
        firn.sim.faults.clear()
        assert open(f"{mnt}/latest{big}", "rb").read() == big.read_bytes()
    source.write("more/one")
    firn.sim.faults.add("expired-token", verb="PutObject", nth=2)
    firn.sim.faults.add("expired-token", verb="PutObject", nth=2)
    r = firn("backup", "--series", "s", "--force", source.path, status=None)
    if r.returncode != 0:
        assert r.returncode == 1 and "AWS_SESSION_TOKEN" in r.err
    firn.sim.faults.clear()
    assert firn.backup("--series", "s", source.path)["parent"] == made["generation"]
    clean(firn)
