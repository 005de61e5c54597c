# SPDX-License-Identifier: Apache-2.0
"""What is measured, by whom, and how good it is meant to be.

An entry is one line of a row's table: a program and what it does there.  A goal
compares two entries of a row: the first one's median may be at most `limit`
times the second's.  Instead of a second entry: "line", the time that the bytes
fetched take on the slow line; or None, and the limit is in the metric's unit."""
import dataclasses


@dataclasses.dataclass
class Entry:
    label: str
    peer: str = ""		# of peers.PEERS, unless it needs none
    act: str = "mount"	# first, again, edited, mount, restore, plain, disk, curl


@dataclasses.dataclass
class Goal:
    of: str
    to: str | None
    limit: float
    metric: str = "seconds"


@dataclasses.dataclass
class Row:
    id: str
    title: str
    input: str
    store: str
    entries: list
    goals: list
    command: str = ""	# of runner.COMMANDS, for what is mounted
    sub: str = ""		# the part of the input that it reads
    first: bool = False	# run once before, unmeasured
    drop: bool = True	# drop the kernel's caches before each run
    chill: bool = True	# local caches of the program are deleted first
    quick: bool = True


def by(act, *names):
    return [Entry(n, n, act) for n in names]


EXT4 = Entry("ext4", act="plain")
DISK = Entry("the disk itself", act="disk")
CURL = Entry("curl, 4 GETs", act="curl")
BACKUP_MEMORY = Goal("firn", None, 256, "anon MiB")
MOUNT_MEMORY = Goal("firn", None, 128, "anon MiB")


def against(metric, limit, *names):
    return [Goal("firn", n, limit, metric) for n in names]


def faster(limit, *names):
    return against("seconds", limit, *names)


ROWS = [
    Row("first-linux", "first backup, Linux source, local", "linux", "local",
        by("first", "firn", "restic", "borg", "casync"),
        faster(0.25, "restic", "borg") + against("stored", 0.8, "restic", "borg")
        + [BACKUP_MEMORY]),
    Row("first-linux-rgw", "first backup, Linux source, S3", "linux", "rgw",
        by("first", "firn", "restic"),
        faster(0.25, "restic") + against("stored", 0.8, "restic") + [BACKUP_MEMORY]),
    Row("first-random-rgw", "first backup, incompressible, S3", "random", "rgw",
        by("first", "firn", "restic"), faster(0.5, "restic") + [BACKUP_MEMORY]),
    Row("again-linux", "backup again, nothing changed, Linux source", "linux", "local",
        by("again", "firn", "restic", "borg"), faster(0.1, "restic", "borg"),
        first=True, drop=False),
    Row("edited-linux", "backup again, one file of 50 changed", "edited", "local",
        by("edited", "firn", "restic", "borg"), faster(0.25, "restic", "borg"),
        drop=False, quick=False),
    Row("find-linux", "find over a cold mount, Linux source", "linux", "local",
        by("mount", "firn", "restic", "borg", "casync") + [EXT4],
        faster(0.25, "restic") + [MOUNT_MEMORY], "find"),
    Row("copy-net", "cp -r drivers/net from a cold mount, S3", "linux", "rgw",
        by("mount", "firn", "restic") + [EXT4],
        faster(0.125, "restic") + faster(2, "ext4"), "copy", "drivers/net"),
    Row("copy-net-far", "cp -r drivers/net from a cold mount, S3 at 20 ms", "linux", "far",
        by("mount", "firn", "restic") + [EXT4],
        faster(0.02, "restic") + faster(2, "line"), "copy", "drivers/net"),
    Row("copy-plain", "cp -r from a cold mount, files as objects beside firn, S3",
        "source", "rgw", by("mount", "firn", "rclone", "s3fs"), [], "copy", quick=False),
    Row("tree-rgw", "the whole Linux source copied out, S3", "linux", "rgw",
        [Entry("firn", "firn"), Entry("firn restore", "firn", "restore"),
         Entry("restic restore", "restic", "restore"), EXT4],
        faster(1.0, "firn restore", "restic restore") + [MOUNT_MEMORY], "copy-all"),
    Row("tree-far", "the whole Linux source copied out, S3 at 20 ms", "linux", "far",
        [Entry("firn", "firn"), Entry("firn restore", "firn", "restore"),
         Entry("restic restore", "restic", "restore"), EXT4],
        faster(1.0, "firn restore", "restic restore") + faster(2, "line"),
        "copy-all", quick=False),
    Row("sequential-rgw", "sequential read from a cold mount, S3", "random", "rgw",
        by("mount", "firn", "restic", "rclone", "s3fs") + [CURL],
        faster(1.25, CURL.label) + [MOUNT_MEMORY], "read", "random"),
    Row("sequential-far", "sequential read from a cold mount, S3 at 20 ms", "random", "far",
        by("mount", "firn", "restic", "rclone", "s3fs") + [CURL],
        faster(1.25, "line"), "read", "random"),
    Row("random-image", "4 KiB reads all over an image, S3", "image", "rgw",
        by("mount", "firn", "restic", "rclone"),
        faster(0.25, "restic", "rclone") + against("bytes_down", 0.25, "restic", "rclone"),
        "read-at", "image"),
    Row("random-image-far", "4 KiB reads all over an image, S3 at 20 ms", "image", "far",
        by("mount", "firn", "restic", "rclone"),
        faster(0.25, "restic", "rclone"), "read-at", "image", quick=False),
    Row("disk-cache", "sequential read from the disk cache, S3", "random", "rgw",
        by("mount", "firn") + [EXT4, DISK], faster(2, DISK.label), "read", "random",
        first=True, chill=False),
    Row("page-cache", "sequential read from the page cache, S3", "random", "rgw",
        by("mount", "firn") + [EXT4], faster(1.5, "ext4"), "read", "random",
        first=True, drop=False, chill=False),
    Row("small-disk-cache", "files of 4 KiB from the disk cache, S3", "small", "rgw",
        by("mount", "firn") + [EXT4], faster(2, "ext4"), "read-all", first=True,
        chill=False),
    Row("again-files", "backup again, nothing changed, tiny files, warm", "files", "local",
        by("again", "firn", "restic", "borg"),
        faster(1 / 15, "restic", "borg") + [BACKUP_MEMORY], first=True, drop=False,
        quick=False),
    Row("find-files", "find over a cold mount, tiny files", "files", "local",
        by("mount", "firn", "restic", "borg") + [EXT4],
        faster(1 / 12, "restic") + [MOUNT_MEMORY], "find", quick=False),
    Row("find-files-again", "find again, tiny files", "files", "local",
        by("mount", "firn", "restic") + [EXT4], faster(1.5, "ext4"), "find",
        first=True, drop=False, chill=False, quick=False),
]
