# SPDX-License-Identifier: Apache-2.0
"""ListObjectsV2 and ListObjectVersions.

Keys are compared as Python strings, whose order is that of their UTF-8 bytes.
Invariant: pages joined in order hold every key once, as long as the bucket
does not change; a page has at most 1000 entries, common prefixes counted.
"""

import base64
import binascii
import bisect
import re

from .archive import restore_status
from .clock import iso_date
from .errors import S3Error
from .message import Response
from .xmlio import document

MAX_KEYS = 1000
LAST = "\U0010ffff"
ENCODED = re.compile(r"[^A-Za-z0-9._*/-]")


def url_encode(text):
    """As S3 does it: a blank becomes `+`, and `/` and `*` stay."""
    def code(match):
        if match[0] == " ":
            return "+"
        return "".join("%%%02X" % byte for byte in match[0].encode())
    return ENCODED.sub(code, text)


class Page:
    """What the query of a listing asks for, common to both kinds."""

    def __init__(self, request):
        query = request.query
        self.prefix = query.get("prefix", "")
        self.delimiter = query.get("delimiter", "")
        self.max_keys = max_keys(query.get("max-keys", "1000"))
        encoding = query.get("encoding-type")
        if encoding not in (None, "url"):
            raise S3Error("InvalidArgument", "Invalid Encoding Method specified in "
                          "Request", ArgumentName="encoding-type")
        self.encoding = encoding
        attributes = request.header("x-amz-optional-object-attributes", "")
        self.restore_status = ("RestoreStatus" in attributes.split(",")
                               and not request.quirk("ignore-restore-status"))
        self.now = request.sim.clock.now()
        self.encode = url_encode if encoding else str

    def group(self, key):
        """The common prefix that stands for `key`, or None."""
        if not self.delimiter:
            return None
        at = key.find(self.delimiter, len(self.prefix))
        return None if at < 0 else key[:at + len(self.delimiter)]

    def rows(self, bucket):
        return [("Name", bucket.name), ("Prefix", self.encode(self.prefix)),
                ("Delimiter", self.encode(self.delimiter) or None),
                ("MaxKeys", self.max_keys), ("EncodingType", self.encoding)]

    def prefix_rows(self, groups):
        return [("CommonPrefixes", [("Prefix", self.encode(group))])
                for group in groups]


def max_keys(text):
    if not text.isdecimal():
        raise S3Error("InvalidArgument", "Provided max-keys not an integer or within "
                      "integer range", ArgumentName="max-keys", ArgumentValue=text)
    return min(int(text), MAX_KEYS)


def walk(bucket, page, start):
    """Yields (key, group) from `start` on: each key that no group stands for,
    and each group once."""
    names = bucket.names
    at = bisect.bisect_left(names, max(start, page.prefix))
    while at < len(names) and names[at].startswith(page.prefix):
        group = page.group(names[at])
        if group is None:
            yield names[at], None
            at += 1
        else:
            if any(bucket.live(names[i]) for i in members(names, at, group)):
                yield group, group
            at = bisect.bisect_left(names, group + LAST, at)


def members(names, at, group):
    while at < len(names) and names[at].startswith(group):
        yield at
        at += 1


def encode_token(after):
    return base64.b64encode(b"1:" + after.encode()).decode()


def decode_token(token):
    try:
        data = base64.b64decode(token, validate=True).decode()
    except (binascii.Error, UnicodeError, ValueError):
        data = ""
    if not data.startswith("1:"):
        raise S3Error("InvalidArgument", "The continuation token provided is "
                      "incorrect", ArgumentName="continuation-token")
    return data[2:]


def first_key(page, query):
    """The least key that the page may hold."""
    token = query.get("continuation-token")
    if token is None:
        after = query.get("start-after", "")
        return after + "\0" if after else ""
    after = decode_token(token)
    if page.delimiter and page.group(after) == after:
        return after + LAST
    return after + "\0"


