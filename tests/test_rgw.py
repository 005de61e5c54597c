# SPDX-License-Identifier: Apache-2.0
"""The Ceph gateway launcher: what tests rely on, and that nothing is left."""

import contextlib
import json
import pathlib
import socket
import subprocess
import sys
import threading
import types

import pytest

import bench.stores
import rgw as launcher
from bench.stores import Stores
from rgw import Rgw, RgwError, missing_programs

# In one process, so that the gateway they share is started once.
pytestmark = [pytest.mark.xdist_group("rgw"), pytest.mark.long, pytest.mark.skipif(
    bool(missing_programs()), reason=f"not installed: {missing_programs()}")]
ANY = {"If-None-Match": "*"}


def running(directory):
    """Command lines of the processes that mention `directory`."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if any(word.startswith(bytes(directory)) for word in words):
                found.append(words)
    return found


@pytest.fixture(scope="module")
def rgw(tmp_path_factory):
    directory = tmp_path_factory.mktemp("rgw") / "one"
    with Rgw(directory) as rgw:
        rgw.create_bucket("buck")
        rgw.create_bucket("vers", versioned=True)
        yield rgw
    assert not directory.exists() and not running(directory)


def test_objects(rgw):
    with rgw.client() as s3:
        key = "dir/a b~ü+"
        assert s3.request("PUT", "buck", key, body=b"hello").status == 200
        assert s3.request("GET", "buck", key).body == b"hello"
        for name in rgw.storage_classes:
            headers = {"x-amz-storage-class": name}
            assert s3.request("PUT", "buck", name, headers=headers).status == 200


def test_signatures_are_verified(rgw):
    wrong = launcher.Credentials(rgw.access_key, "wrong")
    with rgw.client(wrong) as s3:
        assert s3.request("GET", "buck").code == "SignatureDoesNotMatch"


def test_versioning_and_conditions(rgw):
    """Conditions hold in the unversioned bucket alone: a fact of this Ceph."""
    with rgw.client() as s3:
        first = s3.request("PUT", "vers", "a", body=b"1")
        assert first.headers["x-amz-version-id"]
        for bucket, status in (("buck", 412), ("vers", 200)):
            assert s3.request("PUT", bucket, "once", headers=ANY).status == 200
            assert s3.request("PUT", bucket, "once", headers=ANY).status == status


def test_user_who_may_not_delete(rgw):
    writer = rgw.user("writer", op_mask="read, write")
    rgw.allow("buck", "writer", ["s3:PutObject", "s3:GetObject", "s3:DeleteObject"])
    with rgw.client(writer) as s3:
        assert s3.request("PUT", "buck", "w", body=b"w").status == 200
        assert s3.request("GET", "buck", "w").body == b"w"
        assert s3.request("DELETE", "buck", "w").status == 403
        assert s3.request("GET", "buck", query={"list-type": "2"}).status == 403


def test_room(rgw, tmp_path, monkeypatch):
    """The benchmark counts what is there, and what was deleted no more."""
    monkeypatch.setattr(bench.stores, "available_memory", lambda: 1 << 50)
    stores = Stores(tmp_path, None)
    stores.server, stores.lines = rgw, {"rgw": types.SimpleNamespace(url=rgw.url)}
    place = stores.place("rgw", "some")
    assert rgw.memory // 2 < stores.room("rgw") == rgw.capacity < rgw.memory
    with rgw.client() as s3:
        assert s3.request("PUT", place.s3.bucket, "a", body=bytes(20 << 20)).status == 200
    assert stores.room("rgw") == stores.room("far") == rgw.capacity - (20 << 20)
    with rgw.client() as s3:	# its tail waits to be collected
        assert s3.request("DELETE", place.s3.bucket, "a").status == 204
    assert json.loads(rgw.admin("gc", "list", "--include-all")) != []
    place.remove()
    assert stores.room("rgw") == rgw.capacity
    monkeypatch.setattr(bench.stores, "available_memory", lambda: 1 << 30)
    assert stores.room("rgw") == 1 << 29
    assert json.loads(rgw.admin("gc", "list", "--include-all")) == []


def test_two_at_once(rgw, tmp_path):
    threads, urls = [], []

    def run(name):
        with Rgw(tmp_path / name) as other:
            other.create_bucket("buck")
            with other.client() as s3:
                assert s3.request("GET", "buck", "w").status == 404
            urls.append(other.url)

    for name in "two", "three":
        threads.append(threading.Thread(target=run, args=(name,)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert len(set(urls)) == 2 and rgw.url not in urls
    assert not running(tmp_path) and list(tmp_path.iterdir()) == []


def test_a_failed_start_leaves_nothing(tmp_path, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(RgwError, match="radosgw"):
            Rgw(tmp_path / "rgw", taken.getsockname()[1]).start()
    assert "--- radosgw.log" in capsys.readouterr().err
    assert not running(tmp_path) and list(tmp_path.iterdir()) == []


def test_an_existing_directory_is_not_touched(tmp_path):
    with pytest.raises(FileExistsError):
        Rgw(tmp_path).start()
    assert tmp_path.exists()


def test_command(tmp_path):
    def command(*words):
        return subprocess.run([sys.executable, launcher.__file__, *words], check=True,
                              stdout=subprocess.PIPE, text=True, timeout=120).stdout

    directory = tmp_path / "rgw"
    try:
        url = command("up", directory).strip()
        with launcher.Client(url) as s3:
            assert s3.request("GET").status == 200
    finally:
        command("down", directory)
    assert not running(tmp_path) and not directory.exists()
