# SPDX-License-Identifier: Apache-2.0
"""`firn restore --thaw`: what can be read first, the rest as it arrives."""
import os
import pathlib
import shutil
import signal
import tempfile

import pytest

from cold import Cold, both, everywhere
from firn_tool import assert_same, wait_for


def spent_once(cold):
    return all(sum(counts.values()) == 1 for counts in cold.restores().values())


@both
def test_as_it_arrives(cold, work):
    names = "abcdef"
    for name in names:
        cold.add(name, files=2)
    os.link(cold.src / "a" / "file0", cold.src / "a" / "again")
    (cold.src / "a" / "small").write_bytes(b"inline")
    cold.backup()
    cold.thaw("latest", cold.src / "a")
    cold.all_ready()
    cold.firn("thaw", "--status")		# which sees that the job is done
    out = work / "out"
    job = cold.firn.start("restore", "--thaw", "--yes", "--poll", "1",
                          f"latest:{cold.src}", out)
    # What is readable is restored while all else is on its way.
    wait_for((out / "a" / "file1").exists, "the first files")
    wait_for(lambda: len(cold.asked()) == len(names), "the requests")
    assert not (out / "b" / "file0").exists()
    for name in "fdbce":
        assert job.poll() is None
        cold.ready(*cold.needed(cold.src / name))
        wait_for((out / name / "file1").exists, f"files of {name}")
    stdout, stderr = job.communicate()
    assert job.returncode == 0, stderr
    assert b"14 files" in stdout, stdout
    assert_same(cold.src, out)
    assert (out / "a" / "again").stat().st_ino == (out / "a" / "file0").stat().st_ino
    assert spent_once(cold)
    assert cold.firn.json("thaw", "--list") == []


def test_quote_first(cold, work):
    cold.add("a")
    r = cold.firn("restore", "--thaw", "latest", work / "out", status=2)
    assert "--yes" in r.err and cold.asked() == set()
    r = cold.firn("restore", "--thaw", "--dry-run", "latest", work / "out")
    assert "USD" in r.out and cold.asked() == set()
    r = cold.firn("restore", "--thaw", "--yes", "--budget", "0.000001", "latest",
                  work / "out", status=1)
    assert "budget" in r.err and cold.asked() == set()
    r = cold.firn("restore", "--yes", "latest", work / "out", status=2)
    assert "--thaw" in r.err
    r = cold.firn("restore", "latest", work / "out", status=1)
    assert "firn restore --thaw" in r.err and cold.asked() == set()


@everywhere
def test_killed_and_again(cold, work):
    """The same command goes on, and asks for nothing twice."""
    for name in "abc":
        cold.add(name)
    args = ["restore", "--thaw", "--yes", "--poll", "1", f"latest:{cold.src}", work / "out"]
    job = cold.firn.start(*args)
    wait_for(lambda: len(cold.asked()) == 3, "the requests")
    job.send_signal(signal.SIGKILL)
    job.wait()
    cold.all_ready()
    cold.firn(*args)
    assert_same(cold.src, work / "out")
    assert spent_once(cold)


def test_killed_late(cold, work):
    """What is restored already is not thawed again when its copy has ended; what
    was changed since is."""
    for name in "abc":
        cold.add(name, files=2)
    packs = {name: cold.needed(cold.src / name).pop() for name in "abc"}
    out = work / "out"
    args = ["restore", "--thaw", "--yes", "--poll", "1", "--no-cache",
            f"latest:{cold.src}", out]
    job = cold.firn.start(*args)
    wait_for(lambda: len(cold.asked()) == 3, "the requests")
    cold.ready(packs["a"], packs["b"])
    # Of one directory some are restored at the same time.
    first = [out / name / f"file{i}" for name in "ab" for i in range(2)]
    wait_for(lambda: all(path.exists() for path in first), "the first files")
    job.kill()
    job.wait()
    cold.expire(packs["a"], packs["b"])
    (out / "b" / "file0").write_bytes(b"not what it was")
    quote = cold.firn.json(*args, "--dry-run")[0]
    assert quote["cold"]["packs"] == 1 and quote["needed"]["packs"] == 2
    job = cold.firn.start(*args)
    wait_for(lambda: sum(cold.restores()[packs["b"]].values()) == 2, "the request")
    cold.ready(packs["b"], packs["c"])
    assert job.wait() == 0, job.communicate()
    assert_same(cold.src, out)
    assert sum(cold.restores()[packs["a"]].values()) == 1
    # With all of it there nothing is asked for, but to compare it.
    cold.expire(*packs.values())
    cold.firn(*args)
    quote = cold.firn.json(*args, "--verify", "--dry-run")[0]
    assert quote["cold"]["packs"] == 3


