# SPDX-License-Identifier: Apache-2.0
"""firn doctor: what it finds in directories, in the simulator, in Ceph RGW."""
import contextlib
import json
import os
import stat

import pytest

from conftest import s3_environment
from firn_tool import Firn
from policies import policy
from s3sim import S3Sim

VERB = {"list": "s3:ListBucket", "get": "s3:GetObject", "put": "s3:PutObject",
        "delete": "s3:DeleteObject"}


class Findings:
    """The document that doctor prints."""

    def __init__(self, firn, *args, status=0, **kw):
        self.document, = firn.json("doctor", *args, status=status, **kw)
        assert self.document["ok"] == (status == 0)
        self.list = self.document["findings"]
        for grade, count in (("missing", "missing"), ("warning", "warnings")):
            found = [f for f in self.list if f["grade"] == grade]
            assert len(found) == self.document[count]

    def of(self, check):
        return [f for f in self.list if f["check"] == check]

    def one(self, check):
        found, = self.of(check)
        return found

    def grade(self, check):
        return self.one(check)["grade"]

    def graded(self, grade):
        return {f["check"] for f in self.list if f["grade"] == grade}


@contextlib.contextmanager
def simulator(work, **options):
    with S3Sim(["bucket"], **options) as server:
        firn = Firn(work, "s3://bucket/firn", s3_environment(server.url))
        firn.sim = server
        yield firn


# A local directory.

def test_directory(work):
    place = work / "store"
    place.mkdir(mode=0o700)
    firn = Firn(work, str(place))
    found = Findings(firn)
    for check in ("reach", "put", "get", "list", "delete", "owner"):
        assert found.grade(check) == "ok"
    assert "none" in found.one("repository")["text"]
    assert found.one("latency-put")["value"] > 0
    assert found.one("throughput-get")["unit"] == "MiB/s"
    assert os.listdir(place) == []
    text = firn("doctor").out
    assert "all that is needed works" in text and "GiB" in text
    firn("init", "--kdf-memory", "1M")
    found = Findings(firn)
    repository = found.document["repository"]["id"]
    assert repository in found.one("repository")["text"]
    assert not (place / "probe").exists()


def test_directory_that_is_missing(work):
    found = Findings(Firn(work, str(work / "none")), status=1)
    assert found.graded("missing") == {"reach"}
    assert not (work / "none").exists()


def test_directory_of_others(work):
    place = work / "store"
    place.mkdir()
    place.chmod(0o777)
    found = Findings(Firn(work, str(place)))
    assert found.grade("owner") == "warning" and "0777" in found.one("owner")["text"]


def test_directory_without_room(work, root):
    place = work / "store"
    place.mkdir()
    assert os.system(f"mount -t tmpfs -o size=1m,nr_inodes=32 tmpfs {place}") == 0
    found = Findings(Firn(work, str(place)), status=1)
    assert {"room", "inodes"} <= found.graded("missing")
    assert found.grade("filesystem") == "warning"


def test_directory_that_is_read_only(work, root):
    place = work / "store"
    place.mkdir()
    assert os.system(f"mount -t tmpfs -o ro tmpfs {place}") == 0
    found = Findings(Firn(work, str(place)), status=1)
    assert found.grade("put") == "missing"
    assert "read-only" in found.one("put")["text"]
    assert found.of("delete") == []


# The simulator.

def test_bucket(work):
    with simulator(work) as firn:
        found = Findings(firn)
        assert found.graded("warning") == {"tls"}
        assert found.graded("ok") >= {"reach", "clock", "region", "conditional",
                                      "signed-body", "checksums", "ranges", *VERB}
        assert found.of("classes") == []
        assert firn.sim.bucket("bucket").keys() == []
        firn("init", "--kdf-memory", "1M")
        found = Findings(firn)
        assert found.document["repository"]["conditional_writes"] == "yes"
        assert all(not key.startswith("firn/probe") for key
                   in firn.sim.bucket("bucket").keys())
        firn("backup", work / "password")
        assert firn.check()[1]["problems"] == 0


def test_no_class_is_tried_unasked(work):
    """They cost money, and have minimum durations."""
    with simulator(work) as firn:
        Findings(firn)
        firn.sim.stats.reset()
        found = Findings(firn, "--classes")
        assert "DEEP_ARCHIVE" in found.one("classes")["text"]
        assert firn.sim.bucket("bucket").keys() == []
    assert "costs money" in firn("doctor", "--help").out


