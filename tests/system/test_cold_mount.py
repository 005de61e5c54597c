# SPDX-License-Identifier: Apache-2.0
"""Archived data through the mount: cold=, who waits, and what is told."""
import errno
import fcntl
import os
import random
import signal
import struct
import subprocess
import threading
import time

import pytest

from cold import DAY, EVERY, both, everywhere
from conftest import in_bucket
from firn_tool import assert_same, mount_process, unmount_all, wait_for
from s3sim import S3Sim

pytestmark = pytest.mark.usefixtures("fuse")
POLL = "thaw-poll=1"


def text(mnt, name):
    return (mnt / ".firn" / name).read_text()


def told(mnt, name):
    """A line of .firn/thaw."""
    lines = dict(line.split(None, 1) for line in text(mnt, "thaw").splitlines())
    return lines[name]


def cold_read(path, error=errno.EAGAIN):
    """read(2) fails; open(path).read() would take EAGAIN for want of data."""
    fd = os.open(path, os.O_RDONLY)
    try:
        with pytest.raises(OSError) as e:
            os.read(fd, 1000)
        assert e.value.errno == error
    finally:
        os.close(fd)


class Reader(threading.Thread):
    """cat of one file."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.process = subprocess.Popen(["cat", path], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        self.out = self.err = None
        self.start()

    def run(self):
        self.out, self.err = self.process.communicate()

    def waits(self):
        return self.process.poll() is None

    def data(self):
        self.join()
        assert self.process.returncode == 0, self.err
        return self.out


def test_fail(cold):
    """At once, with the command to run; what needs no thaw is as ever."""
    cold.add("a")
    (cold.src / "small").write_bytes(b"x" * 100)
    cold.add("b")
    with cold.firn.mount() as mnt:
        top = mnt / ("latest" + str(cold.src))
        assert sorted(os.listdir(top)) == ["a", "b", "small"]
        assert (top / "small").read_bytes() == b"x" * 100
        assert (top / "a" / "file0").stat().st_size == 100_000
        assert text(mnt, "cold") == "fail\n"
        for _ in range(3):
            cold_read(top / "a" / "file0")
        lines = [line for line in text(mnt, "errors").splitlines() if "file0" in line]
        assert len(lines) == 1 and "times since" not in lines[0], lines
        command = lines[0].split("`")[1].replace("'", "").split()
        assert command[:2] == ["firn", "thaw"]
        assert cold.asked() == set()
        cold.firn(*command[1:], "--yes")
        assert cold.asked() == cold.needed(cold.src / "a" / "file0")
        cold.all_ready()
        assert (top / "a" / "file0").read_bytes() == (cold.src / "a" / "file0").read_bytes()
        cold_read(top / "b" / "file0")


@everywhere
def test_thaw(cold):
    """Asks for all packs of the file, once, and fails; later it reads."""
    cold.add("a")
    cold.add("b")
    with cold.firn.mount(options=f"cold=thaw,{POLL}") as mnt:
        path = mnt / ("latest" + str(cold.src)) / "a" / "file1"
        for _ in range(5):
            cold_read(path)
        wait_for(lambda: cold.asked(), "the request")
        wait_for(lambda: told(mnt, "asked-for").startswith("1 "), ".firn/thaw")
        assert cold.asked() == cold.needed(cold.src / "a" / "file1")
        assert cold.firn.json("thaw", "--list")[0]["packs"] == 1
        cold_read(path)
        assert cold.accepted_once()
        cold.all_ready()
        assert path.read_bytes() == (cold.src / "a" / "file1").read_bytes()
        wait_for(lambda: cold.firn.json("thaw", "--list") == [], "the job to end")


@both
def test_wait(cold):
    """Twenty readers, packs in any order, one of them interrupted.  Where the bytes are
    in Ceph fewer usually: whether they came together the simulator decides there too."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    dice = random.Random(seed)
    count = 20 if EVERY or cold.tier == "DEEP_ARCHIVE" else 6
    names = [f"d{i:02}" for i in range(count)]
    for name in names:
        cold.add(name, files=1)
    needed = {name: cold.needed(cold.src / name).pop() for name in names}
    with cold.firn.mount(options=f"cold=wait,{POLL}") as mnt:
        top = mnt / ("latest" + str(cold.src))
        readers = {name: Reader(top / name / "file0") for name in names}
        wait_for(lambda: len(cold.asked()) == count, "the requests")
        assert all(r.waits() for r in readers.values())
        wait_for(lambda: int(told(mnt, "readers-waiting")) >= count, "all to wait")
        victim = dice.choice(names)
        readers[victim].process.send_signal(signal.SIGINT)
        wait_for(lambda: not readers[victim].waits(), "the one to be interrupted")
        # What is not cold is served beside them.
        assert len(os.listdir(top)) == count
        rest = [name for name in names if name != victim]
        dice.shuffle(rest)
        for i, name in enumerate(rest):
            assert all(readers[other].waits() for other in rest[i:])
            cold.ready(needed[name])
            assert readers[name].data() == (cold.src / name / "file0").read_bytes()
        assert cold.accepted_once()
    wait_for(lambda: mount_process(cold.firn.work / "mnt") == 0, "the mount to end")


