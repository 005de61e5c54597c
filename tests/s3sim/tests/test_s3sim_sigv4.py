# SPDX-License-Identifier: Apache-2.0
"""Signatures: the published examples of the S3 documentation ("Examples:
Signature Calculations"), and each way to get one wrong."""

import calendar
import hashlib
import http.client
import io
import socket
import time

import pytest

from s3sim import S3Sim, sigv4
from s3sim.client import Client
from s3sim.errors import S3Error
from s3sim.message import Body, Request, bucket_of_host
from s3sim_support import expect, put

STAMP = "20130524T000000Z"
THEN = calendar.timegm(time.strptime(STAMP, "%Y%m%dT%H%M%SZ"))
EXAMPLE = sigv4.Identity("AKIAIOSFODNN7EXAMPLE",
                         "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
WELCOME = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"

EXAMPLES = {
    "get object": (
        "GET", "/test.txt", EMPTY, {"range": "bytes=0-9"},
        "7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
    "put object": (
        "PUT", "/test%24file.text", WELCOME,
        {"date": "Fri, 24 May 2013 00:00:00 GMT",
         "x-amz-storage-class": "REDUCED_REDUNDANCY"},
        "9e0e90d9c76de8fa5b200d8c849cd5b8dc7a3be3951ddb7f6a76b4158342019d",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
    "get lifecycle": (
        "GET", "/?lifecycle", EMPTY, {},
        "9766c798316ff2757b517bc739a67f6213b4ab36dd5da2f94eaebf79c77395ca",
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
    "list objects": (
        "GET", "/?max-keys=2&prefix=J", EMPTY, {},
        "df57d21db20da04d7fa30298dd4488ba3a2b47ca3a489c74750e0f1e7df1b9b7",
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")}


def example_request(method, target, payload_hash, extra, signature):
    headers = {"host": "examplebucket.s3.amazonaws.com", "x-amz-date": STAMP,
               "x-amz-content-sha256": payload_hash, **extra}
    signed = sorted(headers)
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={EXAMPLE.access_key}/20130524/us-east-1/s3/"
        f"aws4_request,SignedHeaders={';'.join(signed)},Signature={signature}")
    body = Body(io.BytesIO(), 0, None, None)
    return Request(method, target, list(headers.items()), body, None), signed


@pytest.mark.parametrize("name", EXAMPLES)
def test_published_example(name):
    method, target, payload_hash, extra, digest, signature = EXAMPLES[name]
    request, signed = example_request(method, target, payload_hash, extra, signature)
    canonical = sigv4.canonical_request(method, request.raw_path, request.raw_query,
                                        request.headers, signed, payload_hash)
    assert hashlib.sha256(canonical.encode()).hexdigest() == digest
    sigv4.verify(request, EXAMPLE, THEN)
    request, _ = example_request(method, target, payload_hash, extra, signature[::-1])
    with pytest.raises(S3Error) as failure:
        sigv4.verify(request, EXAMPLE, THEN)
    assert failure.value.code == "SignatureDoesNotMatch"
    assert failure.value.fields["CanonicalRequest"] == canonical


def test_query_is_sorted_as_pairs():
    assert sigv4.canonical_query("b&select-type=2&select=1&a=2&a=1") == \
        "a=1&a=2&b=&select=1&select-type=2"


def test_header_values_are_trimmed_and_joined():
    headers = [("a", " x   y "), ("a", "z"), ("host", "h")]
    assert sigv4.canonical_headers(headers, ["a", "host"]) == "a:x y,z\nhost:h\n"


@pytest.mark.parametrize("options,status,code", [
    ({"secret_key": "wrong"}, 403, "SignatureDoesNotMatch"),
    ({"access_key": "OTHER"}, 403, "InvalidAccessKeyId"),
    ({"region": "eu-west-1"}, 400, "AuthorizationHeaderMalformed"),
    ({"token": "none asked for"}, 400, "InvalidToken")])
def test_wrong_identity(sim, options, status, code):
    with Client(sim.url, **options) as s3:
        answer = expect(s3.request("PUT", "buck", "a"), status, code)
    assert sim.bucket("buck").keys() == []
    if "region" in options:
        assert b"<Region>us-east-1</Region>" in answer.body
    if "secret_key" in options:
        assert b"<CanonicalRequest>PUT\n/buck/a\n" in answer.body
        assert b"<StringToSign>AWS4-HMAC-SHA256\n" in answer.body


def test_session_token():
    with S3Sim(["buck"], session_token="tok") as sim:
        for token, status in (("tok", 200), ("no", 400), (None, 400)):
            with Client(sim.url, token=token) as s3:
                assert s3.request("PUT", "buck", "a").status == status


def test_skewed_time(sim, s3):
    for seconds, status in ((880, 200), (-880, 200), (920, 403), (-920, 403)):
        answer = s3.request("PUT", "buck", "a", at=time.time() + seconds)
        assert answer.status == status
    assert answer.code == "RequestTimeTooSkewed" and b"<ServerTime>" in answer.body
    sim.clock.skew = -920
    expect(s3.request("PUT", "buck", "a", at=time.time() - 920), 200)


def raw(s3, path, query="", sent_path=None, sent_query=None, drop=(), **more):
    """A request signed over path and query, and sent a little different."""
    headers = s3.headers("GET", path, query, b"", {})
    headers = {k: v for k, v in headers.items() if k not in drop}
    headers.update(more)
    return s3.send("GET", sent_path or path, sent_query or query, b"", headers)


def test_target_is_taken_as_sent(s3):
    put(s3, "a~b $")
    expect(raw(s3, "/buck/a~b%20%24"), 200)
    for path in "/buck/a%7Eb%20%24", "/buck/a~b%20$", "/buck/./a", "/buck/a%2fb":
        status = 404 if path == "/buck/./a" else 403
        assert raw(s3, path).status == status
    expect(raw(s3, "/buck/a%20b", sent_path="/buck/a%20c"), 403,
           "SignatureDoesNotMatch")
    expect(raw(s3, "//buck//a"), 400, "InvalidBucketName")
    expect(raw(s3, "/buck//a"), 404, "NoSuchKey")


def test_query_is_taken_as_sent(s3):
    expect(raw(s3, "/buck", "list-type=2&prefix=a%20b"), 200)
    expect(raw(s3, "/buck", "list-type=2&prefix=a%20b",
               sent_query="prefix=a%20b&list-type=2"), 200)
    expect(raw(s3, "/buck", "versioning=", sent_query="versioning"), 200)
    for query in "list-type=2&prefix=a+b", "list-type=2&prefix=a/b":
        expect(raw(s3, "/buck", query), 403, "SignatureDoesNotMatch")


def test_missing_parts(s3):
    expect(raw(s3, "/buck/a", drop=["Authorization"]), 403, "AccessDenied")
    expect(raw(s3, "/buck/a", drop=["x-amz-date"]), 403, "AccessDenied")
    answer = expect(raw(s3, "/buck/a", **{"x-amz-meta-a": "1"}), 403, "AccessDenied")
    assert b"<HeadersNotSigned>x-amz-meta-a<" in answer.body
    expect(raw(s3, "/buck/a", **{"Authorization": "AWS4-HMAC-SHA256 x"}), 400,
           "AuthorizationHeaderMalformed")
    answer = raw(s3, "/buck/a", drop=["x-amz-content-sha256"])
    expect(answer, 400, "InvalidRequest")


def test_payload_kinds(s3):
    for value, status, code in (
            ("UNSIGNED-PAYLOAD", 403, "AccessDenied"),
            ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", 501, "NotImplemented"),
            ("ABC", 400, "InvalidArgument")):
        headers = {"x-amz-content-sha256": value}
        expect(s3.request("PUT", "buck", "a", headers=headers), status, code)
    chunked = {"content-encoding": "aws-chunked"}
    expect(s3.request("PUT", "buck", "a", headers=chunked), 501, "NotImplemented")
    with S3Sim(["buck"], allow_unsigned=True) as sim, Client(sim.url) as other:
        headers = {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
        expect(other.request("PUT", "buck", "a", body=b"x", headers=headers), 200)


def test_expect_continue(sim, s3):
    """A refusal comes instead of the 100, and the body is never asked for."""
    for length, refused in ((3, False), (1 << 30, True)):
        headers = s3.headers("PUT", "/buck/a", "", b"abc", {})
        headers |= {"Expect": "100-continue", "Content-Length": str(length)}
        if refused:
            headers["Authorization"] = headers["Authorization"][:-4] + "0000"
        connection = http.client.HTTPConnection(s3.address, timeout=10)
        connection.putrequest("PUT", "/buck/a", skip_host=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answers = connection.sock.makefile("rb")
        line = answers.readline()
        assert line.startswith(b"HTTP/1.1 403" if refused else b"HTTP/1.1 100")
        if not refused:
            assert answers.readline() == b"\r\n"
            connection.send(b"abc")
            assert answers.readline() == b"HTTP/1.1 200 OK\r\n"
        answers.close()
        connection.close()


def test_framing(sim, s3):
    headers = s3.headers("PUT", "/buck/a", "", b"", {})
    lines = [f"{name}: {value}" for name, value in headers.items()]
    text = "\r\n".join(["PUT /buck/a HTTP/1.1", *lines, "Transfer-Encoding: chunked",
                        "", "1\r\nx\r\n0\r\n\r\n"])
    # In one piece: the server answers and hangs up after the head.
    with socket.create_connection((sim.host, sim.port), 30) as connection:
        connection.sendall(text.encode())
        assert connection.recv(64).startswith(b"HTTP/1.1 501 ")


def test_virtual_host(sim, s3):
    put(s3, "dir/a", b"found")
    port = sim.port
    for host in f"buck.localhost:{port}", f"buck.s3.eu-west-1.example.com:{port}":
        headers = s3.headers("GET", "/dir/a", "", b"", {"host": host})
        assert s3.send("GET", "/dir/a", "", b"", headers).body == b"found"


def test_temporary_keys():
    """Further keys, with their tokens, until they expire."""
    with S3Sim(["buck"]) as sim:
        sim.identity.temporary["ASIA"] = sigv4.Keys("secret", "token", time.time() + 3600)
        for secret, token, status, code in (
                ("secret", "token", 200, None), ("secret", "other", 400, "InvalidToken"),
                ("secret", None, 400, "InvalidToken"),
                ("other", "token", 403, "SignatureDoesNotMatch")):
            with Client(sim.url, "ASIA", secret, token=token) as s3:
                expect(s3.request("PUT", "buck", "a", body=b"x"), status, code)
        sim.identity.temporary["ASIA"].expires = time.time()
        with Client(sim.url, "ASIA", "secret", token="token") as s3:
            expect(s3.request("PUT", "buck", "a", body=b"x"), 400, "ExpiredToken")
        with Client(sim.url) as s3:
            expect(s3.request("PUT", "buck", "a", body=b"x"), 200)


@pytest.mark.parametrize("host,bucket", [
    ("127.0.0.1:80", None), ("[::1]:80", None), ("localhost:80", None), ("host", None),
    ("b.localhost", "b"), ("b.c.localhost:1", "b.c"), ("b.s3.amazonaws.com", "b"),
    ("s3.eu-west-1.amazonaws.com", None)])
def test_bucket_of_host(host, bucket):
    assert bucket_of_host(host, "localhost") == bucket
