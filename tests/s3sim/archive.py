# SPDX-License-Identifier: Apache-2.0
"""Storage classes, and what archived objects refuse until they are restored.

A restore is a Version.restore with two times of the virtual clock: before
`ready` it is in progress, from `expires` on it is as if it had never been.
An object of INTELLIGENT_TIERING is archived while Version.archive_tier is set,
which a test does (archive(), or the control API), and no longer once it was
restored.  Invariant: the bytes of an archived object leave the simulator only
between the two times.
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


# The classes that AWS archives, and the archives of INTELLIGENT_TIERING.
AUTO = "INTELLIGENT_TIERING"
ARCHIVE_TIERS = {"ARCHIVE_ACCESS": "GLACIER", "DEEP_ARCHIVE_ACCESS": "DEEP_ARCHIVE"}


@dataclass
class Restore:
    days: int				# 0: of an archive tier, for ever
    tier: str
    ready: float
    expires: float


def new_restore(start, duration, days, tier):
    """The copy lasts until the midnight (UTC) after its last day."""
    ready = start + duration
    expires = math.ceil((ready + days * DAY) / DAY) * DAY if days else math.inf
    return Restore(days, tier, ready, expires)


def settle(version, now):
    """What was restored out of an archive tier is not archived any more."""
    restore = version.restore
    if version.archive_tier and restore and restore.ready <= now:
        version.archive_tier = version.restore = None


def current_restore(version, now):
    settle(version, now)
    restore = version.restore
    return restore if restore and now < restore.expires else None


def archive_of(version):
    """The class whose times and prices hold for it, or None: it is not archived."""
    if version.archive_tier:
        return ARCHIVE_TIERS[version.archive_tier]
    return version.storage_class if version.storage_class in DURATIONS else None


def requested_class(request):
    name = request.header("x-amz-storage-class", "STANDARD")
    if name not in CLASSES and not request.quirk("any-class"):
        raise S3Error("InvalidStorageClass", StorageClassRequested=name)
    return name


def is_readable(version, now):
    restore = current_restore(version, now)
    return archive_of(version) is None or bool(restore and restore.ready <= now)


def check_readable(version, now, code="InvalidObjectState"):
    if not is_readable(version, now):
        tier = {"AccessTier": version.archive_tier} if version.archive_tier else {}
        raise S3Error(code, StorageClass=version.storage_class, **tier)


def class_headers(version, now):
    """x-amz-storage-class, which STANDARD objects do not have, x-amz-restore and
    x-amz-archive-status."""
    if version.storage_class == "STANDARD":
        return []
    headers = [("x-amz-storage-class", version.storage_class)]
    restore = current_restore(version, now)
    if version.archive_tier:
        headers.append(("x-amz-archive-status", version.archive_tier))
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
    """(days or 0, tier) of the request's document."""
    root = parse(read_document(request), "RestoreRequest")
    if root is None:
        raise S3Error("MalformedXML")
    days = root.findtext("Days")
    if days is not None and not (days.isdecimal() and int(days) >= 1):
        raise S3Error("MalformedXML")
    tier = root.findtext("GlacierJobParameters/Tier") or root.findtext("Tier")
    return int(days or 0), tier or "Standard"


def check_wish(version, days, tier, now):
    """The duration of the restore that is asked for."""
    current_restore(version, now)
    archive = archive_of(version)
    if archive is None and version.storage_class == AUTO:
        raise S3Error("ObjectAlreadyInActiveTierError")
    if archive is None:
        raise S3Error("InvalidObjectState", "Restore is not allowed for the object's "
                      "current storage class", StorageClass=version.storage_class)
    if bool(days) == bool(version.archive_tier):
        raise S3Error("MalformedXML")
    if tier not in DURATIONS[archive]:
        raise S3Error("InvalidArgument", "This tier is not available for the "
                      "object's storage class", ArgumentName="Tier",
                      ArgumentValue=tier)
    return DURATIONS[archive][tier]


def begin_restore(version, days, tier, now, no_expedited=False):
    """Start, hasten or prolong a restore; called under the bucket's lock."""
    duration = check_wish(version, days, tier, now)
    wanted = new_restore(now, duration, days, tier)
    restore = current_restore(version, now)
    if restore and restore.ready <= now:
        restore.days = days
        restore.expires = new_restore(now, 0, days, tier).expires
        return 200
    if restore and not (restore.days == days and
                        duration < DURATIONS[archive_of(version)][restore.tier]):
        raise S3Error("RestoreAlreadyInProgress")
    if tier == "Expedited" and no_expedited:
        raise S3Error("GlacierExpeditedRetrievalNotAvailable")
    version.restore = wanted
    return 202


# For tests.

def archive(version, tier="ARCHIVE_ACCESS"):
    """As INTELLIGENT_TIERING does with what nobody reads."""
    if version.storage_class != AUTO or tier not in ARCHIVE_TIERS:
        raise ValueError(f"{version.storage_class} has no tier {tier}")
    version.archive_tier, version.restore = tier, None


def make_ready(version, now):
    """A restore in progress is done; whether there was one."""
    restore = current_restore(version, now)
    if restore is None or restore.ready <= now:
        return False
    restore.ready = now
    restore.expires = new_restore(now, 0, restore.days, restore.tier).expires
    settle(version, now)
    return True


def expire(version, now):
    """A restored copy is gone; whether there was one."""
    restore = current_restore(version, now)
    if restore is None or restore.ready > now:
        return False
    restore.expires = now
    return True


def ends(version, now, when):
    """A restored copy lasts until then; whether there was one."""
    restore = current_restore(version, now)
    if restore is None or restore.ready > now:
        return False
    restore.expires = when
    return True
