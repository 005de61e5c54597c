# SPDX-License-Identifier: Apache-2.0
"""The operations on buckets, and DeleteObjects.

Invariant: DeleteObjects answers 200 once its document is well formed; what
becomes of each key stands in the answer.
"""

from .checksums import read_document
from .clock import iso_date
from .conditions import check_delete_etag
from .errors import S3Error
from .message import MAX_KEY, Response
from .objects import remove_object
from .xmlio import document, parse

MAX_DELETES = 1000


def list_buckets(request):
    names = sorted(request.sim.state.buckets)
    created = iso_date(request.sim.clock.now())
    rows = [("Owner", [("ID", "s3sim")]),
            ("Buckets", [("Bucket", [("Name", name), ("CreationDate", created)])
                         for name in names])]
    return Response.of(200, document("ListAllMyBucketsResult", rows))


def check_constraint(constraint, region):
    """us-east-1 is the region that must not be named, the others must be."""
    if region == "us-east-1" and constraint is not None:
        raise S3Error("InvalidLocationConstraint", LocationConstraint=constraint)
    if region != "us-east-1" and constraint != region:
        raise S3Error("IllegalLocationConstraintException")


def create_bucket(request):
    data = read_document(request)
    constraint = None
    if data:
        root = parse(data, "CreateBucketConfiguration")
        if root is None:
            raise S3Error("MalformedXML")
        constraint = root.findtext("LocationConstraint")
    check_constraint(constraint, request.sim.identity.region)
    request.sim.state.create(request.bucket_name)
    return Response(200, [("Location", "/" + request.bucket_name)])


def delete_bucket(request):
    request.sim.state.delete(request.bucket_name)
    return Response(204)


def head_bucket(request):
    request.bucket
    return Response(200, [("x-amz-bucket-region", request.sim.identity.region)])


def get_location(request):
    request.bucket
    region = request.sim.identity.region
    data = document("LocationConstraint", [])
    if region != "us-east-1":
        data = data.replace(b"></", b">" + region.encode() + b"</")
    return Response.of(200, data)


def get_versioning(request):
    rows = [("Status", request.bucket.versioning or None)]
    return Response.of(200, document("VersioningConfiguration", rows))


def get_object_lock(request):
    """What a test has set as Bucket.object_lock: (mode, days); objects are not
    kept for it."""
    if request.bucket.object_lock is None:
        raise S3Error("ObjectLockConfigurationNotFoundError",
                      BucketName=request.bucket_name)
    mode, days = request.bucket.object_lock
    rows = [("ObjectLockEnabled", "Enabled"),
            ("Rule", [("DefaultRetention", [("Mode", mode), ("Days", days)])])]
    return Response.of(200, document("ObjectLockConfiguration", rows))


def put_versioning(request):
    bucket = request.bucket
    root = parse(read_document(request, need_md5=True), "VersioningConfiguration")
    status = None if root is None else root.findtext("Status")
    if status not in ("Enabled", "Suspended"):
        raise S3Error("MalformedXML")
    with bucket.lock:
        bucket.versioning = status
    return Response(200)


def delete_one(bucket, row):
    """One <Object> of DeleteObjects; returns the rows of its <Deleted>."""
    key, version_id = row.findtext("Key"), row.findtext("VersionId")
    if len(key.encode()) > MAX_KEY:
        raise S3Error("KeyTooLongError")
    etag = row.findtext("ETag")
    removed, marker = remove_object(
        bucket, key, version_id, lambda version: check_delete_etag(etag, version))
    rows = [("Key", key), ("VersionId", version_id)]
    if marker:
        rows += [("DeleteMarker", True), ("DeleteMarkerVersionId", marker.id)]
    elif removed and removed.is_marker:
        rows += [("DeleteMarker", True), ("DeleteMarkerVersionId", version_id)]
    return rows


def delete_objects(request):
    bucket = request.bucket
    root = parse(read_document(request, need_md5=True), "Delete")
    rows = [] if root is None else root.findall("Object")
    if not 1 <= len(rows) <= MAX_DELETES or not all(r.findtext("Key") for r in rows):
        raise S3Error("MalformedXML")
    quiet = root.findtext("Quiet", "false") == "true"
    answer = []
    for row in rows:
        try:
            deleted = delete_one(bucket, row)
            if not quiet:
                answer.append(("Deleted", deleted))
        except S3Error as error:
            answer.append(("Error", [
                ("Key", row.findtext("Key")), ("VersionId", row.findtext("VersionId")),
                ("Code", error.code), ("Message", error.message)]))
    return Response.of(200, document("DeleteResult", answer))
