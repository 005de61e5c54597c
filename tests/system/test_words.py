# SPDX-License-Identifier: Apache-2.0
"""What a person types wrong, and what firn says: the status, the words, and that
nothing was done."""
import json
import os
import pathlib
import pty
import re
import signal
import subprocess

import pytest

from firn_tool import BUILD, Firn, wait_for


@pytest.fixture
def one(repo, work):
    """A repository with a generation of a small tree."""
    src = work / "src"
    (src / "d").mkdir(parents=True)
    (src / "d" / "f").write_text("x")
    (src / "link").symlink_to("d/f")
    repo.backup("--host", "h", "--series", "s", src)
    repo.src = src
    return repo


@pytest.mark.parametrize("args", [["restore", "latest", ""],
                                  ["restore", "-n", "--delete", "latest", ""],
                                  ["mount", ""], ["backup", ""], ["backup", "/etc", ""]])
def test_empty_path(one, args):
    assert "empty" in one(*args, status=2).err


def test_empty_mount_point(repo):
    r = subprocess.run([BUILD / "firnfs", repo.url, ""], capture_output=True, env=repo.env,
                       check=False)
    assert r.returncode == 2 and b"mount where" in r.stderr


def no_terminal(firn, *args, **kw):
    return firn(*args, start_new_session=True, **kw)


@pytest.mark.parametrize("verb", ["add", "passwd"])
def test_new_password_is_not_the_one_in_use(repo, work, verb):
    """The environment and --password-file say the one in use, and nothing else."""
    for more, env in (([], {}), (["--password-file", repo.password], {}),
                      ([], {"FIRN_PASSWORD_FILE": "",
                            "FIRN_PASSWORD_COMMAND": f"cat '{repo.password}'"})):
        r = no_terminal(repo, "key", verb, *more, env=env, status=1)
        assert "--new-password-file" in r.err and "--new-password-command" in r.err
    r = repo("key", verb, "--new-password-file", repo.password, status=1)
    assert "the one in use" in r.err
    assert len(repo.json("key", "list")) == 1


def on_terminal(firn, typed, *args):
    """Run firn with a terminal of its own; answers each prompt with a line of
    `typed`.  Status and all that it showed."""
    pid, tty = pty.fork()
    if pid == 0:
        os.execve(BUILD / "firn", ["firn", *args], firn.env)
    shown, answered = b"", 0
    while True:
        try:
            piece = os.read(tty, 4096)
        except OSError:		# how Linux says that nobody has it open any more
            piece = b""
        if not piece:
            break
        shown += piece
        while answered < min(len(typed), shown.count(b": ")):
            os.write(tty, typed[answered].encode() + b"\n")
            answered += 1
    os.close(tty)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


def test_new_password_is_asked_for_twice(repo, work):
    args = ["key", "add", "--kdf-memory", "16M", "--label", "two"]
    status, shown = on_terminal(repo, ["second", "secnod"], *args)
    assert status == 1 and "differ" in shown
    status, shown = on_terminal(repo, ["second", "second"], *args)
    assert status == 0 and "new password again: " in shown and "second" not in shown
    (work / "p2").write_text("second\n")
    keys = repo.json("key", "list", env={"FIRN_PASSWORD_FILE": str(work / "p2")})
    assert [k["label"] for k in keys if k["in_use"]] == ["two"]


def test_little_memory_is_warned_of(work):
    """Tests take little for their time; a person should not."""
    assert "20 random" in Firn(work, str(work / "a"))("init", "--kdf-memory", "8M").err
    assert Firn(work, str(work / "b"))("init", "--kdf-memory", "16M").err == ""


