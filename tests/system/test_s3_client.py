# SPDX-License-Identifier: Apache-2.0
"""What is sent to S3, and what a person is told when S3 does not do it: each
cause has its own message, with what to do next."""
import base64
import os
import signal
import socket
import subprocess

import pytest

from conftest import s3_environment
from firn_tool import BUILD, Firn, wait_for
from s3sim import S3Sim

OWNER = "123456789012"


@pytest.fixture
def source(work):
    directory = work / "source"
    directory.mkdir()
    (directory / "file").write_bytes(os.urandom(3 << 20))
    return directory


def puts(sim, prefix=""):
    return [r for r in sim.requests if r.operation == "PutObject" and r.status == 200
            and r.key.startswith("some/prefix/" + prefix)]


# What is sent.

def test_checksum_is_the_name(sim, source):
    """Packs and segments are stored with the SHA-256 that is their name."""
    sim.backup(source)
    named = [r for kind in ("data/", "meta/", "index/") for r in puts(sim.sim, kind)]
    assert len(named) >= 4
    for r in named:
        sum_ = base64.b64decode(r.amz["x-amz-checksum-sha256"]).hex()
        assert r.key.rpartition("/")[2] == sum_


def test_nothing_unasked_for(sim, source):
    sim.backup(source)
    for r in sim.sim.requests:
        assert not any(word in name for name in r.amz for word in
                       ("storage-class", "encryption", "owner", "payer"))


@pytest.mark.parametrize("sse,want", [
    ("s3", {"x-amz-server-side-encryption": "AES256"}),
    ("kms", {"x-amz-server-side-encryption": "aws:kms"}),
    ("kms:arn:aws:kms:eu-central-1:1:key/2",
     {"x-amz-server-side-encryption": "aws:kms",
      "x-amz-server-side-encryption-aws-kms-key-id": "arn:aws:kms:eu-central-1:1:key/2"})])
def test_encryption(sim, source, sse, want):
    """Every object that is put; with KMS an ETag is no digest, and nobody minds."""
    sim.sim.stats.reset()
    sim("--sse", sse, "backup", source)
    assert len(puts(sim.sim)) >= 5
    for r in puts(sim.sim):
        assert {n: v for n, v in r.amz.items() if "encryption" in n} == want
    assert sim.check()[0] == []


def test_classes(sim, source):
    sim.sim.stats.reset()
    sim("--meta-class", "STANDARD_IA", "backup", "--tier", "ONEZONE_IA", source)
    assert puts(sim.sim, "data/")
    for r in puts(sim.sim):
        data = r.key.startswith("some/prefix/data/")
        assert r.amz["x-amz-storage-class"] == ("ONEZONE_IA" if data else "STANDARD_IA")
    assert sim.check("--read-data")[0] == []


def test_profile(sim, source, work):
    config = work / "config" / "firn"
    config.mkdir(parents=True)
    (config / "vault.conf").write_text(
        f"tier = DEEP_ARCHIVE\nsse = kms\nbucket-owner = {OWNER}\nrequester-pays = yes\n")
    sim.sim.stats.reset()
    env = {"XDG_CONFIG_HOME": str(work / "config")}
    sim("-p", "vault", "backup", source, env=env)
    for r in sim.sim.requests:
        assert r.amz["x-amz-expected-bucket-owner"] == OWNER
        assert r.amz["x-amz-request-payer"] == "requester"
    for r in puts(sim.sim):
        data = r.key.startswith("some/prefix/data/")
        assert r.amz.get("x-amz-storage-class") == ("DEEP_ARCHIVE" if data else None)
        assert r.amz["x-amz-server-side-encryption"] == "aws:kms"
    # The command line goes before.
    sim.sim.stats.reset()
    (source / "more").write_bytes(os.urandom(1 << 20))
    sim("-p", "vault", "--sse", "s3", "backup", "--tier", "GLACIER_IR", source, env=env)
    assert {r.amz["x-amz-server-side-encryption"] for r in puts(sim.sim)} == {"AES256"}
    assert {r.amz["x-amz-storage-class"] for r in puts(sim.sim, "data/")} == {"GLACIER_IR"}


