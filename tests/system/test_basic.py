# SPDX-License-Identifier: Apache-2.0
"""The main path over every store: back up, list, mount, copy out, check."""
import os
import select
import signal
import subprocess

import pytest

from firn_tool import assert_same, settle, wait_for


@pytest.fixture
def source(work):
    s = work / "source"
    (s / "sub" / "deep").mkdir(parents=True)
    (s / "small").write_text("hello\n")
    (s / "empty").write_bytes(b"")
    (s / "sub" / "big").write_bytes(os.urandom(3_000_000))
    (s / "sub" / "deep" / "text").write_text("line\n" * 100_000)
    os.symlink("../small", s / "sub" / "link")
    settle()
    return s


@pytest.mark.sanitize
@pytest.mark.stores(usual=["local", "sim", "rgw", "rgw-versioned"])
def test_round(firn, source, work, fuse):
    first = firn.backup("--series", "s", "--host", "h", "--tag", "t1", source)
    assert first["errors"] == 0 and first["files"] == 5
    with firn.mount() as mnt:
        assert sorted(os.listdir(mnt)) == ["hosts", "ids", "latest", "tags"] or \
            sorted(os.listdir(mnt)) == [".firn", "hosts", "ids", "latest", "tags"]
        assert_same(source, f"{mnt}/latest{source}")
        gen = mnt / "hosts" / "h" / "s" / first["time"]
        assert_same(source, f"{gen}{source}")
        assert_same(source, f"{mnt}/ids/{first['generation']}{source}")
        assert os.path.realpath(mnt / "latest") == str(gen)
        assert first["time"] in os.listdir(mnt / "tags" / "t1")
    firn("restore", f"h/s/latest:{source}", work / "out")
    assert_same(source, work / "out")
    problems, summary = firn.check("--read-data")
    assert problems == [] and summary["generations"] == 1


@pytest.mark.stores(usual=["local", "sim", "rgw", "rgw-versioned"])
def test_second_generation(firn, source, work):
    one = firn.backup("--series", "s", source)
    (source / "small").write_text("changed\n")
    (source / "new").write_text("new\n")
    os.unlink(source / "empty")
    two = firn.backup("--series", "s", source)
    assert two["parent"] == one["generation"]
    assert two["unchanged"] == 3
    gens = firn.generations()
    assert [g["id"] for g in gens] == [one["generation"], two["generation"]]
    assert firn("cat", f"latest~1:{source}/small").stdout == b"hello\n"
    assert firn("cat", f"latest:{source}/small").stdout == b"changed\n"
    firn("restore", f"{two['generation'][:6]}:{source}", work / "out")
    assert_same(source, work / "out")


def test_another_host_sees_it(firn, source, work):
    firn.backup("--series", "s", source)
    other = firn.client()
    other("restore", f"latest:{source}", work / "out")
    assert_same(source, work / "out")


def test_ls(firn, source):
    firn.backup("--series", "s", source)
    names = firn("ls", f"latest:{source}").out.split()
    assert [n.rsplit("/", 1)[1] for n in names] == ["empty", "small", "sub"]
    lines = firn.json("ls", "-R", "--blocks", f"latest:{source}")
    big = next(x for x in lines if x["path"].endswith("/big"))
    assert big["size"] == 3_000_000
    assert sum(b["length"] for b in big["blocks"]) == 3_000_000
    text = firn("ls", "-l", f"latest:{source}/sub").out
    assert "-> ../small" in text


def test_stdin(firn, work):
    data = os.urandom(5_000_000)
    firn("backup", "--stdin", "dump.sql", "--series", "db", stdin=data)
    assert firn("cat", "latest:dump.sql").stdout == data
    firn("backup", "--stdin", "dump", "--stdin-from-command", "--",
          "sh", "-c", "echo from a command")
    assert firn("cat", "latest:dump").stdout == b"from a command\n"
    before = len(firn.generations())
    r = firn("backup", "--stdin", "dump", "--stdin-from-command", "--",
              "sh", "-c", "echo half; exit 3", status=1)
    assert "status 3" in r.err
    assert len(firn.generations()) == before


