# SPDX-License-Identifier: Apache-2.0
"""A request as received and an answer to be sent.

Request keeps the target exactly as it came; bucket, key and query are decoded
from it once.  Invariant: a body is read at most once, through Body, which
sends the 100-continue the client waits for only when reading begins.
"""

import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import unquote, unquote_to_bytes

from .errors import S3Error

MAX_DOCUMENT = 4 << 20
MAX_KEY = 1024


class Hangup(Exception):
    """Stop talking to this client; reset says how."""

    def __init__(self, reset):
        super().__init__()
        self.reset = reset


class Body:
    """The request's body: `left` bytes still to come."""

    def __init__(self, rfile, length, on_start, meter):
        self.rfile = rfile
        self.left = length
        self.on_start = on_start
        self.meter = meter
        self.reset_at = None	# hang up when that many are left
        self.flip_at = None	# flip a bit when no more than that many are

    def readinto(self, view):
        if self.on_start:
            self.on_start()
            self.on_start = None
        got = self.rfile.readinto(view)
        if not got:
            raise Hangup(reset=False)
        self.left -= got
        self.meter(got)
        if self.flip_at is not None and self.left <= self.flip_at:
            view[got - 1] ^= 1
            self.flip_at = None
        if self.reset_at is not None and self.left <= self.reset_at:
            raise Hangup(reset=True)
        return got

    def read(self):
        """A small body, whole."""
        if self.left > MAX_DOCUMENT:
            raise S3Error("MalformedXML")
        data = bytearray(self.left)
        view = memoryview(data)
        while self.left:
            view = view[self.readinto(view):]
        return bytes(data)

    def drain(self):
        scratch = memoryview(bytearray(min(self.left, 1 << 18)))
        while self.left:
            self.readinto(scratch[:self.left])


@dataclass
class Response:
    """`pieces` is an iterable of buffers that are `length` bytes in all; None:
    nobody knows, and the connection's end is theirs."""
    status: int = 200
    headers: list = field(default_factory=list)
    pieces: object = ()
    length: int = 0

    @classmethod
    def of(cls, status, data, content_type="application/xml", headers=()):
        headers = [("Content-Type", content_type), *headers]
        return cls(status, headers, [data], len(data))


class Request:
    def __init__(self, method, target, headers, body, sim):
        self.method = method
        self.target = target
        self.headers = headers		# [(lower-case name, value)]
        self.body = body
        self.sim = sim
        self.raw_path, _, self.raw_query = target.partition("?")
        self.bucket_name = self.key = None
        self.query = {}
        self.by_host = False
        self.operation = None
        self.payload_hash = None	# set by the verifier
        self.length = body.left
        self.id = None
        self.code = None		# of the error it is answered with
        self.fault = None		# the rule that strikes it
        self.storage_class = None	# of the object that it is about
        self.sent = 0			# bytes of it that the answer holds
        self.may_list = True		# and so is told what is missing

    def header(self, name, default=None):
        """The value of a header; repeated ones joined as HTTP says."""
        values = [v for n, v in self.headers if n == name]
        return ",".join(values) if values else default

    def locate(self, domain):
        """Find bucket, key and query in host and target."""
        self.bucket_name = bucket_of_host(self.header("host", ""), domain)
        self.by_host = self.bucket_name is not None
        path = self.raw_path[1:]
        if not self.by_host:
            bucket, _, path = path.partition("/")
            self.bucket_name = decode(bucket) or None
        self.key = decode(path) or None
        if self.key and not self.bucket_name:
            raise S3Error("InvalidBucketName", BucketName="")
        if self.key and len(self.key.encode()) > MAX_KEY:
            raise S3Error("KeyTooLongError", Size=len(self.key.encode()),
                          MaxSizeAllowed=MAX_KEY)
        for name, value in raw_pairs(self.raw_query):
            self.query[decode(name)] = decode(value)

    @property
    def bucket(self):
        return self.sim.state.bucket(self.bucket_name)

    def quirk(self, name):
        return name in self.sim.quirks


def raw_pairs(raw_query):
    """Names and values of a query, still encoded, in order of arrival."""
    pieces = [piece for piece in raw_query.split("&") if piece]
    return [piece.partition("=")[::2] for piece in pieces]


def decode(raw):
    try:
        return unquote_to_bytes(raw.encode("latin-1")).decode()
    except UnicodeDecodeError:
        raise S3Error("InvalidURI", URI=unquote(raw, errors="replace")) from None


def bucket_of_host(host, domain):
    """The bucket that a Host header names, or None for path style."""
    host = re.sub(r":\d+$", "", host).lower()
    if is_address(host) or host == domain or "." not in host:
        return None
    if host.endswith("." + domain):
        return host[:-len(domain) - 1]
    first = host.partition(".")[0]
    return None if first == "s3" else first


def is_address(host):
    try:
        ipaddress.ip_address(host.strip("[]"))
        return True
    except ValueError:
        return False
