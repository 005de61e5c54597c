# SPDX-License-Identifier: Apache-2.0
"""What a mount fetches for who reads: enough ahead, nothing twice, little in vain."""
import concurrent.futures
import contextlib
import errno
import os
import pathlib
import random
import subprocess

import pytest

from firn_tool import Firn, mount_process, wait_for

pytestmark = pytest.mark.usefixtures("fuse")
MIB = 1 << 20


def stats(mnt):
    lines = (mnt / ".firn/stats").read_text().splitlines()
    return {name: int(value) for name, value in (line.split() for line in lines)
            if value.isdigit()}


@pytest.fixture
def repo(work):
    """Packs that are much smaller than what is looked ahead."""
    firn = Firn(work, str(work / "repository"))
    firn("init", "--kdf-memory", "1M", "--pack-size", "4M", "--block-size", "128K")
    return firn


def make(path, size):
    data = random.Random(str(path.name)).randbytes(size)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return data


def read_all(path, step):
    out = bytearray()
    with open(path, "rb", buffering=0) as f:
        while chunk := f.read(step):
            out += chunk
    return out


def later_stats(mnt, before):
    """Those that are other than these: numbers are kept for a second."""
    def look():
        now = stats(mnt)
        return now if now != before else None

    return wait_for(look, "other numbers than those")


def fetched(mnt, before):
    now = later_stats(mnt, before)
    return {k: now[k] - before[k] for k in ("bytes-from-store", "store-get")}


@pytest.mark.sanitize
@pytest.mark.parametrize("step", [4096, 131_072, 4 * MIB])
def test_in_order(repo, work, step):
    """Across packs, in requests of several cells, and each byte once."""
    data = make(work / "src/large", 40 * MIB)
    repo.backup("--series", "s", work / "src")
    with repo.mount(options="memory=32M") as mnt:
        before = stats(mnt)
        assert read_all(f"{mnt}/latest{work}/src/large", step) == data
        got = fetched(mnt, before)
    assert got["bytes-from-store"] <= 41 * MIB
    assert got["store-get"] <= 30


def test_in_parallel(repo, work):
    """Readers do not push each other's data out before it was used."""
    files = [(f"f{i}", make(work / f"src/f{i}", 12 * MIB)) for i in range(6)]
    repo.backup("--series", "s", work / "src")
    with repo.mount() as mnt, concurrent.futures.ThreadPoolExecutor(6) as pool:
        before = stats(mnt)
        top = f"{mnt}/latest{work}/src"
        same = pool.map(lambda f: read_all(f"{top}/{f[0]}", 65536) == f[1], files)
        assert all(same)
        got = fetched(mnt, before)
    # Up to 1.4 of them in a dozen runs; who pushes others out fetches twice and more.
    assert got["bytes-from-store"] <= 72 * MIB * 1.6


def test_memory_of_many(repo, work):
    """However many read, what is fetched for them is one budget: here 6 MiB of cells
    that are kept and 8 MiB beside them, and for some the rest of a frame that they
    have in part."""
    count = 24
    files = [(f"f{i}", make(work / f"src/f{i}", 8 * MIB)) for i in range(count)]
    repo.backup("--series", "s", work / "src")
    with repo.mount(options="memory=16M") as mnt, \
            concurrent.futures.ThreadPoolExecutor(count) as pool:
        top = f"{mnt}/latest{work}/src"
        same = pool.map(lambda f: read_all(f"{top}/{f[0]}", 131_072) == f[1], files)
        assert all(same)
        assert 6 * MIB <= stats(mnt)["cells-bytes-peak"] <= 32 * MIB


def test_here_and_there(repo, work):
    """Who jumps about gets what he asks for and no more than the cells it lies in."""
    data = make(work / "src/large", 60 * MIB)
    repo.backup("--series", "s", work / "src")
    places = list(range(0, 60 * MIB - 4096, 6 * MIB + 4096))
    random.Random(1).shuffle(places)
    with repo.mount() as mnt:
        fd = os.open(f"{mnt}/latest{work}/src/large", os.O_RDONLY)
        try:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
            before = stats(mnt)
            for at in places:
                assert os.pread(fd, 4096, at) == data[at:at + 4096]
            got = fetched(mnt, before)
        finally:
            os.close(fd)
    assert 0 < got["bytes-from-store"] <= len(places) * 2 * MIB


