# SPDX-License-Identifier: Apache-2.0
"""Nothing about a file is changed: through the mount, and through restore."""
import hashlib
import json
import os
import pathlib
import subprocess
import threading

import pytest

import everything
from conftest import EVERY
from firn_tool import BUILD, assert_same, settle, wait_for


@pytest.fixture
def source(work, root):
    s = work / "source"
    s.mkdir()
    # A tmpfs holds names, xattrs and holes of every kind, whatever the disk.
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2g,nr_inodes=0", "none", s],
                   check=True)
    yield s
    subprocess.run(["umount", "-l", s], check=True)


def compare(source, copy):
    want, have = everything.snapshot(source), everything.snapshot(copy)
    assert sorted(want) == sorted(have)
    for path, w in want.items():
        assert have[path] == w, f"{path!r}: {have[path]} instead of {w}"


def digest(path, limit=1 << 30):
    h = hashlib.sha256()
    with open(path, "rb") as f:
        for begin, end in everything.hole_map(path):
            f.seek(begin)
            while begin < end:
                piece = f.read(min(1 << 20, end - begin))
                if not piece:
                    break
                h.update(piece)
                begin += len(piece)
    return h.hexdigest()


def file_system(path):
    return subprocess.run(["stat", "-f", "-c", "%T", path], capture_output=True, text=True,
                          check=True).stdout.strip()


@pytest.mark.sanitize
@pytest.mark.stores(sanitize=["local"])
def test_everything(firn, source, work, fuse):
    missing = everything.make(source)
    settle()
    s = firn.backup("--series", "all", source)
    assert s["errors"] == 0
    holes = ["all", "small", "begin", "end", "many", "terabyte"]
    with firn.mount() as mnt:
        copy = f"{mnt}/latest{source}"
        compare(source, copy)
        for h in holes:
            a, b = f"{source}/holes/{h}", f"{copy}/holes/{h}"
            assert everything.hole_map(a) == everything.hole_map(b), h
            assert digest(a) == digest(b)
            # A file system counts whole blocks of its own; data is all we count.
            assert abs(os.stat(a).st_blocks - os.stat(b).st_blocks) <= \
                8 * len(everything.hole_map(a)), h
        assert_same(source, copy, "--exclude=/holes/terabyte")
        for a, b in (("one/h2", "two/h2"), ("one/h0", "two/h0"), ("special/fifo",
                                                                  "special/fifo2")):
            assert os.lstat(f"{copy}/{a}").st_ino == os.lstat(f"{copy}/{b}").st_ino
    out = work / "out"
    out.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2g,nr_inodes=0", "none", out],
                   check=True)
    try:
        firn("restore", f"latest:{source}", out)
        compare(source, out)
        for h in holes:
            a, b = f"{source}/holes/{h}", f"{out}/holes/{h}"
            assert everything.hole_map(a) == everything.hole_map(b), h
            assert digest(a) == digest(b)
        assert_same(source, out, "--exclude=/holes/terabyte")
    finally:
        subprocess.run(["umount", "-l", out], check=True)
    again = firn.backup("--series", "all", source)
    assert again["data_added"] == 0 and again["bytes_read"] <= 20_000
    large = {("user.large", 65536), ("trusted.large", 65536)}
    assert set(missing) <= (set() if file_system(source) == "tmpfs" else large), missing


# Half as many have as many levels of pages, and take half as long.
MANY = 1_000_000 if EVERY else 500_000


@pytest.mark.long
@pytest.mark.stores(usual=["local"])
def test_very_large_directory(firn, source, work, fuse):
    """A million entries, or half of that: the right ones, and looked into at once."""
    d = source / "many"
    d.mkdir()
    here = os.open(d, os.O_RDONLY)
    for i in range(MANY):
        os.close(os.open(f"f{i:07d}", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=here))
    os.close(here)
    s = firn.backup("--series", "many", source)
    assert s["files"] == MANY
    with firn.mount() as mnt:
        copy = f"{mnt}/latest{d}"
        assert os.stat(f"{copy}/f{MANY * 7 // 9:07d}").st_size == 0
        assert not os.path.exists(f"{copy}/f{MANY:07d}")
        have = os.listdir(copy)
        assert len(have) == MANY and len(set(have)) == MANY
        assert min(have) == "f0000000" and max(have) == f"f{MANY - 1:07d}"
    (d / f"f{MANY // 2:07d}x").write_text("one more")
    whole = s["meta_added"]
    s = firn.backup("--series", "many", source)
    assert s["meta_added"] < min(500_000, whole / 5), "one new entry rewrote more than a few pages"