def test_wait_for_many(cold):
    """More readers than the mount has threads, and than the kernel reads ahead."""
    cold.add("a", files=400, size=20_000)
    cold.tier = "STANDARD"
    cold.add("hot")
    with cold.firn.mount(options=f"cold=wait,{POLL}") as mnt:
        top = mnt / ("latest" + str(cold.src))
        readers = [Reader(top / "a" / f"file{i}") for i in range(300)]
        wait_for(lambda: int(told(mnt, "readers-waiting")) >= 300, "300 to wait")
        assert (top / "hot" / "file0").read_bytes() == \
            (cold.src / "hot" / "file0").read_bytes()
        cold.all_ready()
        for i, r in enumerate(readers):
            assert r.data() == (cold.src / "a" / f"file{i}").read_bytes()


def pushed(mnt):
    return int(dict(line.split(None, 1) for line in text(mnt, "stats").splitlines())["files-pushed"])


def test_nothing_is_pushed_until_answered(cold):
    """Who waited is being read for again, which takes long: no walk pushes files."""
    cold.add("a", files=1)
    pack = cold.needed(cold.src / "a").pop()
    cold.tier = "STANDARD"
    for name in "bc":
        cold.add(name, files=100, size=5_000)

    def walk(top, name):
        os.listdir(top / name)
        for i in sorted(range(100), key=str):
            assert (top / name / f"file{i}").read_bytes() == \
                (cold.src / name / f"file{i}").read_bytes()

    with cold.firn.mount(options=f"cold=wait,timeout=100,{POLL}") as mnt:
        top = mnt / ("latest" + str(cold.src))
        reader = Reader(top / "a" / "file0")
        wait_for(lambda: told(mnt, "readers-waiting") != "0", "the reader")
        fault = cold.sim.faults.add(kind="503-slowdown", verb="GetObject",
                                    prefix=f"some/prefix/{pack}")
        cold.all_ready()
        wait_for(lambda: told(mnt, "readers-waiting") == "0" and fault.fired, "the pack")
        walk(top, "b")
        meanwhile = pushed(mnt)
        cold.sim.faults.clear()
        assert reader.data() == (cold.src / "a" / "file0").read_bytes()
        assert meanwhile == 0
    with cold.firn.mount() as mnt:
        walk(mnt / ("latest" + str(cold.src)), "c")
        assert pushed(mnt) > 0


@everywhere
def test_ends_with_waiters(cold):
    """A mount that is told to end lets its waiters go; one whose waiters were
    killed is unmounted as ever."""
    cold.add("a")
    where = cold.firn.work / "mnt"
    with cold.firn.mount(options=f"cold=wait,{POLL}") as mnt:
        reader = Reader(mnt / ("latest" + str(cold.src)) / "a" / "file0")
        wait_for(lambda: cold.asked(), "the request")
        reader.process.kill()
        reader.join()
    cold.firn("mount", where, "-o", f"cold=wait,{POLL}")
    reader = Reader(where / ("latest" + str(cold.src)) / "a" / "file0")
    wait_for(lambda: int(told(where, "readers-waiting")) >= 1, "the reader")
    pid = mount_process(where)
    os.kill(pid, signal.SIGTERM)
    reader.join()
    assert reader.process.returncode != 0
    wait_for(lambda: mount_process(where) == 0, "the end")
    unmount_all(where)


def test_mode_at_run_time(cold):
    cold.add("a")
    with cold.firn.mount(options=POLL) as mnt:
        path = mnt / ("latest" + str(cold.src)) / "a" / "file0"
        cold_read(path)
        assert cold.asked() == set()
        cold.firn("mount", "--cold", "wait", mnt)
        wait_for(lambda: text(mnt, "cold") == "wait\n", "the mode to show")
        reader = Reader(path)
        wait_for(lambda: cold.asked(), "the request")
        wait_for(lambda: int(told(mnt, "readers-waiting")) >= 1, "the reader")
        # Who waits is let go.
        cold.firn("mount", "--cold", "fail", mnt)
        reader.join()
        assert b"temporarily unavailable" in reader.err
        cold.firn("mount", "--cold", "never", mnt, status=2)
    r = cold.firn("mount", "--cold", "wait", cold.firn.work, status=1)
    assert "is a repository mounted" in r.err