def test_colons(repo, work):
    """Host, series and path may have colons; the longest name that there is counts."""
    src = work / "src:1"
    src.mkdir()
    made = {}
    for host, series in (("web:1", "a:b"), ("web:1", "a"), ("db", "c")):
        (src / "a:b").write_text(series)
        made[series] = repo.backup("--host", host, "--series", series, src)
    top = f"{src}/a:b"
    for what, series in ((f"web:1/a:b:{top}", "a:b"), (f"web:1/a:{top}", "a"),
                         (f"web:1/a:b/latest:{top}", "a:b"), (f"db/c:{top}", "c"),
                         (f"latest:{top}", "c"), (f"latest~1:{top}", "a"),
                         (f"{made['a:b']['generation'][:8]}:{top}", "a:b"),
                         (f"web:1/a:b/{made['a:b']['time']}:{top}", "a:b")):
        assert repo("cat", what).out == series, what
        assert repo.json("ls", what)[0]["path"] == top[1:], what
    # A path that could be the rest of a longer name is told by its slash.
    repo("backup", "--host", "web:1", "--series", "a", "--stdin", "b", stdin=b"a stream")
    assert repo("cat", "web:1/a:/b").out == "a stream"
    repo("cat", "web:1/a:b", status=2)
    repo("restore", f"web:1/a:b:{src}", work / "out")
    assert (work / "out/a:b").read_text() == "a:b"
    for what in ("web:1", "web:1/z:/a:b", "web:2/a:b:/x", ":", "a:"):
        assert "no generation" in repo("ls", what, status=1).err, what


def test_paths(firn, work):
    for name in ("a", "b", "c"):
        (work / "src" / name).mkdir(parents=True)
        (work / "src" / name / "f").write_text(name)
    firn.backup(work / "src/a", work / "src/c", "--series", "x")
    assert [os.path.basename(p) for p in firn("ls", f"latest:{work}/src").out.split()] \
        == ["a", "c"]
    (work / "list").write_text(f"{work}/src/b\n\n")
    firn.backup("--files-from", work / "list", "--series", "y")
    assert firn("cat", f"latest:{work}/src/b/f").out == "b"
    (work / "list0").write_bytes(f"{work}/src/b\0{work}/src/a\0".encode())
    firn.backup("--files-from0", work / "list0", "--series", "z")
    assert firn("cat", f"latest:{work}/src/a/f").out == "a"


def test_excludes(firn, work):
    src = work / "src"
    for name in ("keep.c", "drop.o", "dir/x.o", "dir/y.c", "cache/CACHEDIR.TAG",
                 "cache/big", "build/out"):
        (src / name).parent.mkdir(parents=True, exist_ok=True)
        (src / name).write_text(name)
    (src / "cache/CACHEDIR.TAG").write_text(
        "Signature: 8a477f597d28d172789f06886806bc55\n")
    (work / "patterns").write_text("# comment\n\nbuild/\n")
    firn.backup("--exclude", "*.o", "--exclude-from", work / "patterns",
                 "--exclude-caches", src, "--series", "x")
    names = {p[len(str(src)):] for p in firn("ls", "-R", f"latest:{src}").out.split()
             for p in ["/" + p]}
    assert names == {"/keep.c", "/dir", "/dir/y.c", "/cache", "/cache/CACHEDIR.TAG"}


def test_one_file_system(firn, work, root):
    src = work / "src"
    (src / "mnt").mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", src / "mnt"], check=True)
    try:
        (src / "mnt" / "inside").write_text("x")
        firn.backup("-x", src, "--series", "x")
        assert firn("ls", f"latest:{src}/mnt").out == ""
        firn.backup(src, "--series", "x")
        assert "inside" in firn("ls", f"latest:{src}/mnt").out
    finally:
        subprocess.run(["umount", src / "mnt"], check=True)


def test_dry_run(firn, source):
    s = firn.backup("--dry-run", source)
    assert "generation" not in s and s["data_added"] > 0
    assert firn.generations() == []
    assert firn.objects.names("data/") == []


def test_repository_in_source_is_left_out(repo, work):
    (work / "f").write_text("x")
    s = repo.backup(work, "--series", "w")
    assert s["errors"] == 0
    names = repo("ls", "-R", f"latest:{work}").out
    assert "repository" in names and "repository/config" not in names


