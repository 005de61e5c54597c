# SPDX-License-Identifier: Apache-2.0
"""Objects: writes, reads, ranges and the checks of a body.

The requests of all these tests are made by client.py, which signs without the
simulator's code.
"""

import hashlib
import os
import zlib

import pytest

from s3sim import S3Sim
from s3sim.blob import FileStore
from s3sim.client import Client
from s3sim_support import b64, etag, expect, put


# Objects.

def test_put_get_head_delete(sim, s3):
    put(s3, "a", b"hello", headers={"x-amz-meta-n": "1", "Content-Type": "text/x"})
    assert sim.bucket("buck").get("a") == b"hello"
    got = expect(s3.request("GET", "buck", "a"), 200)
    head = expect(s3.request("HEAD", "buck", "a"), 200)
    assert got.body == b"hello" and head.body == b""
    for answer in got, head:
        assert answer.headers["ETag"] == etag(b"hello")
        assert answer.headers["x-amz-meta-n"] == "1"
        assert answer.headers["Content-Type"] == "text/x"
        assert answer.headers["Content-Length"] == "5"
        assert answer.headers["x-amz-storage-class"] is None
    expect(s3.request("DELETE", "buck", "a"), 204)
    expect(s3.request("DELETE", "buck", "a"), 204)
    expect(s3.request("GET", "buck", "a"), 404, "NoSuchKey")
    expect(s3.request("HEAD", "buck", "a"), 404)
    expect(s3.request("GET", "none", "a"), 404, "NoSuchBucket")
    assert sim.bucket("buck").keys() == []


def test_empty_and_large_bodies(sim, s3):
    large = bytes(range(256)) * 20000
    for body in b"", large:
        put(s3, "o", body)
        assert s3.request("GET", "buck", "o").body == body


def test_files_go_with_their_objects(sim, s3):
    for key in "a", "a", "b":
        put(s3, key, b"contents")
    wrong = {"x-amz-content-sha256": "0" * 64}
    s3.request("PUT", "buck", "c", body=b"x", headers=wrong)
    for key in "a", "b":
        s3.request("DELETE", "buck", key)
    if isinstance(sim.store, FileStore):
        assert os.listdir(sim.store.path) == []


def test_trusted_bodies():
    with S3Sim(["buck"], trust_bodies=True) as sim, Client(sim.url) as s3:
        put(s3, "a", b"x", headers={"x-amz-content-sha256": "0" * 64})
        assert s3.request("GET", "buck", "a").body == b"x"


def test_key_length(s3):
    put(s3, "k" * 1024)
    expect(s3.request("PUT", "buck", "k" * 1025), 400, "KeyTooLongError")


def test_storage_class(s3):
    for name in "STANDARD_IA", "GLACIER_IR":
        put(s3, "a", headers={"x-amz-storage-class": name})
        assert s3.request("GET", "buck", "a").headers["x-amz-storage-class"] == name
    answer = s3.request("PUT", "buck", "a", headers={"x-amz-storage-class": "NO"})
    expect(answer, 400, "InvalidStorageClass")
    assert b"<StorageClassRequested>NO<" in answer.body


def test_encryption_is_echoed(s3):
    sse = {"x-amz-server-side-encryption": "aws:kms",
           "x-amz-server-side-encryption-aws-kms-key-id": "k1"}
    answer = put(s3, "a", b"x", headers=sse)
    head = s3.request("HEAD", "buck", "a")
    for name, value in sse.items():
        assert answer.headers[name] == head.headers[name] == value
    assert answer.headers["ETag"] == head.headers["ETag"] != etag(b"x")


def test_what_is_not_simulated_is_refused(s3):
    for query in {"acl": ""}, {"tagging": ""}, {"retention": ""}:
        expect(s3.request("GET", "buck", "a", query), 501, "NotImplemented")
    expect(s3.request("GET", "buck"), 501, "NotImplemented")
    expect(s3.request("POST", "buck", "a"), 405, "MethodNotAllowed")
    copy = {"x-amz-copy-source": "/buck/b"}
    part = {"partNumber": "1", "uploadId": "x"}
    expect(s3.request("PUT", "buck", "a", part, headers=copy), 501, "NotImplemented")


