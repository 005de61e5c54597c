# SPDX-License-Identifier: Apache-2.0
"""The mount as a file system: what programs see, and how it comes and goes."""
import concurrent.futures
import os
import re
import signal
import subprocess
import time

import pytest

from firn_tool import BUILD, assert_same, mount_process, mounts_below, unmount, wait_for

pytestmark = pytest.mark.usefixtures("fuse")


@pytest.fixture
def source(work):
    src = work / "src"
    (src / "d").mkdir(parents=True)
    for i in range(50):
        (src / "d" / f"f{i}").write_bytes(os.urandom(1 + i * 997))
    (src / "big").write_bytes(os.urandom(9_000_000))
    (src / "open.txt").write_text("first\n")
    return src


def test_read_only(firn, source):
    firn.backup("--series", "s", source)
    with firn.mount() as mnt:
        for path in (mnt / "x", mnt / ("latest" + str(source)) / "x"):
            with pytest.raises(OSError) as e:
                path.write_text("x")
            assert e.value.errno in (1, 13, 30)


def test_new_generations_appear(firn, source):
    one = firn.backup("--host", "h", "--series", "s", source)
    with firn.mount(options="refresh=1") as mnt:
        series = mnt / "hosts" / "h" / "s"
        assert sorted(os.listdir(series)) == [one["time"], "latest"]
        f = open(f"{mnt}/latest{source}/open.txt", "rb")
        (source / "open.txt").write_text("second\n")
        # In another second, so that its name is its time alone.
        wait_for(lambda: time.strftime("%Y-%m-%dT%H%M%SZ", time.gmtime()) > one["time"],
                 "the next second")
        two = firn.backup("--host", "h", "--series", "s", source)
        wait_for(lambda: two["time"] in os.listdir(series), "the new generation")
        wait_for(lambda: os.readlink(series / "latest") == two["time"], "latest to move")
        assert f.read() == b"first\n"
        f.close()
        assert open(f"{series}/latest{source}/open.txt").read() == "second\n"
        assert open(f"{series}/{one['time']}{source}/open.txt").read() == "first\n"


def stat(mnt, name):
    lines = (mnt / ".firn/stats").read_text().splitlines()
    return int(dict(line.split() for line in lines)[name])


def test_numbers_in_pieces(repo, work):
    """Who reads slowly reads whole lines too, though the numbers grow meanwhile."""
    (work / "src").mkdir()
    for i in range(200):
        (work / f"src/f{i}").write_bytes(os.urandom(1000))
    repo.backup("--series", "s", work / "src")
    with repo.mount() as mnt:
        fd = os.open(mnt / ".firn/stats", os.O_RDONLY)
        try:
            first = os.pread(fd, 1 << 16, 0)
            for path in (mnt / f"latest{work}/src").iterdir():
                path.read_bytes()
            wait_for(lambda: os.pread(fd, 1 << 16, 0) != first, "other numbers")
            assert os.pread(fd, 1 << 16, len(first)) == b""
            last = os.pread(fd, 1 << 16, 0)
        finally:
            os.close(fd)
    places = [[(m.start(), m.group()) for m in re.finditer(rb"^\S+", text, re.M)]
              for text in (first, last)]
    assert places[0] == places[1]
    assert len(last) == len(first)


def pushed(mnt):
    return stat(mnt, "files-pushed")


def test_memory_for_directories(repo, work):
    """They take their share of memory=, an eighth, however many are walked."""
    memory = 8 << 20
    for d in range(16):
        (work / f"src/d{d:02d}").mkdir(parents=True)
        for i in range(1000):
            (work / f"src/d{d:02d}/f{i:04d}").touch()
    repo.backup("--series", "s", work / "src")
    with repo.mount(options=f"memory={memory}") as mnt:
        assert stat(mnt, "directories-bytes") < memory // 16
        assert sum(len(files) for _, _, files in os.walk(f"{mnt}/latest{work}/src")) == 16_000
        # Full, as far as pages are small, and maybe a page that is looked at just now.
        full = wait_for(lambda: (n := stat(mnt, "directories-bytes")) > memory // 10 and n,
                        "the share to be used")
        assert full < memory // 6


