# SPDX-License-Identifier: Apache-2.0
"""A bucket's lifecycle configuration: kept as it was put, and its transitions
carried out when a test says so (run()).

Invariant: what is got is what was put, byte for byte; a document that S3 would
refuse is refused.
"""

from . import archive
from .checksums import read_document
from .errors import S3Error
from .message import Response
from .xmlio import parse

MINIMUM = "x-amz-transition-default-minimum-object-size"
SIZES = {"all_storage_classes_128K": 128 << 10, "varies_by_storage_class": 0}
MAX_RULES = 1000
IA_DAYS = 30			# in STANDARD before an infrequent class
FILTERS = ("Prefix", "Tag", "ObjectSizeGreaterThan", "ObjectSizeLessThan", "And")
ACTIONS = ("Expiration", "Transition", "NoncurrentVersionExpiration",
           "NoncurrentVersionTransition", "AbortIncompleteMultipartUpload")


def check_rule(rule):
    if rule.findtext("Status") not in ("Enabled", "Disabled"):
        raise S3Error("MalformedXML")
    where = rule.find("Filter")
    if (where is None) == (rule.find("Prefix") is None):
        raise S3Error("MalformedXML")
    if where is not None and (len(where) > 1 or any(n.tag not in FILTERS for n in where)):
        raise S3Error("MalformedXML")
    if not any(rule.find(name) is not None for name in ACTIONS):
        raise S3Error("InvalidRequest", "At least one action needs to be specified in "
                      "a rule")
    for move in rule.findall("Transition"):
        name, days = move.findtext("StorageClass"), move.findtext("Days", "0")
        if name not in archive.CLASSES - {"STANDARD", "REDUCED_REDUNDANCY"}:
            raise S3Error("MalformedXML")
        if name in ("STANDARD_IA", "ONEZONE_IA") and int(days) < IA_DAYS:
            raise S3Error("InvalidArgument", "'Days' in Transition action must be "
                          f"greater than or equal to 30 for storageClass '{name}'")


def check(rules):
    if not 1 <= len(rules) <= MAX_RULES:
        raise S3Error("MalformedXML")
    ids = [rule.findtext("ID") for rule in rules if rule.findtext("ID")]
    if len(set(ids)) < len(ids):
        raise S3Error("InvalidArgument", "Rule ID must be unique. Found same ID for "
                      "more than one rule")
    if len({rule.find("Filter") is None for rule in rules}) > 1:
        raise S3Error("InvalidRequest", "Base level prefix cannot be used in Lifecycle "
                      "V2, prefixes are only supported in the Filter.")
    for rule in rules:
        check_rule(rule)


def put_lifecycle(request):
    data = read_document(request, need_md5=True)
    root = parse(data, "LifecycleConfiguration")
    if root is None:
        raise S3Error("MalformedXML")
    check(root.findall("Rule"))
    minimum = request.header(MINIMUM, "all_storage_classes_128K")
    if minimum not in SIZES:
        raise S3Error("InvalidArgument", ArgumentName=MINIMUM)
    request.bucket.lifecycle = (data, minimum)
    if request.quirk("rules-echoed"):
        return Response.of(200, b"<LifecycleConfiguration/>", headers=[(MINIMUM, minimum)])
    return Response(200, [(MINIMUM, minimum)])


def get_lifecycle(request):
    if request.quirk("no-rules"):
        return Response.of(200, b"<ListBucketResult><IsTruncated>false</IsTruncated>"
                           b"</ListBucketResult>", headers=[])
    if request.bucket.lifecycle is None:
        raise S3Error("NoSuchLifecycleConfiguration", BucketName=request.bucket_name)
    data, minimum = request.bucket.lifecycle
    return Response.of(200, data, headers=[(MINIMUM, minimum)])


def delete_lifecycle(request):
    request.bucket.lifecycle = None
    return Response(204)


def prefix_of(rule):
    for path in ("Prefix", "Filter/Prefix", "Filter/And/Prefix"):
        if rule.findtext(path):
            return rule.findtext(path)
    return ""


def run(sim, bucket):
    """Carry out the transitions that are due; how many objects moved.  Filters
    other than by prefix are not simulated."""
    if bucket.lifecycle is None:
        return 0
    data, minimum = bucket.lifecycle
    moved = 0
    with bucket.lock:
        for rule in parse(data, "LifecycleConfiguration").findall("Rule"):
            if rule.findtext("Status") == "Enabled":
                moved += run_rule(sim, bucket, rule, SIZES[minimum])
    return moved


def run_rule(sim, bucket, rule, minimum):
    moved = 0
    for move in rule.findall("Transition"):
        name, days = move.findtext("StorageClass"), int(move.findtext("Days", "0"))
        for version in bucket.matching(prefix=prefix_of(rule)):
            due = version.modified + days * archive.DAY <= bucket.clock.now()
            if due and version.size >= minimum and version.storage_class != name:
                sim.meter.moved(version, name)
                moved += 1
    return moved
