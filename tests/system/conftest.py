# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the system tests: real binaries, real mounts, three stores."""
import os
import pathlib
import shutil

import pytest

from firn_tool import Firn, unmount_all
from rgw import Rgw
from s3sim import S3Sim

ROOT = os.geteuid() == 0


@pytest.fixture
def work(tmp_path):
    """A directory of the test's own; whatever is mounted below it is unmounted."""
    yield tmp_path
    unmount_all(tmp_path)
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.fixture(scope="session")
def rgw(tmp_path_factory):
    with Rgw(tmp_path_factory.mktemp("ceph") / "rgw") as gateway:
        yield gateway


def s3_environment(url, access="AKIDTEST", secret="SECRETTEST"):
    return {"AWS_ACCESS_KEY_ID": access, "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1"}


@pytest.fixture
def local(work):
    """An initialised repository in a local directory."""
    firn = Firn(work, str(work / "repository"))
    firn("init", "--kdf-memory", "16M")
    return firn


@pytest.fixture
def sim(work):
    """An initialised repository in the simulator; the simulator is firn.sim."""
    with S3Sim(["bucket"], data_dir=str(work / "sim")) as server:
        firn = Firn(work, "s3://bucket/some/prefix", s3_environment(server.url))
        firn.sim = server
        firn("init", "--kdf-memory", "16M")
        yield firn


@pytest.fixture
def on_rgw(work, rgw, request):
    """An initialised repository in Ceph RGW."""
    bucket = "b" + str(abs(hash(request.node.nodeid)))[:16]
    rgw.create_bucket(bucket)
    firn = Firn(work, f"s3://{bucket}/firn",
                s3_environment(rgw.url, rgw.access_key, rgw.secret_key))
    firn("init", "--kdf-memory", "16M")
    return firn


@pytest.fixture(params=["local", "sim", "on_rgw"])
def firn(request):
    """The same test over every store."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def root():
    if not ROOT:
        pytest.skip("needs root")


@pytest.fixture
def fuse():
    if not pathlib.Path("/dev/fuse").exists():
        pytest.skip("there is no /dev/fuse")
