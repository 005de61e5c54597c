# SPDX-License-Identifier: Apache-2.0
"""Listings, versions and buckets."""

import hashlib
import xml.etree.ElementTree as ElementTree
from urllib.parse import unquote_plus

import pytest

from s3sim import S3Sim
from s3sim.client import Client
from s3sim_support import b64, etag, expect, put, texts


# Listings.

ODD_KEYS = sorted(["a", "a b", "a+b", "a%2Fb", "a&<>\"'b", "é", "日本", "😀", "\uffee",
                   "a\x01b", "a\nb", "dir/1", "dir/2", "dir//3", "dir2/x", "z~*",
                   "..", "./x"], key=str.encode)


def pages(s3, size, **query):
    keys, prefixes, token = [], [], None
    while True:
        query.update({"list-type": "2", "max-keys": str(size), "encoding-type": "url"})
        if token:
            query["continuation-token"] = token
        answer = expect(s3.request("GET", "buck", query=query), 200)
        page = texts(answer, "Contents/Key"), texts(answer, "CommonPrefixes/Prefix")
        keys += map(unquote_plus, page[0])
        prefixes += map(unquote_plus, page[1])
        count = len(page[0]) + len(page[1])
        assert texts(answer, "KeyCount") == [str(count)] and count <= size
        token = "".join(texts(answer, "NextContinuationToken"))
        assert texts(answer, "IsTruncated") == ["true" if token else "false"]
        if not token:
            return keys, prefixes


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_list_odd_keys(s3, size):
    for key in ODD_KEYS:
        put(s3, key)
    assert pages(s3, size) == (ODD_KEYS, [])
    assert pages(s3, size, prefix="dir/") == (["dir//3", "dir/1", "dir/2"], [])
    assert pages(s3, size, prefix="dir/", delimiter="/") == (
        ["dir/1", "dir/2"], ["dir//"])
    assert pages(s3, size, delimiter="/") == (
        [key for key in ODD_KEYS if "/" not in key], ["./", "dir/", "dir2/"])
    assert pages(s3, size, **{"start-after": "dir/1"})[0] == \
        ODD_KEYS[ODD_KEYS.index("dir/1") + 1:]
    assert pages(s3, size, prefix="nothing") == ([], [])


def test_list_details(s3):
    put(s3, "a&b", b"12", headers={"x-amz-storage-class": "GLACIER"})
    put(s3, "b")
    answer = s3.request("GET", "buck", query={"list-type": "2"})
    assert texts(answer, "Contents/Key") == ["a&b", "b"]
    assert texts(answer, "Contents/Size") == ["2", "1"]
    assert texts(answer, "Contents/StorageClass") == ["GLACIER", "STANDARD"]
    assert texts(answer, "Contents/ETag")[0] == etag(b"12")
    for query in {"max-keys": "x"}, {"max-keys": "-1"}, {"continuation-token": "no"}, \
            {"encoding-type": "hex"}:
        answer = s3.request("GET", "buck", query={"list-type": "2", **query})
        expect(answer, 400, "InvalidArgument")
    answer = s3.request("GET", "buck", query={"list-type": "2", "max-keys": "0"})
    assert texts(answer, "IsTruncated") == ["false"] and not texts(answer, "Contents")
    expect(s3.request("GET", "none", query={"list-type": "2"}), 404, "NoSuchBucket")


def test_list_stops_at_1000(sim, s3):
    for number in range(1001):
        put(s3, "%04d" % number)
    answer = s3.request("GET", "buck", query={"list-type": "2", "max-keys": "5000"})
    assert len(texts(answer, "Contents")) == 1000
    assert texts(answer, "IsTruncated") == ["true"]


def test_odd_keys_round_trip(sim, s3):
    for key in ODD_KEYS + ["/lead", "a//b", "a/", "//"]:
        put(s3, key, key.encode())
        assert s3.request("GET", "buck", key).body == key.encode()
        assert sim.bucket("buck").get(key) == key.encode()


# Versions.

def test_versions(sim, s3):
    ids = [put(s3, "a", b"%d" % n, "vers").headers["x-amz-version-id"]
           for n in range(3)]
    assert len(set(ids)) == 3
    deleted = expect(s3.request("DELETE", "vers", "a"), 204)
    assert deleted.headers["x-amz-delete-marker"] == "true"
    marker = deleted.headers["x-amz-version-id"]
    gone = expect(s3.request("GET", "vers", "a"), 404, "NoSuchKey")
    assert gone.headers["x-amz-delete-marker"] == "true"
    assert s3.request("GET", "vers", "a", {"versionId": ids[1]}).body == b"1"
    answer = s3.request("GET", "vers", "a", {"versionId": marker})
    expect(answer, 405, "MethodNotAllowed")
    answer = s3.request("GET", "vers", "a", {"versionId": "nope"})
    expect(answer, 404, "NoSuchVersion")
    answer = expect(s3.request("DELETE", "vers", "a", {"versionId": marker}), 204)
    assert answer.headers["x-amz-delete-marker"] == "true"
    assert s3.request("GET", "vers", "a").body == b"2"
    expect(s3.request("DELETE", "vers", "a", {"versionId": ids[2]}), 204)
    assert s3.request("GET", "vers", "a").body == b"1"