@pytest.mark.parametrize("verb", VERB)
def test_each_denied(work, verb):
    with simulator(work) as firn:
        firn("init", "--kdf-memory", "1M")
        firn("backup", work / "password")
        firn.sim.users.deny(VERB[verb])
        found = Findings(firn, status=1)
        assert found.graded("missing") == {verb}
        assert found.one(verb)["grant"] == VERB[verb]
        assert "meta/" in found.one(verb)["text"] and found.one(verb)["without"]
        left = [key for key in firn.sim.bucket("bucket").keys() if "/probe/" in key]
        if verb == "delete":
            named = found.one("left")["text"]
            assert left and all(key.removeprefix("firn/") in named for key in left)
        else:
            assert left == []


def test_one_part_denied(work):
    with simulator(work) as firn:
        firn.sim.users.deny("s3:PutObject", prefix="firn/meta/")
        found = Findings(firn, status=1)
        assert found.one("put")["text"].startswith("not allowed, but needed: meta/;")


def test_the_tier_has_to_be_found_out(work):
    """By every host that adds, but set by an owner alone."""
    with simulator(work) as firn:
        firn("init", "--kdf-memory", "1M", "--tier", "GLACIER_IR")
        found = Findings(firn, "--role", "write-only")
        assert "tier/" in found.one("put")["text"]		# allowed, and not needed
        firn("tier", "set", "GLACIER")
        text = json.dumps(policy("write-only", "bucket"))
        host = Firn(work, "s3://bucket/firn", s3_environment(firn.sim.url, "AKH", "SKH"))
        for text in text, text.replace("firn/tier/", "firn/other/"):
            firn.sim.users.add("AKH", "SKH", json.loads(text))
            found, = host.json("doctor", "--role", "write-only", status=None)
            lacking = [f["text"] for f in found["findings"] if f["check"] == "list"
                       and f["grade"] == "missing"]
            assert all(f.startswith("not allowed, but needed: tier/;") for f in lacking)
            assert len(lacking) == ("tier" not in text)
        firn.sim.users.deny("s3:GetObject", prefix="firn/tier/")
        lacking = [f["text"] for f in Findings(firn, "--role", "write-only", status=1).of("get")
                   if f["grade"] == "missing"]
        assert len(lacking) == 1
        assert lacking[0].startswith("not allowed, but needed: tier/;")


def test_a_bucket_that_does_not_tell_its_state(work):
    with simulator(work, versioned=True) as firn:
        assert "on" in Findings(firn).one("versioning")["text"]
        firn.sim.bucket("bucket").object_lock = ("COMPLIANCE", 7)
        assert "COMPLIANCE for 7 days" in Findings(firn).one("object-lock")["text"]
        firn.sim.users.deny("s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration")
        found = Findings(firn)
        assert found.one("versioning")["grant"] == "s3:GetBucketVersioning"
        assert found.grade("object-lock") == "fact"
        assert "old versions" in found.one("left")["text"]


@pytest.mark.parametrize("quirk,word", [("ignore-conditional", "ignored"),
                                        ("refuse-conditional", "refused")])
def test_conditions_that_are_not_honoured(work, quirk, word):
    with simulator(work, quirks=[quirk]) as firn:
        found = Findings(firn)
        assert found.grade("conditional") == "warning"
        assert word in found.one("conditional")["text"]
        assert firn.sim.bucket("bucket").keys() == []
        said = firn("init", "--kdf-memory", "1M").err
        assert said.count("conditional writes") == 1
        assert Findings(firn).document["repository"]["conditional_writes"] == word


def test_versioning_that_was_switched_on_later(work):
    with simulator(work, quirks=["ignore-conditional-versioned"]) as firn:
        firn("init", "--kdf-memory", "1M")
        assert Findings(firn).of("changed") == []
        firn("backup", work / "password")
        firn.sim.bucket("bucket").versioning = "Enabled"
        found = Findings(firn)
        assert found.grade("conditional") == "warning"
        assert found.grade("changed") == "fact"
        firn("init", status=1)
        firn("backup", work / "password")
        (work / "second").write_text("second\n")
        firn("key", "add", "--new-password-file", work / "second",
             "--kdf-memory", "1M")
        assert len(firn.generations()) == 2 and firn.check()[1]["problems"] == 0