def test_then_cache(cold, work):
    """What was restored is in the disk cache, and needs no thaw again."""
    cold.add("a", files=4, size=700_000)
    job = cold.firn.start("restore", "--thaw", "--yes", "--poll", "1", "--then-cache",
                          "--days", "1", "latest", work / "out")
    wait_for(cold.asked, "the request")
    cold.all_ready()
    assert job.wait() == 0, job.communicate()
    cold.expire(*cold.asked())
    quote = cold.quote("latest")
    assert quote["needed"]["packs"] == 0 and quote["cached"] == 2_800_000
    cold.firn("restore", f"latest:{cold.src}", work / "second")
    assert_same(cold.src, work / "second")


def test_ends_after_it_was_read(cold, work):
    """What is done is not kept: its copy may end while others are waited for."""
    for name in "ab":
        cold.add(name, files=1)
    a, b = (cold.needed(cold.src / name).pop() for name in "ab")
    cold.thaw("latest")
    cold.ready(a)
    job = cold.firn.start("restore", "--thaw", "--yes", "--poll", "1",
                          f"latest:{cold.src}", work / "out")
    wait_for((work / "out" / "a" / "file0").exists, "the first file")
    cold.expire(a)
    cold.ready(b)
    assert job.wait() == 0, job.communicate()
    assert_same(cold.src, work / "out")
    assert spent_once(cold)


@everywhere
def test_ends_while_it_is_read(cold, work):
    """What is archived again when it comes to be read is thawed again."""
    cold.add("a", files=1)
    pack = cold.needed(cold.src / "a").pop()
    cold.thaw("latest")
    cold.ready(pack)
    # By the listing it can be read; the first try to do so finds it archived.
    cold.sim.faults.add(kind="archived", verb="GetObject", prefix=f"some/prefix/{pack}",
                        times=1)
    job = cold.firn.start("restore", "--thaw", "--yes", "--poll", "1",
                          f"latest:{cold.src}", work / "out")
    assert job.wait() == 0, job.communicate()
    assert_same(cold.src, work / "out")


def test_gone_pack(cold, work):
    for name in "ab":
        cold.add(name)
    cold.firn.objects.delete(cold.needed(cold.src / "a").pop())
    job = cold.firn.start("restore", "--thaw", "--yes", "--poll", "1",
                          f"latest:{cold.src}", work / "out")
    wait_for(cold.asked, "the request")
    cold.all_ready()
    assert job.wait() == 1
    assert_same(cold.src / "b", work / "out" / "b")


def test_hot(sim, work):
    """Where nothing is archived it is a restore."""
    hot = Cold(sim, tier="STANDARD")
    hot.add("a")
    hot.firn("restore", "--thaw", f"latest:{hot.src}", work / "out")
    assert_same(hot.src, work / "out")


def cached(cold, work):
    """z is archived, and in a disk cache that 0hot fills; options for that cache."""
    cold.tier = "STANDARD"
    cold.add("0hot", files=30, size=4_000_000)
    cold.tier = "DEEP_ARCHIVE"
    cold.add("z", files=4, size=4_000_000)
    cold.thaw("latest", cold.src / "z")
    cold.all_ready()
    small = ["--cache-size", "64M"]
    cold.firn("restore", *small, f"latest:{cold.src}/z", work / "first")
    cold.firn("thaw", "--status")
    return small


def test_let_go_by_the_cache(cold, work):
    """What was to come from the disk cache, and went from there meanwhile."""
    small = cached(cold, work)
    pack = cold.needed(cold.src / "z").pop()
    cold.expire(pack)
    # The quote does not count on z, whose blocks are in the cache; that is full
    # of 0hot when it comes to z.
    assert cold.quote(*small, "latest")["cold"]["packs"] == 0
    job = cold.firn.start("restore", "--thaw", "--yes", "--poll", "1", *small,
                          f"latest:{cold.src}", work / "out")
    wait_for(lambda: sum(cold.restores()[pack].values()) == 2 or job.poll() is not None,
             "the request")
    assert job.poll() is None, job.communicate()
    cold.ready(pack)
    assert job.wait() == 0, job.communicate()
    assert_same(cold.src, work / "out")


