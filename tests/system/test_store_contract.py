# SPDX-License-Identifier: Apache-2.0
"""The one contract suite of all stores, over the simulator and over Ceph RGW."""
import os
import re
import subprocess

import pytest

from firn_tool import BUILD
from s3sim import S3Sim


def run(program, env):
    binary = BUILD / program
    if not binary.exists():
        pytest.skip(f"{program} is not built; `make check` builds it")
    r = subprocess.run([str(binary)], env=dict(os.environ, CMOCKA_MESSAGE_OUTPUT="STDOUT", **env),
                       capture_output=True, check=False)
    out = (r.stdout + r.stderr).decode("utf-8", "replace")
    assert r.returncode == 0, out
    passed = re.findall(r"\[  PASSED  \] (\d+) test", out)
    assert passed and sum(map(int, passed)) > 5, f"hardly a test ran:\n{out}"
    assert "SKIPPED" not in out, out


# What a server may make of conditional writes, and a bucket that keeps versions.
SERVERS = {"yes": {}, "ignored": {"quirks": ["ignore-conditional"]},
           "refused": {"quirks": ["refuse-conditional"]},
           "versioned": {"versioned": True},
           "versioned-ignored": {"versioned": True,
                                 "quirks": ["ignore-conditional-versioned"]}}


@pytest.mark.parametrize("server", SERVERS)
def test_simulator(server):
    with S3Sim(["bucket"], **SERVERS[server]) as sim:
        run("test_store_s3", {
            "FIRN_TEST_S3_URL": "s3://bucket/contract", "AWS_ENDPOINT_URL": sim.url,
            "AWS_ACCESS_KEY_ID": "AKIDTEST", "AWS_SECRET_ACCESS_KEY": "SECRETTEST",
            **({"FIRN_TEST_STORE_TURNS": "1"} if "quirks" in SERVERS[server] else {})})


@pytest.mark.parametrize("versioned", [False, True])
def test_rgw(rgw, versioned):
    bucket = f"contract{int(versioned)}"
    rgw.create_bucket(bucket, versioned)
    run("test_store_s3", {
        "FIRN_TEST_S3_URL": f"s3://{bucket}/odd prefix", "AWS_ENDPOINT_URL": rgw.url,
        "AWS_ACCESS_KEY_ID": rgw.access_key, "AWS_SECRET_ACCESS_KEY": rgw.secret_key,
        "FIRN_TEST_STORE_CLASS": "GLACIER",	# which Ceph reads at once
        **({"FIRN_TEST_STORE_TURNS": "1"} if versioned else {})})


# Which wait for most of their time.
@pytest.mark.long
@pytest.mark.parametrize("program", ["test_store_s3_faults", "test_store_s3_cold"])
def test_bad_days_and_cold_ones(program):
    with S3Sim(["bucket"]) as sim:
        run(program, {
            "FIRN_TEST_S3SIM": sim.url, "AWS_ENDPOINT_URL": sim.url,
            "AWS_ACCESS_KEY_ID": "AKIDTEST", "AWS_SECRET_ACCESS_KEY": "SECRETTEST"})
