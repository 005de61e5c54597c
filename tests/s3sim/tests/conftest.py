# SPDX-License-Identifier: Apache-2.0
"""Lets these tests import s3sim from the directory above the package, and gives
them a simulator with an unversioned bucket `buck` and a versioned `vers`."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from s3sim import S3Sim		# noqa: E402
from s3sim.client import Client		# noqa: E402


@pytest.fixture(params=["ram", "files"])
def sim(request, tmp_path):
    data_dir = tmp_path / "data" if request.param == "files" else None
    with S3Sim(["buck"], seed=1, data_dir=data_dir) as sim:
        sim.state.create("vers", "Enabled")
        yield sim


@pytest.fixture
def s3(sim):
    with Client(sim.url) as client:
        yield client
