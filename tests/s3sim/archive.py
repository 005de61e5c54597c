# SPDX-License-Identifier: Apache-2.0
"""Storage classes, and what archived objects refuse until they are restored.

A restore is a Version.restore with two times of the virtual clock: before
`ready` it is in progress, from `expires` on it is as if it had never been.
Invariant: the bytes of an object in an archive class leave the simulator only
between the two.  The archive tiers of INTELLIGENT_TIERING are not simulated.
"""

import math
from dataclasses import dataclass

from .checksums import read_document
from .clock import http_date, iso_date
from .errors import S3Error
from .xmlio import parse

CLASSES = {"STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA",
           "INTELLIGENT_TIERING", "GLACIER", "DEEP_ARCHIVE", "GLACIER_IR"}
HOUR, DAY = 3600, 86400

# How long a restore takes at most, by class and tier.
DURATIONS = {
    "GLACIER": {"Expedited": 300, "Standard": 5 * HOUR, "Bulk": 12 * HOUR},
    "DEEP_ARCHIVE": {"Standard": 12 * HOUR, "Bulk": 48 * HOUR}}


@dataclass
class Restore:
    days: int
    ready: float
    expires: float


def new_restore(start, duration, days):
    """The copy lasts until the midnight (UTC) after its last day."""
    ready = start + duration
    return Restore(days, ready, math.ceil((ready + days * DAY) / DAY) * DAY)


def current_restore(version, now):
    restore = version.restore
    return restore if restore and now < restore.expires else None


def requested_class(request):
    name = request.header("x-amz-storage-class", "STANDARD")
    if name not in CLASSES:
        raise S3Error("InvalidStorageClass", StorageClassRequested=name)
    return name


def check_readable(version, now):
    restore = current_restore(version, now)
    readable = restore and restore.ready <= now
    if version.storage_class in DURATIONS and not readable:
        raise S3Error("InvalidObjectState", StorageClass=version.storage_class)


def class_headers(version, now):
    """x-amz-storage-class, which STANDARD objects do not have, and x-amz-restore."""
    if version.storage_class == "STANDARD":
        return []
    headers = [("x-amz-storage-class", version.storage_class)]
    restore = current_restore(version, now)
    if restore:
        state = 'ongoing-request="true"'
        if restore.ready <= now:
            state = (f'ongoing-request="false", '
                     f'expiry-date="{http_date(restore.expires)}"')
        headers.append(("x-amz-restore", state))
    return headers


def restore_status(version, now):
    """The rows of <RestoreStatus> in a listing, or None."""
    restore = current_restore(version, now)
    if restore is None:
        return None
    ready = restore.ready <= now
    return [("IsRestoreInProgress", not ready),
            ("RestoreExpiryDate", iso_date(restore.expires) if ready else None)]


def read_wish(request):
    """(days, tier) of the request's document."""
    root = parse(read_document(request), "RestoreRequest")
    days = "" if root is None else root.findtext("Days", "")
    if not days.isdecimal() or int(days) < 1:
        raise S3Error("MalformedXML")
    tier = root.findtext("GlacierJobParameters/Tier") or root.findtext("Tier")
    return int(days), tier or "Standard"


def begin_restore(version, days, tier, now):
    """Start, hasten or prolong a restore; called under the bucket's lock."""
    durations = DURATIONS.get(version.storage_class)
    if durations is None:
        raise S3Error("InvalidObjectState", "Restore is not allowed for the object's "
                      "current storage class", StorageClass=version.storage_class)
    if tier not in durations:
        raise S3Error("InvalidArgument", "This tier is not available for the "
                      "object's storage class", ArgumentName="Tier",
                      ArgumentValue=tier)
    wanted = new_restore(now, durations[tier], days)
    restore = current_restore(version, now)
    if restore and restore.ready <= now:
        restore.days = days
        restore.expires = new_restore(now, 0, days).expires
        return 200
    if restore and not (restore.days == days and wanted.ready < restore.ready):
        raise S3Error("RestoreAlreadyInProgress")
    version.restore = wanted
    return 202
