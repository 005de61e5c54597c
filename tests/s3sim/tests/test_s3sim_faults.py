# SPDX-License-Identifier: Apache-2.0
"""Every kind of fault, the choice of requests, the counters, the control API,
the simulated line and the simulator as a process."""

import http.client
import json
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from s3sim import S3Sim
from s3sim.client import Client
from s3sim_support import expect, put, texts

BODY = bytes(range(200)) * 50
DROPPED = http.client.RemoteDisconnected


@pytest.mark.parametrize("kind,status,code,kept", [
    ("500", 500, "InternalError", False), ("503-slowdown", 503, "SlowDown", False),
    ("403", 403, "AccessDenied", False), ("expired-token", 400, "ExpiredToken", False),
    ("409-conflict", 409, "ConditionalRequestConflict", False),
    ("200-error", 200, "InternalError", False), ("html", 200, None, False),
    ("quota", 403, "QuotaExceeded", False), ("login", 302, None, False),
    ("redirect", 301, "PermanentRedirect", False),
    ("skew", 403, "RequestTimeTooSkewed", False),
    ("no-expedited", 503, "GlacierExpeditedRetrievalNotAvailable", False),
    ("500-after-commit", 500, "InternalError", True)])
def test_answers(sim, s3, kind, status, code, kept):
    rule = sim.faults.add(kind, nth=1)
    answer = s3.request("PUT", "buck", "a", body=BODY)
    assert (answer.status, answer.code) == (status, code)
    assert (sim.bucket("buck").get("a") == BODY) == kept
    assert rule.fired == 1
    if kind == "redirect":
        assert answer.headers["x-amz-bucket-region"] == "eu-central-1"
        assert b"<Endpoint>s3.eu-central-1.amazonaws.com<" in answer.body
    if kind == "html":
        assert answer.headers["Content-Type"] == "text/html"
    assert ("x-amz-request-id" in answer.headers) == (kind not in ("html", "login"))
    put(s3, "a", BODY)
    assert sim.stats.connections == 1


def test_headers_of_refusals(sim, s3):
    sim.faults.add("503-slowdown", times=1, headers={"Retry-After": "7"})
    answer = expect(s3.request("GET", "buck", "a"), 503, "SlowDown")
    assert answer.headers["Retry-After"] == "7"


def test_trickle(sim, s3):
    put(s3, "a", b"drip")
    sim.faults.add("trickle", verb="GET", seconds=0.01)
    start = time.monotonic()
    assert s3.request("GET", "buck", "a").body == b"drip"
    assert time.monotonic() - start >= 0.04


def test_refused_checksums():
    with S3Sim(["buck"], quirks=["refuse-checksum"]) as sim, Client(sim.url) as s3:
        answer = expect(s3.request("GET", "buck", "a", headers={
            "x-amz-checksum-mode": "ENABLED"}), 400, "InvalidArgument")
        assert b"Unsupported header 'x-amz-checksum-mode'" in answer.body
        put(s3, "a", BODY)


def test_owner_and_payer(sim, s3):
    put(s3, "a", BODY)
    expect(s3.request("GET", "buck", "a", headers={
        "x-amz-expected-bucket-owner": "210987654321"}), 403, "AccessDenied")
    expect(s3.request("GET", "buck", "a", headers={
        "x-amz-expected-bucket-owner": sim.owner,
        "x-amz-request-payer": "requester"}), 200)
    assert sim.requests[-1].amz == {"x-amz-expected-bucket-owner": sim.owner,
                                    "x-amz-request-payer": "requester"}
    expect(s3.request("GET", "buck", "a", headers={
        "x-amz-request-payer": "me"}), 400, "InvalidArgument")


@pytest.mark.parametrize("kind,error,kept", [
    ("reset-before", ConnectionResetError, False),
    ("reset-mid-body", (ConnectionResetError, BrokenPipeError), False),
    ("lost-reply", DROPPED, True)])
def test_broken_uploads(sim, s3, kind, error, kept):
    sim.faults.add(kind, verb="PUT", times=1)
    body = BODY * 1000
    with pytest.raises(error):
        s3.request("PUT", "buck", "a", body=body)
    assert (sim.bucket("buck").get("a") == body) == kept
    assert sim.requests[-1].fault == kind and sim.requests[-1].status == 0
    put(s3, "a", BODY)


def test_broken_downloads(sim, s3):
    put(s3, "a", BODY)
    sim.faults.add("truncate", verb="GET", nth=1, after_bytes=100)
    sim.faults.add("reset-mid-body", verb="GET", nth=1)
    sim.faults.add("corrupt", verb="GET", nth=1, after_bytes=7)
    with pytest.raises(http.client.IncompleteRead) as failure:
        s3.request("GET", "buck", "a")
    assert failure.value.partial == BODY[:100]
    with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
        s3.request("GET", "buck", "a")
    spoilt = s3.request("GET", "buck", "a").body
    assert [i for i in range(len(BODY)) if spoilt[i] != BODY[i]] == [7]
    assert s3.request("GET", "buck", "a").body == BODY


