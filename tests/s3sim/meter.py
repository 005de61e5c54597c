# SPDX-License-Identifier: Apache-2.0
"""What the requests so far, and the storage until now, would have cost at AWS.

By the table that firn itself reads, data/prices.conf, and the virtual clock:

| part      | what                                                               |
| requests  | answered with 2xx to 4xx, by the class of the object               |
| retrieval | GB got, where the class asks for it                                |
| egress    | GB got, as if over the Internet                                    |
| restores  | accepted RestoreObject: requests and GB at their tier; one that    |
|           | hastens another is a request, and the GB at the faster tier        |
| copies    | the restored copies, as STANDARD, from when they are readable      |
|           | until they expire (at a midnight, see archive.py)                  |
| copies_asked | the same for the days that were asked for; not in the sum       |
| storage   | objects until now, with overheads and least sizes                  |
| early     | what is left of the least duration of what is gone or moved        |
| transitions | by lifecycle.run()                                               |

Sums are exact; a GB is 2^30 bytes and a month 30 days, as in prices.conf.
Restores that were refused are not billed here.
"""

import collections
import configparser
import pathlib
import threading
from dataclasses import dataclass
from fractions import Fraction

from . import archive

TABLE = pathlib.Path(__file__).resolve().parents[2] / "data" / "prices.conf"
GB, MONTH = 1 << 30, 30 * archive.DAY
PUTS = {"PutObject", "CopyObject", "CreateMultipartUpload", "UploadPart",
        "CompleteMultipartUpload"}
AT_STANDARD = {"ListObjectsV2", "ListObjectVersions", "ListMultipartUploads",
               "PutBucketLifecycle", "PutBucketVersioning", "CreateBucket"}
FREE = {"DeleteObject", "DeleteObjects", "AbortMultipartUpload", "RestoreObject",
        "DeleteBucketLifecycle"}
PARTS = ("requests", "retrieval", "egress", "restores", "copies", "storage", "early",
         "transitions")


class Prices:
    def __init__(self, path=TABLE):
        self.table = configparser.ConfigParser()
        self.table.read_string(pathlib.Path(path).read_text(encoding="utf-8"))

    def get(self, section, name):
        """0 for what the table does not have; unknown classes are STANDARD."""
        if not self.table.has_section(section):
            section = "STANDARD"
        return Fraction(self.table.get(section, name, fallback="0"))


@dataclass
class Held:
    """An object that is being paid for."""
    storage_class: str
    size: int
    since: float


class Meter:
    def __init__(self, clock, prices=None):
        self.clock = clock
        self.prices = prices or Prices()
        self.lock = threading.Lock()	# guards all below
        self.held = {}			# id of a Version: Held
        self.copies = {}		# id of a Version: (size, Restore)
        self.reset()

    def reset(self):
        with self.lock:
            self.paid = collections.Counter()
            self.restore_counts = collections.Counter()
            now = self.clock.now()
            for held in self.held.values():
                held.since = now
            self.copies.clear()
            self.past = []		# copies that are over

    # Requests.

    def request(self, operation, status, storage_class, sent):
        """Called for each answer; `sent` bytes of an object."""
        if not 200 <= status < 500 or operation in FREE or operation is None:
            return
        kind, of = "get", storage_class or "STANDARD"
        if operation in AT_STANDARD:
            kind, of = "put", "STANDARD"
        elif operation in PUTS:
            kind = "put"
        with self.lock:
            self.paid["requests"] += self.prices.get(of, kind) / 1000
            if operation == "GetObject":
                size = Fraction(sent, GB)
                self.paid["egress"] += size * self.prices.get("table", "egress")
                self.paid["retrieval"] += size * self.prices.get(of, "retrieval")

    def restored(self, version, status, tier, hastened):
        """An accepted RestoreObject; called under the bucket's lock."""
        of = archive.archive_of(version) or version.storage_class
        if version.archive_tier and tier != "Expedited":
            of = archive.AUTO		# where these are free
        name = "thaw-" + tier.lower()
        with self.lock:
            self.restore_counts[(version.key, tier)] += 1
            self.paid["restores"] += self.prices.get(of, name + "-requests") / 1000
            if hastened:
                self.paid["restores"] -= self.size_price(
                    version, of, "thaw-" + hastened.tier.lower())
            if status == 202:
                self.paid["restores"] += self.size_price(version, of, name)
            if hastened:
                self.copies.pop(id(version), None)
            if status == 202 and version.restore.days:
                self.close_copy(version)
                self.copies[id(version)] = (version.size, version.restore)

    def close_copy(self, version):
        """No more will change in it."""
        if id(version) in self.copies:
            self.past.append(self.copies.pop(id(version)))

    def size_price(self, version, of, name):
        return Fraction(version.size, GB) * self.prices.get(of, name)

    # Storage.

    def watch(self, version, came):
        """A version came or went; called under the bucket's lock."""
        if version.is_marker:
            return
        with self.lock:
            if came:
                self.held[id(version)] = Held(version.storage_class, version.size,
                                              self.clock.now())
            else:
                self.leave(version)

    def leave(self, version):
        held = self.held.pop(id(version))
        self.close_copy(version)
        self.paid["storage"] += self.storage_of(held)
        days = self.prices.get(held.storage_class, "days")
        left = days - Fraction(self.clock.now() - held.since) / archive.DAY
        if left > 0:
            self.paid["early"] += self.month_of(held) * left / 30

    def moved(self, version, storage_class):
        """A transition; called under the bucket's lock."""
        with self.lock:
            self.leave(version)
            version.storage_class, version.restore = storage_class, None
            self.paid["transitions"] += self.prices.get(storage_class,
                                                        "transition") / 1000
            self.held[id(version)] = Held(storage_class, version.size, self.clock.now())

    def month_of(self, held):
        get = self.prices.get
        of = held.storage_class
        size = max(held.size, get(of, "minimum")) + get(of, "overhead")
        return (size / GB * get(of, "storage") + get(of, "monitoring") / 1000
                + get(of, "overhead-standard") / GB * get("STANDARD", "storage"))

    def storage_of(self, held):
        seconds = Fraction(self.clock.now() - held.since)
        return self.month_of(held) * seconds / MONTH

    def copy_of(self, size, seconds):
        return (Fraction(size, GB) * self.prices.get("STANDARD", "storage")
                * Fraction(seconds) / MONTH)

    def describe(self):
        """Money by part, as floats, and "total"; restores by tier."""
        with self.lock:
            sums = {part: self.paid[part] for part in PARTS}
            sums["storage"] += sum(map(self.storage_of, self.held.values()))
            copies = [*self.past, *self.copies.values()]
            sums["copies"] = sum(self.copy_of(size, r.expires - r.ready)
                                 for size, r in copies)
            asked = sum(self.copy_of(size, r.days * archive.DAY) for size, r in copies)
            tiers = collections.Counter()
            for (_, tier), n in self.restore_counts.items():
                tiers[tier] += n
        result = {part: float(amount) for part, amount in sums.items()}
        return {**result, "total": float(sum(sums.values())),
                "copies_asked": float(asked), "restore_requests": dict(tiers)}
