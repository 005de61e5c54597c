# SPDX-License-Identifier: Apache-2.0
"""Packs that vanish behind our back: what the store has counts, not the index."""
import os
import random
import shutil
import signal

import pytest

from firn_tool import assert_same, settle, wait_for

MIB = 1 << 20


def make_source(work, seed=3):
    src = work / "src"
    (src / "d").mkdir(parents=True)
    r = random.Random(seed)
    for i in range(6):
        (src / "d" / f"f{i}").write_bytes(r.randbytes(300_000))
    (src / "many").write_bytes(r.randbytes(12 * MIB))	# its extents are a list
    (src / "small").write_text("inline\n")
    os.setxattr(src / "d", "user.large", r.randbytes(2000))
    os.symlink("small", src / "link")
    settle()
    return src


def lose(firn, part):
    """Take all packs of a kind away; returns what puts them back."""
    kept = {name: firn.objects.get(name) for name in firn.objects.names(part + "/")}
    assert kept
    for name in kept:
        firn.objects.delete(name)

    def back():
        for name, data in kept.items():
            firn.objects.put(name, data)
    return back


def write_only(firn, work):
    (work / "wpass").write_text("write only\n")
    firn("key", "add", "--role", "write-only", "--new-password-file", work / "wpass",
         "--kdf-memory", "1M")
    host = firn.client("host")
    host.env["FIRN_PASSWORD_FILE"] = str(work / "wpass")
    return host


def assert_whole(firn, work, src, cache, status=0, lost=()):
    """From nothing but the store: check finds nothing wrong but with generations
    whose trees are lost, and all of the newest comes back."""
    fresh = firn.client(cache)
    problems, summary = fresh.check("--read-data", status=status)
    problems = [p for p in problems if p["text"] != "is missing" and
                p["object"].split(":")[0] not in lost] if lost else problems
    assert problems == [], problems
    shutil.rmtree(work / "out", ignore_errors=True)
    firn.client(cache + "-r")("restore", f"latest:{src}", work / "out")
    assert_same(src, work / "out")
    return summary


@pytest.mark.stores(usual=["local"])
@pytest.mark.parametrize("part", ["data", "meta"])
@pytest.mark.parametrize("force", [False, True])
def test_lost_packs_are_stored_again(firn, work, part, force):
    src = make_source(work)
    first = firn.backup("--series", "s", src)["generation"]
    lose(firn, part)
    (work / "stirred").mkdir()		# a tree above the source that does not come again
    args = ["--force"] if force else []
    r = firn("backup", "--series", "s", *args, src)
    said = [line for line in r.err.splitlines() if "packs that the index names" in line]
    assert len(said) == 1 and "firn check" in said[0], r.err
    assert firn.objects.names(part + "/"), "nothing was stored again"
    lost = [first] if part == "meta" else []
    summary = assert_whole(firn, work, src, "fresh", int(bool(lost)), lost)
    assert summary["packs_lost"] > 0
    again = firn.backup("--series", "s", src)
    assert again["data_added"] == 0 and again["unchanged"] == again["files"]


@pytest.mark.parametrize("part", ["data", "meta"])
def test_lost_packs_and_a_write_only_key(repo, work, part):
    src = make_source(work)
    host = write_only(repo, work)
    first = host.backup("--series", "s", src)["generation"]
    lose(repo, part)
    (work / "stirred").mkdir()
    host.backup("--series", "s", src)
    lost = [first] if part == "meta" else []
    assert_whole(repo, work, src, "fresh", int(bool(lost)), lost)


