# SPDX-License-Identifier: Apache-2.0
"""The operations on one object: PUT, GET, HEAD and DELETE.

Invariant: a body is received whole and verified before the bucket's lock is
taken; condition and commit happen in one hold of it.
"""

import re
import secrets

from . import archive
from .checksums import read_object
from .clock import http_date
from .conditions import DeleteCondition, WriteCondition, check_read
from .errors import S3Error
from .message import Response
from .state import Version

MAX_OBJECT = 5 << 30
MAX_USER_METADATA = 2048
KEPT = {"content-type", "cache-control", "content-disposition", "content-encoding",
        "content-language", "expires"}
SSE = "x-amz-server-side-encryption"
SSE_KEPT = {SSE, SSE + "-aws-kms-key-id", SSE + "-customer-algorithm",
            SSE + "-customer-key-md5", SSE + "-bucket-key-enabled"}
OVERRIDES = ("content-type", "content-language", "expires", "cache-control",
             "content-disposition", "content-encoding")
RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def template_of(request):
    """A Version without contents: what the headers of a write say."""
    headers = [(n, v) for n, v in request.headers if n in KEPT | SSE_KEPT]
    user = [(n, v) for n, v in request.headers if n.startswith("x-amz-meta-")]
    size = sum(len(n) - len("x-amz-meta-") + len(v) for n, v in user)
    if size > MAX_USER_METADATA:
        raise S3Error("MetadataTooLarge", Size=size,
                      MaxSizeAllowed=MAX_USER_METADATA)
    request.storage_class = archive.requested_class(request)
    return Version(request.key, 0, headers=headers + user,
                   storage_class=request.storage_class)


def encryption_headers(version):
    return [(n, v) for n, v in version.headers if n in SSE_KEPT]


def checksum_headers(version):
    if version.checksum is None:
        return []
    return [version.checksum, ("x-amz-checksum-type", version.checksum_type)]


def version_header(bucket, version):
    return [("x-amz-version-id", version.id)] if bucket.versioning else []


def final_etag(template, etag):
    """With KMS an ETag is no digest of the contents."""
    encrypted = dict(template.headers).get(SSE) == "aws:kms"
    return secrets.token_hex(16) if encrypted else etag


def commit(bucket, version, condition, since=None):
    with bucket.lock:
        condition.check(bucket, version.key, since)
        return bucket.add(version)


def put_object(request):
    bucket = request.bucket
    version = template_of(request)
    condition = WriteCondition(request)
    if request.body.left > MAX_OBJECT:
        raise S3Error("EntityTooLarge", ProposedSize=request.body.left)
    version.blob, digests = read_object(request)
    version.etag = final_etag(version, digests.etag())
    version.checksum = digests.checksum()
    try:
        commit(bucket, version, condition)
    except S3Error:
        version.blob.free()
        raise
    return Response(200, [("ETag", f'"{version.etag}"'),
                          *version_header(bucket, version),
                          *encryption_headers(version), *checksum_headers(version)])


def find_version(request, bucket):
    """The version that a GET or HEAD names; called under the lock."""
    version_id = request.query.get("versionId")
    if version_id is None:
        version = bucket.current(request.key)
    else:
        version = bucket.find(request.key, version_id)
        if version is None:
            raise S3Error("NoSuchVersion", Key=request.key, VersionId=version_id)
    if not request.may_list and (version is None or version.is_marker):
        raise S3Error("AccessDenied")
    if version is None:
        raise S3Error("NoSuchKey", Key=request.key)
    if version.is_marker:
        marker = [("x-amz-delete-marker", "true"), *version_header(bucket, version)]
        if version_id is None:
            raise S3Error("NoSuchKey", headers=marker, Key=request.key)
        raise S3Error("MethodNotAllowed", headers=[*marker, ("Allow", "DELETE")],
                      Method=request.method, ResourceType="DeleteMarker")
    return version


def wanted_range(request, size):
    """(first, length) of a satisfiable Range, or None for the whole object."""
    text = request.header("range")
    match = text and RANGE.fullmatch(text.strip())
    if not match or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
        unsatisfiable = int(last) == 0 or size == 0
    else:
        start, end = int(first), min(size, int(last or size) + 1)
        if last and int(last) < start:
            return None
        unsatisfiable = start >= size
    if unsatisfiable:
        raise S3Error("InvalidRange", RangeRequested=text, ActualObjectSize=size,
                      headers=[("Content-Range", f"bytes */{size}")])
    return start, end - start


def describe(request, bucket, version):
    """The headers that GET and HEAD have in common."""
    headers = dict(version.headers)
    headers.setdefault("content-type", "binary/octet-stream")
    for name in OVERRIDES:
        if "response-" + name in request.query:
            headers[name] = request.query["response-" + name]
    return [*headers.items(), ("Last-Modified", http_date(version.modified)),
            ("ETag", f'"{version.etag}"'), ("Accept-Ranges", "bytes"),
            *version_header(bucket, version),
            *archive.class_headers(version, bucket.clock.now())]


def get_object(request):
    bucket = request.bucket
    with bucket.lock:
        version = find_version(request, bucket)
        request.storage_class = version.storage_class
        headers = describe(request, bucket, version)
        if check_read(request, version):
            return Response(304, headers)
        if request.method == "GET":
            archive.check_readable(version, bucket.clock.now())
        part = wanted_range(request, version.size)
        start, length = part or (0, version.size)
        if length == version.size and \
                request.header("x-amz-checksum-mode", "").upper() == "ENABLED":
            headers += checksum_headers(version)
        if part:
            span = f"bytes {start}-{start + length - 1}/{version.size}"
            headers.append(("Content-Range", span))
        pieces = ()
        if request.method == "GET":
            pieces = version.blob.reader(start, length)
        return Response(206 if part else 200, headers, pieces, length)


def remove_object(bucket, key, version_id, check):
    """Delete by name or by version; returns (version removed, marker made)."""
    with bucket.lock:
        if version_id is None:
            check(bucket.current(key))
            return None, bucket.delete(key)
        check(bucket.find(key, version_id))
        return bucket.remove(key, version_id), None


def delete_object(request):
    bucket = request.bucket
    version_id = request.query.get("versionId")
    condition = DeleteCondition(request)
    removed, marker = remove_object(bucket, request.key, version_id, condition.check)
    headers = []
    if marker or version_id is not None:
        headers.append(("x-amz-version-id", marker.id if marker else version_id))
    if marker or (removed and removed.is_marker):
        headers.append(("x-amz-delete-marker", "true"))
    return Response(204, headers)


def restore_object(request):
    bucket, sim = request.bucket, request.sim
    days, tier = archive.read_wish(request)
    if not sim.restores.allow():
        raise S3Error("ThrottlingException")
    with bucket.lock:
        version = find_version(request, bucket)
        running = archive.current_restore(version, bucket.clock.now())
        status = archive.begin_restore(version, days, tier, bucket.clock.now(),
                                       request.quirk("no-expedited"))
        sim.meter.restored(version, status, tier, hastened=status == 202 and running)
    return Response(200 if request.quirk("restore-200") else status)