@pytest.mark.sanitize
def test_a_walk_finds_small_files_there(repo, work):
    """Who reads the files of a directory in order is served ahead of the asking; who
    reads here and there is not.  Both get every byte."""
    src = work / "src"
    src.mkdir()
    sizes = [0, 1, 100, 4095, 4096, 4097, 70_000, 131_072, 131_073, 300_000]
    for i in range(400):
        (src / f"f{i:03d}").write_bytes(os.urandom(sizes[i % len(sizes)]))
    (src / "f200").unlink()
    (src / "f200").mkdir()
    (src / "f201").unlink()
    (src / "f201").symlink_to("f202")
    repo.backup("--series", "s", src)

    def same(mnt, names):
        for name in names:
            assert (mnt / f"latest{src}" / name).read_bytes() == (src / name).read_bytes(), name

    names = [f"f{i:03d}" for i in range(400) if i not in (200, 201)]
    with repo.mount() as mnt:
        os.listdir(mnt / f"latest{src}")
        same(mnt, names[::-1])
        assert pushed(mnt) == 0

    def served_ahead():
        """By a mount that knows nothing.  70 of 100 have from 1 byte to 128 KiB; what
        has not arrived yet when its turn comes is asked for, as ever."""
        with repo.mount() as mnt:
            os.listdir(mnt / f"latest{src}")
            same(mnt, names)
            ahead = pushed(mnt)
            same(mnt, names)
        return ahead > 100
    wait_for(served_ahead, "a walk that is served ahead")


def test_inode_numbers_follow_a_directory(repo, source):
    repo.backup("--series", "s", source)
    with repo.mount() as mnt:
        entries = list(os.scandir(f"{mnt}/latest{source}/d"))
        by_name = [e.name for e in sorted(entries, key=lambda e: os.fsencode(e.name))]
        assert [e.name for e in sorted(entries, key=lambda e: e.inode())] == by_name


def test_refresh_that_failed_is_finished(sim, source):
    """One of two new generations was read, the other not, and is gone by the next
    look: then nothing is new, and the first is shown all the same."""
    sim.backup("--host", "h", "--series", "s", source)
    known = set(sim.objects.names("gen/"))
    times = [sim.backup("--host", "h", "--series", "s", source)["time"] for _ in range(2)]
    hidden = sorted(set(sim.objects.names("gen/")) - known)
    records = [sim.objects.get(name) for name in hidden]
    for name in hidden:
        sim.objects.delete(name)
    with sim.client().mount(options="refresh=1,timeout=1") as mnt:
        series = mnt / "hosts" / "h" / "s"
        assert len(os.listdir(series)) == 2
        rules = [sim.sim.faults.add("reset-before", verb="GET", prefix=f"some/prefix/{name}")
                 for name in hidden]
        for name, record in zip(hidden, records):
            sim.objects.put(name, record)
        wait_for(lambda: rules[0].fired, "a look at both")
        sim.sim.faults.rules.remove(rules[0])

        def looked_again():
            """There was a look that read the first, and then another."""
            done = [(r.operation, r.key, r.status) for r in sim.sim.requests]
            first = ("GetObject", f"some/prefix/{hidden[0]}", 206)
            return first in done and any(
                operation == "ListObjectsV2" for operation, _, _ in done[done.index(first):])
        wait_for(looked_again, "a look that reads one of them")
        assert len(os.listdir(series)) == 2
        sim.objects.delete(hidden[1])
        wait_for(lambda: times[0] in os.listdir(series), "the one that was read")


def test_programs(firn, source, work):
    """tar, cp -a, find, diff, dd, a loop mount."""
    image = source / "image"
    subprocess.run(["truncate", "-s", "8M", image], check=True)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    firn.backup("--series", "s", source)
    with firn.mount(options="allow_other" if os.geteuid() == 0 else None) as mnt:
        copy = f"{mnt}/latest{source}"
        subprocess.run(["diff", "-r", source, copy], check=True)
        subprocess.run(["cp", "-a", copy, work / "cp"], check=True)
        assert_same(source, work / "cp")
        a = subprocess.run(["tar", "-C", source, "--sort=name", "-cf", "-", "."],
                           capture_output=True, check=True).stdout
        b = subprocess.run(["tar", "-C", copy, "--sort=name", "-cf", "-", "."],
                           capture_output=True, check=True).stdout
        assert a == b
        found = subprocess.run(["find", copy, "-type", "f"], capture_output=True, check=True)
        assert len(found.stdout.split()) == 53
        with open(f"{copy}/big", "rb") as f, open(source / "big", "rb") as g:
            for off in (8_999_999, 0, 5_000_001, 1_048_575, 8_000_000):
                f.seek(off)
                g.seek(off)
                assert f.read(70_000) == g.read(70_000)
        if os.geteuid() == 0:
            loop = work / "loop"
            loop.mkdir()
            r = subprocess.run(["mount", "-o", "loop,ro,noload", f"{copy}/image", loop],
                               capture_output=True, check=False)
            if r.returncode == 0:
                assert "lost+found" in os.listdir(loop)
                unmount(loop)
            else:
                pytest.skip(f"no loop devices here: {r.stderr.decode()}")


