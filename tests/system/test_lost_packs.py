# SPDX-License-Identifier: Apache-2.0
"""Packs that vanish behind our back: what the store has counts, not the index."""
import os
import random
import shutil
import signal

import pytest

from firn_tool import Firn, assert_same, wait_for

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
    return src


def keys_of(firn, part):
    if firn.sim is None:
        return sorted(firn.store_dir().glob(f"{part}/*/*"))
    bucket = firn.sim.bucket("bucket")
    return sorted(k for k in bucket.keys() if k.startswith(f"some/prefix/{part}/"))


def lose(firn, part):
    """Take all packs of a kind away; returns what puts them back."""
    kept = {}
    for key in keys_of(firn, part):
        if firn.sim is None:
            kept[key] = key.read_bytes()
            key.unlink()
        else:
            kept[key] = firn.sim.bucket("bucket").get(key)
            firn.sim.bucket("bucket").delete(key)
    assert kept

    def back():
        for key, data in kept.items():
            key.write_bytes(data)
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


@pytest.mark.parametrize("where", ["local", "sim"])
@pytest.mark.parametrize("part", ["data", "meta"])
@pytest.mark.parametrize("force", [False, True])
def test_lost_packs_are_stored_again(request, work, where, part, force):
    if where == "sim" and (force or part == "meta"):
        pytest.skip("the local store shows it")
    firn = request.getfixturevalue(where)
    src = make_source(work)
    first = firn.backup("--series", "s", src)["generation"]
    lose(firn, part)
    (work / "stirred").mkdir()		# a tree above the source that does not come again
    args = ["--force"] if force else []
    r = firn("backup", "--series", "s", *args, src)
    said = [line for line in r.err.splitlines() if "packs that the index names" in line]
    assert len(said) == 1 and "firn check" in said[0], r.err
    assert keys_of(firn, part), "nothing was stored again"
    lost = [first] if part == "meta" else []
    summary = assert_whole(firn, work, src, "fresh", int(bool(lost)), lost)
    assert summary["packs_lost"] > 0
    again = firn.backup("--series", "s", src)
    assert again["data_added"] == 0 and again["unchanged"] == again["files"]


@pytest.mark.parametrize("part", ["data", "meta"])
def test_lost_packs_and_a_write_only_key(local, work, part):
    src = make_source(work)
    host = write_only(local, work)
    first = host.backup("--series", "s", src)["generation"]
    lose(local, part)
    (work / "stirred").mkdir()
    host.backup("--series", "s", src)
    lost = [first] if part == "meta" else []
    assert_whole(local, work, src, "fresh", int(bool(lost)), lost)