@pytest.mark.usefixtures("fuse")
def test_mount_options(sim, source, work):
    sim.backup(source)
    sim.sim.stats.reset()
    with sim.mount(options=f"bucket-owner={OWNER},requester-pays") as mnt:
        assert (mnt / f"latest{source}" / "file").read_bytes() == \
            (source / "file").read_bytes()
        stats = dict(line.rstrip().split(None, 1) for line in
                     (mnt / ".firn" / "stats").read_text().splitlines())
        assert stats["store-window"] == "16"
        assert {"store-throttled", "store-hedges", "store-hedges-won"} <= stats.keys()
    for r in sim.sim.requests:
        assert r.amz["x-amz-expected-bucket-owner"] == OWNER
        assert r.amz["x-amz-request-payer"] == "requester"


@pytest.mark.parametrize("args,want", [
    (["--sse", "aes"], "--sse 'aes': want s3, kms or kms:KEYID"),
    (["--sse", "kms:"], "--sse '': want"),
    (["--meta-class", "DEEP_ARCHIVE"], "metadata must be readable at once"),
    (["--bucket-owner", "a b"], "--bucket-owner 'a b': want the id"),
    (["--tier", "DEEP ARCHIVE"], "--tier 'DEEP ARCHIVE': want")])
def test_bad_options(sim, source, args, want):
    assert want in sim("backup", *args, source, status=2).err


def test_checksums_refused(work, source):
    """A server that takes no x-amz-checksum-*, as Backblaze B2, is asked without."""
    with S3Sim(["bucket"], quirks=["refuse-checksum"]) as server:
        firn = Firn(work, "s3://bucket/some/prefix", s3_environment(server.url))
        firn("init", "--kdf-memory", "1M")
        server.stats.reset()
        firn.backup(source)
        refused = [r for r in server.requests if r.status == 400]
        assert refused and all("x-amz-checksum" in str(r.amz) for r in refused)
        # Remembered: those that were on their way, and no more.
        seen = False
        for r in server.requests:
            if any(n.startswith("x-amz-checksum") for n in r.amz):
                assert not seen or r.status == 400
        assert len(refused) <= 5
        assert len(puts(server)) >= 5
        assert firn.check("--read-data")[0] == []


# What a person is told.

def said(firn, *more, status=1, env=None):
    """The one error of `firn generations`."""
    r = firn("generations", *more, status=status, env=env)
    errors = [line for line in r.err.splitlines() if "cannot" in line]
    assert len(errors) == 1, r.err
    assert "SECRETTEST" not in r.err
    return errors[0]


@pytest.mark.parametrize("fault,cause,step", [
    ("403", "access denied", "allow the key s3:GetObject"),
    ("quota", "the quota is used up", "free some, or ask for more"),
    ("expired-token", "the session token has expired", "renew the keys where they come from"),
    ("redirect", "the bucket is in another region", "set AWS_REGION to the bucket's"),
    ("html", "the answer is not", "log-in page of a network"),
    ("login", "the answer is not that of an S3 server", "log-in page of a network"),
    ("503-slowdown", "the server wants fewer requests", "SlowDown"),
    ("500", "the server failed", "InternalError")])
def test_refusals(sim, fault, cause, step):
    sim.sim.faults.add(fault)
    text = said(sim, "--timeout", "2")
    assert cause in text and step in text
    assert "s3://bucket/some/prefix" in text


def test_no_bucket(sim):
    sim.env["FIRN_REPOSITORY"] = "s3://no-such-bucket/x"
    text = said(sim)
    assert "the bucket does not exist" in text and "check its name" in text


def test_other_owner(sim):
    text = said(sim, "--bucket-owner", "999999999999")
    assert "access denied" in text and "--bucket-owner names" in text


@pytest.mark.parametrize("name,value,cause", [
    ("AWS_SECRET_ACCESS_KEY", "wrong", "the secret key does not belong"),
    ("AWS_ACCESS_KEY_ID", "NOBODY", "the access key is not known")])
def test_wrong_keys(sim, name, value, cause):
    text = said(sim, env={name: value})
    assert cause in text and f"check {name}" in text


