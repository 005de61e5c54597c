# SPDX-License-Identifier: Apache-2.0
"""Damage is found, named, and never becomes wrong data."""
import os
import random
import shutil
import time

import pytest

from firn_tool import unmount, wait_for

SANITIZE = os.environ.get("FIRN_STORES") == "sanitize"


@pytest.fixture
def source(work):
    src = work / "src"
    (src / "d").mkdir(parents=True)
    r = random.Random(5)
    (src / "inline").write_text("inline\n")
    (src / "one").write_bytes(r.randbytes(3000))
    (src / "two").write_bytes(r.randbytes(900_000))
    (src / "d" / "three").write_bytes(r.randbytes(2_000_000))
    return src


@pytest.fixture
def contents(source):
    return {str(p.relative_to(source)): p.read_bytes()
            for p in source.rglob("*") if p.is_file()}


def read_back(firn, work, source, contents):
    """Restore without local state: what came is right; returns what is missing."""
    shutil.rmtree(work / "out", ignore_errors=True)
    shutil.rmtree(work / "fresh", ignore_errors=True)
    env = {"FIRN_CACHE_DIR": str(work / "fresh")}
    r = firn("restore", f"latest:{source}", work / "out", status=None, env=env)
    assert r.returncode in (0, 1, 10, 12), f"crashed: {r.returncode}\n{r.err}"
    missing = []
    for name, data in contents.items():
        path = work / "out" / name
        if path.exists():
            assert path.read_bytes() == data, f"{name} came back wrong"
        else:
            missing.append(name)
    if missing:
        assert r.returncode != 0 and "error" in r.err
    return missing, r


