# SPDX-License-Identifier: Apache-2.0
"""Multipart uploads.

Invariant: an upload's parts belong to it until Complete hands those named to
the object and frees the others, in the same hold of the bucket's lock; a
refused Complete leaves the upload as it was.
"""

import dataclasses
import hashlib

from .blob import JoinedBlob
from .checksums import PREFIX, b64, decode_digest, read_document, read_object
from .clock import iso_date
from .conditions import WriteCondition
from .errors import S3Error
from .message import Response
from .objects import commit, encryption_headers, final_etag, \
    template_of, version_header
from .state import Part, Upload, new_upload_id
from .xmlio import document, parse

MIN_PART = 5 << 20
MAX_PART_NUMBER = 10000
SHA256 = PREFIX + "sha256"


def create_upload(request):
    bucket = request.bucket
    upload = Upload(request.key, new_upload_id(), template_of(request), 0)
    with bucket.lock:
        upload.seq = next(bucket.counter)
        bucket.uploads[upload.id] = upload
    rows = [("Bucket", bucket.name), ("Key", upload.key), ("UploadId", upload.id)]
    return Response.of(200, document("InitiateMultipartUploadResult", rows),
                       headers=encryption_headers(upload.template))


def find_upload(request, bucket):
    """Called under the bucket's lock."""
    upload = bucket.uploads.get(request.query["uploadId"])
    if upload is None or upload.key != request.key:
        raise S3Error("NoSuchUpload", UploadId=request.query["uploadId"])
    return upload


def part_number(text):
    number = int(text) if text.isdecimal() else 0
    if not 1 <= number <= MAX_PART_NUMBER:
        raise S3Error("InvalidArgument", "Part number must be an integer between "
                      "1 and 10000, inclusive", ArgumentName="partNumber",
                      ArgumentValue=text)
    return number


def upload_part(request):
    bucket = request.bucket
    number = part_number(request.query["partNumber"])
    with bucket.lock:
        find_upload(request, bucket)
    blob, digests = read_object(request)
    part = Part(blob, digests.etag(), bucket.clock.now(), digests.checksum())
    try:
        with bucket.lock:
            parts = find_upload(request, bucket).parts
            replaced = parts.get(number)
            parts[number] = part
    except S3Error:
        blob.free()
        raise
    if replaced:
        replaced.blob.free()
    sums = [part.checksum] if part.checksum else []
    return Response(200, [("ETag", f'"{part.etag}"'), *sums])


def named_parts(data):
    """[(number, etag, sha256 or None)] of a CompleteMultipartUpload body."""
    root = parse(data, "CompleteMultipartUpload")
    rows = [] if root is None else root.findall("Part")
    if not rows:
        raise S3Error("MalformedXML")
    return [(part_number(row.findtext("PartNumber", "")),
             row.findtext("ETag", "").strip('"'), row.findtext("ChecksumSHA256"))
            for row in rows]


def chosen_parts(upload, named):
    numbers = [number for number, _, _ in named]
    if any(a >= b for a, b in zip(numbers, numbers[1:])):
        raise S3Error("InvalidPartOrder", UploadId=upload.id)
    parts = []
    for number, etag, sha256 in named:
        part = upload.parts.get(number)
        stored = dict([part.checksum]).get(SHA256) if part and part.checksum else None
        if part is None or part.etag != etag or sha256 not in (None, stored):
            raise S3Error("InvalidPart", UploadId=upload.id, PartNumber=number,
                          ETag=etag)
        parts.append(part)
    for number, part in zip(numbers[:-1], parts):
        if part.blob.size < MIN_PART:
            raise S3Error("EntityTooSmall", ProposedSize=part.blob.size,
                          MinSizeAllowed=MIN_PART, PartNumber=number, ETag=part.etag)
    return parts


def joined(upload, parts):
    """The Version that the parts make."""
    digests = b"".join(bytes.fromhex(part.etag) for part in parts)
    etag = hashlib.md5(digests, usedforsecurity=False).hexdigest()
    version = dataclasses.replace(
        upload.template, blob=JoinedBlob([part.blob for part in parts]),
        etag=final_etag(upload.template, f"{etag}-{len(parts)}"))
    if all(part.checksum and part.checksum[0] == SHA256 for part in parts):
        sums = b"".join(decode_digest(part.checksum[1], 32) for part in parts)
        composite = b64(hashlib.sha256(sums).digest())
        version.checksum = (SHA256, f"{composite}-{len(parts)}")
        version.checksum_type = "COMPOSITE"
    return version


def complete_upload(request):
    bucket = request.bucket
    condition = WriteCondition(request)
    named = named_parts(read_document(request))
    with bucket.lock:
        upload = find_upload(request, bucket)
        parts = chosen_parts(upload, named)
        version = joined(upload, parts)
        promised = request.header("x-amz-mp-object-size")
        if promised not in (None, str(version.size)):
            raise S3Error("InvalidRequest", "The provided 'x-amz-mp-object-size' "
                          "does not match the size of the object")
        commit(bucket, version, condition, upload.seq)
        del bucket.uploads[upload.id]
    for part in upload.parts.values():
        if not any(part is used for used in parts):
            part.blob.free()
    rows = [("Location", f"/{bucket.name}/{upload.key}"), ("Bucket", bucket.name),
            ("Key", upload.key), ("ETag", f'"{version.etag}"')]
    if version.checksum:
        rows.append(("ChecksumSHA256", version.checksum[1]))
    return Response.of(200, document("CompleteMultipartUploadResult", rows),
                       headers=[*version_header(bucket, version),
                                *encryption_headers(version)])


def abort_upload(request):
    bucket = request.bucket
    with bucket.lock:
        upload = find_upload(request, bucket)
        del bucket.uploads[upload.id]
    upload.free()
    return Response(204)


def list_parts(request):
    """All parts in one page, which S3 would cut after 1000."""
    bucket = request.bucket
    with bucket.lock:
        upload = find_upload(request, bucket)
        parts = sorted(upload.parts.items())
    rows = [("Bucket", bucket.name), ("Key", upload.key), ("UploadId", upload.id),
            ("StorageClass", upload.template.storage_class), ("IsTruncated", False)]
    rows += [("Part", [("PartNumber", number),
                       ("LastModified", iso_date(part.modified)),
                       ("ETag", f'"{part.etag}"'), ("Size", part.blob.size)])
             for number, part in parts]
    return Response.of(200, document("ListPartsResult", rows))


def list_uploads(request):
    """All uploads with the prefix, in one page."""
    bucket = request.bucket
    prefix = request.query.get("prefix", "")
    with bucket.lock:
        uploads = [u for u in bucket.uploads.values() if u.key.startswith(prefix)]
    uploads.sort(key=lambda upload: (upload.key, upload.seq))
    rows = [("Bucket", bucket.name), ("Prefix", prefix), ("IsTruncated", False)]
    rows += [("Upload", [("Key", upload.key), ("UploadId", upload.id),
                         ("StorageClass", upload.template.storage_class)])
             for upload in uploads]
    return Response.of(200, document("ListMultipartUploadsResult", rows))