def test_sources_that_change(repo, work):
    """A file that grows while it is read is kept, reported, and read again."""
    src = work / "src"
    src.mkdir()
    (src / "steady").write_text("steady\n")
    grows = src / "grows"
    grows.write_bytes(os.urandom(40_000_000))
    stop = threading.Event()

    def grow():
        while not stop.is_set():
            with open(grows, "ab") as f:
                f.write(b"more")

    t = threading.Thread(target=grow)
    t.start()
    try:
        size = grows.stat().st_size
        wait_for(lambda: grows.stat().st_size > size, "the file to grow")
        r = repo("backup", "--series", "s", src, status=3)
    finally:
        stop.set()
        t.join()
    assert "grows" in r.err and "changed" in r.err
    assert repo("cat", f"latest:{src}/steady").out == "steady\n"
    assert len(repo("cat", f"latest:{src}/grows").stdout) >= 40_000_000
    repo.backup("--series", "s", src)
    assert repo("cat", f"latest:{src}/grows").stdout == grows.read_bytes()


@pytest.fixture
def nobody(repo, work, root):
    """Runs firn as nobody, to whom root's files may be closed; the process."""
    state = pathlib.Path(f"/tmp/firn-nobody-{os.getpid()}")
    if (work / "repository").exists():
        subprocess.run(["chown", "-R", "nobody:nogroup", work / "repository"], check=True)
        (work / "repository").chmod(0o755)
    repo.password.chmod(0o644)
    work.chmod(0o755)
    for p in list(work.parents)[:-1]:
        p.chmod(p.stat().st_mode | 0o011)

    keys = [f"{n}={v}" for n, v in repo.env.items() if n.startswith("AWS_")]

    def run(*args, status=0):
        r = subprocess.run(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env",
             f"FIRN_REPOSITORY={repo.url}", f"FIRN_PASSWORD_FILE={repo.password}",
             "HOME=/nonexistent", f"FIRN_CACHE_DIR={state}", f"PATH={repo.env['PATH']}",
             *keys, "firn", *map(str, args)], capture_output=True, check=False)
        assert r.returncode == status, r.stderr.decode()
        return r

    yield run
    everything.remove(str(state))


def unreadable(src):
    """A file and a directory that only root can read, beside what all can."""
    (src / "closed").mkdir(parents=True)
    (src / "closed" / "inside").write_text("x")
    (src / "sub").mkdir()
    (src / "open").write_text("open\n")
    (src / "sub" / "file").write_text("file\n")
    (src / "secret").write_text("secret\n")
    for name in ("closed", "secret"):
        os.setxattr(src / name, "user.hidden", b"to all but root")
        (src / name).chmod(0)


def test_unreadable_sources(repo, work, nobody):
    """What cannot be read is named; the rest is kept; the status is 3."""
    src = work / "src"
    unreadable(src)
    err = nobody("backup", "--series", "s", src, status=3).stderr.decode()
    assert "secret" in err and "closed" in err
    assert repo("cat", f"latest:{src}/open").out == "open\n"
    names = repo("ls", "-R", f"latest:{src}").out
    assert "closed" in names and "inside" not in names and "secret" not in names


def test_errors_are_files(repo, work, nobody):
    """What is counted is files and directories, not what there is to say of them."""
    src = work / "src"
    unreadable(src)
    r = nobody("backup", "--series", "s", src, "--json", status=3)
    err = r.stderr.decode()
    assert sum("closed" in line for line in err.splitlines()) > 1, err
    assert json.loads(r.stdout.splitlines()[-1])["errors"] == 2
    assert repo.generations()[-1]["errors"] == 2
    r = nobody("backup", "--series", "s", src, work / "missing", status=3)
    assert "3 files could not be read whole" in r.stdout.decode()
    assert repo.generations()[-1]["errors"] == 3


def test_delete_spares_the_unread(repo, work, nobody):
    """restore --delete removes nothing from directories that were not read whole."""
    src, out = work / "src", work / "out"
    unreadable(src)
    nobody("backup", "--series", "s", src, status=3)
    repo("restore", f"latest:{src}", out)
    mine = [out / "secret", out / "closed" / "inside", out / "sub" / "extra"]
    for path in mine:
        path.write_text("mine")
    repo("restore", "--delete", f"latest:{src}", out)
    assert [path.exists() for path in mine] == [True, True, False]
    nobody("backup", "--series", "s", "--force", src / "sub")
    (out / "sub").joinpath("extra").write_text("mine")
    repo("restore", "--delete", f"latest:{src}/sub", out / "sub")
    assert not mine[2].exists()