def test_other_bodies(sim, s3):
    put(s3, "a", BODY)
    bodies = {}
    for kind in "garble", "shorten", "lengthen":
        sim.faults.add(kind, verb="GET", nth=1, after_bytes=100)
        bodies[kind] = s3.request("GET", "buck", "a").body
        sim.faults.clear()
    assert len(bodies["garble"]) == len(BODY) and bodies["garble"] != BODY
    assert bodies["shorten"] == BODY[:100]
    assert bodies["lengthen"] == BODY + b"x" * 64
    sim.faults.add("elsewhere", nth=1, location="http://elsewhere.test/")
    answer = s3.request("GET", "buck", "a")
    assert (answer.status, answer.headers["Location"]) == (302, "http://elsewhere.test/")
    sim.faults.add("portal", nth=1)
    assert s3.request("GET", "buck", "a").status == 511
    sim.faults.add("empty-pages", times=2)
    pages = [s3.request("GET", "buck", query={"list-type": "2"}) for _ in range(2)]
    assert [texts(page, "IsTruncated") for page in pages] == [["true"], ["true"]]
    assert texts(pages[0], "NextContinuationToken") != \
        texts(pages[1], "NextContinuationToken")


def test_endless_body(sim, s3):
    put(s3, "a", BODY)
    sim.faults.add("endless", verb="GET", nth=1)
    s3.connection.request("GET", "/buck/a", headers=s3.headers("GET", "/buck/a", "", b"",
                                                              {}))
    answer = s3.connection.getresponse()
    assert answer.headers["Content-Length"] is None
    assert len(answer.read(10 * len(BODY))) == 10 * len(BODY)
    answer.close()


def test_corrupt_upload(sim, s3):
    sim.faults.add("corrupt-upload", verb="PUT", nth=1)
    expect(s3.request("PUT", "buck", "a", body=BODY), 400, "XAmzContentSHA256Mismatch")
    assert sim.bucket("buck").keys() == []


def test_bursts(sim, s3):
    put(s3, "a", BODY)
    sim.faults.add("503-slowdown", nth=2, burst=3)
    found = [s3.request("GET", "buck", "a").status for _ in range(6)]
    assert found == [200, 503, 503, 503, 200, 200]


def test_storm():
    """Of many requests so many fail, in all ways that fit."""
    with S3Sim(["buck"], seed=1) as sim:
        sim.faults.storm(0.5, kinds=["500", "503-slowdown", "200-error"])
        with Client(sim.url) as s3:
            for _ in range(400):
                s3.request("PUT", "buck", "a")
        faults = sim.stats.describe()["faults"]
    assert set(faults) == {"500", "503-slowdown", "200-error"}
    assert 120 < sum(faults.values()) < 280


def test_away_and_back(sim, s3):
    put(s3, "a", BODY)
    sim.go_away()
    with pytest.raises(OSError):
        s3.request("GET", "buck", "a")
    sim.come_back()
    assert s3.request("GET", "buck", "a").body == BODY


@pytest.mark.parametrize("after_bytes", [None, 10])
def test_stall(sim, after_bytes):
    """The answer does not come while the stall lasts; stop() ends it."""
    with Client(sim.url) as s3:
        put(s3, "a", BODY)
    with Client(sim.url, timeout=0.2) as s3:
        sim.faults.add("stall", verb="GET", seconds=3600, after_bytes=after_bytes)
        with pytest.raises(TimeoutError):
            s3.request("GET", "buck", "a")


def test_choice_of_requests(sim, s3):
    sim.faults.add("500", verb="GetObject", prefix="a/")
    sim.faults.add("403", verb="PUT", nth=3)
    put(s3, "a/1")
    put(s3, "b/1")
    expect(s3.request("PUT", "buck", "a/2"), 403, "AccessDenied")
    put(s3, "a/2")
    expect(s3.request("GET", "buck", "a/1"), 500, "InternalError")
    expect(s3.request("HEAD", "buck", "a/1"), 200)
    expect(s3.request("GET", "buck", "b/1"), 200)
    sim.faults.clear()
    expect(s3.request("GET", "buck", "a/1"), 200)
    with pytest.raises(ValueError):
        sim.faults.add("no-such")


def statuses(seed):
    with S3Sim(["buck"], seed=seed) as sim, Client(sim.url) as s3:
        sim.faults.add("500", probability=0.5)
        return [s3.request("PUT", "buck", "a").status for _ in range(40)]


