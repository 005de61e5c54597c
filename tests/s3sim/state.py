# SPDX-License-Identifier: Apache-2.0
"""Buckets, object versions and multipart uploads.

Bucket.lock guards all of a bucket; whoever decides on what it reads (a
conditional write) holds it until the change is made.  Invariants: `names` is
the sorted list of the keys of `versions`; no list of versions is empty; the
last of a list is the current one; `seq` grows with every change.
"""

import base64
import bisect
import itertools
import re
import secrets
import threading
from dataclasses import dataclass, field

from .blob import content
from .errors import S3Error

BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@dataclass
class Version:
    """One version of an object; a delete marker has no blob."""
    key: str
    modified: float
    blob: object = None
    etag: str = ""
    headers: list = field(default_factory=list)	# to be returned as they are
    storage_class: str = "STANDARD"
    checksum: tuple = None		# (header name, value)
    checksum_type: str = "FULL_OBJECT"
    id: str = "null"
    seq: int = 0
    restore: object = None		# an archive.Restore
    archive_tier: str = None		# of INTELLIGENT_TIERING, while archived

    @property
    def is_marker(self):
        return self.blob is None

    @property
    def size(self):
        return self.blob.size if self.blob else 0


@dataclass
class Part:
    blob: object
    etag: str
    modified: float
    checksum: tuple = None


@dataclass
class Upload:
    key: str
    id: str
    template: Version			# headers and class of the object to be
    seq: int
    parts: dict = field(default_factory=dict)

    def free(self):
        for part in self.parts.values():
            part.blob.free()


class Bucket:
    def __init__(self, name, clock, versioning=""):
        self.name = name
        self.clock = clock
        self.versioning = versioning	# "", "Enabled" or "Suspended"
        self.object_lock = None		# or (mode, days)
        self.lifecycle = None		# (document, minimum size), as it was put
        self.watch = []			# called with each version that comes or goes
        self.lock = threading.RLock()
        self.names = []
        self.versions = {}
        self.deleted_at = {}		# key: seq of its last deletion
        self.uploads = {}
        self.counter = itertools.count(1)

    # For the operations.

    def current(self, key):
        versions = self.versions.get(key)
        return versions[-1] if versions else None

    def live(self, key):
        version = self.current(key)
        return None if version is None or version.is_marker else version

    def find(self, key, version_id):
        for version in self.versions.get(key, ()):
            if version.id == version_id:
                return version
        return None

    def add(self, version):
        """Make `version` the current one, as the versioning state says."""
        with self.lock:
            version.seq = next(self.counter)
            version.modified = self.clock.now()
            if self.versioning == "Enabled":
                version.id = secrets.token_urlsafe(24)
            else:
                self.remove(version.key, "null")
            if version.key not in self.versions:
                bisect.insort(self.names, version.key)
            self.versions.setdefault(version.key, []).append(version)
            self.tell(version, True)
            return version

    def tell(self, version, came):
        for watcher in self.watch:
            watcher(version, came)

    def remove(self, key, version_id):
        """Remove one version for good; returns it, or None."""
        with self.lock:
            version = self.find(key, version_id)
            if version is None:
                return None
            left = self.versions[key]
            left.remove(version)
            if not left:
                del self.versions[key]
                del self.names[bisect.bisect_left(self.names, key)]
            self.tell(version, False)
            if version.blob:
                version.blob.free()
            return version

    def delete(self, key):
        """Delete the current version; returns the delete marker, if any."""
        with self.lock:
            self.deleted_at[key] = next(self.counter)
            if self.versioning:
                return self.add(Version(key, 0))
            self.remove(key, "null")
            return None

    # For tests.

    def keys(self):
        with self.lock:
            return [key for key in self.names if self.live(key)]

    def get(self, key):
        with self.lock:
            version = self.live(key)
            return content(version.blob) if version else None

    def matching(self, keys=None, prefix=""):
        """The current versions of these keys, or of those with this prefix."""
        with self.lock:
            if keys is None:
                keys = [key for key in self.names if key.startswith(prefix)]
            return [version for version in map(self.live, keys) if version]

    def ids(self, key):
        """Version ids, newest first."""
        with self.lock:
            return [v.id for v in reversed(self.versions.get(key, ()))]


class State:
    def __init__(self, clock, watcher=None):
        self.clock = clock
        self.watcher = watcher		# of the versions of all buckets
        self.lock = threading.Lock()	# guards buckets
        self.buckets = {}

    def bucket(self, name):
        with self.lock:
            if name not in self.buckets:
                raise S3Error("NoSuchBucket", BucketName=name)
            return self.buckets[name]

    def create(self, name, versioning=""):
        if not BUCKET_NAME.fullmatch(name) or ".." in name:
            raise S3Error("InvalidBucketName", BucketName=name)
        with self.lock:
            if name in self.buckets:
                raise S3Error("BucketAlreadyOwnedByYou", BucketName=name)
            bucket = self.buckets[name] = Bucket(name, self.clock, versioning)
            if self.watcher:
                bucket.watch.append(self.watcher)
            return bucket

    def delete(self, name):
        with self.lock:
            bucket = self.buckets.get(name)
            if bucket is None:
                raise S3Error("NoSuchBucket", BucketName=name)
            if bucket.names or bucket.uploads:
                raise S3Error("BucketNotEmpty", BucketName=name)
            del self.buckets[name]


def new_upload_id():
    return base64.urlsafe_b64encode(secrets.token_bytes(48)).decode()
