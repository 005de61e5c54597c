# SPDX-License-Identifier: Apache-2.0
"""The checks of a body on its way in: sha256 of the signature, Content-MD5,
x-amz-checksum-*.

Invariant: what Digests.verify() lets pass is what the client meant to send,
unless the simulator was told to trust bodies (for benchmarks).
Only crc32, sha1 and sha256 are computed; the other algorithms, which the
standard library has not, are refused with 501 rather than ignored.
"""

import base64
import binascii
import hashlib
import secrets
import zlib

from .errors import S3Error

PREFIX = "x-amz-checksum-"
NOT_SUMS = {"mode", "algorithm", "type"}


class Crc32:
    def __init__(self):
        self.value = 0

    def update(self, data):
        self.value = zlib.crc32(data, self.value)

    def digest(self):
        return self.value.to_bytes(4, "big")


SUMS = {"crc32": Crc32, "sha1": hashlib.sha1, "sha256": hashlib.sha256}


def b64(data):
    return base64.b64encode(data).decode()


def decode_digest(text, size):
    """The bytes of a base64 digest, or None if it is not one."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if len(data) == size else None


def checksum_header(request):
    """(algorithm, bytes) of the x-amz-checksum-* header, or (None, None)."""
    if request.quirk("no-checksum"):
        return None, None
    found = [(n[len(PREFIX):], v) for n, v in request.headers
             if n.startswith(PREFIX) and n[len(PREFIX):] not in NOT_SUMS]
    if not found:
        return None, None
    if len(found) > 1:
        raise S3Error("InvalidRequest",
                      "Expecting a single x-amz-checksum- header")
    name, text = found[0]
    if name not in SUMS:
        raise S3Error("NotImplemented", f"{PREFIX}{name} is not simulated")
    value = decode_digest(text, len(SUMS[name]().digest()))
    if value is None:
        raise S3Error("InvalidRequest",
                      f"Value for {PREFIX}{name} header is invalid.")
    return name, value


def content_md5(request):
    text = request.header("content-md5")
    if text is None:
        return None
    value = decode_digest(text, 16)
    if value is None:
        raise S3Error("InvalidDigest", **{"Content-MD5": text})
    return value


class Digests:
    """What the headers promise about the body, then what the body was."""

    def __init__(self, request):
        self.payload_hash = request.payload_hash
        self.name, self.value = checksum_header(request)
        self.md5_value = content_md5(request)
        self.md5 = hashlib.md5(usedforsecurity=False)
        self.sha256 = hashlib.sha256()
        self.running = [self.md5, self.sha256]
        self.sum = self.sha256
        if self.name not in (None, "sha256"):
            self.sum = SUMS[self.name]()
            self.running.append(self.sum)
        self.trusting = request.sim.trust_bodies
        if self.trusting:
            self.running.clear()

    def update(self, data):
        for digest in self.running:
            digest.update(data)

    def verify(self):
        if self.trusting:
            return
        computed = self.sha256.hexdigest()
        if self.payload_hash not in ("UNSIGNED-PAYLOAD", computed):
            raise S3Error("XAmzContentSHA256Mismatch",
                          ClientComputedContentSHA256=self.payload_hash,
                          S3ComputedContentSHA256=computed)
        if self.md5_value not in (None, self.md5.digest()):
            raise S3Error("BadDigest", ExpectedDigest=b64(self.md5_value),
                          CalculatedDigest=b64(self.md5.digest()))
        if self.name and self.value != self.sum.digest():
            raise S3Error("BadDigest", f"The {self.name.upper()} you specified "
                          "did not match the calculated checksum.")

    def etag(self):
        return secrets.token_hex(16) if self.trusting else self.md5.hexdigest()

    def checksum(self):
        """(header name, base64) to keep with the object, or None."""
        return (PREFIX + self.name, b64(self.value)) if self.name else None


def read_object(request):
    """Receive the body into a blob; returns (blob, digests), verified."""
    digests = Digests(request)
    if request.quirk("want-checksum") and digests.md5_value is None and not digests.name:
        raise S3Error("InvalidRequest", "Content-MD5 OR x-amz-checksum- HTTP header is "
                      "required for Put Object requests with Object Lock parameters")
    body = request.body
    writer = request.sim.store.writer(body.left, request.key, request.storage_class)
    try:
        while body.left:
            view = writer.room(min(body.left, 1 << 20))
            got = body.readinto(view)
            digests.update(view[:got])
            writer.wrote(got)
        digests.verify()
        return writer.finish(), digests
    except BaseException:
        writer.abort()
        raise


def read_document(request, need_md5=False):
    """A small body, verified."""
    digests = Digests(request)
    if need_md5 and digests.md5_value is None and not digests.name:
        raise S3Error("InvalidRequest", "Missing required header for this "
                      "request: Content-MD5 OR x-amz-checksum-*")
    data = request.body.read()
    digests.update(data)
    digests.verify()
    return data
