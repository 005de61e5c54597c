# SPDX-License-Identifier: Apache-2.0
"""Bad input gets a clear message, the right status, and loses nothing."""
import os
import subprocess

import pytest

from firn_tool import BUILD, Firn


def test_wrong_password_first(repo, work):
    """Sources are looked at while the key is made, and nothing is said of them."""
    (work / "wrong").write_text("nonsense\n")
    src = work / "src"
    for d in range(50):
        (src / str(d)).mkdir(parents=True)
        (src / str(d) / "file").write_text("x")
    before = sorted(repo.objects.names())
    wrong = {"FIRN_PASSWORD_FILE": str(work / "wrong")}
    for flags in [], ["-v", "--dry-run"]:
        r = repo("backup", *flags, src, work / "missing", status=12, env=wrong)
        assert "password opens no key" in r.err
        assert str(src) not in r.out + r.err and "missing" not in r.out + r.err
    assert sorted(repo.objects.names()) == before
    r = repo("backup", src, work / "missing", status=3)
    assert f"cannot back up '{work / 'missing'}'" in r.err
    assert len(repo("ls", "-R", "latest").out.splitlines()) >= 100
    repo("backup", work / "missing", status=1)


def test_wrong_password(firn, work):
    (work / "wrong").write_text("nonsense\n")
    r = firn("generations", status=12, env={"FIRN_PASSWORD_FILE": str(work / "wrong")})
    assert "password" in r.err and "opens no key" in r.err


def test_no_repository(work):
    firn = Firn(work, str(work / "nothing"))
    r = firn("generations", status=10)
    assert "no repository" in r.err and "init" in r.err
    (work / "nothing").mkdir()
    assert "init" in firn("generations", status=10).err
    assert os.listdir(work / "nothing") == []


def test_no_repository_s3(sim):
    other = Firn(sim.work, "s3://bucket/elsewhere", None)
    other.env = dict(sim.env, FIRN_REPOSITORY="s3://bucket/elsewhere")
    other("generations", status=10)
    other.env["FIRN_REPOSITORY"] = "s3://nobucket/x"
    r = other("generations", status=None)
    assert r.returncode in (1, 10) and "nobucket" in r.err


def test_init_refuses(firn):
    """Also where the store itself would put one object over another."""
    before = {name: firn.objects.get(name) for name in firn.objects.names()}
    r = firn("init", "--kdf-memory", "1M", status=1)
    assert "already" in r.err
    assert {name: firn.objects.get(name) for name in firn.objects.names()} == before
    firn.generations()


def test_init_refuses_what_is_not_its_own(work):
    (work / "full").mkdir()
    (work / "full" / "file").write_text("mine")
    r = Firn(work, str(work / "full"))("init", status=1)
    assert "something else" in r.err
    assert (work / "full" / "file").read_text() == "mine"


def test_which_repository(work):
    firn = Firn(work, "")
    assert "FIRN_REPOSITORY" in firn("generations", status=2).err


@pytest.mark.parametrize("url", ["s3://", "s3:///x", "s3://UPPER_case!/x", "ftp://host/x",
                                 "s3://a/../b"])
def test_bad_url(work, url):
    firn = Firn(work, url, {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y",
                            "AWS_ENDPOINT_URL": "http://127.0.0.1:1"})
    r = firn("generations", status=None)
    assert r.returncode in (1, 2, 10) and "error" in r.err


def test_no_credentials(work):
    firn = Firn(work, "s3://bucket/x")
    for k in list(firn.env):
        if k.startswith("AWS_"):
            del firn.env[k]
    firn.env["HOME"] = str(work)
    firn.env["AWS_EC2_METADATA_DISABLED"] = "true"	# this may be an instance
    r = firn("generations", status=1)
    assert "AWS_ACCESS_KEY_ID" in r.err


@pytest.mark.parametrize("args", [
    ["backup"], ["backup", ""], ["backup", "--level", "99", "/etc"],
    ["backup", "--series", "a/b", "/etc"], ["backup", "--host", "..", "/etc"],
    ["backup", "--tag", "latest", "/etc"], ["backup", "--exclude", "", "/etc"],
    ["backup", "--exclude-from", "/nonexistent", "/etc"],
    ["backup", "--files-from", "/nonexistent"], ["backup", "--stdin", "a/b"],
    ["backup", "--nonsense", "/etc"], ["init", "extra"],
    ["init", "--block-size", "1"], ["init", "--pack-size", "x"],
    ["init", "--kdf-memory", "512K"], ["key", "add", "--kdf-memory", "100M"],
    ["restore", "latest"], ["cat", "latest"], ["ls"], ["ls", "a", "b"],
    ["generations", "--since", "yesterday"], ["generations", "--latest", "0"],
    ["check", "--threads", "x"], ["key"], ["key", "what"], ["key", "remove"],
    ["mount"], ["nonsense"], ["generations", "--cache-size", "5"],
    ["generations", "--timeout", "0"], ["generations", "-p", "../x"],
])
def test_usage(repo, args):
    r = repo(*args, status=2)
    assert r.err.strip() != ""


def test_unknown_generation(firn):
    assert "firn generations" in firn("ls", "latest", status=1).err
    assert "nope" in firn("ls", "nope", status=1).err


def test_missing_path(firn, work):
    (work / "there").write_text("x")
    r = firn("backup", "--series", "s", work / "there", work / "gone", status=3)
    assert "gone" in r.err
    assert len(firn.generations()) == 1
    r = firn("backup", work / "gone", status=1)
    assert "nothing to back up" in r.err