@pytest.mark.threads
@pytest.mark.sanitize
def test_parallel_readers(sim, source):
    """Many readers of the same and of different files see the right bytes."""
    sim.backup("--series", "s", source)
    want = {p: p.read_bytes() for p in source.rglob("*") if p.is_file()}
    with sim.mount() as mnt:
        def read(path):
            with open(f"{mnt}/latest{path}", "rb") as f:
                return f.read() == want[path]

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            results = list(pool.map(read, list(want) * 8))
        assert all(results)
        names = subprocess.run(["find", f"{mnt}/latest{source}"], capture_output=True,
                               check=True).stdout.split()
        assert len(names) == 54


def test_store_away(sim, source):
    """df, what is known, unmount and cached reads work without the store."""
    sim.backup("--series", "s", source)
    mnt = sim.work / "mnt"
    mnt.mkdir()
    sim("mount", mnt, "-o", "timeout=2")
    copy = f"{mnt}/latest{source}"
    known = open(f"{copy}/d/f1", "rb").read()
    os.listdir(copy)
    sim.sim.stop()
    assert open(f"{copy}/d/f1", "rb").read() == known
    os.statvfs(mnt)
    os.listdir(copy)
    os.listdir(mnt)
    unmount(mnt)
    assert mounts_below(mnt) == []


def test_signal_unmounts(firn, source, work):
    firn.backup("--series", "s", source)
    mnt = work / "mnt"
    mnt.mkdir()
    p = subprocess.Popen([str(BUILD / "firnfs"), firn.url, str(mnt), "-f"], env=firn.env,
                         stderr=subprocess.PIPE)
    wait_for(lambda: mounts_below(mnt), "the mount")
    wait_for(lambda: os.path.exists(mnt / "latest"), "an answer")
    p.send_signal(signal.SIGTERM)
    _, err = p.communicate(timeout=180)
    assert p.returncode == 0, err
    assert mounts_below(mnt) == []


def in_namespace(script, env):
    """Run a shell script in a mount namespace of its own."""
    r = subprocess.run(["unshare", "-m", "sh", "-euc", script], env=env,
                       capture_output=True, check=False)
    assert r.returncode == 0, f"{script}\n{r.stdout.decode()}\n{r.stderr.decode()}"
    return r.stdout.decode()


def test_fstab_form(repo, source, work, root):
    """mount -t fuse.firnfs, as mount(8) runs it from fstab."""
    repo.backup("--series", "s", source)
    for name in ("mnt", "upper", "wd"):
        (work / name).mkdir()
    os.symlink(BUILD / "firnfs", work / "upper" / "mount.fuse.firnfs")
    (work / "fstab").write_text(
        f"{repo.url} {work}/mnt fuse.firnfs noauto,ro,noatime,_netdev,x-test=1,"
        f"password-file={repo.password},cache-dir={work}/cache,allow_other 0 0\n")
    env = dict(repo.env)
    for k in ("FIRN_PASSWORD_FILE", "FIRN_REPOSITORY", "FIRN_CACHE_DIR"):
        env.pop(k)
    # What `make install` puts into /sbin is seen there in this namespace only.
    out = in_namespace(f"""
        mount -t overlay -o lowerdir=/usr/sbin,upperdir={work}/upper,workdir={work}/wd \
            overlay /usr/sbin
        mount -T {work}/fstab {work}/mnt
        grep {work}/mnt /proc/self/mounts
        diff -r {source} {work}/mnt/latest{source}
        umount {work}/mnt
        mount -t fuse.firnfs -o ro,password-file={repo.password} {repo.url} {work}/mnt
        cat {work}/mnt/latest{source}/open.txt
        umount {work}/mnt""", env)
    assert "fuse.firnfs" in out and "allow_other" in out and "first" in out


