# SPDX-License-Identifier: Apache-2.0
"""Real trees of this machine come back as they are."""
import os
import pathlib
import subprocess

import pytest

from conftest import EVERY
from firn_tool import assert_same

TREES = ["/etc", "/var/lib/dpkg"]
TARBALL = pathlib.Path("/usr/src/linux-source-6.1.tar.xz")


@pytest.fixture(scope="session")
def linux(tmp_path_factory):
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
def test_linux_source(firn, linux, fuse):
    # A part of it usually stands for all of it over a bucket: 5,700 files.
    tree = linux if EVERY or firn.url.startswith("/") else linux / "drivers" / "net"
    round_trip(firn, tree)
    again = firn.backup("--series", "real", tree)
    assert again["bytes_read"] == 0 and again["data_added"] == 0


# All of it takes minutes and many gigabytes: usually its programs stand for it.
USR = "/usr" if EVERY else "/usr/bin"


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
