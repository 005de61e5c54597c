# SPDX-License-Identifier: Apache-2.0
"""The simulator in front of another server, which holds the bytes.  Here that is a
second simulator; tests/system has Ceph RGW there."""

import pytest

from s3sim_support import expect, put

from s3sim import S3Sim
from s3sim.client import Client

ACCOUNT = ("AKIDTEST", "SECRETTEST")


@pytest.fixture
def pair():
    """(gate, the server behind it, a client of the gate)"""
    with S3Sim(["real"]) as real, \
            S3Sim(["buck"], gate=(real.url, *ACCOUNT, "real", ["GLACIER"])) as gate, \
            Client(gate.url) as s3:
        yield gate, real, s3


def test_bytes_lie_behind_it(pair):
    gate, real, s3 = pair
    put(s3, "data/a", b"0123456789", headers={"x-amz-storage-class": "STANDARD_IA"})
    name, = real.bucket("real").keys()
    assert name.startswith("data/a.") and real.bucket("real").get(name) == b"0123456789"
    answer = expect(s3.request("GET", "buck", "data/a", headers={"range": "bytes=3-5"}), 206)
    assert answer.body == b"345"
    assert [r.range for r in real.requests if r.operation == "GetObject"] == ["bytes=3-5"]
    expect(s3.request("DELETE", "buck", "data/a"), 204)
    assert real.bucket("real").keys() == []


def test_archive_is_the_gates(pair):
    gate, real, s3 = pair
    put(s3, "a", b"cold", headers={"x-amz-storage-class": "GLACIER"})
    name, = real.bucket("real").keys()
    assert real.bucket("real").live(name).storage_class == "GLACIER"
    expect(s3.request("GET", "buck", "a"), 403, "InvalidObjectState")
    assert not [r for r in real.requests if r.operation == "GetObject"]
    body = b"<RestoreRequest><Days>1</Days></RestoreRequest>"
    expect(s3.request("POST", "buck", "a", {"restore": ""}, body), 202)
    # The second simulator archives as well, which RGW does not.
    with Client(real.url) as behind:
        expect(behind.request("POST", "real", name, {"restore": ""}, body), 202)
    real.make_ready("real", [name])
    gate.make_ready("buck", ["a"])
    assert s3.request("GET", "buck", "a").body == b"cold"


def test_nothing_is_made_up(pair):
    gate, real, s3 = pair
    put(s3, "a", b"text")
    real.faults.add("500", verb="GET")
    expect(s3.request("GET", "buck", "a"), 500, "InternalError")