def in_root(work, setup, *args):
    """Run firn with a root directory of our own making, in a namespace."""
    script = """
        mount -t tmpfs none "$W/root"
        for d in usr bin sbin lib lib64 dev proc build state; do mkdir -p "$W/root/$d"; done
        for d in usr bin sbin lib lib64 dev proc; do
            if [ -e "/$d" ]; then mount --bind "/$d" "$W/root/$d"; fi
        done
        mount --bind "$BUILD" "$W/root/build"
        mount --bind "$W" "$W/root/state"
        """ + setup + """
        exec chroot "$W/root" /build/firn "$@"
    """
    (work / "root").mkdir(exist_ok=True)
    r = subprocess.run(["unshare", "-m", "sh", "-euc", script, "sh", *map(str, args)],
                       env=dict(os.environ, W=str(work), BUILD=str(BUILD),
                                FIRN_REPOSITORY="/state/repository",
                                FIRN_PASSWORD_FILE="/state/password",
                                FIRN_CACHE_DIR="/state/cache"),
                       capture_output=True, check=False)
    assert r.returncode == 0, r.stderr.decode()


def looks(path):
    """What stat(2) and the extended attributes say."""
    st = os.stat(path)
    xattrs = {name: os.getxattr(path, name) for name in os.listxattr(path)}
    return oct(st.st_mode), st.st_uid, st.st_gid, st.st_mtime_ns, xattrs


@pytest.mark.usefixtures("root", "fuse")
@pytest.mark.stores("local")
def test_root_directory(repo, work):
    """`firn backup /` keeps the attributes of / itself."""
    (work / "like").mkdir()
    setup = """
        mkdir "$W/root/sub"
        touch "$W/root/sub/file"
        for d in "$W/root" "$W/like"; do
            setfattr -n trusted.small -v value "$d"
            setfattr -n trusted.large -v "$(head -c 3000 /dev/zero | tr '\\0' x)" "$d"
            chmod 755 "$d"
            setfacl -m u:7:rx "$d"
            chown 5:6 "$d"
            chmod 1751 "$d"
            touch -d "2001-02-03 04:05:06.123456789Z" "$d"
        done
    """
    in_root(work, setup, "backup", "-x", "--series", "root", "/")
    want = looks(work / "like")
    assert want[:4] == ("0o41751", 5, 6, 981173106123456789)
    assert sorted(want[4]) == ["system.posix_acl_access", "trusted.large", "trusted.small"]
    with repo.mount() as mnt:
        assert looks(f"{mnt}/latest/") == want
        assert os.stat(f"{mnt}/latest/").st_nlink == 2 + sum(
            p.is_dir() for p in pathlib.Path(f"{mnt}/latest").iterdir())
    # / was named, so DIR becomes it, made or not; `firn check` looks at it.
    (work / "there").mkdir()
    for name in ("new", "there"):
        repo("restore", "latest", work / name)
        assert looks(work / name) == want
        assert (work / name / "sub/file").exists()
    assert repo.check()[0] == []


@pytest.mark.usefixtures("fuse")
def test_root_of_others(repo, work):
    """Of what lies below, / is kept as well, but a DIR that is there keeps its own."""
    src, private = work / "src", work / "private"
    src.mkdir()
    private.mkdir(mode=0o700)
    repo.backup("--series", "s", src)
    want = looks("/")
    with repo.mount() as mnt:
        assert looks(f"{mnt}/latest/")[:3] == want[:3]
    repo("restore", "latest", private)
    assert private.stat().st_mode & 0o7777 == 0o700
    repo("restore", "latest", work / "new")
    assert looks(work / "new")[:3] == want[:3]
    repo("backup", "--stdin", "dump", stdin=b"a stream has no root")
    with repo.mount() as mnt:
        assert looks(f"{mnt}/latest/")[:3] == ("0o40755", 0, 0)


def test_vanishing_sources(repo, work):
    """Files deleted while the walk is under way are reported, nothing else."""
    src = work / "src"
    src.mkdir()
    for i in range(3000):
        (src / f"f{i:05d}").write_text("x" * 600)
    p = repo.start("backup", "--series", "s", "-v", str(src))
    p.stdout.readline()
    for i in range(2999, 1500, -1):
        os.unlink(src / f"f{i:05d}")
    _, err = p.communicate()
    assert p.returncode in (0, 3), err
    if p.returncode == 3:
        assert b"cannot read" in err or b"cannot open" in err
    assert repo("cat", f"latest:{src}/f00000").out == "x" * 600
    problems, _ = repo.check("--read-data")
    assert problems == []