@pytest.mark.parametrize("name", ["FIRN_PASSWORD_FILE", "FIRN_PASSWORD_COMMAND"])
def test_password_sources_fail(repo, work, name):
    env = {"FIRN_PASSWORD_FILE": ""}
    env[name] = "/nonexistent/thing"
    r = repo("generations", status=1, env=env)
    assert "password" in r.err


def test_password_command(repo):
    repo("generations", env={"FIRN_PASSWORD_FILE": "", "FIRN_PASSWORD_COMMAND":
                              f"cat '{repo.password}'"})


def test_no_terminal(repo):
    env = dict(repo.env)
    del env["FIRN_PASSWORD_FILE"]
    r = subprocess.run([str(BUILD / "firn"), "generations"], env=env, capture_output=True,
                       stdin=subprocess.DEVNULL, start_new_session=True, check=False)
    assert r.returncode == 1 and b"FIRN_PASSWORD_FILE" in r.stderr


def test_unknown_version_and_feature(firn):
    good = firn.objects.get("config")
    bad = bytearray(good)
    bad[8] = 9
    firn.objects.put("config", bytes(bad))
    r = firn("generations", status=1)
    assert "version" in r.err and "9" in r.err
    firn.objects.put("config", good.replace(b'"features":[]', b'"features":["x"]'))
    r = firn("generations", status=1)
    assert r.err != ""
    firn.objects.put("config", good)
    firn("generations")


def mount_small(work, kind):
    """A file system of 40 MB at work/disk; ext4 finds out late that it is full."""
    disk = work / "disk"
    disk.mkdir()
    if kind == "tmpfs":
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "none", disk], check=True)
        return disk
    with open(work / "image", "wb") as f:
        f.truncate(40_000_000)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", work / "image"], check=True)
    if subprocess.run(["mount", "-o", "loop", work / "image", disk], check=False).returncode:
        pytest.skip("there are no loop devices here")
    return disk


@pytest.mark.parametrize("kind", ["tmpfs", "ext4"])
def test_full_disk(work, root, kind):
    """A full disk under the repository: the error says so, nothing sealed is lost."""
    disk = mount_small(work, kind)
    try:
        firn = Firn(work, str(disk / "repo"))
        firn("init", "--kdf-memory", "1M")
        (work / "small").write_text("small\n")
        firn.backup("--series", "a", work / "small")
        (work / "large").write_bytes(os.urandom(80_000_000))
        r = firn("backup", "--series", "b", work / "large", status=1)
        assert "space" in r.err and "make room" in r.err
        assert firn("cat", f"latest:{work}/small").out == "small\n"
        problems, _ = firn.check("--read-data")
        assert problems == []
        whole_disk_is_full(firn, work, disk)
    finally:
        subprocess.run(["umount", disk], check=True)


def whole_disk_is_full(firn, work, disk):
    """Not a byte, for local state neither: what is there is read all the same."""
    filler = disk / "filler"
    firn.env["FIRN_CACHE_DIR"] = str(disk / "cache")
    for size in 1 << 16, 512:
        subprocess.run(["dd", "if=/dev/zero", f"of={filler}.{size}", f"bs={size}"],
                       capture_output=True, check=False)
    assert firn("cat", f"latest:{work}/small").out == "small\n"
    assert firn.check("--read-data")[0] == []
    assert "space" in firn("backup", "--series", "a", work / "small", status=1).err
    for path in disk.glob("filler.*"):
        path.unlink()
    firn.backup("--series", "a", work / "small")
    assert len(firn.generations()) == 2 and firn.check("--read-data")[0] == []


def test_cache_cannot_be_used(repo, work, root):
    (work / "f").write_text("x")
    blocked = {"FIRN_CACHE_DIR": "/proc/nonexistent"}
    s = repo("backup", work / "f", "--series", "s", env=blocked)
    assert "local state" in s.err
    assert repo("cat", f"latest:{work}/f", env=blocked).out == "x"


def test_cache_disk_full(sim, work, root):
    disk = work / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", disk], check=True)
    try:
        data = os.urandom(20_000_000)
        (work / "f").write_bytes(data)
        sim.backup(work / "f", "--series", "s")
        r = sim("cat", f"latest:{work}/f", env={"FIRN_CACHE_DIR": str(disk)})
        assert r.stdout == data
    finally:
        subprocess.run(["umount", disk], check=True)


def test_mount_point_in_the_repository(local, fuse):
    assert local("mount", local.store_dir() / "data", status=None).returncode != 0


def test_mount_point(repo, work, fuse):
    r = repo("mount", work / "missing", status=None)
    assert r.returncode == 1 and "missing" in r.err
    (work / "file").write_text("x")
    assert repo("mount", work / "file", status=None).returncode == 1
    (work / "full").mkdir()
    (work / "full" / "f").write_text("x")
    r = repo("mount", work / "full", status=None)
    assert r.returncode == 1 and "empty" in r.err
    (work / "mnt").mkdir()
    r = repo("mount", work / "mnt", "-o", "nonsense=1", status=2)
    assert "nonsense" in r.err
    r = repo("mount", work / "mnt", "-o", "refresh=x", status=2)
    assert "refresh" in r.err
    (work / "wrong").write_text("wrong\n")
    repo("mount", work / "mnt", status=12, env={"FIRN_PASSWORD_FILE": str(work / "wrong")})
    repo("-r", work / "norepo", "mount", work / "mnt", status=10)
    assert os.listdir(work / "mnt") == []
