# SPDX-License-Identifier: Apache-2.0
"""CopyObject.

Invariant: the source is read whole, outside of any lock, before the copy
becomes the current version, so an object copied onto itself is there at any
time, before or after.
"""

from . import archive
from .checksums import PREFIX, SUMS, b64
from .clock import iso_date
from .conditions import WriteCondition, failed, same_etag
from .errors import S3Error
from .message import Response, decode
from .objects import SSE_KEPT, commit, encryption_headers, final_etag, \
    template_of, version_header
from .xmlio import document

ILLEGAL = ("This copy request is illegal because it is trying to copy an object to "
           "itself without changing the object's metadata, storage class, website "
           "redirect location or encryption attributes.")
MATCH = "x-amz-copy-source-if-match"


def find_source(request):
    """(bucket, version) that the request copies from."""
    name = decode(request.header("x-amz-copy-source")).lstrip("/")
    name, _, version_id = name.partition("?versionId=")
    bucket_name, _, key = name.partition("/")
    bucket = request.sim.bucket(bucket_name)
    with bucket.lock:
        version = bucket.find(key, version_id) if version_id else bucket.live(key)
        if version is None:
            raise S3Error("NoSuchKey", Key=key)
        match = request.header(MATCH)
        if match is not None and not same_etag(match, version.etag):
            raise failed(MATCH)
        archive.check_readable(version, bucket.clock.now(), "ObjectNotInActiveTierError")
        return bucket, version


def check_change(request, source, version):
    same = (request.bucket_name, request.key) == source
    replaced = request.header("x-amz-metadata-directive", "COPY") == "REPLACE"
    if same and not replaced and version.storage_class == archive.requested_class(request):
        raise S3Error("InvalidRequest", ILLEGAL)


def copy_blob(request, blob, algorithm):
    """The bytes again, and their checksum."""
    writer = request.sim.store.writer(blob.size, request.key, request.storage_class)
    total = SUMS[algorithm]() if algorithm else None
    for piece in blob.reader(0, blob.size):
        piece = memoryview(piece)
        if total:
            total.update(piece)
        while piece:
            room = writer.room(min(len(piece), 1 << 20))
            room[:] = piece[:len(room)]
            writer.wrote(len(room))
            piece = piece[len(room):]
    return writer.finish(), (PREFIX + algorithm, b64(total.digest())) if total else None


def wanted_algorithm(request, version):
    algorithm = request.header("x-amz-checksum-algorithm", "").lower()
    if request.quirk("no-checksum"):
        return None
    if not algorithm:
        return version.checksum and version.checksum[0][len(PREFIX):]
    if algorithm not in SUMS:
        raise S3Error("NotImplemented", f"{algorithm} is not simulated")
    return algorithm


def copy_object(request):
    bucket, condition = request.bucket, WriteCondition(request)
    source_bucket, source = find_source(request)
    check_change(request, (source_bucket.name, source.key), source)
    copy = template_of(request)
    if request.header("x-amz-metadata-directive", "COPY") == "COPY":
        copy.headers = [(n, v) for n, v in source.headers if n not in SSE_KEPT]
        copy.headers += [(n, v) for n, v in request.headers if n in SSE_KEPT]
    copy.blob, copy.checksum = copy_blob(request, source.blob,
                                         wanted_algorithm(request, source))
    copy.etag = final_etag(copy, source.etag)
    try:
        commit(bucket, copy, condition)
    except S3Error:
        copy.blob.free()
        raise
    rows = [("LastModified", iso_date(copy.modified)), ("ETag", f'"{copy.etag}"')]
    if copy.checksum and copy.checksum[0] == PREFIX + "sha256":
        rows.append(("ChecksumSHA256", copy.checksum[1]))
    return Response.of(200, document("CopyObjectResult", rows),
                       headers=[*version_header(bucket, copy), *encryption_headers(copy)])
