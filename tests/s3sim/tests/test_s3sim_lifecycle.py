# SPDX-License-Identifier: Apache-2.0
"""Lifecycle configurations, and what their transitions do."""

import hashlib

import pytest

from s3sim_support import b64, expect, put

DAY = 86400
MINIMUM = "x-amz-transition-default-minimum-object-size"
MOVE = ("<Transition><Days>{}</Days><StorageClass>{}</StorageClass></Transition>")


def rule(name="one", prefix="data/", days=7, to="GLACIER", v1=False, status="Enabled"):
    where = f"<Prefix>{prefix}</Prefix>"
    where = where if v1 else f"<Filter>{where}</Filter>"
    return (f"<Rule><ID>{name}</ID>{where}<Status>{status}</Status>"
            f"{MOVE.format(days, to)}</Rule>")


def put_rules(s3, *rules, **headers):
    body = f"<LifecycleConfiguration>{''.join(rules)}</LifecycleConfiguration>".encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    md5 = b64(hashlib.md5(body).digest())
    return s3.request("PUT", "buck", query={"lifecycle": ""}, body=body,
                      headers={"content-md5": md5, **named}), body


def get_rules(s3):
    return s3.request("GET", "buck", query={"lifecycle": ""})


def test_life_of_a_configuration(s3):
    expect(get_rules(s3), 404, "NoSuchLifecycleConfiguration")
    answer, body = put_rules(s3, rule(), rule("two", "logs/"))
    expect(answer, 200)
    assert get_rules(s3).body == body
    assert get_rules(s3).headers[MINIMUM] == "all_storage_classes_128K"
    put_rules(s3, rule(), x_amz_transition_default_minimum_object_size=
              "varies_by_storage_class")
    assert get_rules(s3).headers[MINIMUM] == "varies_by_storage_class"
    expect(s3.request("DELETE", "buck", query={"lifecycle": ""}), 204)
    expect(get_rules(s3), 404, "NoSuchLifecycleConfiguration")


@pytest.mark.parametrize("rules, code", [
    ([], "MalformedXML"), ([rule(), rule()], "InvalidArgument"),
    ([rule(), rule("two", v1=True)], "InvalidRequest"),
    ([rule(status="On")], "MalformedXML"),
    ([rule(to="STANDARD_IA", days=7)], "InvalidArgument"),
    ([rule(to="STANDARD")], "MalformedXML"),
    (["<Rule><Filter></Filter><Status>Enabled</Status></Rule>"], "InvalidRequest")])
def test_refusals(s3, rules, code):
    expect(put_rules(s3, *rules)[0], 400, code)


def test_without_digest(s3):
    expect(s3.request("PUT", "buck", query={"lifecycle": ""}, body=b"<x/>"),
           400, "InvalidRequest")


def test_transitions(sim, s3):
    put(s3, "data/a", b"x" * (128 << 10))
    put(s3, "data/small")
    put(s3, "meta/a", b"x" * (128 << 10))
    put_rules(s3, rule(days=7))
    assert sim.run_lifecycle("buck") == 0
    sim.clock.advance(7 * DAY)
    assert sim.run_lifecycle("buck") == 1
    classes = [s3.request("HEAD", "buck", key).headers["x-amz-storage-class"]
               for key in ("data/a", "data/small", "meta/a")]
    assert classes == ["GLACIER", None, None]
    expect(s3.request("GET", "buck", "data/a"), 403, "InvalidObjectState")