def test_attributes(cold):
    """Of files and directories; they are not listed."""
    cold.add("a", files=2)
    cold.add("b", files=2)
    (cold.src / "b" / "small").write_bytes(b"x")
    cold.backup()
    size = {name: cold.firn.objects.sizes("data/")[pack] for name in "ab"
            for pack in cold.needed(cold.src / name)}
    with cold.firn.mount() as mnt:
        top = mnt / ("latest" + str(cold.src))

        def attr(path, name):
            return os.getxattr(path, "user.firn." + name).decode()
        for path in (top, top / "a", top / "a" / "file0"):
            assert attr(path, "tier") == "cold"
            assert os.listxattr(path) == []
        assert attr(top / "b" / "small", "tier") == "hot"
        assert attr(top / "b" / "small", "cold-bytes") == "0"
        assert int(attr(top / "a", "cold-bytes")) == size["a"]
        assert int(attr(top, "cold-bytes")) == size["a"] + size["b"]
        assert int(attr(os.path.realpath(mnt / "latest"), "cold-bytes")) == sum(size.values())
        quote = attr(top / "a", "thaw-quote")
        assert "USD" in quote and "bulk" in quote and "48 h" in quote
        told_by_command = cold.quote("latest", cold.src / "a")["tiers"]["bulk"]["sum"]
        assert told_by_command in quote
        cold.thaw("latest", cold.src / "a")
        # What was learnt is told again for some seconds.
        wait_for(lambda: attr(top / "a", "tier") == "thawing", "the state to show")
        assert attr(top, "tier") == "cold"
        cold.all_ready()
        wait_for(lambda: attr(top / "a", "tier").startswith("thawed until 20"),
                 "the state to show")
        assert attr(top / "a", "thaw-quote") == "nothing to be thawed"
        with pytest.raises(OSError) as e:
            os.getxattr(mnt / ".firn", "user.firn.tier")
        assert e.value.errno == errno.ENODATA


def test_attributes_without_a_store(cold):
    """Who waits for who asks fails with him: timeouts do not add up."""
    names = "abcdef"
    for name in names:
        cold.add(name, files=1)
    with cold.firn.mount(options="timeout=4") as mnt:
        top = mnt / ("latest" + str(cold.src))
        for name in names:
            os.stat(top / name / "file0")
        fault = cold.sim.faults.add(kind="503-slowdown", verb="ListObjectsV2")
        ended = []

        def ask(name):
            with pytest.raises(OSError):
                os.getxattr(top / name / "file0", "user.firn.tier")
            ended.append(time.monotonic())
        threads = [threading.Thread(target=ask, args=(name,)) for name in names]
        begun = time.monotonic()
        for t in threads:
            t.start()
        wait_for(lambda: fault.fired, "the first to ask")
        for t in threads:
            t.join()
        cold.sim.faults.clear()
        assert len(ended) == len(names)
        # One after the other it would be six times what the first took.
        assert max(ended) - begun < 3 * (min(ended) - begun), [t - begun for t in ended]
        assert os.getxattr(top / "a" / "file0", "user.firn.tier") == b"cold"


def test_attributes_after_a_copy(cold):
    """What the mount follows beside it keeps nothing alive that was learnt long ago."""
    for name in "ab":
        cold.add(name, files=1)
    with cold.firn.mount(options=f"cold=thaw,{POLL}") as mnt:
        top = mnt / ("latest" + str(cold.src))
        for name in "ab":
            cold_read(top / name / "file0")
        wait_for(lambda: told(mnt, "asked-for").startswith("2 "), "the requests")
        a = cold.needed(cold.src / "a")
        cold.ready(*a)
        wait_for(lambda: told(mnt, "readable").startswith("1 "), "a look")
        cold.expire(*a)

        def tiers(n):
            """As they are told while the mount looks n times more."""
            found, looks = [], 0
            last = told(mnt, "looked")
            while looks < n:
                found.append(os.getxattr(top / "a" / "file0", "user.firn.tier").decode())
                looks += told(mnt, "looked") != last
                last = told(mnt, "looked")
                os.sched_yield()
            return found
        # What was learnt is told again for some seconds, of which a look takes one.
        tiers(7)
        assert set(tiers(4)) == {"cold"}