# Checks of the body.

def test_checksums(s3):
    body = b"hello"
    good = {"sha256": hashlib.sha256(body).digest(),
            "crc32": zlib.crc32(body).to_bytes(4, "big")}
    for name, value in good.items():
        header = "x-amz-checksum-" + name
        put(s3, "a", body, headers={header: b64(value)})
        mode = {"x-amz-checksum-mode": "ENABLED"}
        assert s3.request("HEAD", "buck", "a").headers[header] is None
        for verb in "GET", "HEAD":
            answer = s3.request(verb, "buck", "a", headers=mode)
            assert answer.headers[header] == b64(value)
        for span, has in (("0-1", False), ("0-4", True), ("0-", True)):
            ranged = {**mode, "Range": "bytes=" + span}
            answer = expect(s3.request("GET", "buck", "a", headers=ranged), 206)
            assert (answer.headers[header] is not None) == has
        for bad, code in ((b64(b"\0" * len(value)), "BadDigest"),
                          ("!", "InvalidRequest"), (b64(b"x"), "InvalidRequest")):
            answer = s3.request("PUT", "buck", "bad", body=body, headers={header: bad})
            expect(answer, 400, code)
    both = {"x-amz-checksum-" + name: b64(value) for name, value in good.items()}
    expect(s3.request("PUT", "buck", "bad", body=body, headers=both), 400,
           "InvalidRequest")
    expect(s3.request("HEAD", "buck", "bad"), 404)


def test_content_md5(s3):
    put(s3, "a", b"x", headers={"Content-MD5": b64(hashlib.md5(b"x").digest())})
    for bad, code in ((b64(hashlib.md5(b"y").digest()), "BadDigest"),
                      ("zz", "InvalidDigest")):
        answer = s3.request("PUT", "buck", "a", body=b"x", headers={"Content-MD5": bad})
        expect(answer, 400, code)


def test_payload_hash(sim, s3):
    wrong = {"x-amz-content-sha256": hashlib.sha256(b"other").hexdigest()}
    for verb, key in (("PUT", "a"), ("DELETE", "a"), ("GET", "a")):
        answer = s3.request(verb, "buck", key, headers=wrong)
        expect(answer, 400, "XAmzContentSHA256Mismatch")
    assert sim.bucket("buck").keys() == []


# Ranges.

@pytest.mark.parametrize("text,status,body,content_range", [
    ("bytes=0-0", 206, b"0", "bytes 0-0/10"),
    ("bytes=3-5", 206, b"345", "bytes 3-5/10"),
    ("bytes=7-", 206, b"789", "bytes 7-9/10"),
    ("bytes=7-99", 206, b"789", "bytes 7-9/10"),
    ("bytes=-3", 206, b"789", "bytes 7-9/10"),
    ("bytes=-99", 206, b"0123456789", "bytes 0-9/10"),
    ("bytes=5-3", 200, b"0123456789", None),
    ("bytes=0-1,3-4", 200, b"0123456789", None),
    ("bytes=a-b", 200, b"0123456789", None),
    ("bytes=-", 200, b"0123456789", None),
    ("lines=0-1", 200, b"0123456789", None)])
def test_range(s3, text, status, body, content_range):
    put(s3, "a", b"0123456789")
    answer = expect(s3.request("GET", "buck", "a", headers={"Range": text}), status)
    assert answer.body == body
    assert answer.headers["Content-Range"] == content_range
    assert answer.headers["Content-Length"] == str(len(body))


@pytest.mark.parametrize("text", ["bytes=10-", "bytes=10-12", "bytes=-0"])
def test_range_beyond_the_end(s3, text):
    put(s3, "a", b"0123456789")
    answer = s3.request("GET", "buck", "a", headers={"Range": text})
    expect(answer, 416, "InvalidRange")
    assert b"<ActualObjectSize>10<" in answer.body
    expect(s3.request("HEAD", "buck", "a", headers={"Range": text}), 416)