def test_small_files_across_packs(repo, work):
    """A walk over many packs asks for several cells at once in each, not for one."""
    files = {f"d{i // 50}/f{i:03d}": None for i in range(600)}
    for name in files:
        (work / "src" / name).parent.mkdir(parents=True, exist_ok=True)
        files[name] = make(work / "src" / name, 50_000)
    repo.backup("--series", "s", work / "src")
    with repo.mount() as mnt:
        before = stats(mnt)
        for name, data in sorted(files.items()):
            assert read_all(f"{mnt}/latest{work}/src/{name}", 131_072) == data
        got = fetched(mnt, before)
    assert got["bytes-from-store"] <= 600 * 50_000 * 1.1
    assert got["store-get"] <= 22


def small_tree(work, dirs=60, each=2):
    """Directories with fewer files than prove a walk in one of them."""
    files = {}
    for i in range(dirs):
        for j in range(each):
            name = f"d{i:02d}/{'e/' if j % 2 else ''}f{j}"
            (work / "src" / name).parent.mkdir(parents=True, exist_ok=True)
            files[name] = make(work / "src" / name, 40_000 + i)
    files |= {f"a{j}": make(work / f"src/a{j}", 40_000) for j in range(4)}
    return files


@pytest.mark.sanitize
def test_a_walk_is_followed_into_directories(repo, work):
    """What it comes to next is opened before it asks; and one that went through a
    directory is believed in the next, however few files that has."""
    files = small_tree(work, each=3)
    repo.backup("--series", "s", work / "src")
    with repo.mount() as mnt:
        subprocess.run(["cp", "-r", f"{mnt}/latest{work}/src", work / "copy"], check=True)
        now = stats(mnt)
    for name, data in files.items():
        assert (work / "copy" / name).read_bytes() == data
    assert now["blocks-opened-ahead"] > len(files) // 2
    # But for those that prove the walk, and what was not yet opened when it came.
    assert now["files-pushed"] >= len(files) * 2 // 3


@contextlib.contextmanager
def late_followers(mnt):
    """The thread that follows walks gets what others leave of the processors."""
    tasks = pathlib.Path(f"/proc/{mount_process(mnt)}/task").iterdir()
    followers = [t for t in tasks if (t / "comm").read_text() == "firn-walk\n"]
    for t in followers:
        os.sched_setscheduler(int(t.name), os.SCHED_IDLE, os.sched_param(0))
    assert followers
    with subprocess.Popen(["sh", "-c", "while :; do :; done"]) as busy:
        try:
            yield
        finally:
            busy.kill()


@pytest.mark.parametrize("late", [False, True])
def test_who_only_lists_is_not_believed_for_long(repo, work, late):
    """After a copy somebody looks at names: few files are pushed for him; as few
    where the walk was ahead of who follows it, which makes one walk of it."""
    files = small_tree(work, each=3)
    repo.backup("--series", "s", work / "src")
    with repo.mount() as mnt:
        top = f"{mnt}/latest{work}/src"
        with late_followers(mnt) if late else contextlib.nullcontext():
            os.listdir(top)
            for name in sorted(n for n in files if n < "d02"):
                assert read_all(f"{top}/{name}", 131_072) == files[name]
            before = stats(mnt)
            for i in range(2, 60):
                os.listdir(f"{top}/d{i:02d}")
                os.listdir(f"{top}/d{i:02d}/e")
        now = later_stats(mnt, before)
        assert now["files-pushed"] - before["files-pushed"] <= 16 * 2
        for name, data in sorted(files.items()):
            assert read_all(f"{top}/{name}", 131_072) == data


def test_nobody_who_reads_here_and_there_is_followed(repo, work):
    files = small_tree(work)
    repo.backup("--series", "s", work / "src")
    names = sorted(files)
    random.Random(2).shuffle(names)
    with repo.mount() as mnt:
        for name in names:
            assert read_all(f"{mnt}/latest{work}/src/{name}", 131_072) == files[name]
        now = stats(mnt)
    assert now["blocks-opened-ahead"] == now["files-pushed"] == 0


def test_what_is_missing_ahead_is_told_to_who_reads_it(repo, work):
    """Following meets damage first; only who reads it fails, and the rest is right."""
    files = small_tree(work, dirs=10, each=3)
    repo.backup("--series", "s", work / "src")
    packs = sorted((work / "repository/data").rglob("*"), key=lambda p: p.stat().st_mtime)
    packs = [p for p in packs if p.is_file()]
    with open(packs[-1], "r+b") as f:
        f.seek(packs[-1].stat().st_size // 2)
        f.write(bytes(64))
    wrong = 0
    with repo.mount() as mnt:
        for name, data in sorted(files.items()):
            try:
                assert read_all(f"{mnt}/latest{work}/src/{name}", 131_072) == data
            except OSError as e:
                assert e.errno == errno.EIO
                wrong += 1
    assert 0 < wrong < len(files)
