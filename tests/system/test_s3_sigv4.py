# SPDX-License-Identifier: Apache-2.0
"""Ten thousand random requests, signed and sent by our code, which two servers
accept: the strict simulator and, in check-all so many, Ceph RGW."""
import os
import re
import subprocess

import pytest

from conftest import EVERY, s3_environment
from firn_tool import BUILD
from s3sim import S3Sim

COUNT = 10_000
# Ceph takes eight times as long for each; every run has others.
COUNT_RGW = COUNT if EVERY else 2500


def run(url, env, count):
    binary = BUILD / "test_sigv4_random"
    if not binary.exists():
        pytest.skip("test_sigv4_random is not built; `make check` builds it")
    r = subprocess.run([str(binary)], capture_output=True, check=False,
                       env=dict(os.environ, CMOCKA_MESSAGE_OUTPUT="STDOUT",
                                FIRN_TEST_SIGN_URL=url, FIRN_TEST_SIGN_BUCKET="signed",
                                FIRN_TEST_SIGN_COUNT=str(count), **env))
    out = (r.stdout + r.stderr).decode("utf-8", "replace")
    print(re.search(r"FIRN_TEST_SEED=\d+", out)[0])
    assert r.returncode == 0, out
    assert f"{count} requests were accepted" in out, out


def test_simulator():
    with S3Sim(["signed"]) as sim:
        run(sim.url, dict(s3_environment(sim.url), FIRN_TEST_SIGN_BLANKS="1"), COUNT)
        statuses = sim.stats.statuses
        assert set(statuses) <= {200, 204, 404} and sum(statuses.values()) == COUNT


def test_rgw(rgw):
    rgw.create_bucket("signed")
    run(rgw.url, s3_environment(rgw.url, rgw.access_key, rgw.secret_key), COUNT_RGW)
