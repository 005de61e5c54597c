# SPDX-License-Identifier: Apache-2.0
"""What the tests of bad days share: sources that change, readers that compare,
a repository of many small objects."""
import contextlib
import errno
import os
import pathlib
import random
import subprocess
import sys
import threading

from firn_tool import BUILD, Firn, mounts_below, unmount_all, wait_for
from s3sim import S3Sim

KIB = 1 << 10
MIB = 1 << 20


def seeded():
    """A generator whose seed is shown when the test fails; FIRN_SEED repeats."""
    seed = int(os.environ.get("FIRN_SEED") or random.randrange(1 << 30))
    print("FIRN_SEED =", seed)
    return random.Random(seed)


def sim_environment(url):
    return {"AWS_ACCESS_KEY_ID": "AKIDTEST", "AWS_SECRET_ACCESS_KEY": "SECRETTEST",
            "AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1"}


@contextlib.contextmanager
def chaos_repository(work, pack_size="64K", **options):
    """An initialised repository of small packs in the simulator."""
    with S3Sim(["bucket"], data_dir=str(work / "sim"), **options) as sim:
        firn = Firn(work, "s3://bucket/some/prefix", sim_environment(sim.url))
        firn.sim = sim
        firn("init", "--kdf-memory", "1M", "--pack-size", pack_size, "--block-size", "16K")
        yield firn


class Source:
    """A tree of files that changes; keep() copies what is there now."""

    def __init__(self, path, rand, files=40, largest=MIB):
        self.path, self.rand, self.largest = path, rand, largest
        for i in range(files):
            self.write(f"d{i % 7}/f{i}")

    def write(self, name):
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        size = int(self.largest ** self.rand.random())
        path.write_bytes(self.rand.randbytes(size))

    def files(self):
        return sorted(p for p in self.path.rglob("*") if p.is_file())

    def change(self):
        """Some files anew, some grown in the middle, some gone, some renamed."""
        for path in self.files():
            dice = self.rand.random()
            if dice < 0.1:
                self.write(path.relative_to(self.path))
            elif dice < 0.2:
                data = path.read_bytes()
                at = self.rand.randrange(len(data) + 1)
                path.write_bytes(data[:at] + self.rand.randbytes(1000) + data[at:])
            elif dice < 0.25:
                path.unlink()
            elif dice < 0.3:
                path.rename(path.with_name(path.name + "x"))
        self.write(f"new/n{self.rand.randrange(10 ** 6)}")

    def keep(self, where):
        subprocess.run(["cp", "-a", "-T", self.path, where], check=True)
        return where


def forget(file):
    """What the kernel has of this file, so that it is asked for."""
    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class Readers:
    """Counts of reads: right, failed with EIO; and what was wrong with others."""

    def __init__(self):
        self.lock = threading.Lock()
        self.right = self.failed = 0
        self.wrong = []
        self.stop = threading.Event()

    def done(self):
        return self.right + self.failed + len(self.wrong)

    def note(self, right=0, failed=0, wrong=None):
        with self.lock:
            self.right += right
            self.failed += failed
            if wrong:
                self.wrong.append(wrong)

    def read(self, source, copy, rand):
        """Read one file or a part of it from both, and compare."""
        size = os.path.getsize(source)
        at, count = 0, size + 1
        if rand.random() < 0.6:
            at, count = rand.randrange(size + 1), rand.randrange(1, 200 * KIB)
        try:
            with open(copy, "rb", buffering=0) as file:
                forget(file)
                got = os.pread(file.fileno(), count, at)
        except OSError as error:
            good = error.errno == errno.EIO
            self.note(failed=good, wrong=None if good else f"{copy}: {error}")
            return
        with open(source, "rb") as file:
            want = os.pread(file.fileno(), count, at)
        # A read may end early, where an error follows.
        good = got == want[:len(got)] and bool(got or not want)
        self.note(right=good, wrong=None if good else f"{copy} at {at}, {count} bytes")

    def run(self, source, copy, seed):
        rand = random.Random(seed)
        names = [p.relative_to(source) for p in sorted(source.rglob("*")) if p.is_file()]
        while not self.stop.is_set():
            name = rand.choice(names)
            self.read(source / name, os.path.join(copy, name), rand)


# A process that reads whole files with large reads, all over again.
COMPARE = """
import os, sys
source, copy = sys.argv[1:]
while True:
    for top, _, names in os.walk(source):
        for name in names:
            path = os.path.join(top, name)
            with open(path, "rb") as f:
                want = f.read()
            try:
                with open(copy + path[len(source):], "rb") as f:
                    os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                    got = f.read()
            except OSError as error:
                print("failed" if error.errno == 5 else f"wrong: {error}", flush=True)
                continue
            print("right" if got == want else f"wrong: {path}", flush=True)
"""


def follow(readers, process):
    for line in process.stdout:
        line = line.strip()
        readers.note(right=line == "right", failed=line == "failed",
                     wrong=line if line.startswith("wrong") else None)


@contextlib.contextmanager
def hammer(source, copy, rand, threads=4, processes=2):
    """Readers at work while the body of the `with` runs."""
    readers = Readers()
    children = [subprocess.Popen([sys.executable, "-c", COMPARE, str(source), copy],
                                 stdout=subprocess.PIPE, text=True)
                for _ in range(processes)]
    jobs = [threading.Thread(target=follow, args=(readers, c)) for c in children]
    jobs += [threading.Thread(target=readers.run, args=(source, copy, rand.random()))
             for _ in range(threads)]
    for job in jobs:
        job.start()
    try:
        yield readers
    finally:
        readers.stop.set()
        for child in children:
            child.kill()
        for job in jobs:
            job.join()
        for child in children:
            child.stdout.close()
            child.wait()


@contextlib.contextmanager
def foreground_mount(firn, options):
    """Mounted by a firnfs of ours; yields directory, process, and the file of
    what it logs."""
    where, log = firn.work / "mnt", firn.work / "firnfs.log"
    where.mkdir(exist_ok=True)
    with open(log, "ab") as out:
        process = subprocess.Popen([str(BUILD / "firnfs"), firn.url, str(where), "-f",
                                    "-o", options], env=firn.env, stderr=out)
    try:
        wait_for(lambda: process.poll() is not None or
                 where in map(pathlib.Path, mounts_below(where)) and
                 os.path.exists(where / ".firn"), "the mount")
        assert process.poll() is None, log.read_text()
        yield where, process, log
    finally:
        unmount_all(where)
        try:
            assert process.wait(180) == 0, log.read_text()
        finally:
            process.kill()