def test_attributes_of_many(work):
    """Of ten thousand files in many packs: the store is asked some times."""
    with S3Sim(["bucket"], data_dir=str(work / "sim")) as server:
        firn = in_bucket(work, (server.url, "AKIDTEST", "SECRETTEST"), "bucket", "p",
                         "--pack-size", "64K", "--block-size", "16K")
        for i in range(100):
            (work / "src" / f"d{i}").mkdir(parents=True)
            for k in range(100):
                (work / "src" / f"d{i}" / f"file{k}").write_bytes(os.urandom(10_000))
        firn.backup("--tier", "DEEP_ARCHIVE", "--series", "s", work / "src")
        assert len(firn.objects.names("data/")) > 700
        # A server that lists thaws is known by one.
        firn("thaw", "--yes", f"latest:{work / 'src' / 'd0' / 'file0'}")
        with firn.mount() as mnt:
            top = mnt / ("latest" + str(work / "src"))
            list(top.glob("*/*"))
            assert os.getxattr(top, "user.firn.tier") == b"cold"
            before, begun = len(server.stats.requests), time.monotonic()
            r = subprocess.run(["getfattr", "-R", "-n", "user.firn.tier", top], check=True,
                               capture_output=True, text=True)
            seconds = time.monotonic() - begun
            assert r.stdout.count("user.firn.tier=") == 10_101
            assert "thawing" in r.stdout
            # Sixteen listings show them all, for five seconds.
            asked = [r for r in list(server.stats.requests)[before:]
                     if "/meta/" not in (r.key or "")]
            assert len(asked) <= 16 * (2 + seconds / 5) + 20, len(asked)
            assert not [r for r in asked if r.verb == "HEAD"]


def test_cache_serves_cold(cold):
    """Cells that the disk cache has are read without asking anybody."""
    cold.add("a")
    with cold.firn.mount(options=f"cold=wait,{POLL}") as mnt:
        path = mnt / ("latest" + str(cold.src)) / "a" / "file0"
        reader = Reader(path)
        wait_for(lambda: cold.asked(), "the request")
        cold.all_ready()
        data = reader.data()
    cold.expire(*cold.asked())
    cold.sim.stats.reset()
    with cold.firn.mount() as mnt:
        assert (mnt / ("latest" + str(cold.src)) / "a" / "file0").read_bytes() == data
        assert os.getxattr(mnt / ("latest" + str(cold.src)) / "a", "user.firn.tier") == b"hot"
    assert cold.refused_gets() == 0


@both
def test_expires_while_it_is_read(cold):
    """The read goes on when its data was thawed again; never other data."""
    cold.add("a", files=1, size=9_000_000)
    with cold.firn.mount(options=f"cold=wait,no-cache,memory=8M,{POLL}") as mnt:
        path = mnt / ("latest" + str(cold.src)) / "a" / "file0"
        want = (cold.src / "a" / "file0").read_bytes()
        first = Reader(path)
        wait_for(lambda: cold.asked(), "the request")
        cold.all_ready()
        assert first.data() == want
        subprocess.run(["sh", "-c", "echo 3 > /proc/sys/vm/drop_caches"], check=False)
        with open(path, "rb", buffering=0) as f:
            os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
            os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            assert f.read(4096) == want[:4096]
            cold.expire(*cold.asked())
            second = Reader(path)
            wait_for(lambda: sum(sum(c.values()) for c in cold.restores().values()) == 2 or
                     not second.waits(), "the second request")
            cold.all_ready()
            assert second.data() == want
            f.seek(8_000_000)
            assert f.read(4096) == want[8_000_000:8_004_096]


@everywhere
def test_pack_is_gone(cold):
    """Nobody waits for what the store does not have."""
    cold.add("a")
    cold.firn.objects.delete(cold.needed(cold.src / "a").pop())
    with cold.firn.mount(options=f"cold=wait,{POLL}") as mnt:
        cold_read(mnt / ("latest" + str(cold.src)) / "a" / "file0", errno.EIO)


@everywhere
def test_pack_goes(cold):
    """Who waits is told when its pack is deleted meanwhile."""
    cold.add("a", files=1)
    with cold.firn.mount(options=f"cold=wait,{POLL}") as mnt:
        reader = Reader(mnt / ("latest" + str(cold.src)) / "a" / "file0")
        wait_for(lambda: told(mnt, "asked-for").startswith("1 "), "the request")
        cold.firn.objects.delete(cold.needed(cold.src / "a").pop())
        wait_for(lambda: not reader.waits(), "the reader to be told")
        reader.join()
        assert b"Input/output error" in reader.err


@everywhere
def test_may_not_restore(cold):
    """Permission to read and none to thaw: an error at once, with what is missing."""
    cold.add("a")
    cold.sim.faults.add(kind="403", verb="RestoreObject")
    with cold.firn.mount(options=f"cold=wait,{POLL}") as mnt:
        cold_read(mnt / ("latest" + str(cold.src)) / "a" / "file0")
        assert "s3:RestoreObject" in text(mnt, "errors")


def test_tier_not_of_all_classes(cold):
    """A class that has no expedited thaws keeps no other from them."""
    cold.add("a", files=1)
    cold.tier = "GLACIER"
    cold.add("b", files=1)
    with cold.firn.mount(options=f"cold=wait,thaw-tier=expedited,{POLL}") as mnt:
        top = mnt / ("latest" + str(cold.src))
        cold_read(top / "a" / "file0")
        assert "DEEP_ARCHIVE" in text(mnt, "errors")
        reader = Reader(top / "b" / "file0")
        wait_for(lambda: told(mnt, "asked-for").startswith("1 ") or not reader.waits(),
                 "the request")
        cold.all_ready()
        assert reader.data() == (cold.src / "b" / "file0").read_bytes()
        cold_read(top / "a" / "file0")