def hurts(data, few):
    """Ways to damage an object; not so many places where each try takes long, and
    fewest where that is many times as long."""
    r = random.Random(len(data))
    yield "emptied", b""
    yield "truncated", data[:len(data) // 2]
    places = {8, len(data) - 1, len(data) // 2}
    if not SANITIZE:
        yield "one byte short", data[:-1]
        places |= {0, 9, min(40, len(data) - 1)}
    if not few:
        places |= {r.randrange(len(data)) for _ in range(4)}
    for at in sorted(places):
        bad = bytearray(data)
        bad[at] ^= 1 << r.randrange(8)
        yield f"bit flipped at {at} of {len(data)}", bytes(bad)


@pytest.mark.long
@pytest.mark.sanitize
@pytest.mark.stores(usual=["local", "sim"], sanitize=["local"])
@pytest.mark.parametrize("packs", [True, False])	# two, to run at the same time
def test_every_object(firn, work, source, contents, packs):
    firn.backup("--series", "s", source)
    names = [n for n in firn.objects.names() if n.startswith("data/") == packs]
    assert names
    for name in names:
        data = firn.objects.get(name)
        few = SANITIZE or "://" in firn.url
        cases = list(hurts(data, few)) + [("deleted", None)]
        for what, bad in cases:
            if bad is None:
                firn.objects.delete(name)
            else:
                firn.objects.put(name, bad)
            missing, _ = read_back(firn, work, source, contents)
            r = firn("check", "--read-data", status=None,
                      env={"FIRN_CACHE_DIR": str(work / "fresh2")})
            shutil.rmtree(work / "fresh2", ignore_errors=True)
            # A record that is gone is a generation that was forgotten.
            if name.startswith("gen/") and bad is None:
                firn.objects.put(name, data)
                continue
            # White space at the end of a slot's JSON says nothing.
            if name.startswith("keys/") and r.returncode == 0:
                assert missing == [] and bad.strip() == data.strip()
                continue
            assert r.returncode in (1, 10, 12), f"{name} {what}: check said all is well"
            assert name in r.out + r.err or name == "config" or what == "deleted", \
                f"{name} {what}: not named\n{r.out}\n{r.err}"
            if name.startswith("data/") and missing:
                assert "inline" not in missing
                for m in missing:
                    assert m in r.out, f"{name} {what}: check does not say that {m} is hit"
            if name.startswith("index/"):
                assert missing == [], f"{name} {what}: a bad segment blocked reading"
            firn.objects.put(name, data)
    problems, _ = firn.check("--read-data")
    assert problems == []
    assert read_back(firn, work, source, contents)[0] == []


def test_mount_gives_eio(firn, work, source, contents, fuse):
    firn.backup("--series", "s", source)
    for name in firn.objects.names("data/"):
        data = bytearray(firn.objects.get(name))
        for at in range(200, len(data) - 70_000, 100_000):
            data[at] ^= 1
        firn.objects.put(name, bytes(data))
    with firn.mount() as mnt:
        copy = mnt / ("latest" + str(source))
        assert sorted(os.listdir(copy)) == ["d", "inline", "one", "two"]
        assert (copy / "inline").read_bytes() == contents["inline"]
        with pytest.raises(OSError) as e:
            (copy / "two").read_bytes()
        assert e.value.errno == 5
        errors = (mnt / ".firn" / "errors").read_text()
        assert "two" in errors and "data/" in errors


def test_bad_generation_record(firn, work, source, contents):
    """One damaged record hides one generation, and not the others."""
    one = firn.backup("--series", "s", source)
    two = firn.backup("--series", "s", source)
    record = next(n for n in firn.objects.names("gen/") if n.endswith(two["generation"]))
    firn.objects.put(record, b"x" + firn.objects.get(record)[1:])
    env = {"FIRN_CACHE_DIR": str(work / "fresh")}
    r = firn("generations", status=1, env=env)
    assert one["generation"] in r.out and os.path.basename(record) in r.err
    firn("restore", f"{one['generation']}:{source}", work / "out", env=env)
    assert (work / "out" / "two").read_bytes() == contents["two"]


def spoil_record(firn, generation):
    """Hurt its record; the last part of its name, and what mends it."""
    record = next(n for n in firn.objects.names("gen/") if n.endswith(generation))
    good = firn.objects.get(record)
    firn.objects.put(record, b"x" + good[1:])
    return os.path.basename(record), lambda: firn.objects.put(record, good)


def later(firn, *args):
    """A generation whose record's name has a later second than all others."""
    newest = max(os.path.basename(n).rsplit("-", 1)[0] for n in firn.objects.names("gen/"))
    wait_for(lambda: time.strftime("%Y-%m-%dT%H%M%SZ", time.gmtime()) > newest,
             "the next second")
    return firn.backup(*args)


def test_latest_never_means_an_older_one(repo, work, source):
    (source / "one").write_text("old\n")
    old = repo.backup("--series", "s", source)
    (source / "one").write_text("new\n")
    new = later(repo, "--series", "s", source)
    record, mend = spoil_record(repo, new["generation"])
    repo.env["FIRN_CACHE_DIR"] = str(work / "fresh")
    file = f"{source}/one"
    series = f"{new['host']}/s"
    for what in ("latest", f"{series}/latest", series, "latest~0"):
        for command in (["cat", f"{what}:{file}"], ["ls", f"{what}:{source}"],
                        ["restore", f"{what}:{source}", work / "out"]):
            r = repo(*command, status=1)
            assert r.out == "" and record in r.err, (command, r.err)
            assert old["generation"] in r.err, "what can be had instead is not named"
    assert not (work / "out").exists()
    # Named, it is what it is; what cannot be read is named as that.
    assert repo("cat", f"{old['generation']}:{file}").out == "old\n"
    assert "cannot be read" in repo("cat", f"{new['generation']}:{file}", status=1).err
    assert "cannot be read" in repo("cat", f"{new['time']}:{file}", status=1).err
    # Another series is not hit by it, and a younger generation ends it.
    other = later(repo, "--series", "other", source)
    assert repo("cat", f"{other['host']}/other/latest:{file}").out == "new\n"
    assert repo("cat", f"latest:{file}").out == "new\n"
    repo("cat", f"{series}/latest:{file}", status=1)
    repo("cat", f"latest~1:{file}", status=1)
    later(repo, "--series", "s", source)
    assert repo("cat", f"{series}/latest:{file}").out == "new\n"
    repo("cat", f"{series}/latest~1:{file}", status=1)
    mend()
    assert repo("cat", f"{series}/latest~1:{file}").out == "new\n"


def test_latest_in_the_mount_leads_nowhere(repo, work, source, fuse):
    repo.backup("--series", "s", "--tag", "t", source)
    new = later(repo, "--series", "s", "--tag", "t", source)
    record, mend = spoil_record(repo, new["generation"])
    with repo.mount(options="refresh=1",
                     env={"FIRN_CACHE_DIR": str(work / "fresh")}) as mnt:
        links = [mnt / "latest", mnt / "hosts" / new["host"] / "s" / "latest",
                 mnt / "tags" / "t" / "latest"]
        for link in links:
            assert os.readlink(link) == f"{new['time']}-unreadable"
            with pytest.raises(FileNotFoundError):
                os.listdir(link)
        assert record in (mnt / ".firn" / "errors").read_text()
        mend()
        for link in links:
            wait_for(lambda link=link: os.path.isdir(link), f"{link} to lead somewhere")


def test_bad_segment_does_not_block_backup(firn, work, source):
    firn.backup("--series", "s", source)
    for name in firn.objects.names("index/"):
        firn.objects.put(name, firn.objects.get(name)[:-10])
    firn.env["FIRN_CACHE_DIR"] = str(work / "fresh")
    s = firn.backup("--series", "s", source)
    assert s["data_added"] == 0, "what the packs' own footers list was stored again"
    firn("restore", f"latest:{source}", work / "out")


def test_deleted_state_changes_nothing(firn, work, source, contents, fuse):
    """Even while it is mounted."""
    firn.backup("--series", "s", source)
    mnt = work / "mnt"
    mnt.mkdir()
    firn("mount", mnt)
    shutil.rmtree(work / "cache")
    copy = mnt / ("latest" + str(source))
    for name, data in contents.items():
        assert (copy / name).read_bytes() == data
    unmount(mnt)
    assert read_back(firn, work, source, contents)[0] == []
