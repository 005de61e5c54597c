# SPDX-License-Identifier: Apache-2.0
"""Conditional requests, as S3 was recorded to answer them.

| request                       | state                      | result |
| PUT If-None-Match:*           | absent or delete marker    | done   |
|                               | exists                     | 412    |
| PUT If-Match:e                | same                       | done   |
|                               | other / absent             | 412/404|
| Complete If-None-Match:*      | exists                     | 412    |
|                               | deleted since Create       | 409    |
| Complete If-Match:e           | absent / written since     | 404/409|
| DELETE If-Match:e             | other or absent            | 412    |
| any other use                 |                            | 501    |

Invariant: check() is called under the bucket's lock, and the write follows
before it is given up.
"""

from .errors import S3Error

UNSUPPORTED_ON_DELETE = ("x-amz-if-match-size", "x-amz-if-match-last-modified-time")


def same_etag(given, etag):
    return given.strip('"') == etag


def failed(condition):
    return S3Error("PreconditionFailed", Condition=condition)


def ignores(request):
    return request.quirk("ignore-conditional") or (
        request.quirk("ignore-conditional-versioned")
        and request.bucket.versioning == "Enabled")


class WriteCondition:
    """The condition of a PUT or a CompleteMultipartUpload."""

    def __init__(self, request):
        self.none_match = request.header("if-none-match")
        self.match = request.header("if-match")
        given = self.none_match is not None or self.match is not None
        if given and request.quirk("refuse-conditional"):
            raise S3Error("NotImplemented")
        if ignores(request):
            self.none_match = self.match = None
        both = self.none_match is not None and self.match is not None
        if both or self.none_match not in (None, "*") or self.match == "*":
            header = "If-None-Match" if self.none_match else "If-Match"
            raise S3Error("NotImplemented", Header=header)

    def check(self, bucket, key, since=None):
        """`since` is the seq at which a multipart upload was created."""
        live = bucket.live(key)
        if self.none_match:
            if live:
                raise failed("If-None-Match")
            if since is not None and bucket.deleted_at.get(key, 0) > since:
                raise S3Error("ConditionalRequestConflict",
                              Condition="If-None-Match", Key=key)
        if self.match:
            self.check_match(live, key, since)

    def check_match(self, live, key, since):
        if live is None:
            raise S3Error("NoSuchKey", Key=key)
        if since is not None and live.seq > since:
            raise S3Error("ConditionalRequestConflict", Condition="If-Match", Key=key)
        if not same_etag(self.match, live.etag):
            raise failed("If-Match")


class DeleteCondition:
    def __init__(self, request):
        self.match = request.header("if-match")
        if self.match and request.quirk("refuse-conditional"):
            raise S3Error("NotImplemented")
        if ignores(request):
            self.match = None
        if self.match == "*":
            raise S3Error("NotImplemented", Header="If-Match")
        for name in UNSUPPORTED_ON_DELETE:
            if request.header(name) is not None:
                raise S3Error("NotImplemented", Header=name)

    def check(self, version):
        check_delete_etag(self.match, version)


def check_delete_etag(etag, version):
    """`version` is what would be deleted, None or a marker if nothing is."""
    if etag is None:
        return
    if version is None or version.is_marker or not same_etag(etag, version.etag):
        raise failed("If-Match")


def check_read(request, version):
    """If-Match and If-None-Match of GET and HEAD; True means 304."""
    match = request.header("if-match")
    if match and match != "*" and not same_etag(match, version.etag):
        raise failed("If-Match")
    none_match = request.header("if-none-match")
    return bool(none_match) and (none_match == "*" or
                                 same_etag(none_match, version.etag))