def test_names_cannot_speak_to_the_terminal(repo, work):
    """Neither by ESC nor by what terminals take for it, and no byte is lost."""
    src = work / "src"
    src.mkdir()
    names = [b"esc\x1b[2J", b"csi\xc2\x9b2J", b"raw\x9b2J", b"new\nline", b"back\\slash",
             "ä€😀".encode()]
    for name in names:
        (pathlib.Path(os.fsdecode(bytes(src) + b"/" + name))).write_text("x")
    repo.backup("--series", "s", src)
    shown = repo("ls", f"latest:{src}").stdout
    assert not any(c in shown for c in (b"\x1b", b"\x9b2J", b"new\n"))
    listed = [re.sub(rb"\\x(..)", lambda m: bytes([int(m[1], 16)]), line).rpartition(b"/")[2]
              for line in shown.splitlines()]
    assert sorted(listed) == sorted(names)
    assert "ä€😀" in shown.decode()


def test_owner_before_write_only(one, work):
    """One password for both roles, whichever slot's name comes first."""
    (work / "both").write_text("both\n")
    for label in "abcd":
        one("key", "add", "--role", "write-only", "--kdf-memory", "1M", "--label", label,
              "--new-password-file", work / "both")
    env = {"FIRN_PASSWORD_FILE": str(work / "both")}
    assert "write-only" in one("generations", env=env, status=12).err
    one("key", "add", "--kdf-memory", "1M", "--label", "owner", "--new-password-file",
          work / "both")
    one("generations", env=env)


@pytest.mark.parametrize("args", [["list", "--role", "owner"], ["passwd", "--role", "owner"],
                                  ["list", "--label", "x"], ["remove", "x", "--label", "y"]])
def test_key_options_of_no_use(repo, args):
    assert "of no use" in repo("key", *args, status=2).err


@pytest.mark.parametrize("label", ["a\nb", "\x7f", os.fsdecode(b"h\xff"), "x" * 256])
def test_label(repo, work, label):
    new = Firn(work, str(work / "new"))
    (work / "p2").write_text("second\n")
    assert "--label" in new("init", "--label", label, status=2).err
    assert not (work / "new").exists()
    r = repo("key", "add", "--label", label, "--new-password-file", work / "p2", status=2)
    assert "--label" in r.err


def test_mount_below_the_source(one, fuse):
    """It is left out with a word; a mount that is named is not."""
    before = one.backup("--series", "t", one.src)
    with one.mount("src/mnt") as mnt:
        one("backup", "--series", "t", "--host", "h", one.src / "d", one.src / "link")
        r = one("backup", "--series", "t", one.work, "--exclude", "/" + one.url.lstrip("/"))
        assert r.err.count("mount of firnfs") == 1 and str(mnt) in r.err
        listed = one("ls", "-R", f"latest:{one.src}").out.split()
        assert [x for x in listed if "/mnt" in x] == [f"{one.src}/mnt".lstrip("/")]
        after = one.backup("--series", "t", one.src)
        assert after["files"] == before["files"] and after["dirs"] == before["dirs"] + 1
        named = one.backup("--series", "u", mnt / "hosts" / "h" / "s")
        assert named["files"] == 3	# "latest" is the third


@pytest.mark.parametrize("url", ["s3:/bucket/x", "s3:bucket/x", "file:/x", "http:/x"])
def test_torn_url(work, url):
    r = Firn(work, url)("init", status=2, cwd=work)
    assert "s3://BUCKET/PREFIX" in r.err and f"./{url}" in r.err
    assert not (work / url.split("/")[0]).exists()


def test_strange_path(work):
    Firn(work, "./s3:/x")("init", cwd=work)
    assert (work / "s3:" / "x" / "config").exists()


def run_raw(program, *args, env=None, **kw):
    return subprocess.run([BUILD / program, *args], env=env, stderr=subprocess.PIPE,
                          check=False, **kw)


@pytest.mark.parametrize("words", [["firn", "--help"], ["firn", "help"], ["firn", "--version"],
                                   ["firn", "ls", "--help"], ["firn", "help", "ls"],
                                   ["firnfs", "--help"], ["firnfs", "-V"]])
def test_help_that_cannot_be_written(words):
    with open("/dev/full", "wb") as full:
        r = run_raw(*words, stdout=full)
    assert r.returncode == 1 and b"standard output" in r.stderr
    r = run_raw(*words, preexec_fn=lambda: os.close(1))
    assert r.returncode == 1 and b"standard output" in r.stderr


