# SPDX-License-Identifier: Apache-2.0
"""Of those who make one repository at once, one succeeds, on every server; and
one that is there is left alone."""
import hashlib
import os

import pytest

from conftest import EVERY, s3_environment
from firn_tool import Firn
from s3sim import S3Sim
from s3sim.client import Client
from test_store_contract import SERVERS

MANY = 3
CLAIM = "probe/claim-" + hashlib.sha256(b"config").hexdigest()[:32]


def keys(client, bucket, prefix=""):
    answer = client.request("GET", bucket, query={"list-type": "2", "prefix": prefix})
    assert answer.status == 200
    return [piece.split("</Key>")[0] for piece
            in answer.body.decode().split("<Key>")[1:]]


def race(work, env, url, client, bucket):
    """Several inits of one place at once."""
    prefix = url.removeprefix(f"s3://{bucket}/")
    contenders = [Firn(work, url, env) for _ in range(MANY)]
    runs = [firn.start("init", "--kdf-memory", "1M") for firn in contenders]
    said = [run.communicate() for run in runs]
    assert sorted(run.returncode for run in runs) == [0] + [1] * (MANY - 1), said
    names = keys(client, bucket, prefix + "/")
    # The losers have taken their keys back, and nobody's claim is left.
    assert len(names) == 2 and f"{prefix}/config" in names, names
    firn = contenders[0]
    firn("backup", work / "password")
    assert firn.check()[1]["problems"] == 0
    again = firn("init", status=1)
    assert "holds a repository already" in again.err
    assert len(firn.json("key", "list")) == 1


@pytest.mark.parametrize("server", SERVERS)
def test_simulator(work, server):
    with S3Sim(["bucket"], latency=0.02, **SERVERS[server]) as sim, \
            Client(sim.url) as client:
        for i in range(2 if EVERY else 1):
            race(work, s3_environment(sim.url), f"s3://bucket/r{i}", client, "bucket")


@pytest.mark.parametrize("versioned", [False, True])
def test_rgw(work, rgw, versioned):
    bucket = f"race{int(versioned)}"
    rgw.create_bucket(bucket, versioned)
    with rgw.client() as client:
        env = s3_environment(rgw.url, rgw.access_key, rgw.secret_key)
        race(work, env, f"s3://{bucket}/r", client, bucket)


def test_a_stray_refusal(work):
    """Of a server that is known to honour conditions: no put goes without."""
    with S3Sim(["bucket"]) as sim:
        sim.faults.add("501", verb="PutObject", prefix="r/config", times=1)
        firn = Firn(work, "s3://bucket/r", s3_environment(sim.url))
        said = firn("init", "--kdf-memory", "1M", status=1).err
        assert "NotImplemented" in said
        assert [r.status for r in sim.requests if r.key == "r/config" and
                r.operation == "PutObject"] == [501]
        assert sim.bucket("bucket").keys() == []
        firn("init", "--kdf-memory", "1M")


def test_a_lost_answer(work):
    """The config is there for all that anybody knows, so its key is left."""
    with S3Sim(["bucket"]) as sim:
        sim.faults.add("lost-reply", verb="PutObject", prefix="r/config", times=1)
        sim.faults.add("reset-before", verb="PutObject", prefix="r/config")
        firn = Firn(work, "s3://bucket/r", s3_environment(sim.url))
        firn("--timeout", "1", "init", "--kdf-memory", "1M", status=1)
        sim.faults.clear()
        firn("backup", work / "password")
        assert firn.check()[1]["problems"] == 0


def test_a_claim_of_the_dead(work):
    """It does not count once it is 15 minutes old, and is cleared away."""
    with S3Sim(["bucket"], quirks=["ignore-conditional"]) as sim, \
            Client(sim.url) as client:
        name = f"r/{CLAIM}/{'0' * 32}"
        assert client.request("PUT", "bucket", name, body=b"0").status == 200
        sim.clock.advance(16 * 60)
        Firn(work, "s3://bucket/r", s3_environment(sim.url))("init", "--kdf-memory", "1M")
        assert name not in keys(client, "bucket")


def test_a_claim_has_a_checksum(work):
    """As buckets with a default of Object Lock demand of every put."""
    with S3Sim(["bucket"], quirks=["ignore-conditional", "want-checksum"]) as sim:
        Firn(work, "s3://bucket/r", s3_environment(sim.url))("init", "--kdf-memory", "1M")
        puts = [r for r in sim.requests if r.operation == "PutObject"]
        assert any(CLAIM in r.key for r in puts)
        assert all(r.status == 200 and "x-amz-checksum-sha256" in r.amz for r in puts)


def test_a_claim_of_the_living(work):
    """Its writer goes first; when it does not end, nobody believes to have won."""
    with S3Sim(["bucket"], quirks=["refuse-conditional"]) as sim, \
            Client(sim.url) as client:
        name = f"r/{CLAIM}/{'0' * 32}"
        assert client.request("PUT", "bucket", name, body=b"0").status == 200
        firn = Firn(work, "s3://bucket/r", s3_environment(sim.url))
        said = firn("init", "--kdf-memory", "1M", status=1).err
        assert "another writer is at it" in said
        assert keys(client, "bucket") == [name]


def test_who_may_not_delete_can_init(work):
    """Its claim stays, and is no obstacle to anybody."""
    with S3Sim(["bucket"], quirks=["ignore-conditional"]) as sim:
        sim.users.deny("s3:DeleteObject")
        firn = Firn(work, "s3://bucket/r", s3_environment(sim.url))
        firn("init", "--kdf-memory", "1M")
        firn("backup", work / "password")
        assert "already" in firn("init", status=1).err
        assert firn.check()[1]["problems"] == 0


def test_directory(work):
    """The same where the store is one."""
    contenders = [Firn(work, str(work / "place")) for _ in range(MANY)]
    runs = [firn.start("init", "--kdf-memory", "1M") for firn in contenders]
    said = [run.communicate() for run in runs]
    assert sorted(run.returncode for run in runs) == [0] + [1] * (MANY - 1), said
    assert len(os.listdir(work / "place" / "keys")) == 1
