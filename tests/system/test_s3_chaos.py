# SPDX-License-Identifier: Apache-2.0
"""A bad day of S3: a tenth of all requests fails, in every way there is.

Results are right all the same; a reader of the mount sees right bytes or EIO.
"""
import os

import pytest

from chaos import Source, chaos_repository, hammer, seeded
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
    assert sum(firn.sim.stats.describe()["faults"].values()) > 20
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
