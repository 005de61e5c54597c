# SPDX-License-Identifier: Apache-2.0
"""CopyObject, above all of an object onto itself."""

import pytest

from s3sim_support import expect, put, texts

SSE = "x-amz-server-side-encryption"


def copy(s3, source="/buck/a", key="a", **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return s3.request("PUT", "buck", key, headers={"x-amz-copy-source": source, **named})


def head(s3, key="a"):
    return expect(s3.request("HEAD", "buck", key,
                             headers={"x-amz-checksum-mode": "ENABLED"}), 200).headers


def test_another_class(s3):
    put(s3, "a", b"text", headers={"x-amz-meta-who": "me", SSE: "AES256"})
    etag = head(s3)["etag"]
    answer = expect(copy(s3, x_amz_storage_class="STANDARD_IA",
                         x_amz_checksum_algorithm="SHA256"), 200)
    assert texts(answer, "ETag") == [etag]
    after = head(s3)
    assert after["x-amz-storage-class"] == "STANDARD_IA" and after["etag"] == etag
    assert after["x-amz-checksum-sha256"] == texts(answer, "ChecksumSHA256")[0]
    assert after["x-amz-meta-who"] == "me"
    assert after[SSE] is None			# it is not carried over
    assert s3.request("GET", "buck", "a").body == b"text"


def test_refusals(sim, s3):
    put(s3, "a", b"text")
    expect(copy(s3), 400, "InvalidRequest")	# nothing would change
    expect(copy(s3, "/buck/none"), 404, "NoSuchKey")
    expect(copy(s3, "/other/a"), 404, "NoSuchBucket")
    expect(copy(s3, x_amz_copy_source_if_match='"x"', x_amz_storage_class="GLACIER"),
           412, "PreconditionFailed")
    expect(copy(s3, x_amz_storage_class="GLACIER"), 200)
    expect(copy(s3, x_amz_storage_class="STANDARD"), 403, "ObjectNotInActiveTierError")
    sim.users.deny("s3:GetObject")
    expect(copy(s3, x_amz_storage_class="STANDARD"), 403, "AccessDenied")


def test_encoded_source(s3):
    put(s3, "a b+c", b"text")
    expect(copy(s3, "buck/a%20b%2Bc", "d"), 200)
    assert s3.request("GET", "buck", "d").body == b"text"


def test_restored_source(sim, s3):
    put(s3, "a", b"text", headers={"x-amz-storage-class": "DEEP_ARCHIVE"})
    body = b"<RestoreRequest><Days>1</Days></RestoreRequest>"
    expect(s3.request("POST", "buck", "a", {"restore": ""}, body), 202)
    expect(copy(s3, x_amz_storage_class="STANDARD"), 403, "ObjectNotInActiveTierError")
    sim.make_ready("buck", ["a"])
    expect(copy(s3, x_amz_storage_class="STANDARD"), 200)
    assert head(s3)["x-amz-storage-class"] is None


@pytest.mark.parametrize("kind", ["200-error", "500-after-commit"])
def test_faults(sim, s3, kind):
    put(s3, "a", b"text")
    sim.faults.add(kind, verb="CopyObject")
    answer = copy(s3, x_amz_storage_class="GLACIER")
    assert answer.code == "InternalError"
    assert head(s3)["x-amz-storage-class"] == (
        "GLACIER" if kind == "500-after-commit" else None)
