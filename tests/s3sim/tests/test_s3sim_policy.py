# SPDX-License-Identifier: Apache-2.0
"""Keys with policies, denials, bucket policies, and what a bucket says of itself."""

import pytest

from s3sim import S3Sim
from s3sim.client import Client
from s3sim.policy import like, parse
from s3sim_support import ANY, expect, put, texts


def document(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def statement(actions, resources, effect="Allow", **condition):
    row = {"Effect": effect, "Action": actions, "Resource": resources}
    return dict(row, Condition=condition) if condition else row


@pytest.fixture
def other(sim):
    """A further key, which may put and read below a/ and list it."""
    sim.users.add("AKB", "SKB", document(
        statement(["s3:PutObject", "s3:GetObject"], "arn:aws:s3:::buck/a/*"),
        statement("s3:ListBucket", "arn:aws:s3:::buck",
                  StringLike={"s3:prefix": ["a/*"]})))
    with Client(sim.url, "AKB", "SKB") as client:
        yield client


def test_patterns():
    assert like("a*c", "abbc") and like("a?c", "abc") and like("*", "a/b")
    assert not like("a.c", "abc") and not like("a", "ab")


def test_a_policy_allows_what_it_says(s3, other):
    put(s3, "b")
    put(other, "a/x", b"1")
    expect(other.request("PUT", "buck", "b"), 403, "AccessDenied")
    assert other.request("GET", "buck", "a/x").body == b"1"
    expect(other.request("GET", "buck", "b"), 403, "AccessDenied")
    expect(other.request("HEAD", "buck", "b"), 403)
    expect(other.request("DELETE", "buck", "a/x"), 403, "AccessDenied")
    for query, status in (({"prefix": "a/"}, 200), ({"prefix": "a/x"}, 200),
                          ({"prefix": "b"}, 403), ({}, 403)):
        answer = other.request("GET", "buck", query={"list-type": "2", **query})
        assert answer.status == status, query
    assert s3.request("GET", "buck", "a/x").body == b"1"


def test_who_may_not_list_is_not_told_what_is_missing(s3, other):
    expect(other.request("GET", "buck", "a/none"), 403, "AccessDenied")
    expect(s3.request("GET", "buck", "a/none"), 404, "NoSuchKey")


def test_nothing_is_done_that_is_denied(sim, s3):
    put(s3, "a/x")
    sim.users.deny("s3:PutObject", "s3:DeleteObject", prefix="a/")
    expect(s3.request("PUT", "buck", "a/x", body=b"2"), 403, "AccessDenied")
    expect(s3.request("DELETE", "buck", "a/x"), 403, "AccessDenied")
    assert sim.bucket("buck").get("a/x") == b"x"
    put(s3, "b")
    sim.users.deny("s3:ListBucket")
    expect(s3.request("GET", "buck", query={"list-type": "2"}), 403, "AccessDenied")
    sim.users.allow_all()
    expect(s3.request("DELETE", "buck", "a/x"), 204)


def test_denied_before_the_body_is_looked_at(sim, s3):
    """As in S3; what a client may do can so be found out without a write."""
    wrong = {"x-amz-content-sha256": "0" * 64}
    answer = s3.request("PUT", "buck", "a", body=b"x", headers=wrong)
    expect(answer, 400, "XAmzContentSHA256Mismatch")
    sim.users.deny("s3:PutObject")
    expect(s3.request("PUT", "buck", "a", body=b"x", headers=wrong), 403, "AccessDenied")


def test_a_bucket_policy_that_forbids_overwriting(sim, s3):
    sim.set_bucket_policy(document(dict(
        statement("s3:PutObject", "arn:aws:s3:::buck/*", "Deny",
                  Null={"s3:if-none-match": "true"}), Principal="*")))
    expect(s3.request("PUT", "buck", "a"), 403, "AccessDenied")
    put(s3, "a", headers=ANY)
    expect(s3.request("PUT", "buck", "a", headers=ANY), 412, "PreconditionFailed")
    sim.set_bucket_policy(None)
    put(s3, "a")


@pytest.mark.parametrize("wrong", [
    statement("s3:*", "*", IpAddress={"aws:SourceIp": "::1"}),
    statement("s3:*", "*", StringLike={"s3:delimiter": "/"}),
    dict(statement("s3:*", "*"), NotAction="s3:PutObject"),
    statement("s3:*", "*", effect="Maybe")])
def test_what_is_not_simulated_is_refused(wrong):
    with pytest.raises(ValueError):
        parse(document(wrong))


def test_object_lock_and_versioning(sim, s3):
    where = {"object-lock": ""}
    expect(s3.request("GET", "buck", query=where), 404,
           "ObjectLockConfigurationNotFoundError")
    sim.bucket("vers").object_lock = ("GOVERNANCE", 30)
    answer = expect(s3.request("GET", "vers", query=where), 200)
    assert texts(answer, "Rule/DefaultRetention/Days") == ["30"]
    sim.users.deny("s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration")
    expect(s3.request("GET", "vers", query=where), 403, "AccessDenied")
    expect(s3.request("GET", "vers", query={"versioning": ""}), 403, "AccessDenied")


def test_conditions_ignored_with_versions():
    with S3Sim(["buck"], quirks=["ignore-conditional-versioned"]) as sim, \
            Client(sim.url) as s3:
        sim.state.create("vers", "Enabled")
        for bucket, status in (("buck", 412), ("vers", 200)):
            put(s3, "a", bucket=bucket, headers=ANY)
            assert s3.request("PUT", bucket, "a", headers=ANY).status == status