def test_write_only_key(firn, source, work):
    (work / "wpass").write_text("write only\n")
    firn("key", "add", "--role", "write-only", "--label", "host", "--kdf-memory", "1M",
         "--new-password-file", work / "wpass")
    host = firn.client("host")
    host.env["FIRN_PASSWORD_FILE"] = str(work / "wpass")
    one = host.backup("--series", "s", source)
    two = host.backup("--series", "s", source)
    assert two["unchanged"] == two["files"] and two["bytes_read"] == 0
    assert two["parent"] == one["generation"]
    assert "write-only" in host("generations", status=12).err
    assert host("cat", f"latest:{source}/small", status=12).stdout == b""
    # An owner reads what it wrote; files it had are stored once.
    firn("restore", f"latest:{source}", work / "out")
    assert_same(source, work / "out")
    three = firn.backup("--series", "other", source)
    assert three["data_added"] == 0


def test_keys(firn, work):
    (work / "p2").write_text("second\n")
    firn("key", "add", "--label", "two", "--kdf-memory", "1M", "--new-password-file",
         work / "p2")
    keys = firn.json("key", "list")
    assert len(keys) == 2 and sum(k["in_use"] for k in keys) == 1
    firn("generations", env={"FIRN_PASSWORD_FILE": str(work / "p2")})
    first = next(k for k in keys if k["in_use"])
    firn("key", "remove", first["key"][:8])
    firn("generations", status=12)
    two = {"FIRN_PASSWORD_FILE": str(work / "p2")}
    last = firn.json("key", "list", env=two)[0]
    r = firn("key", "remove", last["key"], status=1, env=two)
    assert "last owner" in r.err
    (work / "p3").write_text("third\n")
    firn("key", "passwd", "--new-password-file", work / "p3", env=two)
    firn("generations", status=12, env=two)
    firn("generations", env={"FIRN_PASSWORD_FILE": str(work / "p3")})


def test_restore_delete(firn, source, work):
    """--delete removes what is not in the generation, and nothing above the sources."""
    firn.backup("--series", "s", source)
    out = work / "out"
    (out / "other").mkdir(parents=True)
    (out / "other" / "mine").write_text("not the generation's")
    firn("restore", "latest", out)
    copy = work / ("out" + str(source))
    (copy / "extra").write_text("x")
    firn("restore", "--delete", "--dry-run", "latest", out)
    assert (copy / "extra").exists()
    firn("restore", "--delete", "latest", out)
    assert not (copy / "extra").exists()
    assert (out / "other" / "mine").exists()
    assert_same(source, copy)


def test_restore_again_does_the_rest(firn, source, work):
    firn.backup("--series", "s", source)
    firn("restore", f"latest:{source}", work / "out")
    (work / "out" / "small").write_text("spoilt, and another size\n")
    os.unlink(work / "out" / "sub" / "big")
    r = firn.json("restore", f"latest:{source}", work / "out")[-1]
    assert r["files"] == 2 and r["failed"] == 0
    assert_same(source, work / "out")


def test_profile(repo, work):
    config = work / "config" / "firn"
    config.mkdir(parents=True)
    (config / "mine.conf").write_text(
        f"repo = {repo.url}\npassword-file = {repo.password}\nno-cache = no\n")
    env = {"XDG_CONFIG_HOME": str(work / "config"), "FIRN_REPOSITORY": "",
           "FIRN_PASSWORD_FILE": ""}
    repo("-p", "mine", "generations", env=env)
    (config / "bad.conf").write_text("nonsense = 1\n")
    assert "nonsense" in repo("-p", "bad", "generations", status=2, env=env).err
    (config / "bad2.conf").write_text("no-cache = perhaps\n")
    assert "perhaps" in repo("-p", "bad2", "generations", status=2, env=env).err
    assert "absent" in repo("-p", "absent", "generations", status=2, env=env).err


def test_progress_on_a_signal(repo):
    """SIGUSR1 prints a line where there is no terminal."""
    p = repo.start("backup", "--series", "s", "--stdin", "f", stdin=subprocess.PIPE)
    # It is at it until it has been heard.
    p.stdin.write(os.urandom(60_000_000))
    wait_for(lambda: repo.objects.names("data/"), "the first pack")
    p.send_signal(signal.SIGUSR1)

    def has_spoken():
        p.stdin.write(os.urandom(1_000_000))
        return select.select([p.stderr], [], [], 0)[0]
    wait_for(has_spoken, "the line")
    assert b"files" in p.stderr.readline()
    _, err = p.communicate()
    assert p.returncode == 0, err