@pytest.mark.parametrize("size", [1, 2, 1000])
def test_list_versions(sim, s3, size):
    for key in "a", "b", "a", "c/1", "c/2":
        put(s3, key, bucket="vers")
    s3.request("DELETE", "vers", "b")
    seen, markers = [], {}
    while markers is not None:
        query = {"versions": "", "max-keys": str(size), "delimiter": "/", **markers}
        answer = expect(s3.request("GET", "vers", query=query), 200)
        for kind in "Version", "DeleteMarker":
            ids = texts(answer, kind + "/VersionId")
            seen += zip(texts(answer, kind + "/Key"), ids)
        seen += [(p, "") for p in texts(answer, "CommonPrefixes/Prefix")]
        next_key = texts(answer, "NextKeyMarker")
        next_id = texts(answer, "NextVersionIdMarker")
        markers = {"key-marker": next_key[0]} if next_key else None
        if next_id:
            markers["version-id-marker"] = next_id[0]
    expected = [(k, i) for k in "ab" for i in sim.bucket("vers").ids(k)] + [("c/", "")]
    assert sorted(seen) == sorted(expected)


def test_versioning_configuration(sim, s3):
    assert texts(s3.request("GET", "buck", query={"versioning": ""}), "Status") == []
    body = (b"<VersioningConfiguration><Status>Enabled</Status>"
            b"</VersioningConfiguration>")
    put(s3, "a", b"old")
    answer = s3.request("PUT", "buck", query={"versioning": ""}, body=body)
    expect(answer, 400, "InvalidRequest")
    md5 = {"Content-MD5": b64(hashlib.md5(body).digest())}
    answer = s3.request("PUT", "buck", query={"versioning": ""}, body=body, headers=md5)
    expect(answer, 200)
    assert texts(s3.request("GET", "buck", query={"versioning": ""}), "Status") == [
        "Enabled"]
    put(s3, "a", b"new")
    assert sim.bucket("buck").ids("a")[1:] == ["null"]
    assert s3.request("GET", "buck", "a", {"versionId": "null"}).body == b"old"


# Buckets.

def test_buckets(sim, s3):
    expect(s3.request("PUT", "new-bucket"), 200)
    expect(s3.request("PUT", "new-bucket"), 409, "BucketAlreadyOwnedByYou")
    expect(s3.request("PUT", "Bad_Name"), 400, "InvalidBucketName")
    head = expect(s3.request("HEAD", "new-bucket"), 200)
    assert head.headers["x-amz-bucket-region"] == "us-east-1"
    expect(s3.request("HEAD", "none"), 404)
    answer = expect(s3.request("GET", "new-bucket", query={"location": ""}), 200)
    assert ElementTree.fromstring(answer.body).text is None
    put(s3, "a", bucket="new-bucket")
    expect(s3.request("DELETE", "new-bucket"), 409, "BucketNotEmpty")
    s3.request("DELETE", "new-bucket", "a")
    expect(s3.request("DELETE", "new-bucket"), 204)
    assert texts(s3.request("GET"), "Buckets/Bucket/Name") == ["buck", "vers"]


def test_location_constraint():
    def creation(place):
        return (f"<CreateBucketConfiguration><LocationConstraint>{place}"
                "</LocationConstraint></CreateBucketConfiguration>").encode()

    with S3Sim(region="eu-west-1") as sim, \
            Client(sim.url, region="eu-west-1") as s3:
        expect(s3.request("PUT", "new"), 400, "IllegalLocationConstraintException")
        expect(s3.request("PUT", "new", body=creation("eu-west-1")), 200)
        answer = s3.request("GET", "new", query={"location": ""})
        assert ElementTree.fromstring(answer.body).text == "eu-west-1"
    with S3Sim() as sim, Client(sim.url) as s3:
        expect(s3.request("PUT", "new", body=creation("us-east-1")), 400,
               "InvalidLocationConstraint")


def test_delete_objects(sim, s3):
    for key in "abc":
        put(s3, key)
    body = ("<Delete><Object><Key>a</Key></Object><Object><Key>none</Key></Object>"
            f"<Object><Key>b</Key><ETag>{'0' * 32}</ETag></Object></Delete>").encode()
    answer = s3.request("POST", "buck", query={"delete": ""}, body=body)
    expect(answer, 400, "InvalidRequest")
    md5 = {"Content-MD5": b64(hashlib.md5(body).digest())}
    answer = s3.request("POST", "buck", query={"delete": ""}, body=body, headers=md5)
    assert answer.status == 200
    assert texts(answer, "Deleted/Key") == ["a", "none"]
    assert texts(answer, "Error/Code") == ["PreconditionFailed"]
    assert sim.bucket("buck").keys() == ["b", "c"]
