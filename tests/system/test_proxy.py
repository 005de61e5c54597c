# SPDX-License-Identifier: Apache-2.0
"""S3 by way of a proxy, as the environment says: passing requests on, by CONNECT
where the endpoint has TLS, and what is said when the proxy does not do it."""
import os
import socket

import pytest

from conftest import s3_environment
from firn_tool import Firn
from httpproxy import HttpProxy
from s3sim import S3Sim

LOGIN = "user:pass%2Fword"		# as it stands in a URL


@pytest.fixture
def source(work):
    directory = work / "source"
    directory.mkdir()
    (directory / "file").write_bytes(os.urandom(3 << 20))
    return directory


@pytest.fixture
def bucket(work):
    """firn on a bucket without TLS."""
    with S3Sim(["bucket"]) as server:
        yield firn_on(work, server)


@pytest.fixture
def tls_bucket(work, certificate):
    with S3Sim(["bucket"], certificate=str(certificate)) as server:
        firn = firn_on(work, server)
        firn.env["AWS_CA_BUNDLE"] = str(work / "only.pem")
        yield firn


def firn_on(work, server):
    firn = Firn(work, "s3://bucket/firn", s3_environment(server.url))
    firn.sim = server
    return firn


@pytest.fixture(params=["http", "https"])
def proxied(request):
    """(firn, name of the variable for its endpoint)"""
    fixture = {"http": "bucket", "https": "tls_bucket"}[request.param]
    return request.getfixturevalue(fixture), f"{request.param}_proxy"


def works(firn, source):
    firn("init", "--kdf-memory", "16M")
    firn.backup(source)
    assert firn.check("--read-data")[0] == []
    assert firn.sim.requests


def said(firn, *more):
    """The one error of `firn generations`."""
    r = firn("generations", *more, status=1)
    errors = [line for line in r.err.splitlines() if "cannot" in line]
    assert len(errors) == 1, r.err
    assert "pass%2Fword" not in r.err and "pass/word" not in r.err
    return errors[0]


# It goes that way.

def test_requests_are_passed_on(bucket, source):
    with HttpProxy() as proxy:
        bucket.env["http_proxy"] = proxy.url
        works(bucket, source)
        assert proxy.tunnels == []
        assert len(proxy.requests) == len(bucket.sim.requests)
        assert all(url.startswith(bucket.sim.url + "/bucket") for _, url in proxy.requests)


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "all_proxy"])
def test_tunnel(tls_bucket, source, name):
    """The proxy sees where it goes, and nothing else."""
    with HttpProxy() as proxy:
        tls_bucket.env[name] = proxy.url
        works(tls_bucket, source)
        assert proxy.requests == []
        assert {where for where, _ in proxy.tunnels} == {
            "127.0.0.1:%d" % tls_bucket.sim.port}
        for _, headers in proxy.tunnels:
            assert {n.lower() for n in headers} <= {"host", "user-agent", "proxy-connection"}
        # Connections are kept, through the proxy too.
        assert len(proxy.tunnels) < len(tls_bucket.sim.requests)


def test_tunnel_through_tls(tls_bucket, source, certificate):
    """The way to the proxy has TLS too, and AWS_CA_BUNDLE counts for both."""
    with HttpProxy(certificate=str(certificate)) as proxy:
        tls_bucket.env["https_proxy"] = proxy.url
        works(tls_bucket, source)
        assert proxy.tunnels and proxy.requests == []
        tls_bucket.sim.stats.reset()
        del tls_bucket.env["AWS_CA_BUNDLE"]
        assert "certificate is not trusted" in said(tls_bucket)
        assert tls_bucket.sim.requests == []


@pytest.mark.parametrize("no_proxy", ["127.0.0.1", "example.com,127.0.0.1", "*"])
def test_no_proxy(proxied, source, no_proxy):
    firn, name = proxied
    with HttpProxy() as proxy:
        firn.env.update({name: proxy.url, "no_proxy": no_proxy})
        works(firn, source)
        assert proxy.requests == proxy.tunnels == []


def test_not_for_this_kind(proxied, source):
    """A proxy for the other kind of endpoint is none for this one."""
    firn, name = proxied
    other = {"http_proxy": "https_proxy", "https_proxy": "http_proxy"}[name]
    with HttpProxy() as proxy:
        firn.env[other] = proxy.url
        works(firn, source)
        assert proxy.requests == proxy.tunnels == []


def test_password(proxied, source):
    """What the message says helps."""
    firn, name = proxied
    with HttpProxy(password="user:pass/word") as proxy:
        for url in proxy.url, proxy.url_of("user:wrong"):
            firn.env[name] = url
            text = said(firn)
            assert "the proxy wants to know who you are" in text and "407" in text
            assert name in text and "http://USER:PASSWORD@HOST:PORT" in text
        assert firn.sim.requests == []
        firn.env[name] = proxy.url_of(LOGIN)
        works(firn, source)


# It does not.

def test_refused(proxied):
    """Once, and at once: it would be refused again."""
    firn, name = proxied
    with HttpProxy() as proxy:
        proxy.refuse = 403
        firn.env[name] = proxy.url
        text = said(firn)
        assert len(proxy.refused) == 1 and firn.sim.requests == []
    if name == "https_proxy":
        assert "the proxy does not let this through" in text and "403" in text
        assert "allow CONNECT to the endpoint, or name that in no_proxy" in text
    else:
        assert "access denied, by what is no S3 server" in text
        assert "http_proxy, no_proxy" in text


def test_fails_for_a_while(proxied):
    """A proxy that cannot reach the server is asked again, and named."""
    firn, name = proxied
    with HttpProxy() as proxy:
        proxy.refuse = 503
        firn.env[name] = proxy.url
        text = said(firn, "--timeout", "1")
        assert len(proxy.refused) > 1
    assert "503" in text and "tried" in text
    if name == "https_proxy":
        assert "there is no way through the proxy" in text and "https_proxy" in text


def test_nobody_there(proxied):
    firn, name = proxied
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
        firn.env[name] = f"http://127.0.0.1:{port}"
        text = said(firn, "--timeout", "1")
    assert "no connection" in text and f"port {port}" in text and "the proxy" in text


@pytest.mark.parametrize("url", ["http://nowhere.invalid:3128", "http://user:pass/word@x:1",
                                 "gopher://user:pass%2Fword@127.0.0.1:1"])
def test_bad_proxy(proxied, url):
    """It is the proxy's name that is wrong, not the server's; and a password in it
    is not told."""
    firn, name = proxied
    firn.env[name] = url
    text = said(firn, "--timeout", "1")
    assert "there is no way through the proxy" in text and name in text
