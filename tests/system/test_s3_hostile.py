# SPDX-License-Identifier: Apache-2.0
"""A server that answers what no S3 answers: nothing hangs, nothing is believed,
and what is signed goes nowhere else."""
import contextlib
import os
import socket
import threading

import pytest

from chaos import MIB, Source, chaos_repository, foreground_mount, seeded
from firn_tool import Firn, assert_same

GARBAGE = ["garble", "corrupt", "truncate", "shorten", "lengthen", "endless", "headers", "html",
           "portal", "200-error", "elsewhere", "redirect", "empty-pages"]


@pytest.fixture
def firn(work):
    with chaos_repository(work) as made:
        yield made


@contextlib.contextmanager
def trap():
    """A server to which nobody should talk; yields its port, and what came."""
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve():
            with contextlib.suppress(OSError):
                while True:
                    client, _ = server.accept()
                    with client:
                        client.settimeout(1)
                        with contextlib.suppress(OSError):
                            heard.append(client.recv(10000))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1], heard
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.sanitize
@pytest.mark.parametrize("operation", ["GetObject", "ListObjectsV2", "PutObject"])
def test_garbage(firn, work, operation):
    """Each ends with an error, within its time; afterwards all is well."""
    source = Source(work / "src", seeded(), files=5, largest=MIB // 4)
    firn.backup("--series", "s", source.path)
    with trap() as (port, heard):
        for kind in GARBAGE:
            if kind == "empty-pages" and operation != "ListObjectsV2":
                continue
            # What no byte of an answer tells: see DESIGN.md.
            if kind in ("corrupt", "garble") and operation != "GetObject":
                continue
            rule = firn.sim.faults.add(kind, verb=operation,
                                       region=f"127.0.0.1:{port}/#",
                                       location=f"http://127.0.0.1:{port}/")
            if operation == "PutObject":
                source.change()
                command = ("backup", "--series", "s", source.path)
            else:
                command = ("restore", f"latest:{source.path}", work / "out")
            r = firn.client("cache-" + kind)(*command, "--timeout", "1", status=None)
            assert rule.fired, kind
            # A put is answered without a body: that all is well is not garbage.
            if operation != "PutObject" or kind in ("html", "200-error", "portal",
                                                    "elsewhere", "redirect"):
                assert r.returncode in (1, 10, 12), f"{kind}: {r.returncode}\n{r.err}"
                assert "error: " in r.err, kind
            assert "SECRETTEST" not in r.out + r.err
            firn.sim.faults.clear()
        assert heard == []
    firn.backup("--series", "s", source.path)
    firn("restore", f"latest:{source.path}", work / "out")
    assert_same(source.path, work / "out")
    assert firn.client("cache-check").check("--read-data")[0] == []


def test_garbage_to_a_mount(firn, work, fuse):
    """EIO and nothing else; and it is well again when the server is."""
    source = Source(work / "src", seeded(), files=5)
    # Too large to stand in its directory's page.
    big = source.path / "big"
    big.write_bytes(os.urandom(300_000))
    firn.backup("--series", "s", source.path)
    with foreground_mount(firn, "timeout=1,no-cache") as (mnt, _, log):
        for kind in GARBAGE[:-1]:
            firn.sim.faults.add(kind, verb="GetObject", prefix="some/prefix/data")
            with pytest.raises(OSError) as failure:
                open(f"{mnt}/latest{big}", "rb").read()
            assert failure.value.errno == 5
            firn.sim.faults.clear()
        assert open(f"{mnt}/latest{big}", "rb").read() == big.read_bytes()
        assert "data/" in (mnt / ".firn" / "errors").read_text()
        assert "SECRETTEST" not in log.read_text()


def test_nobody_speaks_http(work):
    """A port where something else answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve():
            with contextlib.suppress(OSError):
                while True:
                    client, _ = server.accept()
                    with client, contextlib.suppress(OSError):
                        client.sendall(b"220 mail.test ESMTP\r\n" + b"\0\xff" * 100)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        firn = Firn(work, "s3://bucket/x", {
            "AWS_ACCESS_KEY_ID": "AKIDTEST", "AWS_SECRET_ACCESS_KEY": "SECRETTEST",
            "AWS_ENDPOINT_URL": url})
        r = firn("generations", "--timeout", "1", status=1)
        assert "error: " in r.err and "SECRETTEST" not in r.err
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
