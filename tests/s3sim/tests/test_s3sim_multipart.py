# SPDX-License-Identifier: Apache-2.0
"""Multipart uploads, with their own rules for conditions and checksums."""

import hashlib

from s3sim_support import ANY, b64, etag, expect, put, texts

MIB5 = b"5" * (5 << 20)


def create(s3, key="big", **options):
    answer = s3.request("POST", "buck", key, {"uploads": ""}, **options)
    return texts(expect(answer, 200), "UploadId")[0]


def upload(s3, upload_id, number, body, **options):
    query = {"uploadId": upload_id, "partNumber": str(number)}
    return s3.request("PUT", "buck", "big", query, body, **options)


def complete(s3, upload_id, parts, **options):
    rows = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{tag}</ETag></Part>"
                   for n, tag in parts)
    body = f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode()
    return s3.request("POST", "buck", "big", {"uploadId": upload_id}, body, **options)


def test_multipart(sim, s3):
    upload_id = create(s3, headers={"x-amz-meta-n": "1"})
    for number, body in ((1, MIB5), (3, b"tail"), (7, b"unused"), (3, b"end")):
        expect(upload(s3, upload_id, number, body), 200)
    listed = s3.request("GET", "buck", "big", {"uploadId": upload_id})
    assert texts(listed, "Part/PartNumber") == ["1", "3", "7"]
    assert sim.bucket("buck").keys() == []
    answer = complete(s3, upload_id, [(1, etag(MIB5)), (3, etag(b"end"))])
    expect(answer, 200)
    digests = hashlib.md5(MIB5).digest() + hashlib.md5(b"end").digest()
    tag = f'"{hashlib.md5(digests).hexdigest()}-2"'
    got = s3.request("GET", "buck", "big")
    assert got.body == MIB5 + b"end" and got.headers["ETag"] == tag
    assert got.headers["x-amz-meta-n"] == "1" and texts(answer, "ETag") == [tag]
    span = {"Range": f"bytes={len(MIB5) - 2}-"}
    assert s3.request("GET", "buck", "big", headers=span).body == b"55end"
    expect(upload(s3, upload_id, 1, b""), 404, "NoSuchUpload")


def test_multipart_errors(s3):
    upload_id = create(s3)
    upload(s3, upload_id, 1, b"small")
    upload(s3, upload_id, 2, b"small")
    tag = etag(b"small")
    for parts, code in (([(1, tag), (2, tag)], "EntityTooSmall"),
                        ([(2, tag), (1, tag)], "InvalidPartOrder"),
                        ([(1, etag(b"x"))], "InvalidPart"), ([(3, tag)], "InvalidPart"),
                        ([], "MalformedXML")):
        expect(complete(s3, upload_id, parts), 400, code)
    for number in 0, 10001:
        expect(upload(s3, upload_id, number, b""), 400, "InvalidArgument")
    expect(s3.request("DELETE", "buck", "big", {"uploadId": upload_id}), 204)
    for verb in "GET", "DELETE":
        answer = s3.request(verb, "buck", "big", {"uploadId": upload_id})
        expect(answer, 404, "NoSuchUpload")
    expect(complete(s3, upload_id, [(1, tag)]), 404, "NoSuchUpload")


def begun(s3):
    upload_id = create(s3)
    upload(s3, upload_id, 1, b"1")
    return upload_id, [(1, etag(b"1"))]


def test_complete_if_none_match(s3):
    upload_id, parts = begun(s3)
    put(s3, "big")
    expect(complete(s3, upload_id, parts, headers=ANY), 412, "PreconditionFailed")
    s3.request("DELETE", "buck", "big")
    expect(complete(s3, upload_id, parts, headers=ANY), 409,
           "ConditionalRequestConflict")
    expect(complete(s3, *begun(s3), headers=ANY), 200)


def test_complete_if_match(s3):
    put(s3, "big", b"same")
    same = {"If-Match": etag(b"same")}
    upload_id, parts = begun(s3)
    put(s3, "big", b"same")
    expect(complete(s3, upload_id, parts, headers=same), 409,
           "ConditionalRequestConflict")
    s3.request("DELETE", "buck", "big")
    expect(complete(s3, upload_id, parts, headers=same), 404, "NoSuchKey")
    put(s3, "big", b"same")
    upload_id, parts = begun(s3)
    other = {"If-Match": etag(b"other")}
    expect(complete(s3, upload_id, parts, headers=other), 412, "PreconditionFailed")
    expect(complete(s3, upload_id, parts, headers=same), 200)


def test_composite_checksum(s3):
    upload_id = create(s3)
    sums = [hashlib.sha256(body).digest() for body in (MIB5, b"2")]
    for number, body in ((1, MIB5), (2, b"2")):
        header = {"x-amz-checksum-sha256": b64(sums[number - 1])}
        expect(upload(s3, upload_id, number, body, headers=header), 200)
    complete(s3, upload_id, [(1, etag(MIB5)), (2, etag(b"2"))])
    head = s3.request("HEAD", "buck", "big", headers={"x-amz-checksum-mode": "ENABLED"})
    whole = b64(hashlib.sha256(b"".join(sums)).digest())
    assert head.headers["x-amz-checksum-sha256"] == whole + "-2"
    assert head.headers["x-amz-checksum-type"] == "COMPOSITE"