def test_killed_readers_do_not_wait(cold):
    """Neither do requests of the kernel that read ahead for them."""
    cold.add("a", files=10, size=20_000)
    with cold.firn.mount(options=f"cold=wait,{POLL}") as mnt:
        top = mnt / ("latest" + str(cold.src))
        readers = [Reader(top / "a" / f"file{i}") for i in range(10)]
        wait_for(lambda: int(told(mnt, "readers-waiting")) >= 10, "all to wait")
        for reader in readers:
            reader.process.kill()
            reader.join()
        wait_for(lambda: told(mnt, "readers-waiting") == "0", "none to wait")


@everywhere
def test_budget(cold):
    """What is read beyond it is not asked for."""
    cold.add("a")
    cold.add("b")
    cost = float(cold.quote("latest", cold.src / "a")["tiers"]["standard"]["sum"])
    with cold.firn.mount(options=f"cold=wait,{POLL},thaw-budget={cost * 1.5:.9f}") as mnt:
        top = mnt / ("latest" + str(cold.src))
        reader = Reader(top / "a" / "file0")
        wait_for(lambda: cold.asked(), "the request")
        cold_read(top / "b" / "file0")
        assert cold.asked() == cold.needed(cold.src / "a")
        assert "thaw-budget" in text(mnt, "errors")
        assert reader.waits()
        cold.all_ready()
        assert reader.data() == (cold.src / "a" / "file0").read_bytes()


def test_more_than_are_noted(cold):
    """What is read beyond that while nothing can be planned is as with cold=fail, and
    is asked for when it is read again."""
    cold.add("a", files=2)
    for k in range(1040):
        os.link(cold.src / "a" / "file0", cold.src / "a" / f"link{k}")
    cold.add("b", files=1)
    need = {name: cold.needed(cold.src / name / "file0") for name in "ab"}
    with cold.firn.mount(options=f"cold=thaw,memory=8M,timeout=1,{POLL}") as mnt:
        top = mnt / ("latest" + str(cold.src))
        cold_read(top / "a" / "file0")
        wait_for(lambda: told(mnt, "asked-for").startswith("1 "), "the request")
        cold.sim.faults.add(kind="503-slowdown", verb="ListObjectsV2")
        for k in range(1040):
            cold_read(top / "a" / f"link{k}")
        cold_read(top / "b" / "file0")

        def lines(what):
            return [line for line in text(mnt, "errors").splitlines() if what in line]
        wait_for(lambda: lines("b/file0"), "the messages to show")
        assert "`firn thaw" in lines("b/file0")[0]
        said = lines("are read at once")
        assert len(said) == 1 and "1024" in said[0] and "times since" not in said[0]
        looked = told(mnt, "looked")
        cold.sim.faults.clear()
        wait_for(lambda: told(mnt, "looked") != looked and "now; trying" not in
                 text(mnt, "errors").splitlines()[-1], "a look")
        assert cold.asked() == need["a"]
        cold_read(top / "b" / "file0")
        wait_for(lambda: cold.asked() == need["a"] | need["b"], "the other request")


@everywhere
def test_cancelled(cold):
    """`firn thaw --cancel` of what a mount could not ask for yet lets its
    readers go."""
    cold.add("a")
    cold.sim.faults.add(kind="throttling", verb="RestoreObject")
    with cold.firn.mount(options=f"cold=wait,{POLL},timeout=5") as mnt:
        reader = Reader(mnt / ("latest" + str(cold.src)) / "a" / "file0")
        wait_for(lambda: cold.firn.json("thaw", "--list"), "the job")
        assert reader.waits()
        cold.firn("thaw", "--cancel")
        reader.join()
        assert b"temporarily unavailable" in reader.err
        assert "cancelled" in text(mnt, "errors")
        # It is wanted again when it is read again.
        cold.sim.faults.clear()
        readers = []

        def read_again():
            if not readers or not readers[-1].waits():
                readers.append(Reader(mnt / ("latest" + str(cold.src)) / "a" / "file0"))
            return told(mnt, "asked-for").startswith("1 ")
        wait_for(read_again, "the request")
        cold.all_ready()
        assert readers[-1].data() == (cold.src / "a" / "file0").read_bytes()