@pytest.mark.parametrize("words, status", [
    (["help", "help"], 0), (["help", "--help"], 0), (["help", "-h"], 0), (["help", "ls"], 0),
    (["help", "ls", "extra"], 2), (["help", "nonsense"], 2), (["-r"], 2), (["-x"], 2),
    (["ls", "--prices"], 2)])
def test_help_words(words, status):
    r = run_raw("firn", *words, stdout=subprocess.PIPE)
    assert r.returncode == status
    assert (r.stderr == b"") == (status == 0) and (r.stdout != b"") == (status == 0)
    assert len(r.stderr.splitlines()) <= 2


def test_what_is_missing():
    assert b"'-r' needs a value" in run_raw("firn", "-r").stderr
    assert b"which command" in run_raw("firn", "-x").stderr


@pytest.mark.parametrize("args", [["generations"], ["ls", "latest"], ["key", "list"]])
def test_requests_end_the_lines(one, args):
    lines = [json.loads(x) for x in one(*args, "--json").out.splitlines()]
    assert set(lines[-1]) == {"store"} and lines[-1]["store"]["requests"]["get"] > 0
    assert lines[:-1] and all("store" not in x for x in lines[:-1])


def test_requests_of_doctor(one):
    document, = one.json("doctor")
    assert document["store"]["requests"]["put"] > 0
    assert "store: " in one("doctor", "-v").err


@pytest.mark.parametrize("args, status, words", [
    (["generations", "--host", "nosuch"], 0, "no generation is of that"),
    (["cat", "latest:/"], 1, "is a directory"),
    (["cat", "latest:SRC/d"], 1, "is a directory"),
    (["cat", "latest:SRC/link"], 1, "symbolic link to 'd/f'"),
    (["ls", "latest:/nope"], 1, "'/nope'"),
    (["backup", "--host", os.fsdecode(b"h\xff"), "/etc"], 2, "UTF-8"),
    (["backup", "--exclude", "", "/etc"], 2, "names nothing"),
    (["backup", "--exclude", "!", "/etc"], 2, "names nothing"),
    (["backup", "--exclude", "[", "/etc"], 2, "needs its ']'"),
    (["backup", "--exclude", "a\\", "/etc"], 2, "follows its last"),
    (["--sse", "nope", "ls", "latest"], 2, "--sse"),
    (["--meta-class", "nope", "ls", "latest"], 2, "--meta-class"),
    (["backup", "--tier", "a b", "/etc"], 2, "--tier"),
    (["--prices", "/nonexistent", "ls", "latest"], 2, "/nonexistent"),
    (["mount", "MNT", "-o", "timeout=0"], 2, "timeout=0"),
    (["mount", "MNT", "-o", "memory=99999T"], 2, "memory="),
])
def test_message(one, work, args, status, words):
    (work / "mnt").mkdir()
    args = [a.replace("SRC", str(one.src)).replace("MNT", str(work / "mnt")) for a in args]
    r = one(*args, status=status)
    assert words in r.err and "nvalid argument" not in r.err


@pytest.mark.parametrize("url", ["s3://", "s3:///x", "ftp://host/x", "s3://a/../b", "file://h/x",
                                 "s3://bucket/x?nope=1"])
@pytest.mark.parametrize("command", [["init"], ["ls", "latest"], ["doctor"], ["key", "list"],
                                     ["mount", "/mnt"]])
def test_bad_url_is_usage(work, url, command):
    assert url in Firn(work, url)(*command, status=2).err


def test_init_sizes(work):
    new = Firn(work, str(work / "new"))
    assert "--block-size" in new("init", "--block-size", "1", status=2).err
    assert "--pack-size" in new("init", "--pack-size", "1G", status=2).err
    assert not (work / "new").exists()


def test_time_with_colons(one):
    g, = one.generations()
    day, clock = g["time"].split("T")
    iso = f"{day}T{clock[:2]}:{clock[2:4]}:{clock[4:]}"
    for name in (iso, f"h/s/{iso}"):
        assert "d/f" in one("ls", "-R", f"{name}:{one.src}").out


