# SPDX-License-Identifier: Apache-2.0
"""A generation stores little more than what changed."""
import os

import pytest

from firn_tool import Firn, settle

MIB = 1 << 20


def fill(path, size):
    # One piece of memory over and over: fresh pages cost more than random bytes.
    piece = bytearray(MIB)
    with open("/dev/urandom", "rb", buffering=0) as dice, open(path, "wb") as f:
        for _ in range(size // MIB):
            dice.readinto(piece)
            f.write(piece)


def copy_rest(f, out, size):
    """The next so many bytes of f, within the kernel."""
    while size and (n := os.copy_file_range(f.fileno(), out.fileno(), size)):
        size -= n


def make_change(big, change):
    """Append, overwrite, or put a few bytes into the middle or before all."""
    size = big.stat().st_size
    if change == "append":
        with open(big, "ab") as f:
            f.write(os.urandom(MIB))
        return
    if change == "overwrite":
        with open(big, "r+b") as f:
            f.seek(size // 3)
            f.write(os.urandom(1000))
        return
    new = big.with_name("new")
    with open(big, "rb", buffering=0) as f, open(new, "wb", buffering=0) as out:
        before = size // 2 if change == "insert" else 0
        copy_rest(f, out, before)
        out.write(b"seventeen bytes!!")
        copy_rest(f, out, size - before)
    assert new.stat().st_size == size + 17
    os.rename(new, big)


@pytest.mark.long
def test_changes_of_a_large_file(firn, work):
    """Each generation stores what changed since the one before."""
    src = work / "src"
    src.mkdir()
    # Where it is large, it is so in a directory: a gateway here has but memory.
    fill(src / "big", (1024 if firn.url.startswith("/") else 128) * MIB)
    firn.backup("--series", "s", src)
    for change in "append", "insert", "shift", "overwrite":
        make_change(src / "big", change)
        s = firn.backup("--series", "s", src)
        assert s["data_added"] < 8 * MIB, (change, s)
        assert s["meta_added"] < MIB, (change, s)


def test_rename_stores_metadata_only(firn, work):
    src = work / "src"
    (src / "before").mkdir(parents=True)
    for i in range(200):
        (src / "before" / f"f{i}").write_bytes(os.urandom(20_000))
    firn.backup("--series", "s", src)
    os.rename(src / "before", src / "after")
    s = firn.backup("--series", "s", src)
    assert s["data_added"] == 0 and s["meta_added"] < 100_000


def test_two_hosts_store_once(firn, work):
    src = work / "src"
    src.mkdir()
    for i in range(50):
        (src / f"f{i}").write_bytes(os.urandom(100_000))
    firn.backup("--host", "one", "--series", "s", src)
    other = firn.client()
    s = other.backup("--host", "two", "--series", "s", src)
    assert s["data_added"] == 0


def test_touched_and_changed_in_the_same_tick(repo, work):
    """A change that hides behind the clock's grain is seen by the next run."""
    src = work / "src"
    src.mkdir()
    f = src / "f"
    for i in range(20):
        f.write_text(f"a{i}\n")
        repo.backup("--series", "s", src)
        f.write_text(f"b{i}\n")
        repo.backup("--series", "s", src)
        assert repo("cat", f"latest:{f}").out == f"b{i}\n"


def test_force_reads_all(firn, work):
    (work / "f").write_bytes(b"x" * 100_000)
    firn.backup("--series", "s", work / "f")
    s = firn.backup("--series", "s", "--force", work / "f")
    assert s["unchanged"] == 0 and s["bytes_read"] == 100_000 and s["data_added"] == 0


def test_state_can_be_deleted(firn, work):
    src = work / "src"
    src.mkdir()
    (src / "f").write_bytes(os.urandom(1_000_000))
    settle()
    firn.backup("--series", "s", src)
    firn.env["FIRN_CACHE_DIR"] = str(work / "fresh")
    s = firn.backup("--series", "s", src)
    assert s["unchanged"] == 1 and s["data_added"] == 0
    assert isinstance(firn, Firn)