def checksum_algorithm(version):
    return version.checksum and version.checksum[0].rpartition("-")[2].upper()


def restore_row(page, version):
    wanted = page.restore_status
    return ("RestoreStatus", restore_status(version, page.now) if wanted else None)


def contents_row(page, version):
    return ("Contents", [
        ("Key", page.encode(version.key)),
        ("LastModified", iso_date(version.modified)),
        ("ETag", f'"{version.etag}"'), ("Size", version.size),
        ("ChecksumAlgorithm", checksum_algorithm(version)),
        ("StorageClass", version.storage_class), restore_row(page, version)])


def take(bucket, page, start):
    """(versions, groups, key to continue after or None) of one page."""
    found, groups, last = [], [], None
    for name, group in walk(bucket, page, start):
        version = None if group else bucket.live(name)
        if not group and version is None:
            continue
        if len(found) + len(groups) == page.max_keys:
            return found, groups, last
        last = name
        if group:
            groups.append(group)
        else:
            found.append(version)
    return found, groups, None


def list_objects(request):
    bucket, query = request.bucket, request.query
    if query["list-type"] != "2":
        raise S3Error("InvalidArgument", ArgumentName="list-type")
    page = Page(request)
    with bucket.lock:
        found, groups, last = take(bucket, page, first_key(page, query))
    after = query.get("start-after")
    rows = page.rows(bucket)
    rows += [("KeyCount", len(found) + len(groups)),
             ("IsTruncated", last is not None),
             ("ContinuationToken", query.get("continuation-token")),
             ("NextContinuationToken", encode_token(last) if last else None),
             ("StartAfter", page.encode(after) if after else None)]
    rows += [contents_row(page, version) for version in found]
    rows += page.prefix_rows(groups)
    return Response.of(200, document("ListBucketResult", rows))


def version_row(page, version, is_latest):
    row = [("Key", page.encode(version.key)), ("VersionId", version.id),
           ("IsLatest", is_latest), ("LastModified", iso_date(version.modified))]
    if version.is_marker:
        return ("DeleteMarker", row)
    return ("Version", row + [("ETag", f'"{version.etag}"'), ("Size", version.size),
                              ("StorageClass", version.storage_class),
                              restore_row(page, version)])


def versions_after(bucket, page, key_marker, id_marker):
    """Yields ((key, id), group, version, is_latest), newest first in a key."""
    for name in bucket.names[bisect.bisect_left(bucket.names, key_marker):]:
        if not name.startswith(page.prefix):
            continue
        group = page.group(name)
        if group:
            if not key_marker or group > key_marker:
                yield (group, None), group, None, False
            continue
        versions = bucket.versions[name][::-1]
        start = 0
        if name == key_marker:
            ids = [version.id for version in versions]
            start = ids.index(id_marker) + 1 if id_marker in ids else len(ids)
        for version in versions[start:]:
            yield (name, version.id), None, version, version is versions[0]


def list_versions(request):
    bucket, query = request.bucket, request.query
    page = Page(request)
    key_marker = query.get("key-marker", "")
    id_marker = query.get("version-id-marker", "")
    found, groups, last, truncated = [], [], (None, None), False
    with bucket.lock:
        for mark, group, version, latest in versions_after(
                bucket, page, key_marker, id_marker):
            if group and group in groups[-1:]:
                continue
            if len(found) + len(groups) == page.max_keys:
                truncated = True
                break
            last = mark
            if group:
                groups.append(group)
            else:
                found.append(version_row(page, version, latest))
    rows = page.rows(bucket)
    rows += [("KeyMarker", page.encode(key_marker)), ("VersionIdMarker", id_marker),
             ("IsTruncated", truncated)]
    if truncated and last[0]:
        rows += [("NextKeyMarker", page.encode(last[0])),
                 ("NextVersionIdMarker", last[1])]
    rows += found + page.prefix_rows(groups)
    return Response.of(200, document("ListVersionsResult", rows))