def test_permissions_enforced(firn, work, root):
    """Another user sees with allow_other what modes and ACLs allow, no more."""
    src = work / "src"
    src.mkdir()
    for p in [work, *list(work.parents)[:-1]]:
        p.chmod(p.stat().st_mode | 0o055)
    (src / "public").write_text("public\n")
    (src / "private").write_text("private\n")
    (src / "private").chmod(0o600)
    (src / "acl").write_text("acl\n")
    (src / "acl").chmod(0o600)
    subprocess.run(["setfacl", "-m", "u:65534:r", src / "acl"], check=True)
    (src / "denied").write_text("denied\n")
    subprocess.run(["setfacl", "-m", "u:65534:---", src / "denied"], check=True)
    (src / "closed").mkdir()
    (src / "closed" / "f").write_text("x")
    (src / "closed").chmod(0o700)
    (src / "group").write_text("group\n")
    os.chown(src / "group", 0, 65534)
    (src / "group").chmod(0o640)
    firn.backup("--series", "s", src)

    def nobody(*args):
        return subprocess.run(["setpriv", "--reuid=65534", "--regid=65534",
                               "--clear-groups", *map(str, args)],
                              capture_output=True, check=False)

    with firn.mount(options="allow_other") as mnt:
        copy = f"{mnt}/latest{src}"
        for where in (src, copy):
            allowed = {n: nobody("cat", f"{where}/{n}").returncode == 0
                       for n in ("public", "private", "acl", "denied", "group", "closed/f")}
            assert allowed == {"public": True, "private": False, "acl": True,
                               "denied": False, "group": True, "closed/f": False}, where
        assert nobody("ls", f"{copy}/closed").returncode != 0
        listed = nobody("getfattr", "-d", "-m", "-", f"{copy}/public").stdout
        assert b"trusted" not in listed
    with firn.mount() as mnt:
        assert nobody("ls", mnt).returncode != 0


def test_unprivileged(repo, work, root):
    """An ordinary user mounts and unmounts with fusermount3."""
    home = work / "home"
    (home / "src").mkdir(parents=True)
    (home / "mnt").mkdir()
    for p in [work, *list(work.parents)[:-1]]:
        p.chmod(p.stat().st_mode | 0o055)
    (home / "password").write_text("user\n")
    (home / "src" / "f").write_text("mine\n")
    subprocess.run(["chown", "-R", "65534:65534", home], check=True)
    # As udev would have it; seen in this namespace only.
    os.mknod(work / "fuse", 0o020666, os.makedev(10, 229))
    os.chmod(work / "fuse", 0o666)
    env = dict(repo.env, FIRN_REPOSITORY=f"{home}/repo", HOME=str(home),
               FIRN_PASSWORD_FILE=f"{home}/password", FIRN_CACHE_DIR=f"{home}/cache")
    out = in_namespace(f"""
        mount --bind {work}/fuse /dev/fuse
        exec setpriv --reuid=65534 --regid=65534 --clear-groups sh -euc '
            firn init
            firn backup {home}/src
            firn mount {home}/mnt
            cat {home}/mnt/latest{home}/src/f
            fusermount3 -u {home}/mnt'""", env)
    assert out.endswith("mine\n")


def test_status_files(firn, source):
    firn.backup("--series", "s", source)
    with firn.mount() as mnt:
        for name in ("status", "stats", "errors"):
            text = (mnt / ".firn" / name).read_text()
            assert name == "errors" or text != ""
        assert "repository" in (mnt / ".firn" / "status").read_text()


def test_unmount_with_a_blocked_reader(sim, source):
    """A reader that waits for a stalled store does not keep the mount."""
    sim.backup("--series", "s", source)
    mnt = sim.work / "mnt"
    mnt.mkdir()
    sim("mount", mnt)
    os.listdir(f"{mnt}/latest{source}")
    rule = sim.sim.faults.add("stall", verb="GET", prefix="some/prefix/data", seconds=600)
    reader = subprocess.Popen(["cat", f"{mnt}/latest{source}/big"], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    wait_for(lambda: rule.fired, "the reader to block")
    subprocess.run(["umount", "-l", mnt], check=True)
    pid = mount_process(mnt)
    if pid:
        os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not mount_process(mnt), "firnfs to end")
    assert reader.wait() != 0
