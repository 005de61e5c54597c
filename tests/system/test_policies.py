# SPDX-License-Identifier: Apache-2.0
"""The policies that we install: each role can do its work, and nothing else."""
import os
import random
import signal

import pytest

from conftest import s3_environment
from firn_tool import Firn, wait_for
from policies import bucket_policy, policy
from rgw import Credentials
from s3sim import S3Sim
from s3sim.client import Client

ANY = {"If-None-Match": "*"}
PARTS = ["config", "keys", "index", "gen", "meta", "data"]
LISTED = ["keys", "index", "meta", "data"]


class Shop:
    """A bucket with three keys: of an owner, a reader, a host that only adds."""

    def __init__(self, work, url, bucket, keys):
        self.work, self.url, self.bucket, self.keys = work, url, bucket, keys
        self.new_password = work / "web1.password"
        self.new_password.write_text("a host's own\n")
        self.owner = self.firn("owner")
        self.reader = self.firn("reader")
        self.host = self.firn("host")
        self.host.env["FIRN_PASSWORD_FILE"] = str(self.new_password)

    def firn(self, role):
        access, secret = self.keys[role]
        firn = Firn(self.work, f"s3://{self.bucket}/firn",
                    s3_environment(self.url, access, secret))
        firn.env["FIRN_CACHE_DIR"] = str(self.work / f"cache-{role}")
        return firn

    def client(self, role):
        return Client(self.url, *self.keys[role])

    def set_up(self):
        self.owner("init", "--kdf-memory", "1M")
        self.owner("key", "add", "--role", "write-only", "--label", "web1",
                   "--new-password-file", self.new_password, "--kdf-memory", "1M")
        return self

    def names(self, part=""):
        """Keys of the repository's objects, as the owner sees them."""
        with self.client("owner") as client:
            answer = client.request("GET", self.bucket, query={
                "list-type": "2", "prefix": f"firn/{part}"})
        assert answer.status == 200, answer
        return [piece.split("</Key>")[0] for piece
                in answer.body.decode().split("<Key>")[1:]]


KEYS = {role: (f"AK{role.upper()}", f"SK{role.upper()}")
        for role in ("owner", "reader", "host")}
FILES = {"owner": "owner", "reader": "reader", "host": "write-only"}


@pytest.fixture
def sim_shop(work):
    with S3Sim(["bucket"]) as server:
        for role, (access, secret) in KEYS.items():
            server.users.add(access, secret, policy(FILES[role], "bucket"))
        shop = Shop(work, server.url, "bucket", KEYS)
        shop.sim = server
        yield shop.set_up()


@pytest.fixture(scope="session")
def rgw_users(rgw):
    for role, keys in KEYS.items():
        rgw.user(role, Credentials(*keys))
    return rgw


def make_rgw_shop(work, rgw, bucket, versioned):
    rgw.create_bucket(bucket, versioned)
    rgw.set_policy(bucket, bucket_policy(bucket, FILES))
    shop = Shop(work, rgw.url, bucket, KEYS)
    shop.rgw = rgw
    return shop.set_up()


@pytest.fixture
def rgw_shop(work, rgw_users, request):
    name = f"pol{abs(hash(request.node.nodeid)) % 10**12}"
    return make_rgw_shop(work, rgw_users, name, False)


@pytest.fixture
def versioned_shop(work, rgw_users, request):
    name = f"ver{abs(hash(request.node.nodeid)) % 10**12}"
    return make_rgw_shop(work, rgw_users, name, True)