@pytest.mark.parametrize("how", ["emptied", "cut"])
def test_cut_packs_are_stored_again(repo, work, how):
    src = make_source(work)
    repo.backup("--series", "s", src)
    for name in repo.objects.names("data/"):
        data = repo.objects.get(name)
        repo.objects.put(name, b"" if how == "emptied" else data[:len(data) // 2])
    repo.backup("--series", "s", src)
    assert_whole(repo, work, src, "fresh")


def test_what_a_cut_pack_still_has_is_read(repo, work):
    src = make_source(work)
    repo.backup("--series", "s", src)
    sizes = repo.objects.sizes("data/")
    pack = max(sizes, key=sizes.get)
    repo.objects.put(pack, repo.objects.get(pack)[:-3 * MIB])
    problems, summary = repo.check(status=1)
    assert any("many" in p["object"] for p in problems)
    assert not any("/d/" in p["object"] for p in problems), problems
    assert summary["files_hit"] == 1
    r = repo("restore", f"latest:{src}", work / "out", status=1)
    assert "many" in r.err
    for i in range(6):
        assert (work / "out" / "d" / f"f{i}").read_bytes() == \
            (src / "d" / f"f{i}").read_bytes()


def test_packs_that_come_back_are_believed(repo, work):
    src = make_source(work)
    repo.backup("--series", "s", src)
    back = lose(repo, "data")
    problems, _ = repo.check(status=1)
    assert any("is missing" in p["text"] for p in problems)
    back()
    repo("restore", f"latest:{src}", work / "out")
    assert_same(src, work / "out")
    s = repo.backup("--series", "t", src)
    assert s["data_added"] == 0
    assert repo.check("--read-data")[0] == []


def test_a_mount_finds_what_was_stored_again(repo, work, fuse):
    src = make_source(work)
    repo.backup("--series", "s", src)
    other = repo.client("other")
    other.backup("--series", "t", src)
    lose(repo, "data")
    other.backup("--series", "t", src)
    with repo.mount() as mnt:
        copy = mnt / ("latest" + str(src))
        assert (copy / "many").read_bytes() == (src / "many").read_bytes()


def test_unchanged_backup_costs_few_listings(sim, work):
    src = make_source(work)
    sim.backup("--series", "s", src)
    sim.sim.stats.reset()
    s = sim.backup("--series", "s", src)
    assert s["bytes_read"] == 0
    lists = [r for r in sim.sim.requests if r.operation.startswith("ListObjects")]
    assert len(lists) == 7, "keys, gen, tier, index/data, index/meta, data, meta"


def test_write_only_key_reads_large_files_once(repo, work):
    """What was taken over unread is known to the run after the next as well."""
    src = make_source(work)
    host = write_only(repo, work)
    host.backup("--series", "s", src)
    for _ in range(3):
        s = host.backup("--series", "s", src)
        assert s["bytes_read"] == 0 and s["unchanged"] == s["files"]


def state_files(firn, prefix):
    """Of the one repository below the cache directory."""
    root = firn.env["FIRN_CACHE_DIR"]
    return [p for d in os.listdir(root) for p in os.listdir(os.path.join(root, d))
            if p.startswith(prefix) and "." in p]


def test_trees_of_killed_runs_are_removed(repo, work):
    src = make_source(work)
    host = write_only(repo, work)
    host.backup("--series", "s", src)
    (src / "more").write_bytes(os.urandom(100 * MIB))
    # A run that is killed leaves its tree, and one that is alive keeps its own.
    reads, writes = os.pipe()
    live = host.start("backup", "--series", "live", "--stdin", "f", stdin=reads)
    os.close(reads)
    wait_for(lambda: len(state_files(host, "meta-")) == 1, "the live run's tree")
    # At a level at which it is at it for long.
    dead = host.start("backup", "--series", "s", "--level", "19", str(src))
    wait_for(lambda: len(state_files(host, "meta-")) == 2, "the other run's tree")
    dead.send_signal(signal.SIGKILL)
    dead.communicate()
    assert len(state_files(host, "meta-")) == 2
    host.backup("--series", "other", src / "small")
    assert len(state_files(host, "meta-")) == 1
    os.write(writes, b"contents")
    os.close(writes)
    assert live.wait() == 0
    assert state_files(host, "meta-") == []


def test_orderly_failure_leaves_nothing_to_look_for(repo, work):
    """What was uploaded is listed, and the next run looks for nothing."""
    data = os.urandom(100 * MIB)
    (work / "data").write_bytes(data)
    r = repo("backup", "--series", "s", "--level", "0", "--stdin", "f",
              "--stdin-from-command", "--", "sh", "-c",
              f"cat {work}/data; exit 1", status=1)
    assert "no generation was made" in r.err
    assert repo.objects.names("data/") and state_files(repo, "backup") == []
    listed = repo.client("fresh").check()[1]
    assert listed["packs"] > 0 and listed["unused_packs"] == 0
    r = repo("backup", "--series", "s", "--level", "0", work / "data")
    assert "did not end" not in r.err
    # A piece in flight at the failure may be stored twice, no pack is.
    assert repo.objects.stored() < 100 * MIB + 40 * MIB


def test_interrupt_leaves_nothing_to_look_for(sim, work):
    src = work / "src"
    src.mkdir()
    reads, writes = os.pipe()
    p = sim.start("backup", "--series", "s", "--level", "0", "--stdin", "f",
                  stdin=reads)
    os.close(reads)
    data = os.urandom(80 * MIB)
    os.write(writes, data[:1 << 16])
    with os.fdopen(writes, "wb") as f:
        f.write(data[1 << 16:])
        f.flush()
        wait_for(lambda: sim.objects.names("data/"), "a pack to arrive")
        p.send_signal(signal.SIGINT)
        _, err = p.communicate()
    assert p.returncode == 130, err
    sim.backup("--series", "t", src)
    summary = sim.client("fresh").check()[1]
    assert summary["packs"] > 0 and summary["unused_packs"] == 0
    assert state_files(sim, "backup") == []


def test_two_backups_at_once_take_neither_for_dead(repo, work):
    reads, writes = os.pipe()
    live = repo.start("backup", "--series", "live", "--stdin", "f", stdin=reads)
    os.close(reads)
    wait_for(lambda: len(state_files(repo, "backup")) == 1, "the mark")
    (work / "f").write_text("x")
    r = repo("backup", "--series", "s", work / "f")
    assert "did not end" not in r.err
    assert len(state_files(repo, "backup")) == 1
    os.close(writes)
    assert live.wait() == 0


def test_check_says_what_it_verified(repo, sim, work):
    src = make_source(work)
    for firn, how in ((repo, "by size only"), (sim, "the SHA-256 that the store has")):
        firn.env["FIRN_CACHE_DIR"] = str(work / how.replace(" ", ""))
        firn.backup("--series", "s", src)
        assert how in firn("check").out
        out = firn("check", "--read-data").out
        assert "packs read and found right" in out and "by size" not in out


def test_check_beside_a_backup(repo, work):
    """What a backup puts while check runs is not damage."""
    src = work / "src"
    src.mkdir()
    (src / "f").write_bytes(os.urandom(100 * MIB))
    other = repo.client("other")
    repo.backup("--series", "s", src / "f")
    p = repo.start("backup", "--series", "t", "--level", "0", str(src))
    rounds = 0
    while p.poll() is None or rounds == 0:
        problems, _ = other.check()
        assert problems == []
        problems, _ = repo.check()
        assert problems == []
        rounds += 1
    p.communicate()
    assert p.returncode == 0


def test_a_pack_of_another_size_is_named(repo, work):
    """All can still be read, and it is damage all the same."""
    src = make_source(work)
    repo.backup("--series", "s", src)
    for part in ("data", "meta"):
        pack = repo.objects.names(part + "/")[0]
        data = repo.objects.get(pack)
        repo.objects.put(pack, data + b"x")
        problems, summary = repo.client("fresh" + part).check(status=1)
        assert [p["object"] for p in problems] == [pack]
        assert summary["files_hit"] == 0
        repo.objects.put(pack, data)


@pytest.mark.parametrize("part", ["data", "meta"])
@pytest.mark.parametrize("key", ["owner", "write-only"])
def test_a_segment_that_is_gone_is_listed_again(repo, work, part, key):
    """Nothing died, so the packs themselves tell; the next backup lists them."""
    src = make_source(work)
    host = write_only(repo, work) if key == "write-only" else repo
    host.backup("--series", "s", src)
    before = repo.objects.names("data/")
    segments = repo.objects.names(f"index/{part}/")
    assert segments
    for name in segments:
        repo.objects.delete(name)
    host.backup("--series", "s", "--force", src)
    assert repo.objects.names("data/") == before, "stored again"
    assert repo.objects.names(f"index/{part}/"), "not listed again"
    problems, summary = repo.client("fresh").check("--read-data")
    assert problems == [] and summary["unused_packs"] == 0


def test_packs_that_cannot_be_read_back_are_tried_once(repo, work):
    src = make_source(work)
    repo.backup("--series", "s", src)
    stray = "00" * 32
    repo.objects.put(f"data/00/{stray}", b"x" * 1000)
    said = [repo("backup", "--series", "s", src).err.count(stray) for _ in range(2)]
    assert said == [1, 0]