def test_fail_ends_asking(cold):
    """What could not be asked for yet is not wanted any more after cold=fail."""
    cold.add("a", files=1)
    cold.add("b", files=1)
    cold.sim.faults.add(kind="throttling", verb="RestoreObject")
    with cold.firn.mount(options=f"cold=thaw,{POLL},timeout=3") as mnt:
        top = mnt / ("latest" + str(cold.src))
        cold_read(top / "a" / "file0")
        wait_for(lambda: cold.firn.json("thaw", "--list"), "the job")
        cold.firn("mount", "--cold", "fail", mnt)
        wait_for(lambda: cold.firn.json("thaw", "--list") == [], "the job to end")
        cold.sim.faults.clear()
        cold.firn("mount", "--cold", "thaw", mnt)
        cold_read(top / "b" / "file0")
        wait_for(lambda: told(mnt, "asked-for").startswith("1 "), "the other request")
        assert all("202" not in map(str, counts)
                   for pack, counts in cold.restores().items()
                   if pack in cold.needed(cold.src / "a"))


@pytest.mark.parametrize("behind", [1, 3])
def test_copies_are_not_renewed(cold, behind):
    """While others wait, neither copies that end sooner than was asked nor those that
    have ended."""
    cold.add("a", files=1)
    cold.add("b", files=1)
    cold.add("c", files=1)
    # The server's clock is behind: copies end before now + 2 days, or before now.
    cold.sim.clock.advance(-behind * DAY)
    with cold.firn.mount(options=f"cold=wait,{POLL}") as mnt:
        top = mnt / ("latest" + str(cold.src))
        readers = [Reader(top / name / "file0") for name in "ab"]
        wait_for(lambda: len(cold.asked()) == 2, "the requests")
        cold.ready(*cold.needed(cold.src / "a"))
        assert readers[0].data() == (cold.src / "a" / "file0").read_bytes()
        # One round more, at least.
        third = Reader(top / "c" / "file0")
        wait_for(lambda: len(cold.asked()) == 3, "the third request")
        cold.ready(*cold.needed(cold.src / "c"))
        more = third.data()
        once, waits = cold.accepted_once(), readers[1].waits()
        readers[1].process.kill()
        readers[1].join()
        assert more == (cold.src / "c" / "file0").read_bytes()
        assert waits and once


def test_done_is_not_cancelled(cold):
    """Who removes the job of a mount when all of it is readable cancels nothing that
    is read later."""
    cold.add("a", files=1)
    cold.add("b", files=1)
    with cold.firn.mount(options="cold=wait,thaw-poll=3") as mnt:
        top = mnt / ("latest" + str(cold.src))
        readers = [Reader(top / "a" / "file0")]
        wait_for(lambda: told(mnt, "asked-for").startswith("1 "), "the request")
        cold.all_ready()
        cold.firn("thaw", "--cancel")
        readers.append(Reader(top / "b" / "file0"))
        wait_for(lambda: len(cold.asked()) == 2 or not readers[1].waits(), "the other request")
        cold.all_ready()
        for name, reader in zip("ab", readers):
            assert reader.data() == (cold.src / name / "file0").read_bytes()


def test_killed_mount_asks_no_more(cold):
    """What a mount had asked for that was killed, and what expired since, is paid
    again only when it is read again."""
    cold.add("a", files=1)
    cold.add("b", files=1)
    where = cold.firn.work / "mnt"
    with cold.firn.mount(options=f"cold=thaw,{POLL}") as mnt:
        cold_read(mnt / ("latest" + str(cold.src)) / "a" / "file0")
        wait_for(lambda: told(mnt, "asked-for").startswith("1 "), "the request")
        os.kill(mount_process(where), signal.SIGKILL)
        wait_for(lambda: mount_process(where) == 0, "its end")
    cold.all_ready()
    cold.expire(*cold.asked())
    with cold.firn.mount(options=f"cold=thaw,{POLL}") as mnt:
        top = mnt / ("latest" + str(cold.src))
        cold_read(top / "b" / "file0")
        wait_for(lambda: told(mnt, "asked-for").startswith("1 "), "the other request")
        assert cold.accepted_once()
        cold_read(top / "a" / "file0")
        wait_for(lambda: told(mnt, "asked-for").startswith("2 "), "the request again")


