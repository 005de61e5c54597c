# SPDX-License-Identifier: Apache-2.0
"""A small signed S3 client for tests and set-up work.

It shares no code with the simulator's verifier, so that each checks the
other.  Invariant: what is sent is what was signed; nothing is retried and no
status is an exception.
"""

import hashlib
import hmac
import http.client
import re
import time
from urllib.parse import quote, urlsplit


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def code(self):
        """The <Code> of an S3 error, or None."""
        match = re.search(rb"<Code>(.*?)</Code>", self.body)
        return match[1].decode() if match else None

    def __repr__(self):
        return f"<Answer {self.status} {self.code or ''} {self.body[:300]!r}>"


def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def sign(method, path, query, headers, payload_hash, stamp, access_key, secret_key,
         region):
    """The Authorization header; `path` and `query` as they will be sent."""
    names = sorted(name.lower() for name in headers)
    values = {name.lower(): str(value).strip() for name, value in headers.items()}
    block = "".join(f"{name}:{values[name]}\n" for name in names)
    text = f"{method}\n{path}\n{query}\n{block}\n{';'.join(names)}\n{payload_hash}"
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    hashed = hashlib.sha256(text.encode()).hexdigest()
    key = f"AWS4{secret_key}".encode()
    for word in scope.split("/"):
        key = mac(key, word)
    result = mac(key, f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashed}").hex()
    return (f"AWS4-HMAC-SHA256 Credential={access_key}/{scope},"
            f"SignedHeaders={';'.join(names)},Signature={result}")


class Client:
    def __init__(self, url, access_key="AKIDTEST", secret_key="SECRETTEST",
                 region="us-east-1", token=None, timeout=30):
        self.address = urlsplit(url).netloc
        self.access_key, self.secret_key = access_key, secret_key
        self.region, self.token = region, token
        self.connection = http.client.HTTPConnection(self.address, timeout=timeout)

    def close(self):
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def headers(self, method, path, query, body, extra, at=None):
        """All headers of a request, signed; extra ones may replace ours."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
        headers = {"host": self.address, "x-amz-date": stamp,
                   "x-amz-content-sha256": hashlib.sha256(body).hexdigest()}
        if self.token:
            headers["x-amz-security-token"] = self.token
        headers.update(extra)
        headers["Authorization"] = sign(
            method, path, query, headers, headers["x-amz-content-sha256"],
            headers["x-amz-date"], self.access_key, self.secret_key, self.region)
        return headers

    def request(self, method, bucket="", key="", query=None, body=b"", headers=(),
                at=None):
        path = "/" + bucket
        if key:
            path += "/" + quote(key, safe="/-_.~")
        pairs = sorted((quote(k, safe="-_.~"), quote(v, safe="-_.~"))
                       for k, v in (query or {}).items())
        query = "&".join(f"{k}={v}" for k, v in pairs)
        signed = self.headers(method, path, query, body, dict(headers), at)
        return self.send(method, path, query, body, signed)

    def send(self, method, path, query, body, headers):
        """Send these very bytes of path and query, and these headers."""
        try:
            target = path + ("?" + query if query else "")
            connection = self.connection
            connection.putrequest(method, target, skip_host=True,
                                  skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, str(value))
            if body or method in ("PUT", "POST"):
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body or None)
            return Answer(connection.getresponse())
        except (OSError, http.client.HTTPException):
            self.connection.close()
            raise