def test_mounted_already(one, work, fuse):
    with one.mount() as mnt:
        assert "already" in one("mount", mnt, status=1).err


def test_reader_that_has_had_enough(one, work):
    many = work / "many"
    many.mkdir()
    for i in range(3000):
        (many / f"a name that is long enough to fill a pipe {i}").touch()
    (many / "big").write_bytes(bytes(1 << 20))
    one.backup("--series", "m", many)
    for args in (["ls", "-R", "latest"], ["ls", "-R", "--json", "latest"],
                 ["cat", f"latest:{many}/big"]):
        p = one.start(*args)
        p.stdout.read(1)
        p.stdout.close()
        assert p.stderr.read() == b""
        p.stderr.close()
        assert p.wait() == -signal.SIGPIPE


@pytest.mark.parametrize("command,words", [
    (["check", "--read-data"], "default, and 0: 2"),
    (["restore", "latest", "out"], "default, and 0: 4"),
    (["backup", "--series", "t", "."], "default, and 0: one a")])
def test_threads_0(one, work, command, words):
    """The default, in so many words."""
    (work / "here").mkdir()
    one(*command, "--threads", "0", cwd=work / "here")
    assert words in one("help", command[0]).out


def test_dry_restore_says_so(one, work):
    assert "would restore" in one("restore", "-n", "latest", work / "out").out
    lines = one.json("restore", "-n", "latest", work / "out")
    assert all(x["dry_run"] for x in lines) and not (work / "out").exists()


@pytest.mark.parametrize("fuse_there", [True, False])
def test_demo(work, root, fuse, fuse_there):
    """./setup demo, on a machine with /dev/fuse and on one without."""
    demo = pathlib.Path(__file__).resolve().parents[1] / "demo.sh"
    (work / "dev").mkdir()
    hide = (f"mount --bind /dev {work}/dev; mount -t tmpfs none /dev; "
            f"for d in null zero urandom; do : > /dev/$d; "
            f"mount --bind {work}/dev/$d /dev/$d; done; ")
    r = subprocess.run(["unshare", "-m", "sh", "-ec", ("" if fuse_there else hide) +
                        f"exec sh '{demo}' '{BUILD}'"],
                       capture_output=True, text=True, env=dict(os.environ, TMPDIR=str(work)),
                       check=False)
    assert r.returncode == 0, r.stdout + r.stderr
    assert ("$ firn mount" in r.stdout) == fuse_there
    assert ("$ firn restore" in r.stdout) != fuse_there
    assert [p for p in os.listdir(work) if p.startswith("firn-demo")] == []


def test_progress_on_a_terminal(one, work):
    """One line, drawn over, and nothing left of it at the end; none with -q."""
    big = work / "big"
    big.mkdir()
    for i in range(40):
        (big / f"f{i}").write_bytes(os.urandom(4 << 20))
    status, shown = on_terminal(one, [], "backup", "--series", "p", big)
    assert status == 0
    drawn, _, summary = shown.rpartition("\r\x1b[K")
    assert "files, " in drawn and "/s" in drawn and "\n" not in drawn
    assert "stored" in summary
    status, shown = on_terminal(one, [], "backup", "-q", "--force", "--series", "p", big)
    assert status == 0 and shown == ""


def test_mount_point_inside_the_source(one, work, fuse):
    """What lies under the mount point is not seen, and the source is whole."""
    (one.src / "d" / "mnt").mkdir()
    with one.mount("src/d/mnt", options="refresh=1") as mnt:
        # In a series of its own: in that of `one` its name could be another's,
        # of the same second.
        s = one.backup("--host", "h", "--series", "mounted", one.src)
        wait_for(lambda: os.path.isdir(mnt / "hosts/h/mounted"), "the generation")
        # The kernel may believe for a second that `latest` is what it was.
        copy = pathlib.Path(f"{mnt}/hosts/h/mounted/{s['time']}{one.src}")
        assert (copy / "d" / "f").read_text() == "x"
        assert os.listdir(copy / "d" / "mnt") == []
