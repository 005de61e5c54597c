# SPDX-License-Identifier: Apache-2.0
"""Archived objects and their restore, on the virtual clock."""

import re
from email.utils import parsedate_to_datetime

import pytest

from s3sim_support import expect, put, texts

from s3sim import S3Sim
from s3sim.client import Client

HOUR, DAY = 3600, 86400


@pytest.fixture(params=["DEEP_ARCHIVE", "GLACIER"])
def archived(request, s3):
    """The class of an archived object `a`."""
    put(s3, "a", b"cold", headers={"x-amz-storage-class": request.param})
    return request.param


def restore(s3, days=1, tier="Bulk", key="a"):
    inner = "" if days is None else f"<Days>{days}</Days>"
    body = (f"<RestoreRequest>{inner}<GlacierJobParameters>"
            f"<Tier>{tier}</Tier></GlacierJobParameters></RestoreRequest>").encode()
    return s3.request("POST", "buck", key, {"restore": ""}, body)


def state(s3):
    return expect(s3.request("HEAD", "buck", "a"), 200).headers["x-amz-restore"]


def listed(s3):
    headers = {"x-amz-optional-object-attributes": "RestoreStatus"}
    answer = s3.request("GET", "buck", query={"list-type": "2"}, headers=headers)
    return (texts(answer, "Contents/RestoreStatus/IsRestoreInProgress"),
            texts(answer, "Contents/RestoreStatus/RestoreExpiryDate"))


def refused(s3, archived):
    answer = expect(s3.request("GET", "buck", "a"), 403, "InvalidObjectState")
    assert f"<StorageClass>{archived}<".encode() in answer.body


def test_life_of_a_restore(sim, s3, archived):
    refused(s3, archived)
    assert state(s3) is None and listed(s3) == ([], [])
    expect(restore(s3, 2), 202)
    assert state(s3) == 'ongoing-request="true"' and listed(s3) == (["true"], [])
    refused(s3, archived)
    expect(restore(s3, 2), 409, "RestoreAlreadyInProgress")
    expect(restore(s3, 3, "Standard"), 409, "RestoreAlreadyInProgress")
    sim.clock.advance(48 * HOUR + 1)
    assert s3.request("GET", "buck", "a").body == b"cold"
    match = re.fullmatch('ongoing-request="false", expiry-date="(.*)"', state(s3))
    expiry = parsedate_to_datetime(match[1]).timestamp()
    ready = sim.clock.now()
    assert expiry % DAY == 0 and 0 < expiry - ready < 3 * DAY
    assert listed(s3)[0] == ["false"] and len(listed(s3)[1]) == 1
    expect(restore(s3, 10), 200)
    sim.clock.advance(9 * DAY)
    assert s3.request("GET", "buck", "a").body == b"cold"
    sim.clock.advance(3 * DAY)
    assert state(s3) is None and listed(s3) == ([], [])
    refused(s3, archived)
    expect(restore(s3), 202)


def test_hastening(sim, s3, archived):
    expect(restore(s3, 1, "Bulk"), 202)
    expect(restore(s3, 1, "Standard"), 202)
    expect(restore(s3, 1, "Bulk"), 409, "RestoreAlreadyInProgress")
    sim.clock.advance(12 * HOUR + 1)
    assert s3.request("GET", "buck", "a").body == b"cold"


def test_refusals(s3, archived):
    fast = restore(s3, 1, "Expedited")
    assert fast.status == (202 if archived == "GLACIER" else 400)
    put(s3, "warm")
    expect(restore(s3, key="warm"), 403, "InvalidObjectState")
    expect(restore(s3, key="none"), 404, "NoSuchKey")
    for days in 0, "", "x":
        expect(restore(s3, days), 400, "MalformedXML")


@pytest.fixture
def automatic(s3):
    put(s3, "a", b"cold", headers={"x-amz-storage-class": "INTELLIGENT_TIERING"})


@pytest.mark.parametrize("tier", ["ARCHIVE_ACCESS", "DEEP_ARCHIVE_ACCESS"])
def test_archive_tiers(sim, s3, automatic, tier):
    assert s3.request("GET", "buck", "a").body == b"cold"
    expect(restore(s3, None), 403, "ObjectAlreadyInActiveTierError")
    assert sim.archive("buck", ["a"], tier=tier) == 1
    answer = expect(s3.request("GET", "buck", "a"), 403, "InvalidObjectState")
    assert f"<AccessTier>{tier}<".encode() in answer.body
    head = expect(s3.request("HEAD", "buck", "a"), 200).headers
    assert head["x-amz-archive-status"] == tier and not head["x-amz-restore"]
    expect(restore(s3, 3), 400, "MalformedXML")		# it has no days
    fast = restore(s3, None, "Expedited")
    assert fast.status == (202 if tier == "ARCHIVE_ACCESS" else 400)
    if fast.status != 202:
        expect(restore(s3, None), 202)
    assert state(s3) == 'ongoing-request="true"'
    sim.clock.advance(48 * HOUR + 1)
    head = expect(s3.request("HEAD", "buck", "a"), 200).headers
    assert not head["x-amz-archive-status"] and not head["x-amz-restore"]
    sim.clock.advance(400 * DAY)				# and for ever
    assert s3.request("GET", "buck", "a").body == b"cold"


def test_order_of_readiness(sim, s3):
    cold = {"x-amz-storage-class": "DEEP_ARCHIVE"}
    for key in "abc":
        put(s3, key, key.encode(), headers=cold)
        expect(restore(s3, key=key), 202)
    assert sim.make_ready("buck", ["c"]) == 1 and sim.make_ready("buck", ["c"]) == 0
    assert [s3.request("GET", "buck", key).status for key in "abc"] == [403, 403, 200]
    assert sim.make_ready("buck", prefix="") == 2
    assert sim.expire("buck", ["a"]) == 1
    assert [s3.request("GET", "buck", key).status for key in "abc"] == [403, 200, 200]


def test_counts_of_restores(sim, s3, archived):
    for status in 202, 409, 409:
        assert restore(s3).status == status
    assert sim.stats.restores_of("buck") == {
        "a": {"202": 1, "RestoreAlreadyInProgress": 2}}
    refused(s3, archived)
    assert sim.stats.describe()["codes"]["InvalidObjectState"] == 1


def test_throttling_of_restores(sim, s3, archived):
    sim.restores.per_second = 0
    expect(restore(s3), 400, "ThrottlingException")
    sim.restores.per_second = None
    expect(restore(s3), 202)


def test_quirks():
    with S3Sim(["buck"], quirks=["any-class", "restore-200", "no-expedited",
                                 "ignore-restore-status"]) as sim, \
            Client(sim.url) as s3:
        put(s3, "b", headers={"x-amz-storage-class": "COLD_STORE"})
        assert expect(s3.request("GET", "buck", "b"), 200).headers[
            "x-amz-storage-class"] == "COLD_STORE"
        put(s3, "a", headers={"x-amz-storage-class": "GLACIER"})
        expect(restore(s3, tier="Expedited"), 503, "GlacierExpeditedRetrievalNotAvailable")
        expect(restore(s3), 200)
        refused(s3, "GLACIER")
        assert listed(s3) == ([], [])
        sim.set_quirks(remove=["ignore-restore-status"])
        assert listed(s3) == (["true"], [])
