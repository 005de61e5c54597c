# SPDX-License-Identifier: Apache-2.0
"""Conditional requests on single objects: every row of what S3 was recorded to
answer, races, and the quirks of lesser servers."""

import threading

import pytest

from s3sim import S3Sim
from s3sim.client import Client
from s3sim_support import ANY, etag, expect, put


def test_put_if_none_match(s3):
    put(s3, "a", headers=ANY)
    answer = expect(s3.request("PUT", "buck", "a", headers=ANY), 412,
                    "PreconditionFailed")
    assert b"<Condition>If-None-Match</Condition>" in answer.body
    tag = {"If-None-Match": etag(b"")}
    expect(s3.request("PUT", "buck", "a", headers=tag), 501, "NotImplemented")


def test_put_if_none_match_over_a_delete_marker(s3):
    put(s3, "a", bucket="vers", headers=ANY)
    expect(s3.request("PUT", "vers", "a", headers=ANY), 412, "PreconditionFailed")
    expect(s3.request("DELETE", "vers", "a"), 204)
    put(s3, "a", bucket="vers", headers=ANY)


def test_put_if_match(s3):
    put(s3, "a", b"1", headers={})
    for tag in etag(b"1"), etag(b"1").strip('"'):
        put(s3, "a", b"1", headers={"If-Match": tag})
    other = {"If-Match": etag(b"2")}
    expect(s3.request("PUT", "buck", "a", headers=other), 412, "PreconditionFailed")
    expect(s3.request("PUT", "buck", "b", headers=other), 404, "NoSuchKey")
    for headers in {"If-Match": "*"}, {"If-Match": etag(b"1"), **ANY}:
        expect(s3.request("PUT", "buck", "a", headers=headers), 501, "NotImplemented")


def test_put_if_match_on_a_delete_marker(s3):
    tag = put(s3, "a", bucket="vers").headers["ETag"]
    s3.request("DELETE", "vers", "a")
    expect(s3.request("PUT", "vers", "a", headers={"If-Match": tag}), 404, "NoSuchKey")


def test_delete_if_match(s3):
    put(s3, "a", b"1")
    for key, tag in (("a", etag(b"2")), ("b", etag(b"1"))):
        answer = s3.request("DELETE", "buck", key, headers={"If-Match": tag})
        expect(answer, 412, "PreconditionFailed")
    for name in "x-amz-if-match-size", "x-amz-if-match-last-modified-time":
        expect(s3.request("DELETE", "buck", "a", headers={name: "1"}), 501,
               "NotImplemented")
    expect(s3.request("DELETE", "buck", "a", headers={"If-Match": etag(b"1")}), 204)
    expect(s3.request("HEAD", "buck", "a"), 404)


def test_get_conditions(s3):
    put(s3, "a", b"1")
    tag, other = etag(b"1"), etag(b"2")
    answer = expect(s3.request("GET", "buck", "a", headers={"If-None-Match": tag}), 304)
    assert answer.body == b""
    expect(s3.request("GET", "buck", "a", headers={"If-None-Match": other}), 200)
    expect(s3.request("GET", "buck", "a", headers={"If-Match": tag}), 200)
    expect(s3.request("GET", "buck", "a", headers={"If-Match": other}), 412,
           "PreconditionFailed")


@pytest.mark.parametrize("bucket", ["buck", "vers"])
def test_one_of_many_creators_wins(sim, bucket):
    statuses = []
    barrier = threading.Barrier(16)

    def create(number):
        with Client(sim.url) as s3:
            barrier.wait()
            answer = s3.request("PUT", bucket, "lock", body=b"%d" % number, headers=ANY)
            statuses.append(answer.status)

    threads = [threading.Thread(target=create, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] + [412] * 15
    assert len(sim.bucket(bucket).ids("lock")) == 1


def test_quirks():
    with S3Sim(["buck"], quirks=["ignore-conditional"]) as sim, Client(sim.url) as s3:
        put(s3, "a")
        put(s3, "a", headers=ANY)
        put(s3, "b", headers={"If-Match": etag(b"no")})
    with S3Sim(["buck"], quirks=["refuse-conditional"]) as sim, Client(sim.url) as s3:
        expect(s3.request("PUT", "buck", "a", headers=ANY), 501, "NotImplemented")
    with S3Sim(["buck"], quirks=["no-checksum"]) as sim, Client(sim.url) as s3:
        put(s3, "a", headers={"x-amz-checksum-sha256": "nonsense"})
        mode = {"x-amz-checksum-mode": "ENABLED"}
        answer = s3.request("HEAD", "buck", "a", headers=mode)
        assert answer.headers["x-amz-checksum-sha256"] is None
    with pytest.raises(ValueError):
        S3Sim(quirks=["no-such"])