@pytest.mark.parametrize("how", ["emptied", "cut"])
def test_cut_packs_are_stored_again(local, work, how):
    src = make_source(work)
    local.backup("--series", "s", src)
    for key in keys_of(local, "data"):
        data = key.read_bytes()
        key.write_bytes(b"" if how == "emptied" else data[:len(data) // 2])
    local.backup("--series", "s", src)
    assert_whole(local, work, src, "fresh")


def test_what_a_cut_pack_still_has_is_read(local, work):
    src = make_source(work)
    local.backup("--series", "s", src)
    pack = max(keys_of(local, "data"), key=lambda p: p.stat().st_size)
    pack.write_bytes(pack.read_bytes()[:-3 * MIB])
    problems, summary = local.check(status=1)
    assert any("many" in p["object"] for p in problems)
    assert not any("/d/" in p["object"] for p in problems), problems
    assert summary["files_hit"] == 1
    r = local("restore", f"latest:{src}", work / "out", status=1)
    assert "many" in r.err
    for i in range(6):
        assert (work / "out" / "d" / f"f{i}").read_bytes() == \
            (src / "d" / f"f{i}").read_bytes()


def test_packs_that_come_back_are_believed(local, work):
    src = make_source(work)
    local.backup("--series", "s", src)
    back = lose(local, "data")
    problems, _ = local.check(status=1)
    assert any("is missing" in p["text"] for p in problems)
    back()
    local("restore", f"latest:{src}", work / "out")
    assert_same(src, work / "out")
    s = local.backup("--series", "t", src)
    assert s["data_added"] == 0
    assert local.check("--read-data")[0] == []


def test_a_mount_finds_what_was_stored_again(local, work, fuse):
    src = make_source(work)
    local.backup("--series", "s", src)
    other = local.client("other")
    other.backup("--series", "t", src)
    lose(local, "data")
    other.backup("--series", "t", src)
    with local.mount() as mnt:
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


def test_write_only_key_reads_large_files_once(local, work):
    """What was taken over unread is known to the run after the next as well."""
    src = make_source(work)
    host = write_only(local, work)
    host.backup("--series", "s", src)
    for _ in range(3):
        s = host.backup("--series", "s", src)
        assert s["bytes_read"] == 0 and s["unchanged"] == s["files"]


def state_files(firn, prefix):
    """Of the one repository below the cache directory."""
    root = firn.env["FIRN_CACHE_DIR"]
    return [p for d in os.listdir(root) for p in os.listdir(os.path.join(root, d))
            if p.startswith(prefix) and "." in p]


def test_trees_of_killed_runs_are_removed(local, work):
    src = make_source(work)
    host = write_only(local, work)
    host.backup("--series", "s", src)
    (src / "more").write_bytes(os.urandom(200 * MIB))
    # A run that is killed leaves its tree, and one that is alive keeps its own.
    reads, writes = os.pipe()
    live = host.start("backup", "--series", "live", "--stdin", "f", stdin=reads)
    os.close(reads)
    wait_for(lambda: len(state_files(host, "meta-")) == 1, "the live run's tree")
    dead = host.start("backup", "--series", "s", str(src))
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


def test_orderly_failure_leaves_nothing_to_look_for(local, work):
    """What was uploaded is listed, and the next run looks for nothing."""
    data = os.urandom(100 * MIB)
    (work / "data").write_bytes(data)
    r = local("backup", "--series", "s", "--level", "0", "--stdin", "f",
              "--stdin-from-command", "--", "sh", "-c",
              f"cat {work}/data; exit 1", status=1)
    assert "no generation was made" in r.err
    assert keys_of(local, "data") and state_files(local, "backup") == []
    listed = local.client("fresh").check()[1]
    assert listed["packs"] > 0 and listed["unused_packs"] == 0
    r = local("backup", "--series", "s", "--level", "0", work / "data")
    assert "did not end" not in r.err
    size = sum(p.stat().st_size for p in keys_of(local, "data"))
    # A piece in flight at the failure may be stored twice, no pack is.
    assert size < 100 * MIB + 40 * MIB


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
        wait_for(lambda: keys_of(sim, "data"), "a pack to arrive")
        p.send_signal(signal.SIGINT)
        _, err = p.communicate()
    assert p.returncode == 130, err
    sim.backup("--series", "t", src)
    summary = sim.client("fresh").check()[1]
    assert summary["packs"] > 0 and summary["unused_packs"] == 0
    assert state_files(sim, "backup") == []


def test_two_backups_at_once_take_neither_for_dead(local, work):
    reads, writes = os.pipe()
    live = local.start("backup", "--series", "live", "--stdin", "f", stdin=reads)
    os.close(reads)
    wait_for(lambda: len(state_files(local, "backup")) == 1, "the mark")
    (work / "f").write_text("x")
    r = local("backup", "--series", "s", work / "f")
    assert "did not end" not in r.err
    assert len(state_files(local, "backup")) == 1
    os.close(writes)
    assert live.wait() == 0
    assert isinstance(local, Firn)


def test_check_says_what_it_verified(local, sim, work):
    src = make_source(work)
    for firn, how in ((local, "by size only"), (sim, "the SHA-256 that the store has")):
        firn.env["FIRN_CACHE_DIR"] = str(work / how.replace(" ", ""))
        firn.backup("--series", "s", src)
        assert how in firn("check").out
        out = firn("check", "--read-data").out
        assert "packs read and found right" in out and "by size" not in out


def test_check_beside_a_backup(local, work):
    """What a backup puts while check runs is not damage."""
    src = work / "src"
    src.mkdir()
    (src / "f").write_bytes(os.urandom(150 * MIB))
    other = local.client("other")
    local.backup("--series", "s", src / "f")
    p = local.start("backup", "--series", "t", "--level", "0", str(src))
    rounds = 0
    while p.poll() is None or rounds == 0:
        problems, _ = other.check()
        assert problems == []
        problems, _ = local.check()
        assert problems == []
        rounds += 1
    p.communicate()
    assert p.returncode == 0


def test_a_pack_of_another_size_is_named(local, work):
    """All can still be read, and it is damage all the same."""
    src = make_source(work)
    local.backup("--series", "s", src)
    for part in ("data", "meta"):
        pack = keys_of(local, part)[0]
        data = pack.read_bytes()
        pack.write_bytes(data + b"x")
        problems, summary = local.client("fresh" + part).check(status=1)
        assert [p["object"] for p in problems] == [str(pack.relative_to(local.store_dir()))]
        assert summary["files_hit"] == 0
        pack.write_bytes(data)


@pytest.mark.parametrize("part", ["data", "meta"])
@pytest.mark.parametrize("key", ["owner", "write-only"])
def test_a_segment_that_is_gone_is_listed_again(local, work, part, key):
    """Nothing died, so the packs themselves tell; the next backup lists them."""
    src = make_source(work)
    host = write_only(local, work) if key == "write-only" else local
    host.backup("--series", "s", src)
    before = set(keys_of(local, "data"))
    segments = local.store_dir() / "index" / part
    assert [p.unlink() for p in segments.iterdir()]
    host.backup("--series", "s", "--force", src)
    assert set(keys_of(local, "data")) == before, "stored again"
    assert list(segments.iterdir()), "not listed again"
    problems, summary = local.client("fresh").check("--read-data")
    assert problems == [] and summary["unused_packs"] == 0


def test_packs_that_cannot_be_read_back_are_tried_once(local, work):
    src = make_source(work)
    local.backup("--series", "s", src)
    stray = local.store_dir() / "data" / "00" / ("00" * 32)
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"x" * 1000)
    said = [local("backup", "--series", "s", src).err.count(stray.name) for _ in range(2)]
    assert said == [1, 0]