def test_wrong_clock(sim):
    """Told once, and worked around."""
    sim.sim.clock.skew = 7200
    r = sim("generations")
    assert "clock is" in r.err and "behind" in r.err


def test_name_unknown(sim):
    text = said(sim, "--timeout", "1", env={"AWS_ENDPOINT_URL": "http://nowhere.invalid"})
    assert "the host's name is not known" in text
    assert "check the endpoint or region, and the network" in text


def test_refused(sim):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        text = said(sim, "--timeout", "1",
                    env={"AWS_ENDPOINT_URL": f"http://127.0.0.1:{s.getsockname()[1]}"})
    assert "no connection" in text and "check the endpoint's host and port" in text


def test_silence(sim):
    """A server that takes connections and says nothing."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(16)
        text = said(sim, "--timeout", "1",
                    env={"AWS_ENDPOINT_URL": f"http://127.0.0.1:{s.getsockname()[1]}"})
    assert "the server does not answer" in text and "check the network" in text


def test_certificate(work, source, certificate):
    with S3Sim(["bucket"], certificate=str(certificate)) as server:
        firn = Firn(work, "s3://bucket/firn", s3_environment(server.url))
        text = said(firn)
        assert "the server's certificate is not trusted" in text
        assert "set AWS_CA_BUNDLE to the file of its authority" in text
        # What the message says helps.
        firn.env["AWS_CA_BUNDLE"] = str(work / "only.pem")
        firn("init", "--kdf-memory", "1M")
        firn.backup(source)
        assert len(firn.generations()) == 1
        # http spoken to a port of TLS, and the other way round.
        text = said(firn, "--timeout", "1", env={
            "AWS_ENDPOINT_URL": server.url.replace("https", "http")})
        assert "the connection broke off" in text and "http:// or https://" in text


def test_no_encryption_there(sim):
    text = said(sim, "--timeout", "1",
                env={"AWS_ENDPOINT_URL": sim.sim.url.replace("http", "https")})
    assert "no encrypted connection" in text and "is http:// or https://" in text


# Ending it.

def test_interrupt(sim, source):
    """Ctrl-C does not wait for a server that is dead."""
    sim.sim.faults.add("stall", verb="PUT", seconds=3600)
    p = sim.start("backup", source)
    wait_for(lambda: [r for r in sim.sim.faults.rules if r.fired], "a request that hangs")
    p.send_signal(signal.SIGINT)
    out, err = p.communicate(timeout=180)
    assert p.returncode == 130, out + err


@pytest.mark.usefixtures("fuse")
def test_unmount(sim, source, work):
    """Nor does unmounting, whoever reads."""
    sim.backup(source)
    mnt = work / "mnt"
    mnt.mkdir()
    p = subprocess.Popen([BUILD / "firnfs", "-f", "-o", "no-cache", sim.url, mnt],
                         env=sim.env, stderr=subprocess.PIPE)
    wait_for(mnt.is_mount, "the mount")
    where = mnt / f"latest{source}" / "file"
    assert where.stat().st_size == 3 << 20
    rule = sim.sim.faults.add("stall", verb="GET", seconds=3600)
    reader = subprocess.Popen(["cat", where], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    wait_for(lambda: rule.fired, "a read that hangs")
    p.send_signal(signal.SIGTERM)
    subprocess.run(["umount", "-l", mnt], check=False, capture_output=True)
    _, err = p.communicate(timeout=180)
    reader.wait(timeout=180)
    assert p.returncode == 0, err


def test_libcurl_is_loaded_for_s3_alone(sim, work):
    """Where it is broken, a directory is still backed up, and S3 says what is wrong."""
    (work / "lib").mkdir()
    (work / "lib" / "libcurl.so.4").write_bytes(b"not a library")
    env = {"LD_LIBRARY_PATH": str(work / "lib")}
    local = Firn(work, str(work / "repository"), env)
    local("init", "--kdf-memory", "1M")
    (work / "f").write_text("x")
    local("backup", work / "f")
    r = sim("generations", env=env, status=1)
    assert r.err.count("error:") == 1 and "libcurl.so.4" in r.err and "install it" in r.err