@pytest.fixture(params=["sim_shop", "rgw_shop", "versioned_shop"])
def shop(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def source(work):
    """More than lies in entries and in one pack of metadata."""
    where = work / "source"
    where.mkdir()
    dice = random.Random(7)
    for i in range(30):
        (where / f"file{i}").write_bytes(dice.randbytes(20000))
    (where / "big").write_bytes(dice.randbytes(3 << 20))
    return where


def test_each_role_does_its_work(shop, source, work):
    first = shop.host.backup(source)
    assert first["errors"] == 0
    (source / "more").write_bytes(os.urandom(5000))
    second = shop.host.backup(source)
    assert second["parent"] == first["generation"] and second["data_added"] < 10000
    # Without local state all is read, and nothing stored again.
    shop.host.env["FIRN_CACHE_DIR"] = str(work / "cache-fresh")
    assert shop.host.backup(source)["data_added"] == 0
    shop.host("generations", status=1)

    assert len(shop.reader.generations()) == 3
    shop.reader("restore", "--verify", f"latest:{source}", work / "copy")
    assert (work / "copy" / "big").read_bytes() == (source / "big").read_bytes()
    assert shop.reader.check("--read-data")[1]["problems"] == 0
    shop.reader("backup", source, status=1)

    shop.owner.backup(source)
    slots = shop.owner.json("key", "list")
    shop.owner("key", "remove", next(s["key"] for s in slots if s["label"] == "web1"))
    assert shop.owner.check()[1]["problems"] == 0
    shop.host("backup", source, status=12)


def test_doctor_finds_no_fault_with_them(shop, source):
    shop.host.backup(source)
    for firn, role in ((shop.owner, "owner"), (shop.reader, "reader"),
                       (shop.host, "write-only")):
        document, = firn.json("doctor", "--role", role)
        warned = {f["check"] for f in document["findings"] if f["grade"] == "warning"}
        assert warned <= {"tls", "checksums", "conditional"}, document
        assert document["ok"]
    document, = shop.owner.json("doctor", "--role", "write-only")
    warned = {f["check"] for f in document["findings"] if f["grade"] == "warning"}
    assert {"list", "get", "put", "delete"} <= warned
    document, = shop.reader.json("doctor", status=1)
    missing = {f["check"] for f in document["findings"] if f["grade"] == "missing"}
    assert missing == {"put", "delete"}


def test_a_stolen_key_of_a_host(shop, source):
    shop.host.backup(source)
    names = shop.names()
    readable = ("firn/config", "firn/keys/", "firn/index/")
    with shop.client("host") as thief:
        for name in names:
            status = 200 if name.startswith(readable) else 403
            assert thief.request("GET", shop.bucket, name).status == status, name
            assert thief.request("HEAD", shop.bucket, name).status == status, name
            assert thief.request("DELETE", shop.bucket, name).status == 403, name
        for part in PARTS:
            answer = thief.request("GET", shop.bucket, query={
                "list-type": "2", "prefix": f"firn/{part}/"})
            assert answer.status == (200 if part in LISTED else 403), part
        for part in ("config", "keys/0123456789abcdef", "elsewhere", "probe/x"):
            answer = thief.request("PUT", shop.bucket, f"firn/{part}", body=b"x")
            assert answer.status == 403, part
        many = thief.request("GET", shop.bucket, query={"list-type": "2"})
        assert many.status == 403
        for query in ({"versioning": ""}, {"policy": ""}, {"lifecycle": ""}):
            assert thief.request("GET", shop.bucket, query=query).status in (403, 501)
    assert shop.names() == names
    assert shop.owner.check("--read-data")[1]["problems"] == 0


def test_a_stolen_key_of_a_reader(shop, source):
    shop.host.backup(source)
    names = shop.names()
    with shop.client("reader") as thief:
        for name in names:
            assert thief.request("GET", shop.bucket, name).status == 200
            assert thief.request("DELETE", shop.bucket, name).status == 403
            assert thief.request("PUT", shop.bucket, name, body=b"x").status == 403
    assert shop.owner.check("--read-data")[1]["problems"] == 0


def pack_of(shop):
    return next(name for name in shop.names("data/"))


def test_overwriting_where_a_policy_forbids_it(sim_shop, source):
    """S3 of AWS; firn itself always says that there must be nothing."""
    sim_shop.sim.set_bucket_policy(policy("no-overwrite", "bucket"))
    sim_shop.host.backup(source)
    sim_shop.owner.backup(source)
    name = pack_of(sim_shop)
    with sim_shop.client("host") as thief:
        assert thief.request("PUT", "bucket", name, body=b"x").status == 403
        answer = thief.request("PUT", "bucket", name, body=b"x", headers=ANY)
        assert answer.code == "PreconditionFailed"
    document, = sim_shop.owner.json("doctor")
    overwrite, = [f for f in document["findings"] if f["check"] == "overwrite"]
    assert overwrite["grade"] == "ok"
    assert sim_shop.owner.check("--read-data")[1]["problems"] == 0


def test_overwriting_in_ceph_without_versions(rgw_shop, source):
    """Nothing keeps a thief from it there; firn-policy(7) says so."""
    rgw_shop.host.backup(source)
    name = pack_of(rgw_shop)
    with rgw_shop.client("host") as thief:
        assert thief.request("PUT", rgw_shop.bucket, name, body=b"x").status == 200
    assert rgw_shop.owner.check(status=1)[1]["problems"] > 0


def test_the_condition_of_aws_in_ceph(rgw_shop):
    """It does not know it, and then denies every put: firn-policy(7) says so."""
    document = bucket_policy(rgw_shop.bucket, FILES)
    document["Statement"] += policy("no-overwrite", rgw_shop.bucket)["Statement"]
    rgw_shop.rgw.set_policy(rgw_shop.bucket, document)
    with rgw_shop.client("host") as host:
        for headers in ANY, {}:
            assert host.request("PUT", rgw_shop.bucket, "firn/data/00/x", body=b"x",
                                headers=headers).status == 403


def test_overwriting_in_ceph_with_versions(versioned_shop, source):
    """The old version stays, cannot be removed by the thief, and comes back."""
    shop = versioned_shop
    shop.host.backup(source)
    name = pack_of(shop)
    with shop.client("owner") as client:
        bytes_before = client.request("GET", shop.bucket, name).body
    with shop.client("host") as thief:
        answer = thief.request("PUT", shop.bucket, name, body=b"x")
        assert answer.status == 200
        for version in (answer.headers["x-amz-version-id"], "null"):
            assert thief.request("DELETE", shop.bucket, name,
                                 query={"versionId": version}).status == 403
    assert shop.owner.check(status=1)[1]["problems"] > 0
    with shop.rgw.client() as admin:
        assert admin.request("DELETE", shop.bucket, name, query={
            "versionId": answer.headers["x-amz-version-id"]}).status == 204
    with shop.client("owner") as client:
        assert client.request("GET", shop.bucket, name).body == bytes_before
    assert shop.owner.check("--read-data")[1]["problems"] == 0


# What a backup by a host asks for, to the letter.

DOCUMENTED = {
    ("ListObjectsV2", "keys"), ("ListObjectsV2", "index"), ("ListObjectsV2", "data"),
    ("ListObjectsV2", "meta"), ("GetObject", "config"),
    ("GetObject", "keys"), ("GetObject", "index"), ("PutObject", "data"),
    ("PutObject", "meta"), ("PutObject", "index"), ("PutObject", "gen")}


def asked(sim):
    """(operation, part of the repository), listings by what they list."""
    found = set()
    for record in sim.requests:
        if record.operation == "ListObjectsV2":
            continue
        found.add((record.operation, record.key.split("/")[1]))
    return found


def test_a_backup_asks_for_no_more(sim_shop, source):
    sim_shop.host.backup(source)
    (source / "file3").write_bytes(os.urandom(9000))
    sim_shop.sim.stats.reset()
    sim_shop.host.backup(source)
    found = asked(sim_shop.sim)
    assert found <= {row for row in DOCUMENTED if row[0] != "ListObjectsV2"}
    assert {("PutObject", "data"), ("PutObject", "meta"), ("PutObject", "index"),
            ("PutObject", "gen"), ("GetObject", "config")} <= found
    assert all(record.status < 300 for record in sim_shop.sim.requests)


@pytest.mark.parametrize("part", ["gen", "data", "index"])
@pytest.mark.parametrize("fault", ["lost-reply", "500-after-commit"])
def test_a_reply_that_got_lost(sim_shop, source, part, fault):
    """The repetition finds the name taken, and the host may not look by whom."""
    sim_shop.sim.faults.add(fault, verb="PutObject", prefix=f"firn/{part}/", times=1)
    sim_shop.host.backup(source)
    assert sim_shop.sim.faults.rules[0].fired == 1
    assert len(sim_shop.owner.generations()) == 1
    assert sim_shop.owner.check("--read-data")[1]["problems"] == 0


def test_a_host_whose_backup_was_killed(sim_shop, source):
    """It may not look for the packs of the dead run, and stores them again."""
    sim_shop.sim.faults.add("stall", verb="PutObject", prefix="firn/gen/", seconds=60,
                            times=1)
    run = sim_shop.host.start("backup", source)
    wait_for(lambda: sim_shop.sim.faults.rules[0].fired, "the record's put")
    run.send_signal(signal.SIGKILL)
    run.communicate()
    sim_shop.sim.stopping.set()		# ends the stall
    sim_shop.sim.stopping.clear()
    sim_shop.sim.faults.clear()
    (source / "new").write_bytes(os.urandom(9000))
    sim_shop.host.backup(source)
    assert sim_shop.owner.check("--read-data")[1]["problems"] == 0


def test_a_host_and_a_damaged_segment(sim_shop, source, work):
    sim_shop.host.backup(source)
    bucket = sim_shop.sim.bucket("bucket")
    name = next(n for n in bucket.keys() if n.startswith("firn/index/data/"))
    with Client(sim_shop.url) as client:
        data = bytearray(bucket.get(name))
        data[len(data) // 2] ^= 1
        assert client.request("PUT", "bucket", name, body=bytes(data)).status == 200
    sim_shop.host.env["FIRN_CACHE_DIR"] = str(work / "cache-fresh")
    sim_shop.host.backup(source)
    assert len(sim_shop.owner.generations()) == 2
