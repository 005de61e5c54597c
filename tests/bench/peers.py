# SPDX-License-Identifier: Apache-2.0
"""How each program backs up, restores and mounts.

A `Peer` object is one repository of one program in one place.  Its methods
return (argv, environment, directory to run in) for what is measured, and do at
once what is not, within SET_UP.  `stores` says which kinds of place it knows;
`can` what it does.  Programs without backups of their own (rclone, s3fs) show
files as they are; theirs are copied there by rclone."""
import os
import pathlib
import shutil
import subprocess
import time

from . import measure

PASSWORD = "benchmark"
SET_UP = 3600		# s; whatever takes longer than that hangs
ABOUT_FILE = 512	# bytes


class Peer:
    name = ""
    programs = ()
    stores = ("local", "rgw", "far")
    can = ("backup", "again", "restore", "mount")

    def __init__(self, bench, place):
        self.bench, self.place = bench, place
        self.work = pathlib.Path(bench.dir) / "work" / f"{self.name}-{bench.number()}"
        self.work.mkdir(parents=True)
        self.cache = self.work / "cache"
        self.log = self.work / "log"
        self.mnt = self.work / "mnt"
        self.mnt.mkdir()
        self.daemon = None
        # Nothing of the caller's settings: only PATH, and what is ours.
        self.env = {"PATH": os.environ["PATH"], "HOME": str(self.work), "LC_ALL": "C"}
        if place.s3:
            self.env.update(AWS_ACCESS_KEY_ID=place.s3.access_key,
                            AWS_SECRET_ACCESS_KEY=place.s3.secret_key,
                            AWS_DEFAULT_REGION="us-east-1", AWS_REGION="us-east-1",
                            AWS_ENDPOINT_URL=place.s3.url)
        self.prepare()

    @classmethod
    def missing(cls, bench):
        """The programs that are not there."""
        return [p for p in cls.programs if not shutil.which(p)]

    @classmethod
    def version(cls, bench):
        return first_line([cls.programs[0], "--version"])

    @classmethod
    def takes(cls, source):
        """Bytes that a first backup of it puts into the store, at most: what is
        there, uncompressed, and something about each file."""
        return sum(min(st.st_size, 512 * st.st_blocks) + ABOUT_FILE for st in files(source))

    # For each to say; the defaults suit the simple ones.

    def prepare(self):
        """Before init: files, environment."""

    def init(self):
        """An empty repository."""

    def backup(self, source):
        raise NotImplementedError

    def restore(self, to):
        raise NotImplementedError

    def mount_command(self):
        raise NotImplementedError

    def tree(self, source):
        """Where the copy of `source` lies in the mount."""
        return f"{self.mnt}{source}"

    # The same for all.

    def do(self, argv, cwd=None):
        return measure.run(argv, env=self.env, cwd=cwd, log=self.log, limit=SET_UP)

    def forget_local(self):
        """Cold: nothing on this machine is left of what was stored."""
        shutil.rmtree(self.cache, ignore_errors=True)

    def mount(self, source):
        """Until the copy of `source` can be seen, which may take time; seconds."""
        begin = time.monotonic()
        with open(self.log, "ab") as log:
            self.daemon = subprocess.Popen(
                [str(a) for a in self.mount_command()], env=self.env, cwd=self.work,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        while not (os.path.ismount(self.mnt) and os.path.lexists(self.first_sight(source))):
            if self.daemon.poll() is not None or time.monotonic() > begin + 600:
                tail = self.log.read_text(errors="replace")[-600:]
                raise measure.CommandFailed(f"{self.name} does not mount: {tail}")
            time.sleep(0.005)
        return time.monotonic() - begin

    def first_sight(self, source):
        return self.mnt

    def unmount(self):
        if not self.daemon:
            return
        end = time.monotonic() + 60
        while os.path.ismount(self.mnt) and time.monotonic() < end:
            if subprocess.run(["umount", self.mnt], capture_output=True,
                              check=False).returncode:
                time.sleep(0.05)
        try:
            self.daemon.wait(30)
        except subprocess.TimeoutExpired:
            subprocess.run(["umount", "-l", self.mnt], capture_output=True, check=False)
            self.daemon.kill()
            self.daemon.wait()
        self.daemon = None

    def close(self):
        self.unmount()
        shutil.rmtree(self.work, ignore_errors=True)
        self.place.remove()


def files(path):
    """Attributes of a file, or of all below a directory."""
    if not path.is_dir():
        yield path.stat()
    for top, _, names in os.walk(path):
        for name in names:
            yield os.lstat(os.path.join(top, name))


def first_line(argv, **kw):
    r = subprocess.run(argv, capture_output=True, check=False, **kw)
    return (r.stdout + r.stderr).decode(errors="replace").split("\n", 1)[0].strip()


class Firn(Peer):
    name = "firn"

    @classmethod
    def missing(cls, bench):
        return [p for p in ("firn", "firnfs") if not (bench.build / p).exists()]

    @classmethod
    def version(cls, bench):
        return first_line([bench.build / "firn", "--version"])

    def prepare(self):
        (self.work / "password").write_text(PASSWORD + "\n")
        self.url = str(self.place.path or f"s3://{self.place.s3.bucket}/firn")
        self.env.update(FIRN_REPOSITORY=self.url, FIRN_CACHE_DIR=str(self.cache),
                        FIRN_PASSWORD_FILE=str(self.work / "password"))
        self.firn, self.firnfs = self.bench.build / "firn", self.bench.build / "firnfs"

    def init(self):
        self.do([self.firn, "init", "-q"])

    def backup(self, source):
        return [self.firn, "backup", "-q", "--series", "bench", source], None

    def restore(self, to):
        return [self.firn, "restore", "-q", "latest", to], None

    def mount_command(self):
        return [self.firnfs, self.url, self.mnt, "-f"]

    def tree(self, source):
        return f"{self.mnt}/latest{source}"

    def first_sight(self, source):
        return f"{self.mnt}/latest"


class Restic(Peer):
    name = "restic"
    programs = ("restic",)

    @classmethod
    def version(cls, bench):
        return first_line(["restic", "version"])

    def prepare(self):
        s3 = self.place.s3
        url = f"s3:{s3.url}/{s3.bucket}/restic" if s3 else str(self.place.path)
        self.env.update(RESTIC_REPOSITORY=url, RESTIC_PASSWORD=PASSWORD,
                        RESTIC_CACHE_DIR=str(self.cache))

    def init(self):
        self.do(["restic", "init", "-q"])

    def backup(self, source):
        return ["restic", "backup", "-q", source], None

    def restore(self, to):
        return ["restic", "restore", "-q", "latest", "--target", to], None

    def mount_command(self):
        return ["restic", "mount", "-q", self.mnt]

    def tree(self, source):
        return f"{self.mnt}/snapshots/latest{source}"

    def first_sight(self, source):
        return f"{self.mnt}/snapshots/latest"


class Borg(Peer):
    name = "borg"
    programs = ("borg",)
    stores = ("local",)

    def prepare(self):
        self.place.path.parent.mkdir(parents=True, exist_ok=True)
        self.env.update(BORG_PASSPHRASE=PASSWORD, BORG_BASE_DIR=str(self.work / "base"),
                        BORG_CACHE_DIR=str(self.cache), BORG_REPO=str(self.place.path),
                        BORG_RELOCATED_REPO_ACCESS_IS_OK="yes")
        self.made = 0

    def init(self):
        self.do(["borg", "init", "-e", "repokey-blake2"])

    def backup(self, source):
        self.made += 1
        return ["borg", "create", "-C", "zstd,3", f"::a{self.made}", source], None

    def restore(self, to):
        return ["borg", "extract", f"::a{self.made}"], to

    def mount_command(self):
        return ["borg", "mount", "-f", f"::a{self.made}", self.mnt]


class Casync(Peer):
    name = "casync"
    programs = ("casync",)
    stores = ("local",)

    def init(self):
        self.place.path.mkdir(parents=True)
        self.args = [f"--store={self.place.path}/store.castr", f"{self.place.path}/index.caidx"]

    def backup(self, source):
        return ["casync", "make", *self.args, source], None

    def restore(self, to):
        return ["casync", "extract", *self.args, to], None

    def mount_command(self):
        return ["casync", "mount", *self.args, self.mnt]

    def tree(self, source):
        return str(self.mnt)


class Rclone(Peer):
    name = "rclone"
    programs = ("rclone",)
    stores = ("rgw", "far")
    can = ("mount",)

    @classmethod
    def takes(cls, source):
        """Holes are stored, too."""
        return sum(st.st_size for st in files(source))

    def prepare(self):
        s3 = self.place.s3
        self.env.update(RCLONE_CONFIG="", RCLONE_CACHE_DIR=str(self.cache),
                        RCLONE_CONFIG_S_TYPE="s3", RCLONE_CONFIG_S_PROVIDER="Ceph",
                        RCLONE_CONFIG_S_ENDPOINT=s3.url, RCLONE_CONFIG_S_REGION="us-east-1",
                        RCLONE_CONFIG_S_ACCESS_KEY_ID=s3.access_key,
                        RCLONE_CONFIG_S_SECRET_ACCESS_KEY=s3.secret_key)

    def backup(self, source):
        return ["rclone", "copy", "-q", "--links", "--transfers", "16", "--s3-no-check-bucket",
                source, f"S:{self.place.s3.bucket}/tree"], None

    def mount_command(self):
        return ["rclone", "mount", "--read-only", f"S:{self.place.s3.bucket}/tree", self.mnt]

    def tree(self, source):
        return str(self.mnt)


class S3fs(Rclone):
    name = "s3fs"
    programs = ("s3fs", "rclone")

    def mount_command(self):
        s3 = self.place.s3
        keys = self.work / "keys"
        keys.write_text(f"{s3.access_key}:{s3.secret_key}\n")
        keys.chmod(0o600)
        return ["s3fs", f"{s3.bucket}:/tree", self.mnt, "-f", "-o",
                f"url={s3.url},use_path_request_style,passwd_file={keys},ro"]


PEERS = {p.name: p for p in (Firn, Restic, Borg, Casync, Rclone, S3fs)}
