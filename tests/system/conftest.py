# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the system tests: real binaries, real mounts, every store."""
import os
import pathlib
import shutil
import subprocess
import uuid

import pytest

from cold import EVERY, PRICES, Cold
from firn_tool import Firn, unmount_all
from objects import BucketObjects, LocalObjects
from rgw import Rgw
from s3sim import S3Sim

ROOT = os.geteuid() == 0


@pytest.fixture
def work(tmp_path):
    """A directory of the test's own; whatever is mounted below it is unmounted."""
    yield tmp_path
    unmount_all(tmp_path)
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.fixture
def certificate(work):
    """Of 127.0.0.1, with its key in one PEM; work/only.pem has it without."""
    path = work / "server.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                    "/CN=firn test", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", path, "-out", work / "only.pem"],
                   check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + (work / "only.pem").read_bytes())
    return path


@pytest.fixture(scope="session")
def rgw(tmp_path_factory):
    with Rgw(tmp_path_factory.mktemp("ceph") / "rgw") as gateway:
        yield gateway


def s3_environment(url, access="AKIDTEST", secret="SECRETTEST"):
    return {"AWS_ACCESS_KEY_ID": access, "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1"}


def in_bucket(work, account, bucket, prefix, *options):
    """An initialised repository in a bucket; account: URL, access and secret key."""
    firn = Firn(work, f"s3://{bucket}/{prefix}", s3_environment(*account))
    firn.objects = BucketObjects(*account, bucket, prefix)
    firn("init", "--kdf-memory", "1M", *options)
    return firn


@pytest.fixture
def local(work):
    """An initialised repository in a local directory."""
    firn = Firn(work, str(work / "repository"))
    firn.objects = LocalObjects(work / "repository")
    firn("init", "--kdf-memory", "1M")
    return firn


@pytest.fixture
def sim(work):
    """An initialised repository in the simulator; the simulator is firn.sim."""
    with S3Sim(["bucket"], data_dir=str(work / "sim")) as server:
        firn = in_bucket(work, (server.url, "AKIDTEST", "SECRETTEST"), "bucket",
                         "some/prefix")
        firn.sim = server
        yield firn


@pytest.fixture
def on_rgw(work, rgw):
    """An initialised repository in Ceph RGW."""
    bucket = f"b{uuid.uuid4().hex}"
    rgw.create_bucket(bucket)
    return in_bucket(work, (rgw.url, rgw.access_key, rgw.secret_key), bucket, "firn")


@pytest.fixture
def gated(work, rgw):
    """The simulator, which has the archive, in front of Ceph RGW, which has the bytes."""
    bucket = f"g{uuid.uuid4().hex}"
    rgw.create_bucket(bucket)
    behind = (rgw.url, rgw.access_key, rgw.secret_key, bucket, ["GLACIER"])
    with S3Sim(["bucket"], gate=behind) as server:
        firn = in_bucket(work, (server.url, "AKIDTEST", "SECRETTEST"), "bucket",
                         "some/prefix")
        firn.sim = server
        yield firn


@pytest.fixture
def cold(request):
    """Archived data in the simulator, or behind it in Ceph RGW, of its class GLACIER."""
    where = getattr(request, "param", "sim")
    firn = request.getfixturevalue(where)
    firn.env["FIRN_PRICES"] = str(PRICES)
    return Cold(firn, tier="GLACIER" if where == "gated" else "DEEP_ARCHIVE")


@pytest.fixture
def on_rgw_versioned(work, rgw):
    """An initialised repository in a versioned bucket of Ceph RGW."""
    bucket = f"v{uuid.uuid4().hex}"
    rgw.create_bucket(bucket, versioned=True)
    return in_bucket(work, (rgw.url, rgw.access_key, rgw.secret_key), bucket, "firn")


# Each store and its fixture.
STORES = {"local": "local", "sim": "sim", "rgw": "on_rgw", "rgw-versioned": "on_rgw_versioned"}


def pytest_generate_tests(metafunc):
    """A test that takes `firn` runs over every store, one marked `stores` over
    those; FIRN_STORES says which part of them: usual, sanitize or every."""
    mark = metafunc.definition.get_closest_marker("stores") or pytest.mark.stores().mark
    # A module that makes `firn` itself says where its repository lies.
    if "firn" in metafunc.fixturenames and not hasattr(metafunc.module, "firn"):
        # What a bucket's versions change, those tests see that are marked.
        names = mark.args or (list(STORES) if EVERY else ["local", "sim", "rgw"])
        names = mark.kwargs.get(os.environ.get("FIRN_STORES", "usual"), names)
        metafunc.parametrize("firn", names, indirect=True)
    if "repo" in metafunc.fixturenames and EVERY:
        names = mark.args or ["local", "rgw", "rgw-versioned"]
        metafunc.parametrize("repo", names, indirect=True)


def needs_rgw(item):
    values = item.callspec.params.values() if hasattr(item, "callspec") else []
    return "rgw" in item.fixturenames or any("rgw" in str(v) or v == "gated" for v in values)


@pytest.hookimpl(tryfirst=True)		# xdist has to find the mark
def pytest_collection_modifyitems(items):
    """One process runs what needs Ceph RGW, so that one Ceph is started and not one
    in each; with check-all that would be half of all."""
    for item in items:
        if not EVERY and needs_rgw(item):
            item.add_marker(pytest.mark.xdist_group("rgw"), append=False)


@pytest.fixture
def firn(request):
    """The same test over every store."""
    return request.getfixturevalue(STORES[request.param])


@pytest.fixture
def repo(request):
    """For what hardly depends on the store: usually a directory, and Ceph RGW too
    with FIRN_STORES=every.  Marked stores("local"), a directory alone."""
    return request.getfixturevalue(STORES[getattr(request, "param", "local")])


@pytest.fixture
def root():
    if not ROOT:
        pytest.skip("needs root")


@pytest.fixture
def fuse():
    if not pathlib.Path("/dev/fuse").exists():
        pytest.skip("there is no /dev/fuse")
