# SPDX-License-Identifier: Apache-2.0
"""Real trees of this machine come back as they are."""
import os
import pathlib
import subprocess
import sysconfig

import pytest

from conftest import EVERY
from firn_tool import assert_same

TREES = ["/etc", "/var/lib/dpkg"]
TARBALL = pathlib.Path("/usr/src/linux-source-6.1.tar.xz")


@pytest.fixture(scope="session")
def source_tree(tmp_path_factory):
    """The Linux source, 80,000 files, takes minutes: usually the library of Python
    stands for it, 1,500 files."""
    if not EVERY:
        return pathlib.Path(sysconfig.get_path("stdlib"))
    if not TARBALL.exists():
        pytest.skip("package linux-source-6.1 is not installed")
    where = tmp_path_factory.mktemp("linux")
    subprocess.run(["tar", "-C", where, "-xf", TARBALL], check=True)
    return where / "linux-source-6.1"


def round_trip(firn, tree):
    s = firn.backup("--series", "real", tree)
    assert s["errors"] == 0
    with firn.mount() as mnt:
        assert_same(tree, f"{mnt}/latest{tree}")
    firn("restore", f"latest:{tree}", firn.work / "out")
    assert_same(tree, firn.work / "out")
    problems, _ = firn.check()
    assert problems == []


@pytest.mark.parametrize("tree", TREES)
def test_system_trees(firn, tree, fuse):
    round_trip(firn, tree)


# In one process, so that the source is unpacked once.
@pytest.mark.long
@pytest.mark.xdist_group("linux")
@pytest.mark.stores(usual=["local", "rgw"])
def test_source_tree(firn, source_tree, fuse):
    round_trip(firn, source_tree)
    again = firn.backup("--series", "real", source_tree)
    assert again["bytes_read"] == 0 and again["data_added"] == 0


# All of it takes minutes and many gigabytes: usually some of its programs stand for it.
USR = "/usr" if EVERY else "/usr/sbin"


@pytest.mark.long
@pytest.mark.stores("local", "rgw", "rgw-versioned", usual=["local"])
def test_usr(firn, fuse, root):
    s = firn.backup("--series", "usr", USR)
    assert s["errors"] == 0
    with firn.mount() as mnt:
        assert_same(USR, f"{mnt}/latest{USR}")
    free = os.statvfs(firn.work)
    if free.f_bavail * free.f_frsize < 2 * s["bytes"]:
        pytest.skip(f"no room to restore {USR} here")
    firn("restore", f"latest:{USR}", firn.work / "out")
    assert_same(USR, firn.work / "out")