def test_let_go_and_not_agreed(cold, work):
    """Nothing is asked for that nobody agreed to, and what is missing is said."""
    small = cached(cold, work)
    cold.expire(*cold.asked())
    r = cold.firn("restore", "--thaw", "--poll", "1", *small, f"latest:{cold.src}",
                  work / "out", status=2)
    assert "--yes" in r.err and cold.accepted_once()
    assert "are archived" in r.err


def test_overwrite_never(cold, work):
    """Would leave directories of the first pass with the times of then."""
    cold.add("a", files=1)
    r = cold.firn("restore", "--thaw", "--yes", "--overwrite", "never", "latest",
                  work / "out", status=2)
    assert "several passes" in r.err and cold.asked() == set()


def reading(cold, *args):
    """A restore --thaw whose reads of the archive get nowhere for now."""
    cold.sim.stats.reset()
    cold.sim.faults.add(kind="503-slowdown", verb="GetObject", prefix="some/prefix/data/")
    job = cold.firn.start("restore", "--thaw", "--days", "1", "--poll", "1", "--no-cache",
                          f"latest:{cold.src}", *args)
    wait_for(lambda: cold.sim.stats.faults["503-slowdown"] > 2 or job.poll() is not None,
             "reads that get nowhere")
    return job


def ends_soon(cold, pack):
    cold.sim.ends("bucket", cold.sim.clock.now() + 1800, keys=[f"some/prefix/{pack}"])


def test_kept_while_it_is_read(cold, work):
    """A copy that would end before its turn comes is prolonged, in the very pass,
    and no other."""
    for name in "ab":
        cold.add(name, files=1)
    a, b = (cold.needed(cold.src / name).pop() for name in "ab")
    cold.thaw("--days", "5", "latest")
    cold.ready(a, b)
    job = reading(cold, work / "out", "--yes")
    ends_soon(cold, a)
    wait_for(lambda: cold.asked() or job.poll() is not None, "the request")
    cold.sim.faults.clear()
    assert job.wait() == 0, job.communicate()
    assert_same(cold.src, work / "out")
    assert cold.restores() == {a: {"200": 1}}


def test_not_kept_unless_agreed(cold, work):
    cold.add("a", files=1)
    pack = cold.needed(cold.src / "a").pop()
    cold.thaw("--days", "5", "latest")
    cold.ready(pack)
    job = reading(cold, work / "out")
    ends_soon(cold, pack)
    lists = lambda: cold.sim.stats.operations["ListObjectsV2"]
    before = lists()
    wait_for(lambda: lists() > before + 2 or job.poll() is not None, "looks")
    cold.sim.faults.clear()
    stdout, stderr = job.communicate()
    assert job.returncode == 0 and b"agreed" in stderr, stderr
    assert_same(cold.src, work / "out")
    assert cold.asked() == set()


@pytest.fixture
def theirs(cold, root):
    """A directory of nobody's, and all that they need to run firn; not below that of
    pytest, which closes its own whenever it is started."""
    with tempfile.TemporaryDirectory(prefix="firn-nobody-") as name:
        path = pathlib.Path(name)
        shutil.copy(cold.firn.password, path / "password")
        for each in (path, path / "password"):
            shutil.chown(each, "nobody", "nogroup")
        cold.firn.env.update(FIRN_CACHE_DIR=str(path / "cache"), HOME=name,
                             FIRN_PASSWORD_FILE=str(path / "password"))
        yield path


def test_into_what_may_not_be_written(cold, theirs):
    """Files that come later go into directories that have their modes already."""
    for name in "ab":
        cold.add(name, files=1)
    (cold.src / "both").mkdir()
    for name in "ab":
        shutil.copy(cold.src / name / "file0", cold.src / "both" / name)
        shutil.copy(cold.src / name / "file0", cold.src / f"top-{name}")
    cold.src.chmod(0o555)
    (cold.src / "both").chmod(0o500)
    cold.backup()
    out = theirs / "out"
    shutil.rmtree(theirs / "cache")
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    job = cold.firn.start("restore", "--thaw", "--yes", "--poll", "1", f"latest:{cold.src}",
                          out, prefix=nobody)
    wait_for(lambda: len(cold.asked()) == 2 or job.poll() is not None, "the requests")
    for name in "ab":
        assert job.poll() is None, job.communicate()
        cold.ready(*cold.needed(cold.src / name))
        wait_for(lambda: (out / "both" / name).exists() or job.poll() is not None,
                 f"files of {name}")
    assert job.wait() == 0, job.communicate()
    assert_same(cold.src, out, "--no-owner", "--no-group")
    assert (out.stat().st_mode & 0o777, (out / "both").stat().st_mode & 0o777) == (0o555, 0o500)
