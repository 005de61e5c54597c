# SPDX-License-Identifier: Apache-2.0
"""The meter against sums by hand, at the prices of data/prices.conf."""

import pytest

from s3sim_support import expect, put

GB = 1 << 30
DAY = 86400
SIZE = 1 << 20


def bill(sim):
    return sim.meter.describe()


def restore(s3, days=1, tier="Bulk", key="a"):
    body = (f"<RestoreRequest><Days>{days}</Days><GlacierJobParameters>"
            f"<Tier>{tier}</Tier></GlacierJobParameters></RestoreRequest>").encode()
    return s3.request("POST", "buck", key, {"restore": ""}, body)


def put_cold(s3, key="a", of="DEEP_ARCHIVE"):
    put(s3, key, bytes(SIZE), headers={"x-amz-storage-class": of})


def test_requests(sim, s3):
    put_cold(s3)
    put(s3, "b", bytes(SIZE), headers={"x-amz-storage-class": "STANDARD_IA"})
    s3.request("GET", "buck", query={"list-type": "2"})
    s3.request("HEAD", "buck", "b")
    expect(s3.request("GET", "buck", "b"), 200)
    expect(s3.request("GET", "buck", "a"), 403, "InvalidObjectState")
    s3.request("DELETE", "buck", "none")
    assert bill(sim)["requests"] == pytest.approx(
        (.05 + .01 + .005 + .001 + .001 + .0004) / 1000)
    assert bill(sim)["retrieval"] == pytest.approx(.01 * SIZE / GB)
    assert bill(sim)["egress"] == pytest.approx(.09 * SIZE / GB)


def test_restores(sim, s3):
    put_cold(s3)
    sim.meter.reset()
    expect(restore(s3), 202)
    assert bill(sim)["restores"] == pytest.approx(.025 / 1000 + .0025 * SIZE / GB)
    assert bill(sim)["copies_asked"] == pytest.approx(.023 * SIZE / GB / 30)
    expect(restore(s3, tier="Standard"), 202)
    assert bill(sim)["restores"] == pytest.approx((.025 + .10) / 1000 + .02 * SIZE / GB)
    assert restore(s3).status == 409
    sim.make_ready("buck", ["a"])
    expect(restore(s3, 5), 200)
    assert bill(sim)["restores"] == pytest.approx((.05 + .10) / 1000 + .02 * SIZE / GB)
    assert bill(sim)["copies_asked"] == pytest.approx(5 * .023 * SIZE / GB / 30)
    assert 5 <= bill(sim)["copies"] / (.023 * SIZE / GB / 30) <= 6.01
    sim.expire("buck", ["a"])
    assert bill(sim)["copies"] < .023 * SIZE / GB / 30
    assert bill(sim)["restore_requests"] == {"Bulk": 2, "Standard": 1}


def test_storage(sim, s3):
    put_cold(s3)
    sim.clock.advance(30 * DAY)
    month = (SIZE + 32768) / GB * .00099 + 8192 / GB * .023
    assert bill(sim)["storage"] == pytest.approx(month, rel=1e-4)
    expect(s3.request("DELETE", "buck", "a"), 204)
    assert bill(sim)["early"] == pytest.approx(5 * month, rel=1e-4)
    assert bill(sim)["storage"] == pytest.approx(month, rel=1e-4)
    total = bill(sim)
    assert total["total"] == pytest.approx(total["storage"] + total["early"]
                                           + total["requests"])