def test_a_command_holds_the_lock(cold):
    """Another process of the host asks for thaws for long: who waits for what is in
    progress gets it meanwhile, and what is wanted meanwhile is asked for then."""
    for name in "abc":
        cold.add(name, files=1)
    cold.firn.client()("thaw", "--yes", "latest", cold.src / "c")

    def data(name):
        return (cold.src / name / "file0").read_bytes()
    with cold.firn.mount(options=f"cold=wait,{POLL}") as mnt:
        top = mnt / ("latest" + str(cold.src))
        a = Reader(top / "a" / "file0")
        wait_for(lambda: told(mnt, "asked-for").startswith("1 "), "the request")
        with open(job_file(cold).parent / "lock", "r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            b = Reader(top / "b" / "file0")
            wait_for(lambda: told(mnt, "to-be-asked-for").startswith("1 "), "the want")
            c = Reader(top / "c" / "file0")
            wait_for(lambda: told(mnt, "asked-for").startswith("2 "), "the other want")
            cold.all_ready()
            wait_for(lambda: not a.waits() and not c.waits(), "those that are readable")
            assert b.waits()
            assert cold.asked() == cold.needed(cold.src / "a", cold.src / "c")
        wait_for(lambda: len(cold.asked()) == 3, "the request")
        cold.all_ready()
        for name, reader in zip("abc", (a, b, c)):
            assert reader.data() == data(name)
        assert cold.accepted_once()


def killed(where):
    os.kill(mount_process(where), signal.SIGKILL)
    wait_for(lambda: mount_process(where) == 0, "its end")
    unmount_all(where)


def job_file(cold):
    name, = [job["job"] for job in cold.firn.json("thaw", "--list")]
    path, = (cold.firn.work / "cache").glob(f"**/thaw/{name}")
    return path


def test_job_of_a_live_mount(cold):
    """Others neither write it anew nor remove it; that of a dead one is anyone's."""
    cold.add("a", files=1)
    where = cold.firn.work / "mnt"
    with cold.firn.mount(options="cold=thaw,thaw-poll=3600") as mnt:
        path = mnt / ("latest" + str(cold.src)) / "a" / "file0"
        cold_read(path)
        wait_for(lambda: told(mnt, "asked-for").startswith("1 "), "the request")
        job = job_file(cold)
        before = job.stat().st_ino, job.read_bytes()
        cold.firn("thaw", "--continue", "--yes")
        cold.all_ready()
        cold.firn("thaw", "--status")
        said = cold.firn("thaw", "--continue", "--yes").err
        assert "is of a mount or a command that is there" in said
        assert (job.stat().st_ino, job.read_bytes()) == before
        assert path.read_bytes() == (cold.src / "a" / "file0").read_bytes()
        killed(where)
        where.mkdir(exist_ok=True)
        cold.firn("thaw", "--status")
        assert cold.firn.json("thaw", "--list") == []
        assert [p.name for p in job.parent.iterdir()] == ["lock"]
        cold.firn("mount", where)		# to be unmounted


@pytest.mark.parametrize("ready", ["no", "before", "after"])
def test_budget_of_one_that_was_killed(cold, ready):
    """The next mount counts on, also when all that was asked for is there, and
    whatever a command does to the job; one that ends in good order ends the count."""
    for name in "abc":
        cold.add(name)
    cost = float(cold.quote("latest", cold.src / "a")["tiers"]["standard"]["sum"])
    where = cold.firn.work / "mnt"
    where.mkdir()
    options = f"cold=thaw,{POLL},thaw-budget={cost * 1.5:.9f}"

    def mount():
        cold.firn("mount", where, "-o", options)
        return where / ("latest" + str(cold.src))
    cold_read(mount() / "a" / "file0")
    wait_for(lambda: told(where, "asked-for").startswith("1 "), "the request")
    if ready == "before":
        cold.all_ready()
        wait_for(lambda: cold.firn.json("thaw", "--list")[0]["packs"] == 0, "a look")
    killed(where)
    if ready == "after":
        cold.all_ready()
    status = [line for line in cold.firn.json("thaw", "--status") if line["type"] == "job"]
    assert 0 < float(status[0]["spent"]) <= cost
    assert float(status[0]["budget"]) == pytest.approx(cost * 1.5, abs=1e-6)
    assert " of " in cold.firn("thaw", "--list").out
    # A note that was cut, and what was noted behind it.
    with open(job_file(cold), "ab") as notes:
        notes.write(b"asks 0123\nasks " + b"ab" * 32 + b" 5\n")
    for how in ("--continue", "--cancel", "--cancel"):
        assert cold.firn("thaw", how, "--yes").err == ""
        assert float(cold.firn.json("thaw", "--list")[0]["spent"]) >= float(status[0]["spent"])
    cold_read(mount() / "b" / "file0")
    wait_for(lambda: "thaw-budget" in text(where, "errors"), "the message")
    assert cold.asked() == cold.needed(cold.src / "a")
    assert told(where, "budget") == "used up"
    assert len(cold.firn.json("thaw", "--list")) == 1
    subprocess.run(["umount", where], check=True)
    wait_for(lambda: mount_process(where) == 0, "the end")
    assert cold.firn.json("thaw", "--list") == []
    cold_read(mount() / "b" / "file0")
    wait_for(lambda: cold.asked() == cold.needed(cold.src / "a", cold.src / "b"),
             "the other request")
    # What has only the count left goes when it is named.
    killed(where)
    cold.firn("thaw", "--cancel")
    count, = cold.firn.json("thaw", "--list")
    assert count["packs"] == 0
    cold.firn("thaw", "--cancel", count["job"])
    assert cold.firn.json("thaw", "--list") == []


def test_count_that_another_has(cold):
    """Of a job that a command goes on with, the next mount counts when that is done."""
    for name in "ab":
        cold.add(name, files=1)
    where = cold.firn.work / "mnt"
    where.mkdir()
    cold.firn("mount", where, "-o", f"cold=thaw,{POLL},thaw-budget=100")
    top = where / ("latest" + str(cold.src))
    cold_read(top / "a" / "file0")
    wait_for(lambda: told(where, "asked-for").startswith("1 "), "the request")
    job = job_file(cold)
    killed(where)
    where.mkdir(exist_ok=True)
    spent = float(cold.firn.json("thaw", "--list")[0]["spent"])
    with open(f"{job}.owner", "r+b") as owner:
        fcntl.fcntl(owner, fcntl.F_OFD_SETLK,
                    struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        cold.firn("mount", where, "-o", f"cold=thaw,{POLL},thaw-budget=100")
        cold_read(top / "b" / "file0")
        wait_for(lambda: len(cold.asked()) == 2, "the other request")
        assert len(cold.firn.json("thaw", "--list")) == 2
    wait_for(lambda: [float(job["spent"]) for job in cold.firn.json("thaw", "--list")]
             == [pytest.approx(2 * spent, rel=0.01)], "the count of both")
    unmount_all(where)


def test_unmounted_leaves_no_job(cold):
    """A mount that ends in good order takes its job along."""
    cold.add("a", files=1)
    with cold.firn.mount(options=f"cold=thaw,{POLL}") as mnt:
        cold_read(mnt / ("latest" + str(cold.src)) / "a" / "file0")
        wait_for(lambda: told(mnt, "asked-for").startswith("1 "), "the request")
        assert len(cold.firn.json("thaw", "--list")) == 1
    wait_for(lambda: mount_process(cold.firn.work / "mnt") == 0, "the end")
    assert cold.firn.json("thaw", "--list") == []


@everywhere
def test_killed_mount_goes_on(cold):
    """What a mount had asked for is followed by the next one, and not asked for
    again."""
    for name in "abc":
        cold.add(name, files=1)
    where = cold.firn.work / "mnt"
    with cold.firn.mount(options=f"cold=thaw,{POLL}") as mnt:
        for name in "abc":
            cold_read(mnt / ("latest" + str(cold.src)) / name / "file0")
        wait_for(lambda: len(cold.asked()) == 3, "the requests")
        os.kill(mount_process(where), signal.SIGKILL)
        wait_for(lambda: mount_process(where) == 0, "its end")
    with cold.firn.mount(options=f"cold=wait,{POLL}") as mnt:
        wait_for(lambda: told(mnt, "asked-for").startswith("3 "), "the job")
        readers = [Reader(mnt / ("latest" + str(cold.src)) / name / "file0")
                   for name in "abc"]
        cold.all_ready()
        for name, reader in zip("abc", readers):
            assert reader.data() == (cold.src / name / "file0").read_bytes()
        assert cold.accepted_once()
        wait_for(lambda: cold.firn.json("thaw", "--list") == [], "the jobs to end")


@both
def test_life(cold, work):
    """Back up, browse, quote, thaw one directory, copy it out while the rest stays
    cold, let it expire: cold again."""
    for name in ("a", "b"):
        cold.add(name)
        os.symlink("file0", cold.src / name / "link")
        cold.backup()
    with cold.firn.mount(options=POLL) as mnt:
        top = mnt / ("latest" + str(cold.src))
        assert sorted(os.listdir(top / "b")) == ["file0", "file1", "file2", "link"]
        # Who looks around waits for nothing, whatever the mode.
        cold.firn("mount", "--cold", "wait", mnt)
        for command in (["find", mnt, "-ls"], ["ls", "-lR", mnt], ["du", "-a", mnt]):
            subprocess.run(command, check=True, capture_output=True)
        cold.firn("mount", "--cold", "fail", mnt)
        assert cold.asked() == set() and cold.refused_gets() == 0
        assert cold.quote("latest", cold.src / "b")["cold"]["packs"] == 1
        cold.thaw("--days", "1", "latest", cold.src / "b")
        assert cold.asked() == cold.needed(cold.src / "b")
        cold.sim.clock.advance(DAY / 2)
        subprocess.run(["cp", "-a", top / "b", work / "out"], check=True)
        assert_same(cold.src / "b", work / "out")
        cold_read(top / "a" / "file0")
    cold.sim.clock.advance(3 * DAY)
    other = cold.firn.client()
    with other.mount() as mnt:
        cold_read(mnt / ("latest" + str(cold.src)) / "b" / "file0")
    assert cold.accepted_once()
