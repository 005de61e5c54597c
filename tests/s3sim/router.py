# SPDX-License-Identifier: Apache-2.0
"""Which operation a request is.

The table is keyed by scope, method and the selecting names of the query.
Invariant: a selecting name that is in no row is refused (501), never ignored,
so that a test cannot believe in what is not simulated.
"""

from . import buckets, copies, lifecycle, listing, multipart, objects
from .errors import S3Error

TABLE = {
    ("service", "GET", ""): ("ListBuckets", buckets.list_buckets),
    ("bucket", "PUT", ""): ("CreateBucket", buckets.create_bucket),
    ("bucket", "HEAD", ""): ("HeadBucket", buckets.head_bucket),
    ("bucket", "DELETE", ""): ("DeleteBucket", buckets.delete_bucket),
    ("bucket", "GET", "location"): ("GetBucketLocation", buckets.get_location),
    ("bucket", "GET", "versioning"): ("GetBucketVersioning", buckets.get_versioning),
    ("bucket", "PUT", "versioning"): ("PutBucketVersioning", buckets.put_versioning),
    ("bucket", "GET", "object-lock"): ("GetObjectLockConfiguration",
                                       buckets.get_object_lock),
    ("bucket", "PUT", "lifecycle"): ("PutBucketLifecycle", lifecycle.put_lifecycle),
    ("bucket", "GET", "lifecycle"): ("GetBucketLifecycle", lifecycle.get_lifecycle),
    ("bucket", "DELETE", "lifecycle"): ("DeleteBucketLifecycle",
                                        lifecycle.delete_lifecycle),
    ("bucket", "GET", "list-type"): ("ListObjectsV2", listing.list_objects),
    ("bucket", "GET", "versions"): ("ListObjectVersions", listing.list_versions),
    ("bucket", "GET", "uploads"): ("ListMultipartUploads", multipart.list_uploads),
    ("bucket", "POST", "delete"): ("DeleteObjects", buckets.delete_objects),
    ("object", "PUT", ""): ("PutObject", objects.put_object),
    ("object", "GET", ""): ("GetObject", objects.get_object),
    ("object", "HEAD", ""): ("HeadObject", objects.get_object),
    ("object", "DELETE", ""): ("DeleteObject", objects.delete_object),
    ("object", "POST", "restore"): ("RestoreObject", objects.restore_object),
    ("object", "POST", "uploads"): ("CreateMultipartUpload", multipart.create_upload),
    ("object", "PUT", "partNumber uploadId"): ("UploadPart", multipart.upload_part),
    ("object", "POST", "uploadId"): ("CompleteMultipartUpload",
                                     multipart.complete_upload),
    ("object", "DELETE", "uploadId"): ("AbortMultipartUpload", multipart.abort_upload),
    ("object", "GET", "uploadId"): ("ListParts", multipart.list_parts),
}

COPY = ("CopyObject", copies.copy_object)

WITH_BODY = {"CompleteMultipartUpload", "CreateBucket", "DeleteObjects",
             "PutBucketLifecycle", "PutBucketVersioning", "PutObject", "RestoreObject", "UploadPart"}

SELECTING = {
    "accelerate", "acl", "analytics", "attributes", "cors", "delete", "encryption",
    "intelligent-tiering", "inventory", "legal-hold", "lifecycle", "list-type",
    "location", "logging", "metrics", "notification", "object-lock",
    "ownershipControls", "partNumber", "policy", "policyStatus",
    "publicAccessBlock", "renameObject", "replication", "requestPayment", "restore",
    "retention", "select", "session", "tagging", "torrent", "uploadId", "uploads",
    "versioning", "versions", "website"}


def route(request):
    """(name of the operation, its function)"""
    if request.bucket_name is None:
        scope = "service"
    else:
        scope = "bucket" if request.key is None else "object"
    selected = " ".join(sorted(SELECTING & request.query.keys()))
    found = TABLE.get((scope, request.method, selected))
    if found and request.header("x-amz-copy-source") is not None:
        if found[0] != "PutObject":
            raise S3Error("NotImplemented", Header="x-amz-copy-source")
        return COPY
    if found:
        return found
    methods = [m for s, m, q in TABLE if (s, q) == (scope, selected)]
    if methods and (scope, request.method, selected) != ("bucket", "GET", ""):
        raise S3Error("MethodNotAllowed", Method=request.method,
                      headers=[("Allow", ", ".join(methods))])
    raise S3Error("NotImplemented", Header=selected or "ListObjects")
