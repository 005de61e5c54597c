# SPDX-License-Identifier: Apache-2.0
"""The inputs.  Each is made once under a scratch directory, the same bytes for
the same scale every time, and kept there for further runs.

Invariant: a directory without its ".complete" mark beside it is made anew."""
import contextlib
import os
import pathlib
import random
import shutil
import subprocess

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
TARBALL = "/usr/src/linux-source-6.1.tar.xz"
# With a small scale, these parts of the Linux source only.
LINUX_PART = ("drivers/net", "fs", "kernel", "mm", "include/linux", "Documentation/networking")
WORDS = ("int static struct return const void if else while for unsigned long char "
         "buffer length error device register interrupt lock queue page entry list "
         "next previous index offset size count flags mask state port address").split()


class NoRoom(Exception):
    """There is not enough free space for an input, or for a copy of it."""


def need_room(directory, size):
    free = shutil.disk_usage(directory).free
    if free < size + GIB:
        raise NoRoom(f"'{directory}' has {free >> 20} MiB free, and this takes "
                     f"{(size + GIB) >> 20} MiB: choose another --dir or a smaller --scale")


class Inputs:
    def __init__(self, directory, scale=1.0, tarball=TARBALL):
        self.dir = pathlib.Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.scale, self.tarball = scale, pathlib.Path(tarball or "/nonexistent")
        self.notes = []
        if not self.tarball.exists():
            self.notes.append("there is no Linux source here: a generated tree stands in for it")

    def get(self, name):
        """The path of an input, made when it is not there."""
        path = self.dir / f"{name}-{self.scale:g}"
        if name in ("linux", "edited") and not self.tarball.exists():
            path = self.dir / f"{name}-generated-{self.scale:g}"
        mark = path.with_name(path.name + ".complete")
        if not mark.exists():
            if path.exists():
                shutil.rmtree(path)
            path.mkdir()
            getattr(self, "make_" + name)(path)
            os.sync()
            mark.touch()
        return path

    def count(self, full, least):
        return max(least, int(full * self.scale))

    def make_linux(self, path):
        if not self.tarball.exists():
            return self.make_source_like(path)
        need_room(path, 2 * GIB)
        parts = LINUX_PART if self.scale < 0.5 else ()
        subprocess.run(["tar", "-C", path, "-xf", self.tarball, "--strip-components=1",
                        "--wildcards", *(f"linux-source-*/{p}" for p in parts)], check=True)

    def make_source_like(self, path):
        """Files of words where the Linux source has some, for tests of this program."""
        r = random.Random(61)
        for d in range(self.count(1000, 4)):
            sub = path / "drivers" / "net" / f"d{d}" if d % 4 == 0 else path / "fs" / f"d{d}"
            sub.mkdir(parents=True)
            for f in range(20):
                text = " ".join(r.choices(WORDS, k=r.randrange(5000)))
                (sub / f"f{f}.c").write_text(text + "\n")

    def make_edited(self, path):
        """The Linux source, for rows that change it."""
        need_room(path, 2 * GIB)
        subprocess.run(["cp", "-a", f"{self.get('linux')}/.", path], check=True)

    def make_random(self, path):
        """One file without structure."""
        size = self.count(GIB, MIB)
        need_room(path, size)
        r = random.Random(63)
        with open(path / "random", "wb") as f:
            for at in range(0, size, MIB):
                f.write(r.randbytes(min(MIB, size - at)))

    def make_image(self, path):
        """A sparse image with data scattered over it, as a VM leaves one."""
        size = self.count(10 * GIB, 16 * MIB) // (64 * KIB) * 64 * KIB
        need_room(path, size // 8)
        r = random.Random(64)
        with open(path / "image", "wb") as f:
            f.truncate(size)
            for _ in range(self.count(20000, 100)):
                n = r.randrange(1, 17) * 4 * KIB
                half = r.randbytes(n // 2)
                f.seek(r.randrange((size - n) // 4096) * 4096)
                f.write(half + half[:1] * (n // 2))

    def make_files(self, path):
        """A million files of 0 to 2,000 bytes, a thousand a directory."""
        count = self.count(1_000_000, 100)
        need_room(path, count * 4500)
        make_small(path, count, lambda i: (b"%d " % i) * (i % 250))

    def make_small(self, path):
        """100,000 files of 4 KiB."""
        count = self.count(100_000, 100)
        need_room(path, count * 4500)
        r = random.Random(65)
        make_small(path, count, lambda i: r.randbytes(2 * KIB).hex().encode())


def make_small(path, count, content):
    for first in range(0, count, 1000):
        sub = path / f"d{first // 1000:05d}"
        sub.mkdir()
        with contextlib.closing(Directory(sub)) as d:
            for i in range(first, min(count, first + 1000)):
                d.write(f"f{i:07d}", content(i))


class Directory:
    """Writes files by name into one directory, quickly."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_RDONLY)

    def write(self, name, data):
        fd = os.open(name, os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=self.fd)
        os.write(fd, data)
        os.close(fd)

    def close(self):
        os.close(self.fd)