def test_checksums_that_are_demanded(work):
    """A bucket with a default of Object Lock: no put of ours is without."""
    with simulator(work, quirks=["want-checksum"]) as firn:
        found = Findings(firn)
        assert found.grade("checksums") == found.grade("conditional") == "ok"
        assert found.grade("signed-body") == "ok"
        assert not any(r.status == 400 and "x-amz-checksum-sha256" not in r.amz
                       for r in firn.sim.requests)


def test_checksums_that_are_ignored(work):
    with simulator(work, quirks=["no-checksum"]) as firn:
        assert Findings(firn).grade("checksums") == "warning"


@pytest.mark.parametrize("skew,grade", [(0, "ok"), (300, "warning"), (-7200, "warning")])
def test_clock(work, skew, grade):
    with simulator(work) as firn:
        firn.sim.clock.skew = skew
        found = Findings(firn)
        assert found.grade("clock") == grade
        if skew:
            assert str(abs(skew))[:2] in found.one("clock")["text"] or \
                str(abs(skew) - 1)[:2] in found.one("clock")["text"]


def test_region(work):
    with simulator(work, region="eu-west-3") as firn:
        found = Findings(firn)
        assert found.grade("region") == "warning"
        assert "eu-west-3" in found.one("region")["text"]
        firn.env["AWS_REGION"] = "eu-west-3"
        assert Findings(firn).grade("region") == "ok"


@pytest.mark.parametrize("change,word", [
    ({"AWS_SECRET_ACCESS_KEY": "WRONG"}, "SignatureDoesNotMatch"),
    ({"AWS_ACCESS_KEY_ID": "NOBODY"}, "InvalidAccessKeyId"),
    ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "no connection"),
    ({"FIRN_REPOSITORY": "s3://other/firn"}, "NoSuchBucket")])
def test_nothing_to_be_had(work, change, word):
    with simulator(work) as firn:
        found = Findings(firn, "--timeout", "2", status=1, env=change)
        assert found.graded("missing") == {"reach"} and len(found.list) == 1
        assert word in found.one("reach")["text"]


def test_an_untrusted_certificate_is_told(work):
    """An endpoint that speaks no TLS."""
    with simulator(work) as firn:
        url = firn.sim.url.replace("http://", "https://")
        found = Findings(firn, "--timeout", "2", status=1,
                         env={"AWS_ENDPOINT_URL": url})
        assert "encrypted" in found.one("reach")["text"]


@pytest.mark.parametrize("kind", ["500", "503-slowdown", "reset-before"])
def test_faults_that_pass(work, kind):
    with simulator(work) as firn:
        firn.sim.faults.add(kind, probability=0.1, times=10)
        Findings(firn)


def test_changed_ranges_are_seen(work):
    """A proxy that spoils what is read."""
    with simulator(work) as firn:
        firn.sim.faults.add("corrupt", verb="GetObject", prefix="firn/probe/")
        assert Findings(firn, status=1).grade("ranges") == "missing"


def test_usage(work):
    firn = Firn(work, str(work))
    firn("doctor", "--role", "king", status=2)
    firn("doctor", "more", status=2)
    os.chmod(work, stat.S_IRWXU)
    quiet = firn("doctor", "-q").out
    assert all(line.startswith(("warning", " ")) for line in quiet.splitlines())


# Ceph RGW.

@pytest.mark.parametrize("versioned", [False, True])
def test_rgw(work, rgw, versioned):
    bucket = f"doctor{int(versioned)}"
    rgw.create_bucket(bucket, versioned)
    firn = Firn(work, f"s3://{bucket}/firn",
                s3_environment(rgw.url, rgw.access_key, rgw.secret_key))
    found = Findings(firn, "--classes")
    assert found.grade("conditional") == ("warning" if versioned else "ok")
    assert found.one("versioning")["text"].startswith("on" if versioned else "off")
    assert found.grade("checksums") == "warning"	# it knows none
    assert found.grade("signed-body") == "ok"
    assert "taken: STANDARD " in found.one("classes")["text"] + " "
    assert "GLACIER" in found.one("classes")["text"].split(";")[0]
    for verb in VERB:
        assert found.grade(verb) == "ok"
    with rgw.client() as client:
        answer = client.request("GET", bucket, query={"list-type": "2"})
        assert b"<Key>" not in answer.body