def test_a_seed_repeats_itself():
    assert statuses(1) == statuses(1) != statuses(2)
    assert set(statuses(1)) == {200, 500}


def test_counters(sim, s3):
    put(s3, "a", BODY)
    s3.request("GET", "buck", "a", headers={"Range": "bytes=0-9"})
    s3.request("GET", "buck", "none")
    last = sim.requests[-2]
    assert (last.verb, last.operation, last.key, last.status, last.range) == (
        "GET", "GetObject", "a", 206, "bytes=0-9")
    stats = sim.stats.describe()
    assert stats["verbs"] == {"PUT": 1, "GET": 2}
    assert stats["statuses"] == {200: 1, 206: 1, 404: 1}
    assert stats["bytes_in"] == len(BODY)
    sim.stats.reset()
    assert sim.stats.describe()["requests"] == 0 and sim.requests == []


def test_a_client_that_goes_away(sim, s3):
    """Half a body and then nothing: no object, and a record without status."""
    headers = s3.headers("PUT", "/buck/a", "", BODY, {})
    s3.connection.putrequest("PUT", "/buck/a", skip_host=True)
    for name, value in {**headers, "Content-Length": str(len(BODY))}.items():
        s3.connection.putheader(name, value)
    s3.connection.endheaders(BODY[:100])
    s3.connection.sock.shutdown(socket.SHUT_WR)
    assert s3.connection.sock.recv(1) == b""	# the simulator has closed
    assert sim.bucket("buck").keys() == []
    assert (sim.requests[-1].status, sim.requests[-1].bytes_in) == (0, 100)


def test_latency():
    with S3Sim(["buck"], latency=0.25) as sim:
        with Client(sim.url) as s3:
            for request in (lambda: put(s3, "a"), lambda: s3.request("GET", "buck", "a")):
                start = time.monotonic()
                request()
                assert time.monotonic() - start >= 0.25


def test_bandwidth():
    """A quarter of a second each way, less the burst that is allowed."""
    with S3Sim(["buck"], bandwidth=4 * len(BODY)) as sim, Client(sim.url) as s3:
        start = time.monotonic()
        put(s3, "a", BODY)
        middle = time.monotonic()
        assert s3.request("GET", "buck", "a").body == BODY
        assert middle - start > 0.2 and time.monotonic() - middle > 0.2


@pytest.fixture
def process(tmp_path):
    """The simulator as a process; yields its URL."""
    tests = pathlib.Path(__file__).resolve().parents[2]
    port_file = tmp_path / "port"
    child = subprocess.Popen(
        [sys.executable, "-m", "s3sim", "--port", "0", "--port-file", port_file,
         "--bucket", "one", "--bucket", "two", "--versioned", "--seed", "5",
         "--quirk", "no-checksum", "--log", tmp_path / "log"],
        cwd=tests, stdout=subprocess.PIPE, text=True)
    try:
        line = child.stdout.readline()	# printed when the port answers
        assert "seed 5" in line
        child.stdout.readline()
        yield f"http://127.0.0.1:{port_file.read_text().strip()}"
    finally:
        child.send_signal(signal.SIGTERM)
        assert child.wait(10) == 0
        child.stdout.close()


def control(url, method, what, document=None):
    data = None if document is None else json.dumps(document).encode()
    request = urllib.request.Request(f"{url}/-sim/{what}", data, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def test_process(process, tmp_path):
    with Client(process) as s3:
        assert texts(s3.request("GET"), "Buckets/Bucket/Name") == ["one", "two"]
        assert put(s3, "a", bucket="two").headers["x-amz-version-id"]
        assert control(process, "GET", "keys?bucket=two") == ["a"]
        control(process, "POST", "faults", [{"kind": "500", "nth": 1}])
        expect(s3.request("GET", "two", "a"), 500, "InternalError")
        stats = control(process, "GET", "stats")
        assert stats["verbs"] == {"GET": 2, "PUT": 1} and stats["seed"] == 5
        assert stats["faults"] == {"500": 1} and len(stats["rules"]) == 1
        control(process, "DELETE", "faults")
        control(process, "POST", "reset-stats")
        assert control(process, "GET", "stats")["requests"] == 0
        control(process, "POST", "clock", {"advance": 5, "skew": 1})
        control(process, "POST", "pace", {"latency": 0.0})
        for what in "keys?bucket=none", "none":
            with pytest.raises(urllib.error.HTTPError):
                control(process, "GET", what)
        lines = (tmp_path / "log").read_text().splitlines()
        assert [json.loads(line)["status"] for line in lines] == [200, 200, 500]
