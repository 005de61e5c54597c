# SPDX-License-Identifier: Apache-2.0
"""Archived objects and their restore, on the virtual clock."""

import re
from email.utils import parsedate_to_datetime

import pytest

from s3sim_support import expect, put, texts

HOUR, DAY = 3600, 86400


@pytest.fixture(params=["DEEP_ARCHIVE", "GLACIER"])
def archived(request, s3):
    """The class of an archived object `a`."""
    put(s3, "a", b"cold", headers={"x-amz-storage-class": request.param})
    return request.param


def restore(s3, days=1, tier="Bulk", key="a"):
    body = (f"<RestoreRequest><Days>{days}</Days><GlacierJobParameters>"
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
